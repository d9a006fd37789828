"""A picture of a clip's flow: frames with arrows beside flow in colour, and a legend for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from beam_pipeline.viewing.arrows import arrow_scale, draw_arrow, draw_arrows
from beam_pipeline.viewing.flow_clip import FlowClip
from beam_pipeline.viewing.flow_colours import colour_flow, colour_wheel, full_colour_px, without_level
from beam_pipeline.viewing.lettering import Colour, shortened, write

_PAPER: Colour = (246, 245, 242)
_INK: Colour = (38, 38, 42)
_PALE_INK: Colour = (132, 132, 138)
MOST_PAIRS = 8
_MARGIN, _GUTTER, _GAP, _HEADER, _CAPTION = 40, 44, 8, 128, 40
_LEAST_WIDTH = 880  # room for the legend
_WHEEL, _TITLE_SIZE, _TEXT_SIZE = 88, 32, 20
_ARROWS_A_ROW = 12  # along the longer side of a picture of several, or of half of a lone one


def full_px_of(clip: FlowClip) -> float:
    """Returns a length for the full colour that suits the whole clip, looking at no more than a few pairs."""
    return full_colour_px(np.stack([painted_vectors(clip, pair) for pair in clip.some_pairs(MOST_PAIRS)]))


def painted_vectors(clip: FlowClip, pair: int) -> np.ndarray:
    """Returns a pair's field as it is painted: what is stored, without what storing adds to it."""
    return without_level(clip.flow(pair), clip.level_px)


def draw_flow_sheet(
    clip: FlowClip, full_px: float | None = None, on_pair: Callable[[], object] = lambda: None
) -> np.ndarray:
    """Draws up to eight pairs of a clip, those aside whose frame is repeated, uint8 RGB (height, width, 3).

    Args:
      clip: what is drawn.
      full_px: the length that gets the full colour; None: one that suits what is drawn.
      on_pair: called after each pair whose flow is known.
    """
    pairs = clip.some_pairs(MOST_PAIRS)
    fields = []
    for pair in pairs:
        fields.append(painted_vectors(clip, pair))
        on_pair()
    full_px = full_px or full_colour_px(np.stack(fields))
    width, height = _picture_size(clip, alone=len(pairs) == 1)
    spacing = max(width, height) / (_ARROWS_A_ROW * (2 if len(pairs) == 1 else 1))
    columns = min(len(pairs), 2)
    cell_width = 2 * width + _GAP
    page_width = max(_LEAST_WIDTH, 2 * _MARGIN + columns * cell_width + (columns - 1) * _GUTTER)
    rows = -(-len(pairs) // columns)
    page = np.empty((_HEADER + rows * (_CAPTION + height + _GUTTER), page_width, 3), np.uint8)
    page[:] = _PAPER
    _draw_header(page, clip, pairs, full_px, spacing)
    for place, (pair, vectors) in enumerate(zip(pairs, fields, strict=True)):
        row, column = divmod(place, columns)
        left, top = _MARGIN + column * (cell_width + _GUTTER), _HEADER + row * (_CAPTION + height + _GUTTER)
        write(page, f"{clip.time_s(pair):.2f} s", (left, top + _CAPTION - 12), _TEXT_SIZE, _INK)
        field = resized(vectors, (width, height))
        frame = resized(clip.picture(pair), (width, height))
        for x, picture in (
            (left, draw_arrows(frame, vectors, full_px, spacing)),
            (left + width + _GAP, colour_flow(field, full_px)),
        ):
            page[top + _CAPTION : top + _CAPTION + height, x : x + width] = picture
    return page


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a picture or a field at another (width, height); a field's vectors stay as long as they are."""
    smaller = size[1] < picture.shape[0]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _picture_size(clip: FlowClip, alone: bool) -> tuple[int, int]:
    """Width and height that a frame is drawn at."""
    scale = (820 if alone else 420) / max(clip.width, clip.height)
    return max(1, round(clip.width * scale)), max(1, round(clip.height * scale))


def _draw_header(page: np.ndarray, clip: FlowClip, pairs: Sequence[int], full_px: float, spacing: float) -> None:
    right = page.shape[1] - _MARGIN
    top = 24
    wheel = colour_wheel(_WHEEL)
    corner = page[top : top + _WHEEL, right - _WHEEL : right]
    np.minimum(corner, wheel, out=corner)
    length_px = round_length(full_px)
    arrow = length_px * arrow_scale(full_px, spacing)
    end = right - _WHEEL - 18
    write(page, f"full colour: {full_px:.3g} px a frame", (end, top + 34), _TEXT_SIZE, _PALE_INK, align_right=True)
    draw_arrow(page, np.array([end - arrow, top + 63.0]), np.array([arrow, 0.0]), spacing / 12)
    text_end = end - round(arrow) - 12
    write(page, f"{length_px:g} px:", (text_end, top + 70), _TEXT_SIZE, _PALE_INK, align_right=True)
    room = end - 320 - _MARGIN
    facts = f"flow {clip.how} · {float(clip.frame_rate):g} frames/s · "
    facts += f"{len(pairs)} of " if len(pairs) < clip.num_pairs else ""
    facts += f"{clip.num_pairs} pairs" if clip.num_pairs > 1 else "1 pair"
    write(page, shortened(clip.name, room, _TITLE_SIZE, 600), (_MARGIN, top + 38), _TITLE_SIZE, _INK, 600)
    write(page, shortened(facts, room, _TEXT_SIZE), (_MARGIN, top + 72), _TEXT_SIZE, _PALE_INK)


def round_length(full_px: float) -> float:
    """Returns the largest of 1, 2 or 5 times a power of ten that is no longer than a length."""
    power = 10.0 ** np.floor(np.log10(full_px))
    return float(max(step * power for step in (1, 2, 5) if step * power <= full_px * (1 + 1e-9)))
