"""Arrows over a frame: where they are, where they point and how long they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from beam_pipeline.viewing.arrows import arrow_scale, draw_arrows

GREY = np.full((120, 160, 3), 128, np.uint8)
OUTLINE_PX = 8  # an arrow reaches so much beyond its ends


def uniform(x_px: float, y_px: float, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    return np.full((*size, 2), (x_px, y_px), np.float32)


def drawn_box(picture: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (left, top, right, bottom) of what differs clearly from the plain grey."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - 128).max(axis=-1) > 60)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize(("x_px", "y_px"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_lone_arrow_goes_from_the_middle_to_where_the_picture_moves(x_px: int, y_px: int) -> None:
    left, top, right, bottom = drawn_box(draw_arrows(GREY, uniform(x_px, y_px), 2.0, 120))
    length = arrow_scale(2.0, 120)
    ends = {(1, 0): (right, 80 + length), (-1, 0): (left, 80 - length), (0, 1): (bottom, 60 + length)}
    end, expected = ends.get((x_px, y_px), (top, 60 - length))
    assert abs(end - expected) < OUTLINE_PX
    begin = {(1, 0): left, (-1, 0): right, (0, 1): top, (0, -1): bottom}[x_px, y_px]
    assert abs(begin - (80 if x_px else 60)) < OUTLINE_PX


def test_it_has_the_colour_of_its_direction() -> None:
    picture = draw_arrows(GREY, uniform(1, 0), 2.0, 120)
    assert (np.abs(picture.astype(int) - (255, 0, 0)).max(axis=-1) < 20).sum() > 100


def test_twice_the_flow_is_twice_as_long() -> None:
    def length(x_px: float) -> int:
        left, _, right, _ = drawn_box(draw_arrows(GREY, uniform(x_px, 0), 2.0, 120))
        return right - left

    assert length(1.2) / length(0.6) == pytest.approx(2, rel=0.15)


def test_none_is_longer_than_two_and_a_half_cells() -> None:
    vectors = uniform(0, 0)
    vectors[40:80, 40:80] = (50, 0)  # one cell of a grid of 40 pixels
    marks = np.abs(draw_arrows(GREY, vectors, 2.0, 40).astype(int) - (255, 0, 0)).max(axis=-1) < 20
    columns = np.flatnonzero(marks.any(axis=0))
    assert 2.2 * 40 < columns[-1] - columns[0] < 2.6 * 40


def test_there_is_one_for_each_cell_and_a_dot_where_nothing_moves() -> None:
    vectors = uniform(0, 0)
    vectors[:, 80:] = (1.0, 0.0)
    picture = draw_arrows(GREY, vectors, 2.0, 40)
    marks = (np.abs(picture.astype(int) - 128).max(axis=-1) > 60).astype(np.uint8)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(marks)
    assert count - 1 == 3 * 4
    widths = sorted(boxes[1:, cv2.CC_STAT_WIDTH])
    assert widths[5] < 11 < 15 < widths[6]


def test_a_field_of_another_size_than_the_picture_is_drawn_alike() -> None:
    large, small = (draw_arrows(GREY, uniform(1, 1, size), 2.0, 40) for size in ((120, 160), (30, 40)))
    np.testing.assert_array_equal(large, small)


def test_the_picture_itself_is_left_alone() -> None:
    picture = GREY.copy()
    draw_arrows(picture, uniform(1, 0), 2.0, 40)
    np.testing.assert_array_equal(picture, GREY)
