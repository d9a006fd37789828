"""`python -m beam_pipeline flow`: a picture, a film or `.flo` files of the flow of any clip, without a run."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
from tqdm import tqdm

from beam_pipeline.clips import ClipError
from beam_pipeline.config import Config, load_config
from beam_pipeline.errors import RequestError
from beam_pipeline.media.flo import write_flo
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, fail, tell
from beam_pipeline.viewing.flow_clip import (
    FlowClip,
    Span,
    flow_of_folder,
    flow_of_images,
    flow_of_record,
    flow_of_video,
)
from beam_pipeline.viewing.flow_film import write_flow_film
from beam_pipeline.viewing.flow_sheet import MOST_PAIRS, draw_flow_sheet, full_px_of
from beam_pipeline.viewing.image_files import IMAGE_SUFFIXES
from beam_pipeline.viewing.new_files import check_is_new, new_file
from tf_data import contract

SUFFIXES = (".png", ".mp4", ".flo")

# What a configuration must have and a look doesn't use; and the rate of frames that lie in files of their own.
_NO_DATA_SET = ("name=look", "splits.look.annotations=[none]", "source.store=.", "encode.fps=25")


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Shows a clip's flow and prints the files; returns the exit status."""
    try:
        files = view_flow(
            arguments.inputs,
            arguments.out,
            Span(arguments.start, arguments.duration),
            config=arguments.config,
            settings=arguments.settings,
            clip_id=arguments.clip,
            full_px=arguments.full_px,
            overwrite=arguments.overwrite,
        )
    except ClipError as error:
        return fail(f"{arguments.inputs[0]}: {error.detail}", EXIT_FAILED)
    tell(str(files[0]) if len(files) == 1 else f"{files[0]} to {files[-1].name}: {len(files)} pairs")
    return EXIT_OK


