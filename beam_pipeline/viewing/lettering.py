"""Text in pictures."""

from __future__ import annotations

import cv2
import numpy as np

Colour = tuple[int, int, int]

_FACE = "sans"  # Rubik, which comes with OpenCV 5
_UNWRAPPED_PX = 1 << 20
_MOST_CHARACTERS = 500  # of a text that is to fit in: names come from strangers


def write(
    picture: np.ndarray,
    text: str,
    place: tuple[int, int],
    size_px: int,
    colour: Colour,
    weight: int = 400,
    align_right: bool = False,
) -> int:
    """Writes a line of text into a picture and returns the x at which it ends.

    Args:
      picture: uint8 (height, width, 3), changed in place; what of the text lies outside is cut off.
      text: any characters; those that the face lacks are boxes.
      place: (x, y) of the baseline's left end, or of its right end with `align_right`.
      size_px: height of the face.
      colour: in the order of the picture's channels.
      weight: 400 is regular, 600 is bold.
      align_right: whether the text ends at `place`.
    """
    x, baseline = place
    if align_right:
        x -= text_width_px(text, size_px, weight)
    face = cv2.FontFace(_FACE)
    text, wrap = _one_line(text), (0, _UNWRAPPED_PX)
    (end, _), _ = cv2.putText(picture, text, (x, baseline), colour, face, size_px, weight, wrap=wrap)
    return end


def text_width_px(text: str, size_px: int, weight: int = 400) -> int:
    """Returns how wide a line of text will be."""
    return cv2.getTextSize((0, 0), _one_line(text), (0, 0), cv2.FontFace(_FACE), size_px, weight)[2]


def shortened(text: str, width_px: int, size_px: int, weight: int = 400) -> str:
    """Returns a text that fits into a width, with an ellipsis in the middle of one that is too long."""
    kept, shown = min(len(text), _MOST_CHARACTERS), text[:_MOST_CHARACTERS]
    while kept and text_width_px(shown, size_px, weight) > width_px:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return shown


def _one_line(text: str) -> str:
    text = text.encode(errors="replace").decode()  # of a name that is not UTF-8, of which OpenCV would crash
    return " ".join(text.split())
