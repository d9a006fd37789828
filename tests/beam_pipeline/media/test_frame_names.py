"""Which file of a clip's folder is what."""

from __future__ import annotations

import pytest

from beam_pipeline.media.frame_names import series_of


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("img_00001.jpg", ("frame", "img_", 1)),
        ("image_00012.JPG", ("frame", "image_", 12)),
        ("frame_0000000123.jpg", ("frame", "frame_", 123)),
        ("frame000007.jpeg", ("frame", "frame", 7)),
        ("000042.png", ("frame", "", 42)),
        ("flow_x_00000.jpg", ("x", "flow_x_", 0)),
        ("flow_y_00000.png", ("y", "flow_y_", 0)),
        ("x_00003.jpg", ("x", "x_", 3)),
        ("y_00003.jpg", ("y", "y_", 3)),
    ],
)
def test_frames_and_flow_by_denseflow_mmaction2_and_tsn(name: str, series: tuple[str, str, int]) -> None:
    assert series_of(name) == series


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("flow_x_p2_00000.jpg", "other_step"),
        ("flow_y_m1_00001.jpg", "other_step"),
        ("flow_00000.png", "packed"),
        ("flow_p2_00000.png", "packed"),
    ],
)
def test_what_denseflow_writes_that_is_no_flow_to_the_next_frame(name: str, series: str) -> None:
    place = series_of(name)
    assert place
    assert place[0] == series


@pytest.mark.parametrize(
    "name",
    ["._img_00001.jpg", "img_.jpg", "img_00001.txt", "cover.jpg", "img_1٣.jpg", "a/img_00001.jpg", "", "Thumbs.db"],
)
def test_anything_else_is_none_of_it(name: str) -> None:
    assert series_of(name) is None
