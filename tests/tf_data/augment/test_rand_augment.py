"""RandAugment: which operations, how strong, how often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tests.tf_data.augment.drawing import draw_many
from tf_data.augment import RandAugment, warps
from tf_data.augment.rand_augment import GEOMETRIC_OPERATIONS, LEVEL_OPERATIONS

OPERATIONS = LEVEL_OPERATIONS | GEOMETRIC_OPERATIONS
WITHOUT_MAGNITUDE = ("auto_contrast", "equalise", "invert")


def _apply(name: str, clip: np.ndarray, magnitude: float, sign: float) -> np.ndarray:
    return OPERATIONS[name](tf.constant(clip), tf.constant(magnitude), tf.constant(float(sign))).numpy()


def _identify(clip: np.ndarray, result: np.ndarray, magnitude: float) -> str:
    """The operation that made `result`."""
    if np.array_equal(clip, result):
        return "none"
    for name in OPERATIONS:
        if any(np.allclose(_apply(name, clip, magnitude, sign), result, atol=0.01) for sign in (-1.0, 1.0)):
            return name
    raise AssertionError("made by no operation")


@pytest.mark.parametrize(
    ("name", "sign", "expected"),
    [
        # rand-m7-…-inc1 of timm: 4 - int(0.7 * 4) bits, 256 - int(0.7 * 256), int(0.7 * 110), 1 ± 0.7 * 0.9
        ("posterise", 1, lambda image: ImageOps.posterize(image, 2)),
        ("solarise", 1, lambda image: ImageOps.solarize(image, 77)),
        ("solarise_add", 1, lambda image: image.point([v + 77 if v < 128 else v for v in range(256)] * 3)),
        ("saturation", -1, lambda image: ImageEnhance.Color(image).enhance(0.37)),
        ("contrast", 1, lambda image: ImageEnhance.Contrast(image).enhance(1.63)),
        ("brightness", -1, lambda image: ImageEnhance.Brightness(image).enhance(0.37)),
        ("sharpness", 1, lambda image: ImageEnhance.Sharpness(image).enhance(1.63)),
        ("translate_x", 1, lambda image: _moved(image, round(0.315 * 56), 0)),
        ("translate_y", -1, lambda image: _moved(image, 0, -round(0.315 * 40))),
    ],
)
def test_magnitude_7_is_as_strong_as_timms(clip: np.ndarray, name: str, sign: int, expected: Any) -> None:
    frames = [np.asarray(expected(Image.fromarray(frame))) for frame in clip.astype(np.uint8)]
    np.testing.assert_allclose(_apply(name, clip, 0.7, sign), frames, atol=2)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("name", "expected"),
    [  # 0.7 of 30 degrees, and of 0.3
        ("rotate", lambda frames, sign: warps.rotate(frames, 21 * sign)),
        ("shear_x", lambda frames, sign: warps.shear_x(frames, 0.21 * sign)),
        ("shear_y", lambda frames, sign: warps.shear_y(frames, 0.21 * sign)),
    ],
)
def test_magnitude_7_turns_and_shears_as_far_as_timms(clip: np.ndarray, name: str, sign: int, expected: Any) -> None:
    np.testing.assert_allclose(_apply(name, clip, 0.7, sign), expected(clip, sign), atol=0.01)


def _moved(image: Image.Image, x: int, y: int) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), fillcolor=(128,) * 3)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in WITHOUT_MAGNITUDE])
def test_at_magnitude_0_the_clip_stays(clip: np.ndarray, name: str) -> None:
    atol = 15 if name == "posterise" else 0.001  # which begins at four bits
    for sign in (-1.0, 1.0):
        np.testing.assert_allclose(_apply(name, clip, 0.0, sign), clip, atol=atol)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in WITHOUT_MAGNITUDE])
def test_a_greater_magnitude_changes_more(clip: np.ndarray, name: str) -> None:
    changes = [np.abs(_apply(name, clip, magnitude, 1.0) - clip).mean() for magnitude in (0.1, 0.4, 0.9)]
    assert changes == sorted(changes)
    assert changes[0] < changes[2]


@pytest.mark.parametrize("geometric", [True, False])
def test_operations_are_equally_likely(clip: np.ndarray, geometric: bool) -> None:
    small = clip[:1, ::2, ::2]
    augmentation = RandAugment(1, magnitude=7, geometric=geometric, probability=1.0)
    results = draw_many(lambda seed: augmentation(tf.constant(small), seed), 600)
    distinct, counts = np.unique(results, axis=0, return_counts=True)
    times: dict[str, int] = {}
    for result, count in zip(distinct, counts, strict=True):
        name = _identify(small, result, 0.7)
        times[name] = times.get(name, 0) + int(count)
    assert set(times) == set(OPERATIONS if geometric else LEVEL_OPERATIONS)
    expected = 600 / len(times)
    assert sum((count - expected) ** 2 / expected for count in times.values()) < 36.1  # 14 degrees, 1 in 1000


def test_half_of_the_drawn_operations_are_left_out(clip: np.ndarray) -> None:
    changed = draw_many(lambda seed: tf.reduce_any(RandAugment(1, 7)(tf.constant(clip), seed) != clip), 1000)
    assert abs(changed.mean() - 0.5) < 0.064  # 4 standard deviations


def test_as_many_operations_as_asked_for() -> None:
    frames = tf.constant(np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3))
    unchanged = draw_many(lambda seed: tf.reduce_all(RandAugment(3, 10)(frames, seed) == frames), 2000)
    assert abs(unchanged.mean() - 0.5**3) < 0.06  # some operations change nothing here, or undo each other


def test_signs_are_drawn(clip: np.ndarray) -> None:
    means = draw_many(lambda seed: tf.reduce_mean(RandAugment(1, 3)(tf.constant(clip), seed)), 400)
    brighter, darker = (_apply("brightness", clip, 0.3, sign).mean() for sign in (1.0, -1.0))
    assert np.isclose(means, brighter, rtol=1e-4).any()
    assert np.isclose(means, darker, rtol=1e-4).any()


def test_magnitudes_are_spread_about_the_mean() -> None:
    augmentation = RandAugment(2, magnitude=5, magnitude_std=1.0)
    magnitudes = draw_many(lambda seed: augmentation._magnitudes(seed), 1000)
    assert abs(magnitudes.mean() - 0.5) < 0.009
    assert abs(magnitudes.std() - 0.1) < 0.007
    at_the_end = draw_many(lambda seed: RandAugment(1, 10, magnitude_std=1.0)._magnitudes(seed), 500)
    assert at_the_end.max() == 1.0
    assert draw_many(lambda seed: RandAugment(1, 5)._magnitudes(seed), 3).tolist() == [[0.5]] * 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_ops": 0}, "RandAugment: num_ops must be an integer of 1 or more, got 0"),
        ({"num_ops": 2.0}, "RandAugment: num_ops must be an integer of 1 or more, got 2.0"),
        ({"magnitude": 11}, "RandAugment: magnitude must be a number from 0 to 10, got 11"),
        ({"magnitude_std": -1}, "RandAugment: magnitude_std must be a number of at least 0, got -1"),
        ({"probability": None}, "RandAugment: probability must be a number from 0 to 1, got None"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandAugment(**({"num_ops": 2, "magnitude": 9} | values))
