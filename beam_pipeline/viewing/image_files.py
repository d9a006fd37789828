"""Pictures that lie in files of their own, or are given as they lie there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from beam_pipeline.clips import ClipError
from beam_pipeline.media.frame_folders import MAX_SIDE_PX
from beam_pipeline.media.jpegs import decode_luma
from beam_pipeline.media.png import is_png

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_IMAGE_BYTES = 1 << 27


def read_frame(file: Path, jpeg_quality: int) -> tuple[bytes, np.ndarray]:
    """Returns an image file as a run stores one of a folder: the JPEG image, and its luma, uint8 (height, width).

    Args:
      file: JPEG, which is taken as it is, or PNG.
      jpeg_quality: of what is no JPEG yet.

    Raises:
      ClipError: `unreadable` for what is no whole image, `too_large`.
      OSError: the file can't be read.
    """
    with file.open("rb") as opened:
        data = opened.read(_MAX_IMAGE_BYTES + 1)
    if len(data) > _MAX_IMAGE_BYTES:
        raise ClipError("too_large", f"has more than {_MAX_IMAGE_BYTES >> 20} MiB")
    pixels = decode_image(data)
    if not simplejpeg.is_jpeg(data):
        data = simplejpeg.encode_jpeg(pixels, jpeg_quality, "RGB", colorsubsampling="420", fastdct=False)
    return data, decode_luma(data)


def decode_image(image: bytes) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG image, uint8 RGB (height, width, 3).

    Raises:
      ClipError: `unreadable` for what is no whole image; `too_large`.
    """
    image_size(image)
    if is_png(image):
        as_stored = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        picture = cv2.imdecode(np.frombuffer(image, np.uint8), as_stored)
        if picture is None:
            raise ClipError("unreadable", "can't be decoded: it is damaged")
        return picture
    try:
        return simplejpeg.decode_jpeg(image, colorspace="RGB")
    except ValueError as error:
        raise ClipError("unreadable", f"can't be decoded: {error}") from error


def image_size(image: bytes) -> tuple[int, int]:
    """Returns width and height by the header of a JPEG or PNG image.

    Raises:
      ClipError: `unreadable` for what is neither; `too_large` for one that is better not decoded.
    """
    if is_png(image) and image[12:16] == b"IHDR" and len(image) >= 24:
        width, height = int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big")
    else:
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(image)
        except ValueError as error:
            raise ClipError("unreadable", "is neither JPEG nor PNG") from error
    if max(width, height) > MAX_SIDE_PX:
        raise ClipError("too_large", f"has {width}×{height} pixels; at most {MAX_SIDE_PX} a side are read")
    return width, height
