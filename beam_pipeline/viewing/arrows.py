"""Flow as arrows: where what a picture shows is going."""

from __future__ import annotations

import cv2
import numpy as np

from beam_pipeline.viewing.flow_colours import colour_flow

_LENGTH_OF_FULL = 0.95  # in distances of the grid, of an arrow whose flow has the full colour
_LONGEST = 2.5  # in distances of the grid: longer ones would cover their neighbours
_OUTLINE = (24, 24, 28)
_SHIFT = 4  # OpenCV's fixed point: sixteenths of a pixel
# Parts of an arrow, by its thickness.
_HEAD_LENGTH, _HEAD_WIDTH, _OUTLINE_WIDTH = 3.4, 3.0, 1.1


def draw_arrows(picture: np.ndarray, vectors: np.ndarray, full_px: float, spacing_px: float) -> np.ndarray:
    """Returns the picture with an arrow for each cell of a grid, in the colour of its direction.

    It begins in the middle of its cell and shows the cell's mean flow, `arrow_scale` times as long, up to two and a
    half cells. Where that is shorter than an arrow is thick there is a dot.

    Args:
      picture: uint8 RGB (height, width, 3).
      vectors: (…, …, 2) of the same view at any size: (x, y), x to the right and y downwards, in pixels.
      full_px: the length that has the full colour; its arrow is about as long as a cell is wide.
      spacing_px: side of a cell, about.
    """
    drawn = picture.copy()
    height, width = picture.shape[:2]
    columns, rows = max(1, round(width / spacing_px)), max(1, round(height / spacing_px))
    cells = cv2.resize(vectors.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    scale = arrow_scale(full_px, spacing_px)
    x = (np.arange(columns) + 0.5) * width / columns
    y = (np.arange(rows) + 0.5) * height / rows
    starts = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    ways = cells.reshape(-1, 2) * scale
    lengths = np.linalg.norm(ways, axis=-1, keepdims=True)
    ways *= np.minimum(1, _LONGEST * spacing_px / np.maximum(lengths, 1))
    for start, way in zip(starts, ways, strict=True):
        draw_arrow(drawn, start, way, spacing_px / 12)
    return drawn


def arrow_scale(full_px: float, spacing_px: float) -> float:
    """Returns how long `draw_arrows` draws an arrow for each pixel of flow."""
    return _LENGTH_OF_FULL * spacing_px / full_px


def draw_arrow(picture: np.ndarray, start: np.ndarray, way: np.ndarray, thickness_px: float) -> None:
    """Draws one arrow into a picture, in place.

    Args:
      picture: uint8 RGB.
      start: (x, y).
      way: (x, y) from the start to the tip, in pixels of the picture.
      thickness_px: of the shaft.
    """
    length = float(np.hypot(*way))
    if not np.isfinite(length):
        return
    if length < thickness_px:
        points = _dot(thickness_px / 2)
        colour = (255, 255, 255)
    else:
        points = _arrow(length, thickness_px) @ np.array([way, [-way[1], way[0]]]) / length
        red, green, blue = map(int, colour_flow(way / length, 1.001))
        colour = (red, green, blue)
    corners = np.rint((points + start) * (1 << _SHIFT)).astype(np.int32)
    outline_px = max(1, round(_OUTLINE_WIDTH * thickness_px))
    cv2.polylines(picture, [corners], True, _OUTLINE, outline_px, cv2.LINE_AA, _SHIFT)
    cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA, _SHIFT)


def _arrow(length: float, thickness: float) -> np.ndarray:
    """Corners (7, 2) of an arrow from (0, 0) to (length, 0)."""
    neck, half, wing = max(0.0, length - _HEAD_LENGTH * thickness), thickness / 2, _HEAD_WIDTH * thickness / 2
    wing *= min(1.0, length / (_HEAD_LENGTH * thickness))  # a short arrow is all head
    half = min(half, wing)
    return np.array([[0, -half], [neck, -half], [neck, -wing], [length, 0], [neck, wing], [neck, half], [0, half]])


def _dot(radius: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
