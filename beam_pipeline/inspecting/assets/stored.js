// The data of a page that lies on a disk: parts of a split's rows are loaded as scripts when they are needed, and
// searched here, by the rules of search.py. `served.js` says what this gives.
'use strict';
inspect.source = (() => {
  const parts = {};   // by split: a promise a part
  const arrived = {};  // by split and part: columns
  const clips = {};

  inspect.part = (split, number, columns) => {
    arrived[`${split}/${number}`] = {...columns, id: columns.id.split('\n')};
  };
  inspect.clip = (split, row, clip) => { clips[`${split}/${row}`] = clip; };

  const folder = (split) => encodeURIComponent(split.split);

  const part = (split, number) => {
    const known = (parts[split.split] ??= []);
    known[number] ??= inspect.load(`data/${folder(split)}/part-${number}.js`).then(
      () => arrived[`${split.split}/${number}`]);
    return known[number];
  };

  const rowOf = (split, columns, number, place) => {
    const row = {row: number * split.part_size + place};
    for (const name of split.columns) row[name] = columns[name][place];
    return Object.assign(row, columns.failed[place]);
  };

  // Whether a row is searched for, as a function of a part's columns and the row's place in them.
  const condition = (split, query) => {
    const text = query.text.trim().toLowerCase();
    const byLabel = new Set(split.labels.flatMap((name, index) => (name.toLowerCase().includes(text) ? [index] : [])));
    const reason = query.reason ? split.reason_names.indexOf(query.reason) : null;
    const label = query.label === '' ? null : Number(query.label);
    const status = query.status ? inspect.summary.statuses.indexOf(query.status) : null;
    const flag = query.flag ? 1 << inspect.summary.flags.indexOf(query.flag) : 0;
    return (columns, k) => (label === null || columns.label[k] === label)
      && (status === null || columns.status[k] === status)
      && (reason === null || columns.reason[k] === reason)
      && (!flag || (columns.flags[k] & flag) !== 0)
      && (!text || byLabel.has(columns.label[k]) || columns.id[k].toLowerCase().includes(text));
  };

  // What rows are ordered by: a function of a part's columns and the row's place.
  const keyOf = (split, sort) => {
    if (sort === 'label') {
      const order = split.labels.map((_, index) => index)
        .sort((a, b) => (split.labels[a] < split.labels[b] ? -1 : split.labels[a] > split.labels[b] ? 1 : 0));
      const rank = [];
      order.forEach((index, place) => { rank[index] = place; });
      return (columns, k) => rank[columns.label[k]];
    }
    if (sort === 'status') {
      return (columns, k) => columns.status[k] * (split.reason_names.length + 1) + columns.reason[k];
    }
    return (columns, k) => (columns[sort] ? columns[sort][k] : null);
  };

  const compare = (descending) => {
    const way = descending ? -1 : 1;
    return (a, b) => {
      if (a[0] === b[0]) return a[1] - b[1];
      if (a[0] === null) return 1;  // without a value: the last in either order
      if (b[0] === null) return -1;
      return a[0] < b[0] ? -way : way;
    };
  };

  let latest = {key: null, found: null};

  // The rows that are searched for, as [key, number].
  const search = async (split, query) => {
    const key = JSON.stringify([split.split, query]);
    if (latest.key === key) return latest.found;
    const wanted = condition(split, query);
    const sortKey = query.sort ? keyOf(split, query.sort) : () => 0;
    const found = [];
    for (let number = 0; number < split.parts; number += 1) {
      const columns = await part(split, number);
      const begin = number * split.part_size;
      for (let k = 0; k < columns.id.length; k += 1) {
        if (wanted(columns, k)) found.push([sortKey(columns, k), begin + k]);
      }
      if (split.parts > 1) inspect.onProgress((number + 1) / split.parts);
    }
    if (query.sort) found.sort(compare(query.order === 'desc'));
    latest = {key, found};
    return found;
  };

  // The row at a place of the page's own order: those with a preview, of which there is most to see, and then the rest.
  const rowAt = (split, place) => {
    if (place < split.previews.length) return split.previews[place];
    let number = place - split.previews.length;
    for (const preview of split.previews) if (preview <= number) number += 1;
    return number;
  };

  const read = async (split, number) => {
    const [of, place] = [Math.floor(number / split.part_size), number % split.part_size];
    return rowOf(split, await part(split, of), of, place);
  };

  const isPlain = (query) => Object.values({...query, order: ''}).every((value) => value === '');

  return {
    find: async (split, query, page, size) => {
      const first = (page - 1) * size;
      let numbers, total;
      if (isPlain(query)) {  // the parts that these rows lie in suffice
        total = split.rows;
        numbers = Array.from({length: Math.max(0, Math.min(size, total - first))}, (_, k) => rowAt(split, first + k));
      } else {
        const found = await search(split, query);
        total = found.length;
        numbers = found.slice(first, first + size).map(([, number]) => number);
      }
      return {total, rows: await Promise.all(numbers.map((number) => read(split, number)))};
    },
    row: async (split, number) => (number < split.rows ? read(split, number) : null),
    clip: async (split, row) => {
      if (!split.previews.includes(row)) return null;
      await inspect.load(`clips/${folder(split)}/${row}.js`);
      const clip = clips[`${split.split}/${row}`];
      return {...clip, film: clip.features ? `clips/${folder(split)}/${row}.mp4` : null};
    },
    thumbnail: (split, row) => (
      row.status === 0 && split.previews.includes(row.row) ? `clips/${folder(split)}/${row.row}.jpg` : null),
  };
})();
