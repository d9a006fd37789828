"""The colours of optical flow: hue for direction, saturation for speed."""

from __future__ import annotations

import numpy as np

# The hues of the circle, and how many steps there are from each to the next. More steps where the eye tells more hues
# apart. Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 92 (2011), figure 1: the
# Middlebury code, after the colour circle of Schlosser et al.
_HUES = {
    "red": ((1, 0, 0), 15),
    "yellow": ((1, 1, 0), 6),
    "green": ((0, 1, 0), 4),
    "cyan": ((0, 1, 1), 11),
    "blue": ((0, 0, 1), 13),
    "magenta": ((1, 0, 1), 6),
}
_COLOURS = np.array([colour for colour, _ in _HUES.values()] + [_HUES["red"][0]], np.float64)
_POSITIONS = np.cumsum([0] + [steps for _, steps in _HUES.values()])
_ROUND = _POSITIONS[-1] - 1  # a full turn: the published code stretches 55 colours over 54 steps, so all pictures do

_LEAST_FULL_PX = 0.8  # a clip that moves less is shown pale rather than as amplified noise


def colour_flow(vectors: np.ndarray, full_px: float) -> np.ndarray:
    """Paints vectors: white where nothing moves, full colour where it moves by `full_px`, darker beyond.

    Args:
      vectors: (…, 2), x to the right and y downwards, in pixels.
      full_px: the length that gets the full colour.

    Returns:
      uint8 RGB (…, 3). To the right is red, downwards yellow, to the left cyan-blue, upwards magenta-blue.
    """
    x, y = vectors[..., 0], vectors[..., 1]
    length = np.hypot(x, y)[..., np.newaxis] / max(full_px, 1e-6)
    position = np.mod(np.arctan2(y, x) / (2 * np.pi), 1) * _ROUND
    hue = np.stack([np.interp(position, _POSITIONS, channel) for channel in _COLOURS.T], axis=-1)
    painted = np.where(length <= 1, 1 - length * (1 - hue), 0.75 * hue)
    return np.rint(painted * 255).astype(np.uint8)


def colour_wheel(size_px: int) -> np.ndarray:
    """The legend: uint8 RGB (size_px, size_px, 3), each point in the colour of the vector from the middle to it."""
    offsets = (np.arange(size_px) + 0.5) / (size_px / 2) - 1
    x, y = np.meshgrid(offsets, offsets)
    wheel = colour_flow(np.stack([x, y], axis=-1), 1.0)
    edge = np.clip((1 - np.hypot(x, y)) * size_px / 2 + 0.5, 0, 1)[..., np.newaxis]
    return np.rint(255 + (wheel - 255.0) * edge).astype(np.uint8)


def full_colour_px(vectors: np.ndarray) -> float:
    """Returns a good length for the full colour: a little more than nine in ten of the vectors have that move at all.

    Args:
      vectors: (…, 2) in pixels.
    """
    lengths = np.hypot(vectors[..., 0], vectors[..., 1])
    moving = lengths[lengths > 0]
    return max(_LEAST_FULL_PX, 1.2 * float(np.percentile(moving, 90))) if moving.size else _LEAST_FULL_PX


def without_level(vectors: np.ndarray, level_px: float) -> np.ndarray:
    """Takes a level off each vector's length, as flow out of a record is painted.

    JPEG's noise and the half level that zero is stored with would tint what rests.

    Args:
      vectors: (…, 2) in pixels.
      level_px: what a level of their image stands for; 0 for vectors that were never stored.
    """
    length = np.hypot(vectors[..., 0], vectors[..., 1])[..., np.newaxis]
    return vectors * np.maximum(0, 1 - level_px / np.maximum(length, 1e-6))