def view_flow(
    inputs: Sequence[str],
    out: Path,
    span: Span,
    *,
    config: Sequence[str] = (),
    settings: Sequence[str] = (),
    clip_id: str | None = None,
    full_px: float | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Writes what `out`'s suffix says of a clip's flow; returns the files.

    Args:
      inputs: one video, one folder of frames, one shard, or two or more image files in order. Frames keep their size.
      out: `.png`, up to eight pairs with arrows and in colour; `.mp4`, all of them as a film; `.flo`, one pair's
        vectors, where there are more one file a pair: `name-00000.flo` and so on.
      span: which seconds are looked at.
      config: configuration files, whose `encode` and `flow` are a run's.
      settings: `KEY=VALUE` of a configuration; they win.
      clip_id: of a shard, which record; None: the first.
      full_px: the length that gets the full colour; None: one that suits the clip.
      overwrite: whether files may be replaced.

    Raises:
      RequestError: the request contradicts itself, an input isn't there or `out` is there.
      ConfigError: a bad configuration.
      ClipError: there is no flow to be had of the input.
      OSError: a file can't be read or written.
    """
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise RequestError(f"{out}: its suffix must be one of {', '.join(SUFFIXES)}, got {out.suffix!r}")
    if full_px is not None and suffix == ".flo":
        raise RequestError("--full_px is for pictures: a .flo file has no colours")
    check_is_new(out, overwrite)
    if out.exists() and suffix in IMAGE_SUFFIXES and out.parent in {Path(path).parent for path in inputs}:
        raise RequestError(f"{out}: may be a frame like those beside it; OUT comes last, and is to be elsewhere")
    clip = _open(inputs, config, settings, span, clip_id)
    if suffix == ".flo":
        return _write_flo_files(out, clip, overwrite)
    with new_file(out) as temporary:
        if suffix == ".png":
            with _progress(len(clip.some_pairs(MOST_PAIRS))) as bar:
                sheet = draw_flow_sheet(clip, full_px, bar.update)
            encoded, png = cv2.imencode(".png", sheet[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])
            assert encoded
            temporary.write_bytes(png.tobytes())
        else:
            with _progress(clip.num_pairs) as bar:
                write_flow_film(temporary, clip, full_px or full_px_of(clip), bar.update)
    return [out]


def _open(
    inputs: Sequence[str], config: Sequence[str], settings: Sequence[str], span: Span, clip_id: str | None
) -> FlowClip:
    for path in inputs:
        if not Path(path).exists():
            hint = "; it must be on this machine" if "://" in path else ""
            raise RequestError(f"{path}: there is no such file or folder{hint}")
    first = inputs[0]
    kind = _kind_of(first)
    if len(inputs) > 1 and (other := next((path for path in inputs if _kind_of(path) != "images"), None)):
        raise RequestError(f"{other}: of several inputs each must be a {', '.join(IMAGE_SUFFIXES)} file")
    if kind == "images" and len(inputs) < 2:
        raise RequestError(f"{first}: flow takes two images or more, and OUT after them")
    if kind == "shard":
        if config or settings:
            raise RequestError("a record's flow is there already: leave --config and --set out, they can't change it")
        return flow_of_record(first, clip_id, span)
    if clip_id is not None:
        raise RequestError(f"--clip is for a shard, NAME-SPLIT.tfrecord-00000-of-00001; {first} is none")
    media = _media(config, settings, "local" if kind == "video" else "frames")
    if span.duration_s > media.encode.max_duration_s:
        limit = f"encode.max_duration_s, {media.encode.max_duration_s:g}"
        raise RequestError(f"--duration must not be above {limit}, got {span.duration_s:g}")
    if kind == "video":
        return flow_of_video(first, span, media)
    if kind == "folder":
        try:
            return flow_of_folder(first, span, media)
        except ClipError as error:
            hint = "; where they have other names, give the files: FOLDER/*.jpg" if error.reason == "no_video" else ""
            raise ClipError(error.reason, error.detail + hint) from error
    if media.flow and media.flow.method == "imported":
        raise RequestError("flow.method imported takes a folder of frames and flow, got images")
    return flow_of_images([Path(path) for path in inputs], span, media)


def _kind_of(path: str) -> str:
    """Returns `shard`, `folder`, `images` or `video`, whatever else is there being taken for one."""
    if contract.parse_shard_file(Path(path).name):
        return "shard"
    if Path(path).is_dir():
        return "folder"
    return "images" if Path(path).suffix.lower() in IMAGE_SUFFIXES else "video"


def _media(config: Sequence[str], settings: Sequence[str], kind: str) -> MediaSettings:
    """Returns how a run with this configuration would make frames and flow; flow by its preset where it has none."""

    def load(*first: str) -> Config:
        needed = () if config else _NO_DATA_SET
        return load_config(config, [*needed, *first, *settings, f"source.kind={kind}", "audio=null"])

    loaded = load()
    if loaded.flow is None:
        loaded = load("flow={}")
    if loaded.flow is None:
        raise RequestError("--set flow=null: a look at flow needs some; leave that out")
    return loaded.media


def _write_flo_files(out: Path, clip: FlowClip, overwrite: bool) -> list[Path]:
    if clip.num_pairs == 1:
        files = [out]
    else:
        files = [out.with_name(f"{out.stem}-{pair:05d}{out.suffix}") for pair in range(clip.num_pairs)]
        if there := _numbered(out):
            check_is_new(there[0], overwrite)
    with _progress(clip.num_pairs) as bar:
        for pair, file in enumerate(files):
            with new_file(file) as temporary:
                write_flo(temporary, clip.flow(pair))
            bar.update()
    for file in set(_numbered(out)) - set(files):
        file.unlink()  # of a longer clip, whose others have just been replaced
    return files


def _numbered(out: Path) -> list[Path]:
    """The files that several pairs of a clip would become, or those of another clip that are there."""
    name = re.compile(re.escape(out.stem) + r"-[0-9]{5}" + re.escape(out.suffix))
    return sorted(file for file in out.parent.glob("*") if name.fullmatch(file.name))


def _progress(num_pairs: int) -> tqdm:
    """A bar on standard error where somebody watches, and the work takes more than a moment."""
    return tqdm(total=num_pairs, unit=" pairs", dynamic_ncols=True, delay=1, disable=None, file=sys.stderr)
