"""The sheets of what `load` gives: they are drawn by one command, and their time lines tell the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import tf_data
from examples import draw_views
from examples.draw_views import FIRST, LANE, LAST, MARGIN_PX, WIDTH_PX, Row
from tests.tf_data.conftest import LEVELS_PER_FRAME, make_clips, write_split
from tf_data.presets import find_preset
from tf_data.views import choose_views

NUM_STORED = 40


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_split(root / "fake" / "1.0.0", make_clips(8, num_frames=NUM_STORED, height=256, width=344))
    return root


@pytest.fixture(scope="module")
def source(data_dir: Path) -> Mapping[str, Any]:
    clip = make_clips(1)[0].clip_id
    return {"name": "fake", "split": "train", "data_dir": data_dir, "seed": 0, "where": {"clip_id": clip}}


@pytest.fixture(scope="module")
def stored(source: Mapping[str, Any]) -> np.ndarray:
    ds: Any = tf_data.load(**source, preset=None, training=False)
    return next(ds.as_numpy_iterator())["rgb"]


def test_sheets_are_drawn_and_told(data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "views"
    arguments = ["fake", "--data_dir", str(data_dir), "--out", str(out), "--format", "webp"]
    assert draw_views.main([*arguments, "--sheets", "crops", "short_clips", "flow"]) == 0
    told = [Path(line) for line in capsys.readouterr().out.split()]
    assert told == [out / f"{name}.webp" for name in ("crops", "short_clips", "flow")]
    for path in told:
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape[1] == WIDTH_PX


@pytest.mark.parametrize(("num_stored", "side"), [(NUM_STORED, 256), (1, 240), (300, 720)])
def test_every_row_is_one_that_load_takes(num_stored: int, side: int) -> None:
    for rows in draw_views.sheets(num_stored, side).values():
        for row in rows:
            asked = {key: value for key, value in row.keywords.items() if key not in ("preset", "batch_size", "mix")}
            preset = find_preset(row.keywords.get("preset"))
            choose_views(
                preset.training if row.num_epochs else preset.evaluation,
                random=bool(row.num_epochs),
                **{"streams": ["rgb"]} | asked,
            )


def test_a_mix_takes_a_batch_of_clips(source: Mapping[str, Any]) -> None:
    row = Row({"num_frames": 1, "batch_size": 6, "mix": tf_data.Mix(0.8, 0.0)}, num_epochs=1)
    assert draw_views.load_views(row, source)["rgb"].shape == (6, 1, 256, 344, 3)


def test_without_flow_its_sheet_is_left_out(tmp_path: Path) -> None:
    clips = make_clips(1, drop=("FORWARD_FLOW/image/encoded", "FORWARD_FLOW/image/timestamp"))
    write_split(tmp_path / "fake" / "1.0.0", clips, streams=("rgb", "audio"))
    with pytest.raises(SystemExit):
        draw_views.main(["fake", "--data_dir", str(tmp_path), "--out", str(tmp_path / "views"), "--sheets", "flow"])
    assert not (tmp_path / "views").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fake", "--sheets", "crop"], "--sheets: crop is none of sampling_training"),
        (["fake", "--clip_id", "nobody"], "nobody"),
        (["fakes"], "did you mean 'fake'?"),
    ],
)
def test_what_there_is_not_is_told(
    arguments: list[str], message: str, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        draw_views.main([*arguments, "--data_dir", str(data_dir)])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"num_frames": 4, "stride": 2}, [[16, 18, 20, 22]]),
        ({"num_frames": 2, "stride": 10, "num_clips": 3}, [[0, 10], [10, 20], [20, 30]]),
        ({"num_frames": 4, "stride": 15, "short": "loop"}, [[0, 15, 30, 5]]),
        ({"num_frames": 4, "stride": 15, "short": "hold"}, [[0, 15, 30, 39]]),
        ({"num_frames": 4, "stride": 15, "short": "pad"}, [[0, 15, 30, -1]]),
    ],
)
def test_the_numbers_are_those_of_the_stored_frames(
    keywords: dict[str, Any], expected: list[list[int]], source: Mapping[str, Any], stored: np.ndarray
) -> None:
    assert draw_views.stored_numbers(Row(keywords), source, stored).tolist() == expected


@pytest.mark.parametrize("preset", ["movinet", "slowfast"])
def test_the_numbers_are_those_of_the_frames_that_are_drawn(
    preset: str, source: Mapping[str, Any], stored: np.ndarray
) -> None:
    row = Row({"preset": preset}, num_epochs=3)
    red = draw_views.load_views(row, source)["rgb"][..., 0]  # says a frame's number, whatever part of it is seen
    drawn = np.rint(red.mean(axis=(2, 3)) / LEVELS_PER_FRAME).astype(int)
    np.testing.assert_array_equal(draw_views.stored_numbers(row, source, stored), drawn)


def lane_colours(strip: np.ndarray, top: int, num_stored: int) -> list[tuple[int, ...]]:
    """The colour of each stored frame in a lane."""
    step = (WIDTH_PX - 2 * MARGIN_PX) / num_stored
    return [tuple(strip[top + 3, int(MARGIN_PX + (number + 0.5) * step)].tolist()) for number in range(num_stored)]


def test_a_window_is_marked_from_its_first_to_its_last_frame() -> None:
    colours = lane_colours(draw_views.time_line(np.array([[1, 3]]), 5), 0, 5)
    assert colours == [LANE, tuple(FIRST.tolist()), LANE, tuple(LAST.tolist()), LANE]


def test_a_window_that_begins_again_goes_on_in_one_more_lane() -> None:
    strip = draw_views.time_line(np.array([[0, 3, 1]]), 5)
    marked = [[colour != LANE for colour in lane_colours(strip, top, 5)] for top in (0, 9)]
    assert marked == [[True, False, False, True, False], [False, True, False, False, False]]


def test_frames_that_there_are_not_are_not_marked() -> None:
    strip = draw_views.time_line(np.array([[0, 3, -1]]), 5)
    assert [colour != LANE for colour in lane_colours(strip, 0, 5)] == [True, False, False, True, False]
    assert len(strip) == len(draw_views.time_line(np.array([[0, 3, 4]]), 5))


def test_a_caption_is_what_one_writes() -> None:
    row = Row({"crop_size": 112, "augment": tf_data.RandAugment(num_ops=3, magnitude=7)}, num_epochs=1)
    assert draw_views.caption(row) == "training: crop_size=112, augment=RandAugment(num_ops=3, magnitude=7)"
