"""Whether stored images decode: each whole, to the size that the record says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from beam_pipeline.checking.record_layout import Place
from tf_data import contract

Frames = Literal["none", "sample", "all"]
"""Which images of a clip are decoded: none, one of each stream, which its id decides, or each."""

MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
"""What a file of each format begins with."""


def chosen_steps(clip_id: str, count: int, frames: Frames) -> Sequence[int]:
    """Returns the steps of a stream whose images are to be decoded."""
    if frames == "all":
        return range(count)
    return [contract.clip_key(clip_id) % count] if frames == "sample" and count else []


def wrong_with_image(record: bytes, image: Place, image_format: str, height: int, width: int) -> str:
    """Decodes one image; returns what is wrong with it, or ''.

    Args:
      record: that holds it.
      image: where it is.
      image_format: a key of `MAGIC`.
      height: that it should have, pixels.
      width: likewise.
    """
    content = memoryview(record)[slice(*image)]
    try:
        found = _decoded_jpeg(content) if image_format == "JPEG" else _decoded_png(content)
    except ValueError as error:
        return f"does not decode: {' '.join(str(error).split())}"
    if found != (height, width):
        return f"is {found[1]}×{found[0]} pixels, expected {width}×{height}"
    return ""


def _decoded_jpeg(content: memoryview) -> tuple[int, int]:
    import simplejpeg  # in the process that decodes, and nowhere else

    # Of the luma alone: all of the file is read for it, and a file that breaks off or is damaged is an error.
    return simplejpeg.decode_jpeg(content, colorspace="GRAY", fastdct=True, strict=True).shape[:2]


def _decoded_png(content: memoryview) -> tuple[int, int]:
    import cv2

    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError("libpng can't read it")
    return picture.shape[:2]
