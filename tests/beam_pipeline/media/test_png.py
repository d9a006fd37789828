"""PNG images that every decoder reads, of bytes that do not depend on the machine."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from beam_pipeline.media.png import encode_png, is_png


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (17, 31), (256, 340)])
def test_pixels_come_back_as_they_were(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    encoded = encode_png(pixels)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB), pixels)


def test_rows_that_are_not_next_to_each_other_in_memory_come_back_too() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (20, 40, 4), dtype=np.uint8)
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(encode_png(wide[:, 5:30, :3]), np.uint8), cv2.IMREAD_COLOR_RGB), wide[:, 5:30, :3]
    )


def test_the_bytes_are_fixed() -> None:
    """By the version of pyarrow in the lock file, and nothing else: not by the operating system's zlib."""
    rows, columns = np.indices((96, 128))
    smooth = np.stack([128 + 30 * np.sin(rows / 9), 128 + 30 * np.cos(columns / 7), 0 * rows], axis=2).astype(np.uint8)
    digest = hashlib.sha256(encode_png(smooth)).hexdigest()
    assert digest == "1024a2732e8864cb46af63ee32866abd0fe1672cc4df2b0b86fc77502f5ff986"


def test_an_image_is_told_by_its_first_bytes() -> None:
    assert is_png(encode_png(np.zeros((2, 2, 3), np.uint8)))
    assert not is_png(b"\xff\xd8\xff\xe0" + bytes(8))
