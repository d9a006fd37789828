"""A picture of what records hold: of each clip frames over flow over sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from beam_pipeline.viewing.clip_record import ClipRecord
from beam_pipeline.viewing.flow_clip import flow_of_clip, spread
from beam_pipeline.viewing.flow_colours import colour_flow, colour_wheel, full_colour_px, without_level
from beam_pipeline.viewing.lettering import shortened, text_width_px, write
from beam_pipeline.viewing.waveforms import CARD, draw_waveform

_SCALE = 2  # all sizes below are in points of two pixels, so that the sheet is sharp on today's screens
_MARGIN, _GUTTER, _GAP = 28, 26, 3
_HEADER, _CAPTION, _SOUND = 64, 30, 34
_CARD_WIDTH = 632
_THUMB_HEIGHT = 66  # about: as many thumbnails as come nearest to it fill the width
_MOST_THUMBS = 16
_MOST_HEIGHT = 2 * _THUMB_HEIGHT  # of frames that are taller than others' a page would be, too
_WHEEL = 46

_LEAST_ID = 60  # with less room beside the label an id is left out

_PAPER, _INK, _PALE_INK = (246, 245, 242), (38, 38, 42), (132, 132, 138)


@dataclass(frozen=True, slots=True)
class Card:
    """One clip of a sheet, its pictures made: thumbnails uint8 RGB, sound float32 samples; `problem`: why none are."""

    label: str
    clip_id: str
    facts: str
    frames: Sequence[np.ndarray] = ()
    flow: Sequence[np.ndarray] = ()
    sound: np.ndarray | None = None
    problem: str = ""


# -- What to show ------------------------------------------------------------------------------------------------------


def card_of(clip: ClipRecord, flags: Sequence[str] = ()) -> Card:
    """Returns a record's card: as many frames as fit, spread over its time, the flow at these, and its sound.

    Args:
      clip: the record.
      flags: words that are told beside its length.

    Raises:
      ClipError: an image of it can't be decoded.
    """
    first = clip.picture(0)
    count, size = _thumbnails(first.shape[1] / first.shape[0])
    last = min(len(clip.frames), len(clip.flow)) - 1 if clip.flow else len(clip.frames) - 1
    shown = np.linspace(0, last, count).round().astype(int).tolist()
    if clip.flow and len(moving := spread(clip.frames[: last + 2], count)) == count:
        shown = moving  # what a repeated frame has no flow for says nothing
    facts = [f"{clip.duration_s:.1f} s", *flags]
    colours: list[np.ndarray] = []
    if clip.flow:
        flow = flow_of_clip(clip)
        vectors = [without_level(_shrink(flow.flow(k), size), flow.level_px) for k in shown]
        full_px = full_colour_px(np.stack(vectors))
        colours = [colour_flow(field, full_px) for field in vectors]
        facts.append(f"full colour at {full_px:.1f} px a frame")
    return Card(
        label=clip.label or "no label",
        clip_id=clip.clip_id,
        facts=" · ".join(facts),
        frames=[_shrink(clip.picture(k), size) for k in shown],
        flow=colours,
        sound=clip.sound.samples if clip.sound else None,
    )


def _thumbnails(aspect: float) -> tuple[int, tuple[int, int]]:
    """Returns how many thumbnails of width/height `aspect` fill a card's width, and their (width, height) in pixels.

    Those of very tall frames are so narrow, at the height that a sheet has room for, that they leave some of it empty.
    """
    count = round((_CARD_WIDTH + _GAP) / (_THUMB_HEIGHT * aspect + _GAP))
    count = min(max(count, 1), _MOST_THUMBS)
    width_px = (_CARD_WIDTH - (count - 1) * _GAP) * _SCALE // count
    height_px = min(round(width_px / aspect), _MOST_HEIGHT * _SCALE)
    return count, (min(width_px, max(1, round(height_px * aspect))), max(1, height_px))


def _shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    smaller = size[1] < image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


# -- Where to draw it --------------------------------------------------------------------------------------------------


def draw_contact_sheet(clips: Sequence[Card], title: str) -> np.ndarray:
    """Draws cards in two columns, uint8 RGB (height, width, 3).

    Args:
      clips: one or more.
      title: what stands above them.
    """
    columns = min(len(clips), 2)
    rows = [clips[i : i + columns] for i in range(0, len(clips), columns)]
    heights = [max(_card_height(clip) for clip in row) for row in rows]
    width = 2 * _MARGIN + columns * _CARD_WIDTH + (columns - 1) * _GUTTER
    height = _HEADER + sum(heights) + (len(rows) - 1) * _GUTTER + _MARGIN
    page = np.empty((height * _SCALE, width * _SCALE, 3), np.uint8)
    page[:] = _PAPER
    _draw_header(page, clips, title, width)
    top = _HEADER
    for row, row_height in zip(rows, heights, strict=True):
        for column, clip in enumerate(row):
            _draw_clip(page, clip, _MARGIN + column * (_CARD_WIDTH + _GUTTER), top)
        top += row_height + _GUTTER
    return page


def _card_height(clip: Card) -> int:
    height = _CAPTION + (_row_height(clip.frames) if clip.frames else _SOUND)
    if clip.flow:
        height += _GAP + _row_height(clip.flow)
    if clip.sound is not None:
        height += _GAP + _SOUND
    return height


def _row_height(thumbs: Sequence[np.ndarray]) -> int:
    return -(-thumbs[0].shape[0] // _SCALE)


def _draw_header(page: np.ndarray, clips: Sequence[Card], title: str, width: int) -> None:
    right = width - _MARGIN
    if any(clip.flow for clip in clips):
        left = right - _WHEEL
        wheel = colour_wheel(_WHEEL * _SCALE)
        top = 9 * _SCALE
        target = page[top : top + len(wheel), left * _SCALE : left * _SCALE + len(wheel)]
        np.minimum(target, wheel, out=target)
        text = "colour: direction of motion, strength: its speed"
        right = left - 10
        _write(page, text, right, 36, 10, _PALE_INK, align_right=True)
        right -= text_width_px(text, 10 * _SCALE) // _SCALE + 20
    title = shortened(title, (right - _MARGIN) * _SCALE, 17 * _SCALE, 600)
    _write(page, title, _MARGIN, 40, 17, _INK, weight=600)


def _draw_clip(page: np.ndarray, clip: Card, left: int, top: int) -> None:
    _write(page, clip.facts, left + _CARD_WIDTH, top + 20, 10, _PALE_INK, align_right=True)
    room = _CARD_WIDTH * _SCALE - text_width_px(clip.facts, 10 * _SCALE) - 12 * _SCALE
    label = shortened(clip.label, max(room, 0), 13 * _SCALE, 600)
    end = _write(page, label, left, top + 20, 13, _INK, weight=600)
    room -= (end + 9 - left) * _SCALE
    if room >= _LEAST_ID * _SCALE:
        _write(page, shortened(clip.clip_id, room, 10 * _SCALE), end + 9, top + 20, 10, _PALE_INK)
    y = top + _CAPTION
    for row in filter(None, (clip.frames, clip.flow)):
        for index, thumb in enumerate(row):
            height_px, width_px = thumb.shape[:2]
            x_px = left * _SCALE + index * (width_px + _GAP * _SCALE)
            page[y * _SCALE : y * _SCALE + height_px, x_px : x_px + width_px] = thumb
        y += _row_height(row) + _GAP
    strip = page[y * _SCALE : (y + _SOUND) * _SCALE, left * _SCALE : (left + _CARD_WIDTH) * _SCALE]
    if clip.problem:
        strip[:] = CARD
        text = shortened(clip.problem, (_CARD_WIDTH - 16) * _SCALE, 10 * _SCALE)
        _write(page, text, left + 8, y + _SOUND // 2 + 4, 10, _INK)
    elif clip.sound is not None:
        strip[:] = draw_waveform(clip.sound, (strip.shape[1], strip.shape[0]))
        if not clip.sound.any():
            _write(page, "silent", left + 8, y + _SOUND // 2 - 4, 9, _PALE_INK)


def _write(
    page: np.ndarray,
    text: str,
    x: int,
    baseline: int,
    size: int,
    colour: tuple[int, int, int],
    weight: int = 400,
    align_right: bool = False,
) -> int:
    """Writes a line of text and returns where it ends; all in points."""
    place = (x * _SCALE, baseline * _SCALE)
    return write(page, text, place, size * _SCALE, colour, weight, align_right) // _SCALE
