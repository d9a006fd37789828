"""Middlebury's `.flo`, in which flow is exchanged: vectors as they are, without levels or bound.

The bytes `PIEH`, width and height as int32, then (x, y) of each pixel as float32, row by row; all little endian (Baker
et al., A Database and Evaluation Methodology for Optical Flow; https://vision.middlebury.edu/flow/code/flow-code/).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

MAGIC = b"PIEH"  # as a little-endian float32 it is 202021.25
_HEADER = struct.Struct("<4sii")
_BYTES_A_VECTOR = 8
_MOST_SIDE_PX = 99_999  # as in Middlebury's own reader


class FloError(ValueError):
    """A file that is no whole `.flo`; the message names it and says what is wrong."""


def write_flo(path: str | os.PathLike[str], vectors: np.ndarray) -> None:
    """Writes a pair's flow; what is at `path` is replaced.

    Args:
      path: of a local file.
      vectors: float (height, width, 2): (x, y) in pixels, x to the right and y downwards; kept as float32.

    Raises:
      ValueError: for another shape.
      OSError: the file can't be written.
    """
    if vectors.ndim != 3 or vectors.shape[2] != 2 or not _is_size(*vectors.shape[1::-1]):
        raise ValueError(f"flow must be (height, width, 2) of 1 to {_MOST_SIDE_PX} pixels a side, got {vectors.shape}")
    height, width, _ = vectors.shape
    with Path(path).open("wb") as file:
        file.write(_HEADER.pack(MAGIC, width, height))
        file.write(np.ascontiguousarray(vectors, "<f4").data)


def read_flo(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns a file's flow, float32 (height, width, 2): (x, y) in pixels; beyond ±1e9 it counts as unknown.

    Raises:
      FloError: it is no `.flo`, or its length is not what its header says.
      OSError: it can't be read.
    """
    with Path(path).open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(MAGIC):
            raise FloError(f"{path}: is no .flo file: it must begin with {MAGIC.decode()}, a width and a height")
        _, width, height = _HEADER.unpack(header)
        if not _is_size(width, height):
            raise FloError(f"{path}: must have 1 to {_MOST_SIDE_PX} pixels a side, got {width}×{height}")
        found, expected = os.fstat(file.fileno()).st_size, _HEADER.size + width * height * _BYTES_A_VECTOR
        if found != expected:
            raise FloError(f"{path}: flow of {width}×{height} pixels takes {expected:,} bytes, got {found:,}")
        vectors = np.fromfile(file, "<f4", 2 * width * height)
    return vectors.reshape(height, width, 2).astype(np.float32, copy=False)


def _is_size(width: int, height: int) -> bool:
    return 1 <= width <= _MOST_SIDE_PX and 1 <= height <= _MOST_SIDE_PX
