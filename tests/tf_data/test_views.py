"""Crops, flips and normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf

from tf_data import views


def _draw(value: float) -> views.Draw:
    return views.Draw(*[tf.constant(value)] * 4)


def test_a_random_crop_reaches_both_ends_of_the_frame() -> None:
    size = tf.constant([256, 340])
    assert views.random_window(size, (224, 224), _draw(0.0)).numpy().tolist() == [[0, 0, 224, 224]]
    assert views.random_window(size, (224, 224), _draw(0.99999994)).numpy().tolist() == [[32, 116, 224, 224]]


def test_one_fixed_crop_is_centred() -> None:
    assert views.fixed_windows(tf.constant([256, 341]), (224, 224), 1).numpy().tolist() == [[16, 58, 224, 224]]


@pytest.mark.parametrize(
    ("size", "corners"),
    [((256, 340), [[16, 0], [16, 58], [16, 116]]), ((340, 256), [[0, 16], [58, 16], [116, 16]])],
)
def test_three_crops_lie_along_the_longer_side(size: tuple[int, int], corners: list[list[int]]) -> None:
    windows = views.fixed_windows(tf.constant(size), (224, 224), 3).numpy()
    assert windows[:, :2].tolist() == corners
    assert windows[:, 2:].tolist() == [[224, 224]] * 3


def test_decoding_inside_a_window_gives_the_pixels_of_the_whole_frame() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3)).astype(np.uint8)
    pixels = np.kron(noise[::8, ::8], np.ones((8, 8, 1))).astype(np.uint8) // 2 + noise // 4
    encoded = simplejpeg.encode_jpeg(pixels, quality=95, colorsubsampling="444")
    whole = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    window = tf.constant([9, 13, 33, 47])
    part = views.decode(tf.constant([encoded, encoded]), window, channels=2, exact=True).numpy()
    assert part.shape == (2, 33, 47, 2)
    np.testing.assert_array_equal(part[1], whole[9:42, 13:60, :2])


@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 1), (8, 15), (15, 16), (16, 17), (17, 32), (34, 33)])
def test_subsampled_chroma_is_that_of_the_whole_frame_up_to_the_edges_of_the_window(top: int, left: int) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (8, 10, 3))
    pixels = np.kron(colours, np.ones((8, 8, 1))).astype(np.uint8)
    encoded = simplejpeg.encode_jpeg(pixels, quality=95, colorsubsampling="420")
    whole = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_FAST").numpy()
    part = views.decode(tf.constant([encoded]), tf.constant([top, left, 30, 47]), channels=3, exact=False).numpy()
    np.testing.assert_array_equal(part[0], whole[top : top + 30, left : left + 47])


def test_rgb_is_mirrored_left_to_right() -> None:
    frames = np.arange(2 * 3 * 4 * 3).reshape(2, 3, 4, 3).astype(np.uint8)
    np.testing.assert_array_equal(views.flip_rgb(tf.constant(frames)).numpy(), frames[:, :, ::-1])


def test_flow_is_mirrored_and_its_x_negated() -> None:
    levels = np.arange(256).reshape(1, 16, 8, 2).astype(np.uint8)
    flow = views.normalise(tf.constant(levels), "float32").numpy()
    flipped = views.normalise(views.flip_flow(tf.constant(levels)), "float32").numpy()
    np.testing.assert_allclose(flipped[..., 0], -flow[:, :, ::-1, 0], atol=1e-6)
    np.testing.assert_array_equal(flipped[..., 1], flow[:, :, ::-1, 1])


def test_flipping_twice_changes_nothing() -> None:
    levels = np.random.default_rng(1).integers(0, 256, (3, 5, 7, 2)).astype(np.uint8)
    np.testing.assert_array_equal(views.flip_flow(views.flip_flow(tf.constant(levels))).numpy(), levels)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_levels_become_minus_one_to_one(dtype: str) -> None:
    numbers = views.normalise(tf.constant([0, 51, 255], tf.uint8), dtype)
    assert numbers.dtype.name == dtype
    np.testing.assert_allclose(tf.cast(numbers, tf.float32).numpy(), [-1.0, -0.6, 1.0], atol=2**-9)


def test_uint8_keeps_the_levels() -> None:
    levels = tf.constant([0, 128, 255], tf.uint8)
    assert views.normalise(levels, "uint8").numpy().tolist() == [0, 128, 255]


def test_a_draw_depends_on_seed_epoch_and_clip_and_on_nothing_else() -> None:
    def drawn(seed: int, epoch: int, clip: int) -> list[float]:
        return [float(x) for x in views.draw(seed, tf.constant(epoch, tf.int64), tf.constant(clip, tf.int64))]

    first = drawn(1, 2, 3)
    tf.random.set_seed(99)
    assert drawn(1, 2, 3) == first
    others = [drawn(0, 2, 3), drawn(1, 3, 3), drawn(1, 2, 4), drawn(2, 1, 3), drawn(1, 2, -3)]
    assert len({tuple(x) for x in [first, *others]}) == 6
    assert len(set(first)) == 4


def test_draws_are_uniform() -> None:
    @tf.function
    def drawn_for(keys: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda key: tf.stack(views.draw(0, tf.constant(5, tf.int64), key)), keys, tf.float32)

    drawn = drawn_for(tf.range(2000, dtype=tf.int64)).numpy()
    assert 0 <= drawn.min() <= drawn.max() < 1
    np.testing.assert_allclose(
        np.quantile(drawn, [0.1, 0.5, 0.9], axis=0), [[0.1] * 4, [0.5] * 4, [0.9] * 4], atol=0.04
    )
