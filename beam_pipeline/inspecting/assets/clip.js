// One clip: its film, its sound as a curve, what the ledger says of it, and its record's every key.
'use strict';
(() => {
  const {element, name} = inspect;
  const dialog = document.getElementById('clip');
  const content = document.getElementById('clip-content');
  let opened = 0;

  const LEDGER = [
    ['clip_id', 'Clip'], ['video_id', 'Video'], ['start_s', 'Start, s'], ['end_s', 'End, s'], ['label_index', 'Label index'],
    ['num_frames', 'Frames'], ['duration_s', 'Footage, s'], ['width', 'Width, px'], ['height', 'Height, px'],
    ['bytes', 'Record, bytes'], ['shard', 'Shard'], ['position', 'Position in it'], ['attempts', 'Attempts'],
    ['attempted_at', 'Attempted at'], ['source_uri', 'Source'],
  ];
  const OF_RECORDS = new Set(['num_frames', 'duration_s', 'width', 'height', 'bytes', 'position']);

  const sourceLink = (link) => (link
    ? element('p', {}, element('a', {href: link, target: '_blank', rel: 'noopener noreferrer'}, 'Source video ↗')) : '');

  const ledgerTable = (row) => element('table', {class: 'figures wrap'},
    ...LEDGER.filter(([key]) => row[key] !== undefined && row[key] !== '' && (row.status !== 'failed' || !OF_RECORDS.has(key)))
      .map(([key, title]) => element('tr', {},
        element('th', {scope: 'row'}, title), element('td', {}, name(String(row[key]))))));

  const featureTable = (features) => element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Keys of the record'},
    element('table', {class: 'features'},
      element('thead', {}, element('tr', {}, ...['Key', 'Type', 'Length', 'Value'].map(
        (title) => element('th', {scope: 'col'}, title)))),
      ...features.map((feature) => element('tr', {class: feature.place},
        element('th', {scope: 'row'}, name(feature.key)), element('td', {}, feature.dtype),
        element('td', {}, feature.shape), element('td', {class: 'value'}, name(feature.value))))));

  const SVG = 'http://www.w3.org/2000/svg';
  const shape = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  // The sound's envelope over the film's whole time; a click goes there.
  const waveform = (wave, film) => {
    const picture = shape('svg', {viewBox: `0 0 ${wave.length} 208`, preserveAspectRatio: 'none', class: 'wave', role: 'img',
      'aria-label': 'Waveform of the sound'});
    const upper = wave.map(([, high], k) => `${k + 0.5},${104 - Math.max(high, 0.6)}`);
    const lower = wave.map(([low], k) => `${k + 0.5},${104 - Math.min(low, -0.6)}`).reverse();
    picture.append(shape('polygon', {points: [...upper, ...lower].join(' ')}));
    const now = shape('line', {x1: 0, x2: 0, y1: 0, y2: 208, class: 'now'});
    picture.append(now);
    const move = () => {
      const x = film.duration ? film.currentTime / film.duration * wave.length : 0;
      now.setAttribute('x1', x);
      now.setAttribute('x2', x);
      if (!film.paused && picture.isConnected) requestAnimationFrame(move);
    };
    ['play', 'timeupdate', 'seeked'].forEach((event) => film.addEventListener(event, move));
    picture.addEventListener('click', (event) => {
      const place = picture.getBoundingClientRect();
      if (film.duration) film.currentTime = (event.clientX - place.left) / place.width * film.duration;
    });
    return picture;
  };

  const preview = (clip, row) => {
    const film = element('video', {src: clip.film, width: row.width * (clip.has_flow ? 2 : 1), height: row.height, controls: true, loop: true, playsinline: true, preload: 'auto',
      'aria-label': clip.has_flow ? 'Frames, and flow in colour beside them' : 'Frames'});
    film.autoplay = !matchMedia('(prefers-reduced-motion: reduce)').matches;
    film.muted = film.autoplay;
    const told = element('p', {class: 'quiet', role: 'status'}, 'Making the film …');
    film.addEventListener('loadeddata', () => told.remove());
    film.addEventListener('error', () => { told.textContent = 'The film can’t be made: an image of the record is damaged.'; });
    const parts = [film, told];
    if (clip.wave) parts.push(waveform(clip.wave, film));
    if (clip.has_flow) {
      const full = clip.full_px ? ` ${clip.full_px.toPrecision(2)} pixels a frame have the full colour.` : '';
      parts.push(element('p', {class: 'quiet legend'}, element('img', {src: 'assets/flow_wheel.png', alt: ''}),
        `Left: frames. Right: optical flow, in the colour of its direction and as strong as it is fast.${full}`));
    }
    return element('div', {class: 'preview'}, ...parts);
  };

  const failure = (reason, detail, transient) => element('div', {class: 'failure', role: 'note'},
    element('strong', {}, name(inspect.reasonName(reason))), element('p', {}, name(detail || 'Nothing more is known.')),
    transient ? element('p', {class: 'quiet'}, 'The next run tries it again.') : null);

  const neighbour = (split, row, step) => {
    const place = (inspect.shown || []).findIndex((shown) => shown.row === row.row);
    return place < 0 ? null : inspect.shown[place + step] || null;
  };

  inspect.openClip = async (split, row) => {
    const mine = (opened += 1);
    const address = `#clip/${encodeURIComponent(split.split)}/${row.row}`;
    if (location.hash !== address) history.replaceState(null, '', address);
    const walk = (step, text, label) => {
      const other = neighbour(split, row, step);
      return element('button', {type: 'button', class: 'walk', 'aria-label': label, disabled: !other,
        onclick: () => inspect.openClip(split, other)}, text);
    };
    const head = element('div', {class: 'clip-head'},
      element('div', {}, walk(-1, '←', 'Clip before'), walk(1, '→', 'Next clip')),
      element('h2', {id: 'clip-title'}, name(inspect.labelName(split, row.label))),
      element('p', {class: 'id'}, name(row.id)),
      element('p', {class: 'tags'}, inspect.statusTag(split, row), ...inspect.flagTags(row)));
    const body = element('div', {class: 'clip-body'});
    content.replaceChildren(head, body);
    if (row.status !== 0) body.append(failure(split.reason_names[row.reason], row.detail, row.transient));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    let clip;
    try {
      clip = await inspect.source.clip(split, row.row);
    } catch (error) {
      clip = {error: error.message};
    }
    if (mine !== opened) return;
    if (clip === null) {
      if (row.status === 0) {
        body.append(element('p', {class: 'quiet'}, 'This copy has no preview of this clip: more are made by --previews, and all by --serve.'));
      }
      body.append(sourceLink(row.link), element('h3', {}, 'In the ledger'), ledgerTable(fromRow(row)));
      return;
    }
    if (clip.error) body.append(failure('no preview', clip.error, false));
    if (clip.film) body.append(preview(clip, row));
    body.append(sourceLink(clip.link));
    if (clip.row) body.append(element('h3', {}, 'In the ledger'), ledgerTable(clip.row));
    if (clip.features) {
      body.append(element('h3', {}, `In the record: ${clip.features.length} keys`), featureTable(clip.features));
    }
  };

  // What a row of the table knows of the ledger, where no more is at hand.
  const fromRow = (row) => {
    const known = {
      clip_id: row.id, label_index: row.label, num_frames: row.frames, duration_s: row.duration_s, width: row.width,
      height: row.height, bytes: row.bytes, attempts: row.attempts, attempted_at: row.attempted_at,
      source_uri: row.source_uri, status: row.status === 0 ? 'ok' : 'failed',
    };
    return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined && value !== null));
  };

  dialog.addEventListener('close', () => {
    opened += 1;
    content.replaceChildren();
    history.replaceState(null, '', '#clips');
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('keydown', (event) => {
    if (event.target.closest('video, input')) return;
    const button = {ArrowLeft: 'Clip before', ArrowRight: 'Next clip'}[event.key];
    if (button) content.querySelector(`[aria-label="${button}"]`)?.click();
  });
})();
