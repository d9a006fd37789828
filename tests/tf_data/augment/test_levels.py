"""Each change of levels is PIL's, frame by frame; and Keras's, where Keras has the same."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tf_data.augment import levels

# What PIL rounds: the luma, the mean, and at last each level, which it truncates.
ROUNDING = 2.0


def _with_pil(clip: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(frame))) for frame in clip.astype(np.uint8)]).astype(np.float32)


@pytest.mark.parametrize("factor", [0.1, 0.37, 1.0, 1.63, 1.9])
@pytest.mark.parametrize(
    ("ours", "enhancement"),
    [
        (levels.adjust_brightness, ImageEnhance.Brightness),
        (levels.adjust_contrast, ImageEnhance.Contrast),
        (levels.adjust_saturation, ImageEnhance.Color),
        (levels.adjust_sharpness, ImageEnhance.Sharpness),
    ],
)
def test_enhancements_are_pils(clip: np.ndarray, ours: Callable, enhancement: Callable, factor: float) -> None:
    expected = _with_pil(clip, lambda image: enhancement(image).enhance(factor))
    np.testing.assert_allclose(ours(clip, factor), expected, atol=ROUNDING)


@pytest.mark.parametrize(
    ("ours", "pils"),
    [
        (levels.equalise, ImageOps.equalize),
        (levels.invert, ImageOps.invert),
        (lambda frames: levels.posterise(frames, 2), lambda image: ImageOps.posterize(image, 2)),
        (lambda frames: levels.posterise(frames, 8), lambda image: image),
        (lambda frames: levels.solarise(frames, 77), lambda image: ImageOps.solarize(image, 77)),
        (lambda frames: levels.solarise(frames, 256), lambda image: image),
    ],
)
def test_operations_on_whole_levels_are_pils_exactly(clip: np.ndarray, ours: Callable, pils: Callable) -> None:
    np.testing.assert_array_equal(ours(tf.constant(clip)), _with_pil(clip, pils))


def test_auto_contrast_is_pils(clip: np.ndarray) -> None:
    narrow = np.round(40 + clip / 2)
    result = levels.auto_contrast(narrow).numpy()
    np.testing.assert_allclose(result, _with_pil(narrow, ImageOps.autocontrast), atol=1)
    assert (result.min(axis=(1, 2)) == 0).all()
    np.testing.assert_allclose(result.max(axis=(1, 2)), 255, rtol=1e-6)


def test_solarise_add_brightens_what_is_dark(clip: np.ndarray) -> None:
    result = levels.solarise_add(clip, 60).numpy()
    np.testing.assert_array_equal(result, np.where(clip < 128, clip + 60, clip))
    assert levels.solarise_add(clip, 200).numpy().max() == 255


def test_a_hue_turns_by_part_of_the_circle(clip: np.ndarray) -> None:
    result = levels.adjust_hue(clip, 0.3).numpy()
    for pixel, turned in zip(clip[1, ::7, 5], result[1, ::7, 5], strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        expected = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
        np.testing.assert_allclose(turned / 255, expected, atol=1e-5)


@pytest.mark.parametrize("operation", [levels.auto_contrast, levels.equalise])
def test_what_has_one_level_stays_as_it_is(operation: Callable) -> None:
    black = np.zeros((2, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(operation(black), black)
    grey = np.broadcast_to([7, 130, 255], black.shape)
    np.testing.assert_array_equal(operation(tf.cast(grey, tf.float32)), grey)


@pytest.mark.parametrize("operation", [levels.auto_contrast, levels.equalise])
def test_each_frame_is_measured_by_itself(clip: np.ndarray, operation: Callable) -> None:
    alone = np.concatenate([operation(frame[np.newaxis]) for frame in clip])
    np.testing.assert_array_equal(operation(clip), alone)


def _keras(layer: keras.Layer, clip: np.ndarray) -> np.ndarray:
    return np.asarray(layer(clip, training=True))


@pytest.mark.parametrize(
    ("ours", "layer"),
    [
        (levels.greyscale, keras.layers.RandomGrayscale(1.0)),
        (lambda frames: levels.adjust_saturation(frames, 0.3), keras.layers.RandomColorDegeneration((0.7, 0.7))),
        (levels.auto_contrast, keras.layers.AutoContrast()),
    ],
)
def test_operations_that_keras_has_are_its(clip: np.ndarray, ours: Callable, layer: keras.Layer) -> None:
    np.testing.assert_allclose(ours(clip), _keras(layer, clip), atol=0.05)


def test_sharpness_inside_the_frame_is_keras(clip: np.ndarray) -> None:
    expected = _keras(keras.layers.RandomSharpness((0.85, 0.85)), clip)
    result = levels.adjust_sharpness(clip, 1.7)
    np.testing.assert_allclose(result[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=0.01)


def test_a_hue_is_keras(clip: np.ndarray) -> None:
    expected = _keras(keras.layers.RandomHue((0.4, 0.4)), clip[:1])  # to one side or the other
    either = [levels.adjust_hue(clip[:1], turn).numpy() for turn in (-0.2, 0.2)]
    assert min(np.abs(result - expected).max() for result in either) < 0.01
