"""Random erasing: one rectangle, of which size, where, filled with what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.tf_data.augment.drawing import draw_many
from tf_data.augment import RandomErasing
from tf_data.augment.erasing import NOISE_MEAN, NOISE_STD

SIZE = 60
BLACK = tf.zeros([2, SIZE, SIZE, 3])


def _rectangles(erasing: RandomErasing, count: int) -> np.ndarray:
    """Top, left, bottom and right of what was erased, [count, 4]; where nothing was, 0."""

    def corners(seed: tf.Tensor) -> tf.Tensor:
        erased = tf.reduce_any(erasing(BLACK, seed)[0] > 0, axis=2)
        rows, columns = (tf.where(tf.reduce_any(erased, axis=axis))[:, 0] for axis in (1, 0))
        if tf.size(rows) == 0:
            return tf.zeros([4], tf.int64)
        return tf.stack([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])

    return draw_many(corners, count)


def _sides(rectangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rectangles[:, 2] - rectangles[:, 0], rectangles[:, 3] - rectangles[:, 1]


def test_one_rectangle_is_grey_in_all_frames_and_the_rest_as_it_was(clip: np.ndarray) -> None:
    for number in range(20):
        result = RandomErasing(1.0, fill="grey")(tf.constant(clip), tf.constant([number, 1])).numpy()
        erased = (result == 128).all(axis=(0, 3))
        rows, columns = erased.any(axis=1), erased.any(axis=0)
        assert erased.sum() == rows.sum() * columns.sum() > 0
        np.testing.assert_array_equal(result[:, ~erased], clip[:, ~erased])


def test_as_many_clips_are_changed_as_the_probability_says() -> None:
    changed = _rectangles(RandomErasing(0.25, fill="grey"), 1500).any(axis=1)
    assert abs(changed.mean() - 0.25) < 0.045  # 4 standard deviations


def test_areas_are_spread_evenly_over_their_range() -> None:
    heights, widths = _sides(_rectangles(RandomErasing(1.0, (0.1, 0.3), (0.9, 1.1), fill="grey"), 1000))
    areas = heights * widths / SIZE**2
    assert areas.min() > 0.09 and areas.max() < 0.315  # sides are rounded
    assert abs(areas.mean() - 0.2) < 0.008
    assert abs(areas.std() - 0.2 / np.sqrt(12)) < 0.005


def test_tall_and_wide_are_equally_likely_within_the_range_of_aspects() -> None:
    heights, widths = _sides(_rectangles(RandomErasing(1.0, (0.05, 0.1), (1 / 3, 3), fill="grey"), 1000))
    logarithms = np.log(heights / widths) / np.log(3)
    assert np.abs(logarithms).max() < 1.1
    assert abs(logarithms.mean()) < 0.075
    assert abs(logarithms.std() - 1 / np.sqrt(3)) < 0.04


def test_a_rectangle_may_be_anywhere_inside_the_frame() -> None:
    rectangles = _rectangles(RandomErasing(1.0, (0.1, 0.1), (1, 1), fill="grey"), 1000)
    (side,), (same,) = (np.unique(sides) for sides in _sides(rectangles))
    assert side == same == round(np.sqrt(0.1) * SIZE)
    for firsts in rectangles[:, :2].T:
        assert set(firsts) == set(range(SIZE - side + 1))
    assert abs(np.corrcoef(rectangles[:, 0], rectangles[:, 1])[0, 1]) < 0.12


def test_noise_has_imagenets_mean_and_deviation_and_differs_in_each_frame() -> None:
    erasing = RandomErasing(1.0, (1.0, 1.0), (1.0, 1.0))
    noise = erasing(tf.zeros([20, 50, 50, 3]), tf.constant([1, 2])).numpy()
    within = (noise > 0) & (noise < 255)
    assert 0.9 < within.mean() < 1  # clipped to the levels there are
    np.testing.assert_allclose(np.median(noise, axis=(0, 1, 2)), NOISE_MEAN, atol=1.5)
    low, high = np.quantile(noise, [0.1587, 0.8413], axis=(0, 1, 2))  # one standard deviation to both sides
    np.testing.assert_allclose((high - low) / 2, NOISE_STD, atol=1.5)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05


def test_what_does_not_fit_is_drawn_again() -> None:
    # Half of these are taller than the frame.
    rectangles = _rectangles(RandomErasing(1.0, (0.5, 0.5), (1.0, 4.0), fill="grey"), 300)
    assert (rectangles.any(axis=1)).mean() > 0.98
    assert _sides(rectangles)[0].max() <= SIZE


def test_a_clip_stays_where_no_rectangle_fits() -> None:
    assert not _rectangles(RandomErasing(1.0, (0.5, 0.5), (9.0, 9.0)), 5).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"probability": 1.5}, "RandomErasing: probability must be a number from 0 to 1, got 1.5"),
        ({"area_range": (0.3, 0.1)}, r"area_range must be \(least, most\), two numbers above 0 and at most 1, got"),
        ({"area_range": (0.3, 2)}, r"area_range must be \(least, most\), two numbers above 0 and at most 1, got"),
        ({"area_range": 0.3}, r"area_range must be \(least, most\), two numbers above 0 and at most 1, got 0.3"),
        ({"aspect_range": (0, 3)}, r"aspect_range must be \(least, most\), two numbers above 0, got \(0, 3\)"),
        ({"fill": "gray"}, "RandomErasing: fill must be one of noise, grey, got 'gray'"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomErasing(**({"probability": 0.25} | values))
