"""Frames that lie in files of their own: which a folder has, and their pixels."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from beam_pipeline.clips import ClipError
from beam_pipeline.media.scaling import MAX_SOURCE_SIDE_PX

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_IMAGE_BYTES = 1 << 28
# Flow of TSN's and denseflow's folders: `flow_x_00001.jpg`, or `x_00001.jpg`, beside the frames.
_FLOW_IMAGE_RE = re.compile(r"(flow_)?[xy]_\d+\.(jpe?g|png)", re.IGNORECASE)


def images_of(folder: Path) -> list[Path]:
    """Returns the JPEG and PNG files right in a folder, by the numbers in their names: `2.jpg` before `10.jpg`.

    Raises:
      ClipError: `no_video` where there are none; `unsupported` where flow lies beside them, so that it is not clear
        which are meant.
      OSError: it can't be listed.
    """
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    files.sort(key=lambda file: (_by_number(file.name), file.name))
    if flow := [file.name for file in files if _FLOW_IMAGE_RE.fullmatch(file.name)]:
        raise ClipError("unsupported", f"holds images of flow too, such as {flow[0]}: name the frames, as in img_*.jpg")
    if not files:
        raise ClipError("no_video", f"holds no {', '.join(IMAGE_SUFFIXES)} file")
    return files


def read_image(file: Path) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG file, uint8 RGB (height, width, 3).

    Raises:
      ClipError: `unreadable` for what is no whole image, `too_large`.
      OSError: the file can't be read.
    """
    with file.open("rb") as opened:
        data = opened.read(_MAX_IMAGE_BYTES + 1)
    if len(data) > _MAX_IMAGE_BYTES:
        raise ClipError("too_large", f"has more than {_MAX_IMAGE_BYTES >> 20} MiB")
    return decode_image(data)


def decode_image(image: bytes) -> np.ndarray:
    """Returns the pixels of a JPEG or PNG image, uint8 RGB (height, width, 3).

    Raises:
      ClipError: `unreadable` for what is no whole image; `too_large`.
    """
    image_size(image)
    if simplejpeg.is_jpeg(image):
        try:
            return simplejpeg.decode_jpeg(image, colorspace="RGB")
        except ValueError as error:
            raise ClipError("unreadable", f"can't be decoded: {error}") from error
    picture = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise ClipError("unreadable", "can't be decoded: it is damaged")
    return picture


def image_size(image: bytes) -> tuple[int, int]:
    """Returns width and height by the header of a JPEG or PNG image.

    Raises:
      ClipError: `unreadable` for what is neither; `too_large` for one that is better not decoded.
    """
    if image.startswith(b"\x89PNG\r\n\x1a\n") and image[12:16] == b"IHDR" and len(image) >= 24:
        width, height = int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big")
    else:
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(image)
        except ValueError as error:
            raise ClipError("unreadable", "is neither JPEG nor PNG") from error
    if max(width, height) > MAX_SOURCE_SIDE_PX:
        raise ClipError("too_large", f"has {width}×{height} pixels; at most {MAX_SOURCE_SIDE_PX} a side are read")
    return width, height


def _by_number(name: str) -> list[tuple[int, int, str]]:
    """A key that orders names by the numbers in them."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
