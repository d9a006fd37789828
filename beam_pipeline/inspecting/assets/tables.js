// The two tables: classes, which are all at hand, and clips, of which a page at a time is asked for.
'use strict';
(() => {
  const {element, name, count} = inspect;
  let classes = null;
  let clips = null;
  let asked = 0;

  // Column heads are buttons, so that the keyboard sorts, too: a click on one is a click on its column.
  const titleFormatter = (cell) => element('button', {type: 'button', class: 'sort'}, cell.getValue());
  const number = (title, field, format, more = {}) => ({
    title, field, titleFormatter, cssClass: 'number', hozAlign: 'right', headerHozAlign: 'right', headerSortStartingDir: 'desc',
    formatter: (cell) => (cell.getValue() === null || cell.getValue() === undefined ? '' : format(cell.getValue())),
    ...more,
  });
  const common = {
    layout: 'fitColumns', responsiveLayout: 'hide', columnDefaults: {resizable: false, headerTooltip: false},
  };

  // -- Classes ---------------------------------------------------------------------------------------------------------

  const classCell = (cell) => {
    const row = cell.getData();
    return element('span', {class: 'class-cell'},
      element('button', {type: 'button', class: 'link', onclick: () => inspect.showClips({label: String(row.label)})},
        name(row.name || '(no label)')),
      row.thin ? element('span', {class: 'tag thin'}, 'thin') : null);
  };

  inspect.fillClasses = (split) => {
    const thin = split.classes.filter((row) => row.thin).length;
    const unused = split.unused_labels ? ` ${count(split.unused_labels)} more of the label list have no clip here.` : '';
    document.getElementById('classes-note').textContent =
      `${count(split.classes.length)} classes, ${thin ? count(thin) : 'none'} of them thin: with fewer than half as many `
      + `clips written as the median class.${unused}`;
    if (classes) {
      classes.setData(split.classes);
      return;
    }
    classes = new Tabulator('#classes-table', {
      ...common,
      data: split.classes,
      height: split.classes.length > 14 ? '480px' : undefined,
      initialSort: [{column: 'written', dir: 'asc'}],
      columns: [
        {title: 'Class', field: 'name', titleFormatter, formatter: classCell, minWidth: 170, widthGrow: 3, responsive: 0},
        number('Written', 'written', count, {responsive: 0, minWidth: 84}),
        number('Asked for', 'asked', count, {responsive: 2, minWidth: 100}),
        number('Failed', 'failed', count, {responsive: 1, minWidth: 80}),
        number('Hours', 'hours', (hours) => hours.toFixed(hours < 1 ? 3 : 1), {responsive: 3, minWidth: 80}),
      ],
    });
  };

  // -- Clips -----------------------------------------------------------------------------------------------------------

  const thumbnail = (cell) => {
    const row = cell.getData();
    const address = inspect.source.thumbnail(inspect.split, row);
    if (address) return element('img', {src: address, alt: '', loading: 'lazy', class: 'thumbnail'});
    const text = ['', 'failed', 'waiting'][row.status];
    return element('span', {class: `thumbnail none ${text}`, 'aria-hidden': 'true'}, text);
  };

  const clipCell = (cell) => {
    const row = cell.getData();
    return element('span', {class: 'clip-cell'},
      element('a', {href: `#clip/${encodeURIComponent(inspect.split.split)}/${row.row}`},
        name(inspect.labelName(inspect.split, row.label))),
      element('span', {class: 'id'}, name(row.id)));
  };

  inspect.statusTag = (split, row) => {
    const kind = ['written', 'failed', 'waiting'][row.status];
    const text = row.status === 1 ? inspect.reasonName(split.reason_names[row.reason]) : inspect.summary.statuses[row.status];
    return element('span', {class: `tag ${kind}`}, name(text));
  };

  inspect.flagTags = (row) => inspect.summary.flags
    .filter((flag, bit) => row.flags >> bit & 1 && row.status === 0)
    .map((flag) => element('span', {class: 'tag'}, inspect.flagName(flag)));

  inspect.makeClips = () => {
    clips = new Tabulator('#clips-table', {
      ...common,
      placeholder: 'No clip is like that.',
      pagination: true, paginationMode: 'remote', paginationSize: 10, paginationSizeSelector: [10, 25, 50, 100],
      paginationButtonCount: 3, sortMode: 'remote', ajaxURL: 'rows', rowHeight: 64,
      dataLoader: false,
      ajaxRequestFunc: async (_, __, parameters) => {
        const mine = (asked += 1);
        const [sorter] = parameters.sort || [];
        const query = {...inspect.query(), sort: sorter ? sorter.field : '', order: sorter ? sorter.dir : ''};
        const status = document.getElementById('found');
        try {
          const {total, rows} = await inspect.source.find(inspect.split, query, parameters.page, parameters.size);
          if (mine === asked) status.textContent = total === 1 ? '1 clip' : `${count(total)} clips`;
          return {data: rows, last_page: Math.max(1, Math.ceil(total / parameters.size)), last_row: total};
        } catch (error) {
          status.textContent = error.message;
          return {data: [], last_page: 1, last_row: 0};
        }
      },
      columns: [
        {title: '', field: 'row', formatter: thumbnail, headerSort: false, width: 104, responsive: 0},
        {title: 'Clip', field: 'label', titleFormatter, formatter: clipCell, minWidth: 150, widthGrow: 4, responsive: 0},
        {title: 'Status', field: 'status', titleFormatter, minWidth: 116, widthGrow: 1.4, responsive: 1,
          formatter: (cell) => inspect.statusTag(inspect.split, cell.getData())},
        number('Seconds', 'duration_s', (value) => value.toFixed(2), {minWidth: 96, responsive: 3}),
        number('Size', 'bytes', inspect.size, {minWidth: 90, responsive: 4}),
        number('Brightness', 'brightness', (value) => value.toFixed(0), {minWidth: 106, responsive: 6}),
        number('Motion', 'motion', (value) => value.toFixed(2), {minWidth: 86, responsive: 5}),
        {title: 'Flags', field: 'flags', headerSort: false, minWidth: 140, widthGrow: 1.6, responsive: 7,
          formatter: (cell) => element('span', {class: 'tags'}, ...inspect.flagTags(cell.getData()))},
      ],
    });
    clips.on('rowClick', (event, row) => {
      if (!event.target.closest('a')) inspect.openClip(inspect.split, row.getData());
    });
    clips.on('dataProcessed', () => { inspect.shown = clips.getData(); });
  };

  // Several changes at once, as when a form is cleared and filled, are one search.
  let waiting = null;
  inspect.findClips = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => clips && clips.setPage(1));
  };
})();
