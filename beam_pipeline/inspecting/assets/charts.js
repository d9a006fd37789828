// Distributions as bars, each with its figures as a table for those who can't see a chart, or want the numbers.
'use strict';
inspect.drawCharts = (() => {
  let charts = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isStill = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

  const round = (value) => Number(value.toPrecision(6));
  const range = (d, k) => `${round(d.start + k * d.step)}–${round(d.start + (k + 1) * d.step)}`;

  const table = (d) => inspect.element('details', {},
    inspect.element('summary', {}, 'Figures'),
    inspect.element('table', {class: 'figures'},
      inspect.element('thead', {}, inspect.element('tr', {},
        inspect.element('th', {scope: 'col'}, d.unit), inspect.element('th', {scope: 'col'}, 'Clips'))),
      ...d.counts.map((count, k) => inspect.element('tr', {},
        inspect.element('th', {scope: 'row'}, range(d, k)), inspect.element('td', {}, inspect.count(count))))));

  const chart = (canvas, d) => new Chart(canvas, {
    type: 'bar',
    data: {
      labels: d.counts.map((_, k) => round(d.start + k * d.step)),
      datasets: [{
        data: d.counts, backgroundColor: colour('--accent'), hoverBackgroundColor: colour('--ink'),
        categoryPercentage: 1, barPercentage: 0.92, borderRadius: 2, minBarLength: 2,
        skipNull: true, grouped: false, maxBarThickness: 48,
      }],
    },
    options: {
      animation: isStill() ? false : {duration: 250},
      maintainAspectRatio: false,
      interaction: {mode: 'index', intersect: false},
      plugins: {
        legend: {display: false},
        tooltip: {
          displayColors: false,
          callbacks: {
            title: ([item]) => `${range(d, item.dataIndex)}`,
            label: (item) => `${inspect.count(item.parsed.y)} clips`,
          },
        },
      },
      scales: {
        x: {
          grid: {display: false}, border: {color: colour('--line')},
          ticks: {color: colour('--quiet'), maxRotation: 0, autoSkipPadding: 18, font: {size: 11}},
        },
        y: {
          border: {display: false}, grid: {color: colour('--line')}, beginAtZero: true,
          ticks: {color: colour('--quiet'), maxTicksLimit: 4, precision: 0, font: {size: 11}},
        },
      },
    },
  });

  return (split) => {
    charts.forEach((drawn) => drawn.destroy());
    const holder = document.getElementById('charts');
    holder.replaceChildren();
    const canvases = split.distributions.map((d) => {
      const canvas = inspect.element('canvas', {
        role: 'img', 'aria-label': `${d.title}: ${d.counts.length} bars from ${d.start} ${d.unit} on; median ${d.median}`,
      });
      const beyond = d.beyond ? `; ${inspect.count(d.beyond)} beyond` : '';
      holder.append(inspect.element('figure', {},
        inspect.element('figcaption', {}, inspect.element('strong', {}, d.title),
          inspect.element('span', {class: 'quiet'}, ` ${d.unit} · median ${d.median}${beyond}`)),
        inspect.element('div', {class: 'canvas'}, canvas), table(d)));
      return canvas;
    });
    // Once all are in place: alone in its row, the first would be drawn as wide as that.
    // No bar where there is no clip; a lone clip among thousands keeps two pixels.
    charts = split.distributions.map((d, k) => chart(
      canvases[k], {...d, counts: d.counts.map((count) => count || null)}));
    if (!split.distributions.length) holder.append(inspect.element('p', {class: 'quiet'}, 'No clip is written yet.'));
    const missing = ['brightness', 'motion'].filter((name) => !split.distributions.some((d) => d.name === name));
    if (split.distributions.length && missing.length) {
      holder.append(inspect.element('p', {class: 'quiet'},
        `The index does not have ${missing.join(' and ')} of every record.`));
    }
  };
})();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => inspect.drawCharts(inspect.split));
