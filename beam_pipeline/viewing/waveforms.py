"""Sound as a picture: how loud it is over time."""

from __future__ import annotations

import numpy as np

from beam_pipeline.viewing.lettering import Colour

CARD: Colour = (255, 255, 255)
_INK: Colour = (94, 122, 168)
_HAIRLINE: Colour = (226, 225, 221)


def draw_waveform(samples: np.ndarray, size: tuple[int, int], paper: Colour = CARD, ink: Colour = _INK) -> np.ndarray:
    """Draws the envelope of sound, the loudest moment as high as the picture; of silence a line.

    Args:
      samples: float32 (num_samples,), over the picture's whole width.
      size: (width, height) in pixels.
      paper: RGB of what is behind it.
      ink: RGB of the sound.

    Returns:
      uint8 RGB (height, width, 3).
    """
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = paper
    loudest = float(np.abs(samples).max(initial=0))
    if loudest <= 0:
        picture[height // 2 - 1 : height // 2 + 1] = _HAIRLINE
        return picture
    bars = np.array_split(samples / loudest, width)
    highest = np.array([bar.max(initial=0) for bar in bars])
    lowest = np.array([bar.min(initial=0) for bar in bars])
    y = (np.arange(height)[:, np.newaxis] + 0.5 - height / 2) / (-0.46 * height)
    softness = 1 / height
    inside = np.clip((highest - y) / softness + 1, 0, 1) * np.clip((y - lowest) / softness + 1, 0, 1)
    return np.rint(picture + (np.array(ink) - picture.astype(np.float64)) * inside[..., np.newaxis]).astype(np.uint8)
