"""Decoding the views of a clip: the pixels of whole frames, whatever part of them is decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf

from tf_data.decoding import decode_views, image_size

NUM_FRAMES = 5


def _jpegs(height: int, width: int, sampling: str) -> list[bytes]:
    """Frames whose colour differs from column to column and row to row, so that a lost neighbour shows."""
    random = np.random.default_rng(height * 1000 + width)
    pictures = random.integers(0, 256, (NUM_FRAMES, height, width, 3)).astype(np.uint8)
    colours, space = (3, "RGB") if sampling != "Gray" else (1, "GRAY")
    return [
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(picture[..., :colours]), quality=90, colorspace=space, colorsubsampling=sampling
        )
        for picture in pictures
    ]


def _whole(jpegs: Sequence[bytes], exact: bool = False) -> np.ndarray:
    method = "INTEGER_ACCURATE" if exact else "INTEGER_FAST"
    return np.stack([tf.io.decode_jpeg(jpeg, channels=3, dct_method=method).numpy() for jpeg in jpegs])


def _views(
    jpegs: Sequence[bytes],
    frames: Sequence[Sequence[int]],
    windows: Sequence[Sequence[int]],
    channels: int = 3,
    exact: bool = False,
) -> np.ndarray:
    return decode_views(
        tf.constant(jpegs), tf.constant(frames), tf.constant(windows), channels=channels, exact=exact
    ).numpy()


@pytest.mark.parametrize("sampling", ["420", "422", "440", "411", "444", "Gray"])
@pytest.mark.parametrize("size", [(48, 80), (47, 79), (33, 65), (64, 49)])
def test_pixels_in_a_window_are_those_of_the_whole_frame(sampling: str, size: tuple[int, int]) -> None:
    jpegs = _jpegs(*size, sampling)
    whole = _whole(jpegs)
    random = np.random.default_rng(3)
    for _ in range(60):
        height, width = (int(random.integers(1, side + 1)) for side in size)
        top, left = int(random.integers(size[0] - height + 1)), int(random.integers(size[1] - width + 1))
        part = _views(jpegs, [[0]], [[top, left, height, width]])
        np.testing.assert_array_equal(part[0, 0], whole[0, top : top + height, left : left + width])


@pytest.mark.parametrize("sampling", ["420", "422", "444", "Gray"])
@pytest.mark.parametrize("size", [(35, 37), (1, 1), (2, 17), (17, 2)])
def test_every_window_of_one_pixel_is_exact(sampling: str, size: tuple[int, int]) -> None:
    jpegs = _jpegs(*size, sampling)[:1]
    whole = _whole(jpegs)[0]
    pixel = tf.function(
        lambda row, column: decode_views(
            tf.constant(jpegs), tf.constant([[0]]), tf.stack([[row, column, 1, 1]]), channels=3, exact=False
        )
    )
    for row, column in np.ndindex(size):
        np.testing.assert_array_equal(pixel(tf.constant(row), tf.constant(column))[0, 0, 0, 0], whole[row, column])


@pytest.mark.parametrize("left", range(14, 19))
@pytest.mark.parametrize("width", range(13, 19))
def test_columns_beside_the_edge_of_a_block_are_exact(left: int, width: int) -> None:
    jpegs = _jpegs(40, 64, "420")
    part = _views(jpegs, [[1]], [[3, left, 30, width]])
    np.testing.assert_array_equal(part[0, 0], _whole(jpegs)[1, 3:33, left : left + width])


def test_exact_decodes_with_the_accurate_transform() -> None:
    jpegs = _jpegs(40, 64, "444")
    accurate, fast = (_views(jpegs, [[0]], [[0, 0, 40, 64]], exact=exact)[0] for exact in (True, False))
    np.testing.assert_array_equal(accurate, _whole(jpegs[:1], exact=True))
    assert (accurate != fast).any()


def test_two_channels_leave_out_the_third() -> None:
    jpegs = _jpegs(40, 64, "444")
    part = _views(jpegs, [[2]], [[1, 2, 30, 40]], channels=2, exact=True)
    np.testing.assert_array_equal(part[0, 0], _whole(jpegs, exact=True)[2, 1:31, 2:42, :2])


@pytest.mark.parametrize("channels", [2, 3])
def test_png_windows_are_the_pixels_that_were_stored(channels: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (NUM_FRAMES, 33, 47, 3), dtype=np.uint8)
    images = [tf.io.encode_png(picture).numpy() for picture in pictures]
    frames, corners = [[0, 2, 2, 4]], [(0, 0), (5, 9), (13, 28)]
    windows = tf.constant([[top, left, 20, 19] for top, left in corners])
    views = decode_views(
        tf.constant(images), tf.constant(frames), windows, channels=channels, exact=True, png=True
    ).numpy()
    expected = [pictures[frames[0], top : top + 20, left : left + 19, :channels] for top, left in corners]
    np.testing.assert_array_equal(views, expected)


@pytest.mark.parametrize("size", [(1, 1), (33, 300), (2160, 3840)])
def test_the_size_of_an_image_is_in_its_header(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    assert image_size(tf.io.encode_png(pixels), png=True).numpy().tolist() == list(size)
    assert image_size(tf.io.encode_jpeg(pixels), png=False).numpy().tolist() == list(size)


@pytest.mark.parametrize("encoded", [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"])
def test_the_size_of_what_has_no_header_is_an_error(encoded: bytes) -> None:
    for png in (False, True):
        with pytest.raises(tf.errors.InvalidArgumentError):
            image_size(tf.constant(encoded), png=png)


def test_frames_come_in_the_order_asked_for_and_may_repeat() -> None:
    jpegs = _jpegs(32, 48, "420")
    part = _views(jpegs, [[3, 0, 3, 1, 0]], [[0, 0, 32, 48]])
    np.testing.assert_array_equal(part[0], _whole(jpegs)[[3, 0, 3, 1, 0]])


def test_views_are_the_crops_of_each_window_of_time_in_turn() -> None:
    jpegs = _jpegs(32, 48, "420")
    frames, corners = [[0, 2, 4], [2, 4, 1]], [(0, 5), (9, 16), (3, 28)]
    views = _views(jpegs, frames, [[top, left, 20, 19] for top, left in corners])
    whole = _whole(jpegs)
    expected = [whole[times, top : top + 20, left : left + 19] for times in frames for top, left in corners]
    np.testing.assert_array_equal(views, expected)


def test_only_frames_that_are_asked_for_are_decoded() -> None:
    jpegs = _jpegs(32, 48, "420")
    broken = [jpegs[0], b"no picture", jpegs[2]]
    views = _views(broken, [[0, 2], [2, 0]], [[4, 4, 9, 9]])
    np.testing.assert_array_equal(views, _whole([jpegs[0], jpegs[2]])[[[0, 1], [1, 0]], 4:13, 4:13])


def test_a_frame_that_is_no_jpeg_is_an_error() -> None:
    jpegs = _jpegs(32, 48, "420")
    with pytest.raises(tf.errors.InvalidArgumentError):
        _views([jpegs[0], b"no picture"], [[0, 1]], [[0, 0, 9, 9]])


@pytest.mark.parametrize("num_frames", [None, 4])
def test_shape_is_known_as_far_as_the_arguments_are(num_frames: int | None) -> None:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([2, num_frames], tf.int32),
            tf.TensorSpec([3, 4], tf.int32),
        ]
    )
    def views(encoded: tf.Tensor, frames: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        decoded = decode_views(encoded, frames, windows, channels=2, exact=True)
        assert decoded.shape.as_list() == [6, num_frames, None, None, 2]
        return decoded

    jpegs = _jpegs(32, 48, "444")
    assert views(jpegs, [[0, 1, 2, 3]] * 2, [[0, 0, 8, 9]] * 3).shape == [6, 4, 8, 9, 2]
