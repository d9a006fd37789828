"""A record as a film: its frames, its flow in colour or both, and its sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Literal

import cv2
import numpy as np

from beam_pipeline.clips import ClipError
from beam_pipeline.viewing.clip_record import ClipRecord
from beam_pipeline.viewing.films import Form, write_film
from beam_pipeline.viewing.flow_clip import FlowClip, flow_of_clip
from beam_pipeline.viewing.flow_colours import colour_flow, without_level
from beam_pipeline.viewing.flow_sheet import full_px_of

Layout = Literal["frames", "flow", "beside", "below"]


def write_clip_film(
    path: str | os.PathLike[str],
    form: Form,
    clip: ClipRecord,
    layout: Layout = "frames",
    *,
    height: int | None = None,
    full_px: float | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Writes a film of all of a record, at its frame rate, with its sound where it has some and the form takes it.

    Args:
      path: of a local file; what is there is replaced.
      form: as of `films.write_film`.
      clip: the record.
      layout: what is shown: its frames, its flow in colour, or the flow beside or below the frames. Flow is from a
        frame to the next; while the last frame is shown it stays.
      height: of a frame in pixels; None: as it is stored.
      full_px: the length of flow that gets the full colour, in pixels of the record; None: one that suits the clip.
      on_frame: called after each frame.

    Raises:
      ClipError: `unsupported` where flow is asked for and there is none; `unreadable` for an image that is damaged.
      OSError: the file can't be written.
    """
    flow = None if layout == "frames" else flow_of_clip(clip)
    pictures = _pictures(clip, flow, layout, height, full_px, on_frame)
    sound = None if clip.sound is None or clip.sound.is_silent else clip.sound
    write_film(path, form, pictures, clip.frame_rate, sound)


def _pictures(
    clip: ClipRecord,
    flow: FlowClip | None,
    layout: Layout,
    height: int | None,
    full_px: float | None,
    on_frame: Callable[[], object],
) -> Iterator[np.ndarray]:
    first = clip.picture(0)
    size = _size(first, height)
    full_px = full_px or (full_px_of(flow) if flow else 0.0)
    table = _colour_table(clip.bound_px, flow.level_px, full_px) if flow else first
    colours = first
    for number in range(len(clip.frames)):
        if flow and number < flow.num_pairs:
            colours = _resized(table[_levels(flow.flow(number), flow.level_px)], size)
        if layout == "flow":
            yield colours
        else:
            frame = clip.picture(number)
            if frame.shape != first.shape:
                raise ClipError("unsupported", f"record {clip.clip_id}: its frames are of several sizes")
            frame = _resized(frame, size)
            yield frame if layout == "frames" else np.concatenate([frame, colours], axis=1 if layout == "beside" else 0)
        on_frame()


def _colour_table(bound_px: float, level_px: float, full_px: float) -> np.ndarray:
    """Returns the colour of each vector that a stored field can hold, uint8 RGB (65536, 3), x's level first.

    Painting these once and looking colours up takes a fraction of painting every pixel of a film.
    """
    levels = np.arange(256, dtype=np.float32) * np.float32(2 * bound_px / 255) - np.float32(bound_px)
    vectors = np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1)
    return colour_flow(without_level(vectors, level_px), full_px).reshape(-1, 3)


def _levels(vectors: np.ndarray, level_px: float) -> np.ndarray:
    """Returns where in the table the vectors of a stored field are."""
    x, y = np.moveaxis(np.rint(vectors / np.float32(level_px) + np.float32(127.5)).astype(np.int32), -1, 0)
    return x << 8 | y


def _size(picture: np.ndarray, height: int | None) -> tuple[int, int]:
    """Width and height that a picture is shown at, its sides in proportion."""
    if height is None:
        return picture.shape[1], picture.shape[0]
    return max(1, round(picture.shape[1] * height / picture.shape[0])), height


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    smaller = size[1] < picture.shape[0]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
