"""A picture of what the records hold: for some clips frames over flow over sound."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from beam_pipeline.media.flow import decode_flow
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import read_records
from beam_pipeline.viewing.flow_colours import colour_flow, colour_wheel, full_colour_px, without_level
from beam_pipeline.viewing.lettering import write
from tf_data import contract

_SCALE = 2  # all sizes below are in points of two pixels, so that the sheet is sharp on today's screens
_MARGIN, _GUTTER, _GAP = 28, 26, 3
_HEADER, _CAPTION, _SOUND = 64, 30, 34
_CARD_WIDTH = 632
_THUMB_HEIGHT = 66  # about: as many thumbnails as come nearest to it fill the width
_MOST_THUMBS = 16
_WHEEL = 46

_PAPER, _CARD, _INK, _PALE_INK, _SOUND_INK, _HAIRLINE = (
    (246, 245, 242),
    (255, 255, 255),
    (38, 38, 42),
    (132, 132, 138),
    (94, 122, 168),
    (226, 225, 221),
)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One clip of the sheet, its pictures made: thumbnails uint8 RGB, sound float32 samples."""

    label: str
    clip_id: str
    facts: str
    frames: list[np.ndarray]
    flow: list[np.ndarray]
    sound: np.ndarray | None


def contact_sheet(shards: Iterable[str | os.PathLike[str]], picture: Path, max_clips: int = 10) -> Path:
    """Draws clips of a data set, one of each class as long as there is room, and writes a PNG.

    Args:
      shards: paths of TFRecord shards; read only until there are enough classes.
      picture: where the PNG goes.
      max_clips: how many clips are drawn at most.

    Returns:
      `picture`.

    Raises:
      ValueError: the shards hold no record.
    """
    return contact_sheet_of(chain.from_iterable(read_records(os.fspath(shard)) for shard in shards), picture, max_clips)


def contact_sheet_of(records: Iterable[bytes], picture: Path, max_clips: int = 10) -> Path:
    """Does what `contact_sheet` does with records at hand."""
    clips = [_read_clip(record) for record in _choose(records, max_clips)]
    if not clips:
        raise ValueError(f"{picture}: there is no record to draw")
    picture.parent.mkdir(parents=True, exist_ok=True)
    encoded, png = cv2.imencode(".png", _draw_sheet(clips)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])
    assert encoded
    picture.write_bytes(png.tobytes())
    return picture


# -- What to show ------------------------------------------------------------------------------------------------------


def _choose(records: Iterable[bytes], max_clips: int) -> list[bytes]:
    """The first record of each label, then others, in the order of labels."""
    firsts: dict[bytes, bytes] = {}
    others: list[tuple[bytes, bytes]] = []
    for record in records:
        context, _ = parse_sequence_example(record)
        label = context.get(contract.LABEL_STRING, [b""])[0]
        if label not in firsts:
            firsts[label] = record
        elif len(others) < max_clips:
            others.append((label, record))
        if len(firsts) == max_clips:
            break
    chosen = [*firsts.items(), *others][:max_clips]
    return [record for _, record in sorted(chosen, key=lambda item: item[0])]


def _read_clip(record: bytes) -> _Shown:
    context, lists = parse_sequence_example(record)
    encoded_frames = [step[0] for step in lists[contract.IMAGE_ENCODED]]
    encoded_flow = [step[0] for step in lists.get(contract.FLOW_ENCODED, [])]
    image_height, image_width, _, _ = simplejpeg.decode_jpeg_header(encoded_frames[0])
    count, size = _thumbnails(image_width / image_height)
    shown = np.linspace(0, max(len(encoded_frames) - 2, 0), count).round().astype(int)
    frames = [_shrink(simplejpeg.decode_jpeg(encoded_frames[k], colorspace="RGB"), size) for k in shown]
    frame_rate = context["image/frame_rate"][0]
    facts = [f"{len(encoded_frames) / frame_rate:.1f} s"]
    flow: list[np.ndarray] = []
    if encoded_flow:
        bound_px = context[contract.FLOW_SATURATION][0]
        level_px = 2 * bound_px / 255
        vectors = [without_level(_shrink(decode_flow(encoded_flow[k], bound_px), size), level_px) for k in shown]
        full_px = full_colour_px(np.stack(vectors))
        flow = [colour_flow(field, full_px) for field in vectors]
        facts.append(f"full colour at {full_px:.1f} px a frame")
    sound = None
    if contract.AUDIO_FLOATS in lists:
        sound = np.asarray(lists[contract.AUDIO_FLOATS][0], np.float32)
    return _Shown(
        label=context[contract.LABEL_STRING][0].decode() or "no label",
        clip_id=context[contract.EXAMPLE_ID][0].decode(),
        facts=" · ".join(facts),
        frames=frames,
        flow=flow,
        sound=sound,
    )


