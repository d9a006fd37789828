"""A 64-bit perceptual hash: near for pictures that look alike, whatever their size and compression."""

from __future__ import annotations

import numpy as np

_SIDE = 32
_LOW = 8
# Rows 1..8 of the 32-point DCT-II in integers: every sum is exact, so that the hash is the same on any machine.
_DCT = np.round(
    np.cos(np.pi * np.arange(1, _LOW + 1)[:, None] * (2 * np.arange(_SIDE) + 1) / (2 * _SIDE)) * 2**12
).astype(np.int64)


def perceptual_hash(luma: np.ndarray) -> int:
    """Hashes a grey picture: which of its 64 lowest DCT coefficients (the mean left out) are above their median.

    The hash that Zauner describes as pHash ("Implementation and Benchmarking of Perceptual Image Hash Functions",
    2010), on a 32×32 reduction by block means. Compare two by the number of bits in which they differ.

    Args:
      luma: uint8 (height, width).

    Returns:
      A signed 64-bit integer.
    """
    small = _block_means(_block_means(luma.astype(np.int64)).T).T
    low = _DCT @ small @ _DCT.T
    bits = np.packbits((low > np.median(low)).ravel())
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def _block_means(picture: np.ndarray) -> np.ndarray:
    """Averages the rows of a picture down to 32, in 64ths of a level; fewer rows than that are repeated."""
    rows = picture.shape[0]
    edges = np.arange(_SIDE + 1) * rows // _SIDE
    if rows < _SIDE:
        return picture[edges[:-1]] * 64
    return np.add.reduceat(picture, edges[:-1], axis=0) * 64 // np.diff(edges)[:, None]
