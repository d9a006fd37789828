"""One clip: what its ledger row says, its record's every key, its sound as a curve, and a film and a picture of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from beam_pipeline.clips import ClipError
from beam_pipeline.inspecting.links import source_link
from beam_pipeline.inspecting.rows import Rows
from beam_pipeline.ledger import SCHEMA
from beam_pipeline.viewing.clip_film import Layout, write_clip_film
from beam_pipeline.viewing.clip_reading import read_clip
from beam_pipeline.viewing.clip_record import ClipRecord, Sound
from beam_pipeline.viewing.flow_clip import flow_of_clip
from beam_pipeline.viewing.flow_sheet import full_px_of
from beam_pipeline.viewing.image_files import image_size
from beam_pipeline.web import without_secrets

_FILM_HEIGHT = 256
_THUMBNAIL = (128, 96)  # at most, in pixels
_THUMBNAIL_QUALITY = 80
_WAVE_POINTS = 480
_VALUES, _CHARACTERS = 6, 300  # of a feature that are shown


def clip_row(rows: Rows, number: int) -> dict[str, Any]:
    """Returns all that the ledger says of a clip, by column."""
    return rows.split.clips.slice(number, 1).to_pylist()[0]


def describe_clip(rows: Rows, number: int) -> dict[str, Any]:
    """Returns a clip's row as the page shows it, as values that JSON knows, with a link to the source if there is one.

    Args:
      rows: the clip's split.
      number: of the row.
    """
    row = clip_row(rows, number)
    shown = {key: row[key] for key in SCHEMA.names}
    shown["source_uri"] = without_secrets(row["source_uri"])
    return {"row": shown, "link": source_link(row, rows.on_youtube)}


def read_record(rows: Rows, number: int) -> ClipRecord:
    """Reads a clip's record.

    Raises:
      ClipError: there is none, or it is damaged; its detail is a line for people.
      OSError: the shard can't be read.
    """
    row = clip_row(rows, number)
    try:
        return read_clip(rows.split, row)
    except (MemoryError, OverflowError) as error:
        raise ClipError("too_large", f"clip {row['clip_id']}: its record has {row['bytes']:,} bytes") from error


def describe_record(clip: ClipRecord) -> dict[str, Any]:
    """Returns what a record holds, as values that JSON knows.

    Returns:
      `features`, a list with `key`, `place` (context or list), `dtype`, `shape` and `value` of every key, of which long
      values are shortened; `wave`, the sound's lowest and highest sample in each of a number of equal parts, the
      loudest being 100, or None without sound; `has_flow`; `full_px`, the length of flow that has the full colour in
      the film, in pixels of the record, or None.
    """
    features = [_of_context(key, values) for key, values in sorted(clip.context.items())]
    features += [_of_list(key, steps) for key, steps in sorted(clip.feature_lists.items())]
    return {
        "features": features,
        "wave": _wave(clip.sound),
        "has_flow": bool(clip.flow),
        "full_px": _full_px(clip) if clip.flow else None,
    }


def film_of(clip: ClipRecord) -> bytes:
    """Returns a film of a record, MP4: its frames, its flow in colour beside them, its sound.

    Raises:
      ClipError: an image is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="inspect-") as folder:
        path = Path(folder) / "clip.mp4"
        layout: Layout = "beside" if clip.flow else "frames"
        height = min(_FILM_HEIGHT, image_size(clip.frames[0])[1])
        write_clip_film(path, "mp4", clip, layout, height=height)
        return path.read_bytes()


def thumbnail_of(clip: ClipRecord) -> bytes:
    """Returns the middle frame as a small JPEG image; raises `ClipError` for one that is damaged."""
    picture = clip.picture(len(clip.frames) // 2)
    height, width = picture.shape[:2]
    scale = min(1.0, _THUMBNAIL[0] / width, _THUMBNAIL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return simplejpeg.encode_jpeg(small, _THUMBNAIL_QUALITY, "RGB", colorsubsampling="420")


def _full_px(clip: ClipRecord) -> float | None:
    try:
        return full_px_of(flow_of_clip(clip))
    except ClipError:  # an image is damaged, which the film will tell
        return None


def _wave(sound: Sound | None) -> list[list[int]] | None:
    if sound is None or not len(sound.samples):
        return None
    loudest = float(np.abs(sound.samples).max()) or 1.0
    parts = np.array_split(sound.samples / loudest, min(_WAVE_POINTS, len(sound.samples)))
    return [[round(float(part.min()) * 100), round(float(part.max()) * 100)] for part in parts]


def _of_context(key: str, values: Sequence[Any]) -> dict[str, str]:
    return {
        "key": key,
        "place": "context",
        "dtype": _dtype(values),
        "shape": "" if len(values) == 1 else f"{len(values):,}",
        "value": _text(values),
    }


def _of_list(key: str, steps: Sequence[Sequence[Any]]) -> dict[str, str]:
    first = next((step for step in steps if step), [])
    lengths = {len(step) for step in steps}
    by_step = f"{min(lengths):,}" if len(lengths) == 1 else f"{min(lengths):,}–{max(lengths):,}" if lengths else "0"
    values = [value for step in steps[:_VALUES] for value in step[:_VALUES]]
    if _is_images(key, first):
        sizes = [len(value) for step in steps for value in step]
        shown = f"{_image(first[0])}; {min(sizes):,} to {max(sizes):,} bytes"
    else:
        shown = _text(values) + (" …" if len(values) < sum(map(len, steps)) and len(values) <= _VALUES else "")
    return {"key": key, "place": "list", "dtype": _dtype(first), "shape": f"{len(steps):,} × {by_step}", "value": shown}


def _is_images(key: str, step: Sequence[Any]) -> bool:
    return key.endswith("/encoded") and bool(step) and isinstance(step[0], bytes)


def _image(image: bytes) -> str:
    try:
        width, height = image_size(image)
    except ClipError as error:
        return f"the first {error.detail}"
    return f"{'JPEG' if image.startswith(bytes([0xFF, 0xD8])) else 'PNG'} images of {width}×{height}"


def _dtype(values: Sequence[Any]) -> str:
    kinds = {bytes: "bytes", float: "float32", int: "int64"}
    return kinds.get(type(values[0]), "") if values else ""


def _text(values: Sequence[Any]) -> str:
    shown = ", ".join(_value(value) for value in values[:_VALUES])
    shown += ", …" if len(values) > _VALUES else ""
    return shown if len(shown) <= _CHARACTERS else shown[:_CHARACTERS] + "…"


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value[: 4 * _CHARACTERS].decode()
        except UnicodeDecodeError:
            return f"{len(value):,} bytes"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
