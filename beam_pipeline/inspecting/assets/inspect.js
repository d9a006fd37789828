// The page: which split is shown, what is searched for, and the address that says so.
'use strict';
(() => {
  const {element, name, count} = inspect;
  const form = document.getElementById('search');
  const splits = Object.fromEntries(inspect.summary.splits.map((split) => [split.split, split]));

  inspect.onProgress = (share) => {
    document.getElementById('found').textContent = share < 1 ? `Searching: ${Math.round(100 * share)} %` : '';
  };

  inspect.query = () => Object.fromEntries(
    ['text', 'label', 'status', 'reason', 'flag'].map((field) => [field, form.elements[field].value]));

  const options = (field, values) => {
    form.elements[field].replaceChildren(element('option', {value: ''}, 'all'),
      ...values.map(([value, text]) => element('option', {value}, text)));
  };

  const figures = (id, rows) => document.getElementById(id).replaceChildren(
    ...rows.map(([title, number]) => element('tr', {},
      element('th', {scope: 'row'}, title), element('td', {}, count(number)))));

  const showSplit = (split) => {
    inspect.split = split;
    for (const card of document.querySelectorAll('.card')) {
      card.setAttribute('aria-pressed', String(card.dataset.split === split.split));
    }
    for (const title of document.querySelectorAll('.of-split')) title.replaceChildren('in ', name(split.split));
    options('label', split.classes.map((row) => [String(row.label), row.name || '(no label)']));
    options('status', inspect.summary.statuses.map((status) => [status, status]));
    options('reason', split.reasons.map((row) => [row.reason, inspect.reasonName(row.reason)]));
    options('flag', split.flags.filter((row) => row.count).map((row) => [row.flag, inspect.flagName(row.flag)]));
    figures('flags', split.flags.map((row) => [inspect.flagName(row.flag), row.count]));
    figures('sizes', split.frame_sizes.map((row) => [row.size, row.count]));
    inspect.drawCharts(split);
    inspect.fillClasses(split);
  };

  // Shows clips of the split that are like that, and nothing else of what was searched for.
  inspect.showClips = (wanted) => {
    form.reset();
    for (const [field, value] of Object.entries(wanted)) form.elements[field].value = value;
    inspect.findClips();
    document.getElementById('clips').scrollIntoView();
    form.elements.text.focus({preventScroll: true});
  };

  let typing = null;
  form.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(inspect.findClips, 200);
  });
  form.addEventListener('reset', inspect.findClips);
  form.addEventListener('submit', (event) => event.preventDefault());

  for (const card of document.querySelectorAll('.card')) {
    card.addEventListener('click', () => {
      showSplit(splits[card.dataset.split]);
      form.reset();
    });
  }
  for (const reason of document.querySelectorAll('[data-reason]')) {
    reason.addEventListener('click', () => {
      showSplit(splits[reason.dataset.split]);
      inspect.showClips({reason: reason.dataset.reason});
    });
  }

  const openByAddress = async () => {
    const [, split, row] = location.hash.match(/^#clip\/([^/]+)\/(\d+)$/) || [];
    const known = split && splits[decodeURIComponent(split)];
    if (!known) return;
    const found = await inspect.source.row(known, Number(row));
    if (!found) return;
    if (inspect.split !== known) {
      showSplit(known);
      inspect.findClips();
    }
    inspect.openClip(known, found);
  };
  window.addEventListener('hashchange', () => openByAddress().catch((error) => {
    document.getElementById('found').textContent = error.message;
  }));

  showSplit(inspect.summary.splits[0]);
  inspect.makeClips();
  openByAddress();
})();
