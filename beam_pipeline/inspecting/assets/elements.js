// What all other scripts use. Text is always set as text: names and details come from strangers.
'use strict';
const inspect = {};

// Makes an element. Attributes that are null are left out; children are elements or text.
inspect.element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'onclick') made.addEventListener('click', value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

// A name of a stranger's, kept apart from the writing around it.
inspect.name = (text) => inspect.element('bdi', {}, text);

inspect.count = (number) => number.toLocaleString('en');

inspect.size = (bytes) => {
  for (const unit of ['bytes', 'kB', 'MB', 'GB']) {
    if (bytes < 1000) return unit === 'bytes' ? `${bytes} bytes` : `${bytes.toFixed(1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} TB`;
};

inspect.labelName = (split, index) => split.labels[index] || '(no label)';

inspect.reasonName = (reason) => reason.replaceAll('_', ' ');

inspect.flagName = (flag) => ({has_audio: 'sound'})[flag] || flag;

// Loads a script of ours; that is how a page from a disk gets its data, where browsers allow no other way.
inspect.load = (url) => new Promise((resolve, reject) => {
  const script = inspect.element('script', {src: url});
  script.addEventListener('load', () => { script.remove(); resolve(); });
  script.addEventListener('error', () => { script.remove(); reject(new Error(`${url} is not there`)); });
  document.head.append(script);
});
