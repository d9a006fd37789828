"""A film of a clip's flow: each frame beside the flow that leads to the next, in colour."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from beam_pipeline.viewing.films import write_film
from beam_pipeline.viewing.flow_clip import FlowClip
from beam_pipeline.viewing.flow_colours import colour_flow, colour_wheel
from beam_pipeline.viewing.flow_sheet import painted_vectors, resized
from beam_pipeline.viewing.lettering import Colour, shortened, write

_PAPER: Colour = (246, 245, 242)
_INK: Colour = (38, 38, 42)
_LEAST_HEIGHT = 256  # smaller clips are enlarged by a whole number, but not beyond
_MOST_WIDTH = 4096  # of a picture
_LEAST_WIDTH = 512  # room for the legend
_STRIP, _MARGIN, _GAP, _TEXT_SIZE = 40, 8, 4, 14


def write_flow_film(
    path: str | os.PathLike[str], clip: FlowClip, full_px: float, on_pair: Callable[[], object] = lambda: None
) -> None:
    """Writes an MP4 file (H.264, 4:2:0) with one picture a pair, at the clip's frame rate.

    Args:
      path: of a local file; what is there is replaced.
      clip: what is shown.
      full_px: the length that gets the full colour.
      on_pair: called after each pair.

    Raises:
      ClipError: a pair's flow can't be had.
      OSError: the file can't be written.
    """
    scale = max(1, min(-(-_LEAST_HEIGHT // clip.height), _MOST_WIDTH // (2 * clip.width)))
    size = (clip.width * scale, clip.height * scale)
    write_film(path, "mp4", _pictures(clip, size, full_px, on_pair), clip.frame_rate)


def _pictures(
    clip: FlowClip, size: tuple[int, int], full_px: float, on_pair: Callable[[], object]
) -> Iterator[np.ndarray]:
    page = _page(size, full_px)
    for pair in range(clip.num_pairs):
        yield _picture(page, clip, pair, size, full_px)
        on_pair()


def _page(size: tuple[int, int], full_px: float) -> np.ndarray:
    """What is the same in all pictures: paper and the legend, in even numbers of pixels."""
    width, height = size
    page_width = max(_LEAST_WIDTH, 2 * width + _GAP)
    page = np.empty(((height + _STRIP + 1) // 2 * 2, (page_width + 1) // 2 * 2, 3), np.uint8)
    page[:] = _PAPER
    wheel = colour_wheel(_STRIP - 8)
    top, right = height + 4, page.shape[1] - _MARGIN
    corner = page[top : top + len(wheel), right - len(wheel) : right]
    np.minimum(corner, wheel, out=corner)
    text = f"full colour: {full_px:.3g} px a frame"
    write(page, text, (right - _STRIP, height + 25), _TEXT_SIZE, _INK, align_right=True)
    return page


def _picture(page: np.ndarray, clip: FlowClip, pair: int, size: tuple[int, int], full_px: float) -> np.ndarray:
    picture = page.copy()
    width, height = size
    picture[:height, :width] = resized(clip.picture(pair), size)
    picture[:height, width + _GAP : 2 * width + _GAP] = colour_flow(resized(painted_vectors(clip, pair), size), full_px)
    text = shortened(f"{clip.time_s(pair):.2f} s  {clip.name}", page.shape[1] // 2 - 2 * _MARGIN, _TEXT_SIZE)
    write(picture, text, (_MARGIN, height + 25), _TEXT_SIZE, _INK)
    return picture
