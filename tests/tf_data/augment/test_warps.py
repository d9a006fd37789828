"""Rotation, shear and translation are PIL's; what comes from outside the frame is grey."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.tf_data.augment.conftest import HEIGHT, WIDTH
from tf_data.augment import warps

BILINEAR = Image.Resampling.BILINEAR


def _affine(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, BILINEAR, fillcolor=(128,) * 3)


@pytest.mark.parametrize(
    ("ours", "pils"),
    [
        (lambda f: warps.rotate(f, 21), lambda image: image.rotate(21, BILINEAR, fillcolor=(128,) * 3)),
        (lambda f: warps.rotate(f, -8), lambda image: image.rotate(-8, BILINEAR, fillcolor=(128,) * 3)),
        (lambda f: warps.shear_x(f, 0.2), _affine(1, 0.2, 0, 0, 1, 0)),
        (lambda f: warps.shear_x(f, -0.3), _affine(1, -0.3, 0, 0, 1, 0)),
        (lambda f: warps.shear_y(f, 0.3), _affine(1, 0, 0, 0.3, 1, 0)),
        (lambda f: warps.translate_x(f, 0.25), _affine(1, 0, 0.25 * WIDTH, 0, 1, 0)),
        (lambda f: warps.translate_x(f, -0.25), _affine(1, 0, -0.25 * WIDTH, 0, 1, 0)),
        (lambda f: warps.translate_y(f, 0.4), _affine(1, 0, 0, 0, 1, 0.4 * HEIGHT)),
        (lambda f: warps.translate_y(f, -0.4), _affine(1, 0, 0, 0, 1, -0.4 * HEIGHT)),
    ],
)
def test_warps_are_pils(clip: np.ndarray, ours: Callable, pils: Callable) -> None:
    result = ours(tf.constant(clip)).numpy()
    for frame, warped in zip(clip.astype(np.uint8), result, strict=True):
        expected = np.asarray(pils(Image.fromarray(frame)))
        inside = np.asarray(pils(Image.fromarray(np.zeros_like(frame))))[..., 0] == 0
        assert 0.4 < inside.mean() < 1
        square = np.ones((3, 3), np.uint8)  # the outermost pixels are blended with the grey
        well_inside = cv2.erode(inside.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0) == 1
        well_outside = cv2.dilate(inside.astype(np.uint8), square) == 0
        np.testing.assert_allclose(warped[well_inside][:, :3], expected[well_inside], atol=1.001)
        assert (warped[well_outside] == 128).all()


def test_a_rotation_is_keras(clip: np.ndarray) -> None:
    layer = keras.layers.RandomRotation((30 / 360, 30 / 360), "constant", "bilinear", fill_value=128)
    result, expected = warps.rotate(clip, 30).numpy(), np.asarray(layer(clip, training=True))
    centre = (slice(None), slice(8, -8), slice(16, -16))
    np.testing.assert_allclose(result[centre], expected[centre], atol=0.05)


def test_a_translation_is_keras(clip: np.ndarray) -> None:
    layer = keras.layers.RandomTranslation((0.1, 0.1), (0.0, 0.0), "constant", fill_value=128)
    np.testing.assert_allclose(warps.translate_y(clip, -0.1), np.asarray(layer(clip, training=True)), atol=0.01)


@pytest.mark.parametrize("fraction", [-1.0, -0.5, 0.0, 0.004, 1.0])
def test_a_translation_is_of_whole_pixels_and_may_leave_nothing(clip: np.ndarray, fraction: float) -> None:
    pixels = round(fraction * WIDTH)
    result = warps.translate_x(clip, fraction).numpy()
    expected = np.full_like(clip, 128)
    expected[:, :, max(0, -pixels) : WIDTH - max(0, pixels)] = clip[:, :, max(0, pixels) : WIDTH + min(0, pixels)]
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("warp", [warps.rotate, warps.shear_x, warps.shear_y])
def test_nothing_moves_by_0(clip: np.ndarray, warp: Callable) -> None:
    np.testing.assert_array_equal(warp(clip, 0.0), clip)


def test_white_stays_white() -> None:
    white = tf.fill([1, 40, 40, 3], 255.0)
    turned = [warps.rotate(white, float(degrees)) for degrees in range(1, 40)]
    assert max(frame.numpy().max() for frame in turned) == 255
