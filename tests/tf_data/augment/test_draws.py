"""Random numbers: independent of each other, the same for the same seed and use."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.tf_data.augment.drawing import draw_many
from tf_data.augment import draws

SEED = tf.constant([3, 4])


def test_a_seed_and_a_use_give_the_same_numbers_whatever_was_drawn_before() -> None:
    first = draws.uniforms(SEED, "height", 2)
    tf.random.set_seed(1)
    draws.uniforms(SEED, "width", 2)
    assert [float(number) for number in draws.uniforms(SEED, "height", 2)] == [float(number) for number in first]


def test_an_int32_seed_is_the_same_as_an_int64_one() -> None:
    assert float(draws.uniforms(SEED, "height", 1)[0]) == float(draws.uniforms(tf.cast(SEED, tf.int64), "height", 1)[0])


def test_numbers_for_two_uses_are_independent() -> None:
    numbers = draw_many(lambda s: tf.stack(draws.uniforms(s, "a", 2) + draws.uniforms(s, "b", 2)), 2000)
    correlations = np.corrcoef(numbers.T) - np.eye(4)
    assert np.abs(correlations).max() < 0.08  # 3.6 standard deviations of chance


def test_uniforms_are_uniform() -> None:
    numbers = draw_many(lambda s: tf.stack(draws.uniforms(s, "a", 1)), 2000)
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-square with 9 degrees of freedom, 1 in 1000


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.8, 1.0, 5.0])
def test_beta_has_the_mean_and_variance_of_its_distribution(alpha: float) -> None:
    numbers = draw_many(lambda s: draws.beta(s, "a", alpha), 4000)
    assert np.isfinite(numbers).all()
    assert numbers.min() >= 0 and numbers.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(numbers.mean() - 0.5) < 4 * np.sqrt(variance / 4000)
    assert abs(numbers.var() / variance - 1) < 0.12


def test_each_of_a_count_is_equally_likely_and_none_is_past_it() -> None:
    numbers = draw_many(lambda s: draws.below(tf.constant(5), draws.uniforms(s, "a", 1)[0]), 2000)
    assert ((np.bincount(numbers, minlength=5) - 400) ** 2 / 400).sum() < 18.5  # 4 degrees of freedom, 1 in 1000
    assert int(draws.below(tf.constant(2**24), tf.constant(1 - 2.0**-24))) == 2**24 - 1
