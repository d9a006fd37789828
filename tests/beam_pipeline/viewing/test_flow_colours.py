"""The colours of flow: the Middlebury code's."""

from __future__ import annotations

import numpy as np
import pytest

from beam_pipeline.viewing.flow_colours import colour_flow, colour_wheel, full_colour_px, without_level


@pytest.mark.parametrize(
    ("vector", "colour"),
    [
        ((1, 0), (255, 0, 0)),
        ((0, 1), (255, 230, 0)),  # step 13.5 of 54; yellow is the 15th, cyan the 25th, blue the 36th, magenta the 49th
        ((-1, 0), (0, 209, 255)),
        ((0, -1), (88, 0, 255)),
        ((0, 0), (255, 255, 255)),
        ((0.5, 0), (255, 128, 128)),
        ((2, 0), (191, 0, 0)),
    ],
)
def test_directions_have_the_middlebury_codes_hues(vector: tuple[float, float], colour: tuple[int, int, int]) -> None:
    np.testing.assert_allclose(colour_flow(np.array(vector), 1.0), colour, atol=1)


def test_length_is_relative_to_the_full_colour() -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 7, 2))
    np.testing.assert_array_equal(colour_flow(vectors, 2.0), colour_flow(vectors * 3, 6.0))


def test_the_wheel_shows_each_direction_in_its_colour() -> None:
    wheel = colour_wheel(101)
    np.testing.assert_allclose(wheel[50, 50], 255, atol=8)
    np.testing.assert_allclose(wheel[50, 95], colour_flow(np.array([45.0, 0]), 50.5), atol=8)
    np.testing.assert_allclose(wheel[95, 50], colour_flow(np.array([0, 45.0]), 50.5), atol=8)
    np.testing.assert_array_equal(wheel[0, 0], 255)


def test_the_full_colour_is_for_what_moves_fast_however_much_rests() -> None:
    vectors = np.zeros((100, 100, 2))
    vectors[:10, :, 0] = 5.0
    assert full_colour_px(vectors) == pytest.approx(6.0)


@pytest.mark.parametrize("length_px", [0.0, 0.01])
def test_what_hardly_moves_is_pale(length_px: float) -> None:
    vectors = np.full((4, 4, 2), length_px)
    assert colour_flow(vectors, full_colour_px(vectors)).min() > 245


def test_rest_that_was_stored_is_white_again_and_motion_keeps_its_direction() -> None:
    level_px = 40 / 255
    vectors = np.array([[level_px / 2, -level_px / 2], [3.0, 4.0]])
    cleaned = without_level(vectors, level_px)
    np.testing.assert_array_equal(cleaned[0], 0)
    np.testing.assert_allclose(cleaned[1], vectors[1] * (5 - level_px) / 5)
