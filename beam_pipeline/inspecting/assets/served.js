// The data of a page that is served: the server searches, and makes films when they are asked for.
//
// Both this and stored.js give `inspect.source`:
//   find(split, query, page, size)  {total, rows} of a query {text, label, status, reason, flag, sort, order}
//   row(split, number)              one of those rows by its number; null where there is none
//   clip(split, row)                {row, link, features, wave, film, error} of one clip
//   thumbnail(split, row)           address of a small picture, or null
'use strict';
inspect.source = (() => {
  const url = (split, what) => `clips/${encodeURIComponent(split.split)}/${what}?snapshot=${inspect.summary.snapshot}`;

  const ask = async (address) => {
    let answer;
    try {
      answer = await fetch(address);
    } catch {
      throw new Error('The server does not answer: is it still running?');
    }
    if (answer.status === 410) throw new Error('The data set has been read anew since: reload this page.');
    if (!answer.ok) throw new Error(`The server says: ${await answer.text()}`);
    return answer.json();
  };

  return {
    find: (split, query, page, size) => {
      const parameters = new URLSearchParams({...query, page, size});
      return ask(`${url(split, 'rows.json')}&${parameters}`);
    },
    row: async (split, number) => (await ask(`${url(split, 'rows.json')}&page=${number + 1}&size=1`)).rows[0] || null,
    clip: async (split, row) => {
      const clip = await ask(url(split, `${row}.json`));
      return {...clip, film: clip.features ? url(split, `${row}.mp4`) : null};
    },
    thumbnail: (split, row) => (row.status === 0 ? url(split, `${row.row}.jpg`) : null),
  };
})();