def _thumbnails(aspect: float) -> tuple[int, tuple[int, int]]:
    """Returns how many thumbnails of width/height `aspect` fill a card's width, and their (width, height) in pixels."""
    count = round((_CARD_WIDTH + _GAP) / (_THUMB_HEIGHT * aspect + _GAP))
    count = min(max(count, 1), _MOST_THUMBS)
    width_px = (_CARD_WIDTH - (count - 1) * _GAP) * _SCALE // count
    return count, (width_px, max(1, round(width_px / aspect)))


def _shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    smaller = size[1] < image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


# -- Where to draw it --------------------------------------------------------------------------------------------------


def _draw_sheet(clips: Sequence[_Shown]) -> np.ndarray:
    columns = min(len(clips), 2)
    rows = [clips[i : i + columns] for i in range(0, len(clips), columns)]
    heights = [max(_card_height(clip) for clip in row) for row in rows]
    width = 2 * _MARGIN + columns * _CARD_WIDTH + (columns - 1) * _GUTTER
    height = _HEADER + sum(heights) + (len(rows) - 1) * _GUTTER + _MARGIN
    page = np.empty((height * _SCALE, width * _SCALE, 3), np.uint8)
    page[:] = _PAPER
    _draw_header(page, clips, width)
    top = _HEADER
    for row, row_height in zip(rows, heights, strict=True):
        for column, clip in enumerate(row):
            _draw_clip(page, clip, _MARGIN + column * (_CARD_WIDTH + _GUTTER), top)
        top += row_height + _GUTTER
    return page


def _card_height(clip: _Shown) -> int:
    height = _CAPTION + _row_height(clip.frames)
    if clip.flow:
        height += _GAP + _row_height(clip.flow)
    if clip.sound is not None:
        height += _GAP + _SOUND
    return height


def _row_height(thumbs: Sequence[np.ndarray]) -> int:
    return -(-thumbs[0].shape[0] // _SCALE)


def _draw_header(page: np.ndarray, clips: Sequence[_Shown], width: int) -> None:
    parts = ["frames"]
    parts += ["optical flow"] if any(clip.flow for clip in clips) else []
    parts += ["sound"] if any(clip.sound is not None for clip in clips) else []
    title = ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]
    _write(page, f"What the records hold: {title}", _MARGIN, 40, 17, _INK, weight=600)
    if not any(clip.flow for clip in clips):
        return
    left = width - _MARGIN - _WHEEL
    wheel = colour_wheel(_WHEEL * _SCALE)
    top = 9 * _SCALE
    target = page[top : top + len(wheel), left * _SCALE : left * _SCALE + len(wheel)]
    np.minimum(target, wheel, out=target)
    text = "colour: direction of motion, strength: its speed"
    _write(page, text, left - 10, 36, 10, _PALE_INK, align_right=True)


def _draw_clip(page: np.ndarray, clip: _Shown, left: int, top: int) -> None:
    end = _write(page, clip.label, left, top + 20, 13, _INK, weight=600)
    _write(page, clip.clip_id, end + 9, top + 20, 10, _PALE_INK)
    _write(page, clip.facts, left + _CARD_WIDTH, top + 20, 10, _PALE_INK, align_right=True)
    y = top + _CAPTION
    for row in filter(None, (clip.frames, clip.flow)):
        for index, thumb in enumerate(row):
            height_px, width_px = thumb.shape[:2]
            x_px = left * _SCALE + index * (width_px + _GAP * _SCALE)
            page[y * _SCALE : y * _SCALE + height_px, x_px : x_px + width_px] = thumb
        y += _row_height(row) + _GAP
    if clip.sound is not None:
        _draw_sound(page, clip.sound, left, y)


def _draw_sound(page: np.ndarray, sound: np.ndarray, left: int, top: int) -> None:
    """Draws the envelope, the loudest moment as high as the strip, and a line where there is silence."""
    strip = page[top * _SCALE : (top + _SOUND) * _SCALE, left * _SCALE : (left + _CARD_WIDTH) * _SCALE]
    strip[:] = _CARD
    height = len(strip)
    loudest = float(np.abs(sound).max(initial=0))
    if loudest <= 0:
        strip[height // 2 - 1 : height // 2 + 1] = _HAIRLINE
        _write(page, "silent", left + 8, top + _SOUND // 2 - 4, 9, _PALE_INK)
        return
    bars = np.array_split(sound / loudest, strip.shape[1])
    highest = np.array([bar.max(initial=0) for bar in bars])
    lowest = np.array([bar.min(initial=0) for bar in bars])
    y = (np.arange(height)[:, np.newaxis] + 0.5 - height / 2) / (-0.46 * height)
    softness = 1 / height
    inside = np.clip((highest - y) / softness + 1, 0, 1) * np.clip((y - lowest) / softness + 1, 0, 1)
    strip[:] = np.rint(strip + (np.array(_SOUND_INK) - strip.astype(np.float64)) * inside[..., np.newaxis])


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
