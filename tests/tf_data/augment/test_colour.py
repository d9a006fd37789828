"""Colour jitter and greyscale: how often, how much, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.tf_data.augment.drawing import draw_many
from tf_data.augment import ColourJitter, Greyscale, levels

GREY = tf.fill([1, 4, 4, 3], 100.0)
HALVES = tf.constant(np.repeat([50.0, 150.0], 8).reshape(1, 4, 4, 1) * np.ones(3), tf.float32)  # mean 100
RED = tf.constant(np.broadcast_to([200.0, 100.0, 100.0], (1, 4, 4, 3)), tf.float32)


@pytest.mark.parametrize(
    ("augmentation", "frames"), [(Greyscale(0.2), RED), (ColourJitter(brightness=0.5, probability=0.2), RED)]
)
def test_as_many_clips_are_changed_as_the_probability_says(augmentation: Callable, frames: tf.Tensor) -> None:
    changed = draw_many(lambda seed: tf.reduce_any(augmentation(frames, seed) != frames), 2000)
    assert abs(changed.mean() - 0.2) < 0.036  # 4 standard deviations


@pytest.mark.parametrize("augmentation", [Greyscale(0), ColourJitter(1, 1, 1, 0.5, probability=0), ColourJitter()])
def test_nothing_is_changed_with_probability_or_strengths_of_0(clip: np.ndarray, augmentation: Callable) -> None:
    results = draw_many(lambda seed: augmentation(tf.constant(clip), seed), 10)
    np.testing.assert_array_equal(results, np.broadcast_to(clip, results.shape))


def _factors(jitter: ColourJitter, frames: tf.Tensor, factor: Callable[[tf.Tensor], tf.Tensor]) -> np.ndarray:
    return draw_many(lambda seed: factor(jitter(frames, seed)[0]), 2000)


@pytest.mark.parametrize(
    ("jitter", "frames", "factor"),
    [
        (ColourJitter(brightness=0.4), GREY, lambda frame: frame[0, 0, 0] / 100),
        (ColourJitter(contrast=0.4), HALVES, lambda frame: (frame[3, 0, 0] - 100) / 50),
        (ColourJitter(saturation=0.4), RED, lambda frame: (frame[0, 0, 0] - frame[0, 0, 1]) / 100),
    ],
)
def test_factors_are_spread_evenly_about_1(jitter: ColourJitter, frames: tf.Tensor, factor: Callable) -> None:
    factors = _factors(jitter, frames, factor)
    counts, _ = np.histogram(factors, bins=8, range=(0.6, 1.4))
    assert counts.sum() == 2000
    assert ((counts - 250) ** 2 / 250).sum() < 24.3  # chi-square with 7 degrees of freedom, 1 in 1000


def test_a_factor_is_never_below_0() -> None:
    levels = draw_many(lambda seed: ColourJitter(brightness=2.0)(GREY, seed)[0, 0, 0, 0], 1000)
    assert levels.max() > 250
    assert np.mean(levels == 0) < 0.01  # from 0 to 3 evenly; -1 to 3 clipped would be a quarter


def test_hues_turn_both_ways_up_to_the_strength() -> None:
    def turn(seed: tf.Tensor) -> tf.Tensor:
        hue = tf.image.rgb_to_hsv(ColourJitter(hue=0.1)(RED, seed) / 255)[0, 0, 0, 0]
        return (hue + 0.5) % 1 - 0.5

    turns = draw_many(turn, 1000)
    assert turns.min() > -0.1001 and turns.max() < 0.1001
    assert np.ptp(turns) > 0.195
    assert abs(turns.mean()) < 0.008


def test_all_orders_are_equally_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each change appends its digit to the levels.
    for digit, change in enumerate(("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue"), 1):
        monkeypatch.setattr(levels, change, lambda frames, _, digit=digit: 10 * frames + digit)
    black = tf.zeros([1, 1, 1, 3])
    jitter = ColourJitter(0.1, 0.1, 0.1, 0.1)
    digits = draw_many(lambda seed: jitter(black, seed)[0, 0, 0, 0], 2400)
    orders, counts = np.unique(digits, return_counts=True)
    assert orders.tolist() == [int("".join(order)) for order in itertools.permutations("1234")]
    assert ((counts - 100) ** 2 / 100).sum() < 49.7  # chi-square with 23 degrees of freedom, 1 in 1000


def test_greyscale_has_three_equal_channels(clip: np.ndarray) -> None:
    result = Greyscale(1.0)(tf.constant(clip), tf.constant([0, 0])).numpy()
    np.testing.assert_allclose(result, (clip @ [0.299, 0.587, 0.114])[..., np.newaxis] * np.ones(3), rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"brightness": -0.1}, "ColourJitter: brightness must be a number of at least 0, got -0.1"),
        ({"contrast": "high"}, "ColourJitter: contrast must be a number of at least 0, got 'high'"),
        ({"saturation": float("nan")}, "ColourJitter: saturation must be a number of at least 0, got nan"),
        ({"hue": 0.6}, "ColourJitter: hue must be a number from 0 to 0.5, got 0.6"),
        ({"probability": 80}, "ColourJitter: probability must be a number from 0 to 1, got 80"),
        ({"probability": True}, "ColourJitter: probability must be a number from 0 to 1, got True"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ColourJitter(**values)
    with pytest.raises(ValueError, match="Greyscale: probability must be a number from 0 to 1, got 2"):
        Greyscale(2)
