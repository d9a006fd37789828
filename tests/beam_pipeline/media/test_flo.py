"""Flow in Middlebury's `.flo`: OpenCV reads what is written here, and the other way round; what is none is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from beam_pipeline.media.flo import FloError, read_flo, write_flo


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 10, (5, 7, 2)).astype(np.float32)


def test_opencv_reads_what_is_written(vectors: np.ndarray, tmp_path: Path) -> None:
    write_flo(tmp_path / "ours.flo", vectors)
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(tmp_path / "ours.flo")), vectors)


def test_it_is_opencvs_file_byte_for_byte(vectors: np.ndarray, tmp_path: Path) -> None:
    write_flo(tmp_path / "ours.flo", vectors)
    assert cv2.writeOpticalFlow(str(tmp_path / "theirs.flo"), vectors)
    assert (tmp_path / "ours.flo").read_bytes() == (tmp_path / "theirs.flo").read_bytes()


def test_what_opencv_writes_is_read(vectors: np.ndarray, tmp_path: Path) -> None:
    assert cv2.writeOpticalFlow(str(tmp_path / "theirs.flo"), vectors)
    read = read_flo(tmp_path / "theirs.flo")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, vectors)


def test_the_magic_is_the_number_that_middlebury_says() -> None:
    assert struct.pack("<f", 202021.25) == b"PIEH"


def test_vectors_that_are_not_contiguous_or_of_another_type_are_written_in_row_order(tmp_path: Path) -> None:
    planes = np.arange(24.0).reshape(2, 3, 4)
    write_flo(tmp_path / "a.flo", np.moveaxis(planes, 0, -1))
    np.testing.assert_array_equal(read_flo(tmp_path / "a.flo"), np.stack([planes[0], planes[1]], axis=-1))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (0, 7, 2), (2, 5, 7, 2)])
def test_what_is_no_flow_is_not_written(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"flow must be \(height, width, 2\)"):
        write_flo(tmp_path / "a.flo", np.zeros(shape, np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no .flo file"),
        (b"PIEH\x01\x00", "is no .flo file"),
        (b"\x89PNG" + bytes(100), "is no .flo file"),
        (struct.pack("<4sii", b"PIEH", 0, 4), "got 0×4"),
        (struct.pack("<4sii", b"PIEH", -1, 4), "got -1×4"),
        (struct.pack("<4sii", b"PIEH", 99_999, 99_999), "takes 79,998,400,020 bytes, got 12"),
        (struct.pack("<4sii", b"PIEH", 2, 2) + bytes(31), "takes 44 bytes, got 43"),
        (struct.pack("<4sii", b"PIEH", 2, 2) + bytes(33), "takes 44 bytes, got 45"),
    ],
)
def test_what_is_no_flo_is_refused_by_name(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.flo"
    path.write_bytes(content)
    with pytest.raises(FloError, match=message) as raised:
        read_flo(path)
    assert str(raised.value).startswith(str(path))
