"""`python -m beam_pipeline clip`: one record of a data set as a film."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from beam_pipeline.clips import ClipError
from beam_pipeline.command_options import reads_data_sets
from beam_pipeline.data_set import find_clip, open_data_set
from beam_pipeline.errors import RequestError
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, fail, tell
from beam_pipeline.viewing.clip_film import Layout, write_clip_film
from beam_pipeline.viewing.clip_reading import read_clip
from beam_pipeline.viewing.clip_record import ClipRecord
from beam_pipeline.viewing.films import Form
from beam_pipeline.viewing.new_files import check_is_new, new_file

FORMS: dict[str, Form] = {".mp4": "mp4", ".webm": "webm", ".gif": "gif"}

_LAYOUTS: dict[str | None, Layout] = {None: "frames", "beside": "beside", "below": "below", "alone": "flow"}


@reads_data_sets
def main(arguments: argparse.Namespace) -> int:
    """Cuts a clip and prints what it is; returns the exit status."""
    try:
        clip = cut_clip(
            arguments.folder,
            arguments.clip_id,
            arguments.out,
            layout=_LAYOUTS[arguments.flow],
            height=arguments.height,
            overwrite=arguments.overwrite,
        )
    except ClipError as error:
        return fail(error.detail, EXIT_FAILED)
    facts = f"{len(clip.frames)} frames at {float(clip.frame_rate):g}/s, {clip.duration_s:.2f} s"
    tell(f"{arguments.out}: {clip.label or 'no label'}, {facts}")
    return EXIT_OK


def cut_clip(
    folder: str,
    clip_id: str,
    out: Path,
    *,
    layout: Layout = "frames",
    height: int | None = None,
    overwrite: bool = False,
) -> ClipRecord:
    """Writes one record of a data set as a film, whose form `out`'s suffix says.

    Args:
      folder: of the data set (`data_set.open_data_set`).
      clip_id: `example/id` of the record, of whatever split.
      out: `.mp4`, `.webm` or `.gif`, on this machine.
      layout: what is shown (`clip_film.write_clip_film`).
      height: of a frame in pixels; None: as it is stored.
      overwrite: whether `out` may be replaced.

    Returns:
      The record.

    Raises:
      RequestError: `out` is of another form, or is there.
      DataSetError: there is no such data set or clip.
      ClipError: the clip has no record, or one that can't be shown so.
      OSError: a file can't be read or written.
    """
    form = FORMS.get(out.suffix.lower())
    if form is None:
        raise RequestError(f"{out}: its suffix must be one of {', '.join(FORMS)}, got {out.suffix!r}")
    check_is_new(out, overwrite)
    clip = read_clip(*find_clip(open_data_set(folder), clip_id))
    with (
        new_file(out) as temporary,
        tqdm(total=len(clip.frames), unit=" frames", dynamic_ncols=True, delay=1, disable=None, file=sys.stderr) as bar,
    ):
        write_clip_film(temporary, form, clip, layout, height=height, on_frame=bar.update)
    return clip
