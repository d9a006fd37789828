"""A page to look at a data set with: what was asked for and became of it, its classes, and its clips, playing.

- `rows`: the clips of a split as columns; `summaries`: what of them is counted; `search`: which of them a reader wants;
- `previews`: one clip, as a film and with its record's every key;
- `page`: the page; `site`: all of it as files that open from a disk; `server`: all of it on this machine, on demand.

`assets/` is what the browser gets. `assets/vendor` has two libraries as they are published, each with its licence;
`docs/dependencies.md` says which and how to bring them up to date.
"""

DEFAULT_PREVIEWS = 100
"""Clips that have a film in a page that is written."""
