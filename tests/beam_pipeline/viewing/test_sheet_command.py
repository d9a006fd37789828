"""`python -m beam_pipeline sheet`: which clips are drawn, on how many pages, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import pyarrow as pa
import pytest

from beam_pipeline.cli import main
from beam_pipeline.data_set import Split, open_data_set
from beam_pipeline.errors import RequestError
from beam_pipeline.viewing import sheet_command
from beam_pipeline.viewing.sheet_command import Choice, choose
from tests.beam_pipeline.object_files import SCHEME
from tests.beam_pipeline.viewing.conftest import DOWN, MISSING, RIGHT, SILENT


def split_of(labels: str, split: str = "train", short: str = "") -> Split:
    """Returns a split whose clips are `0`, `1`, … of these one-letter labels; `x` is one that failed."""
    columns = {
        "clip_id": [f"{split}{number}" for number in range(len(labels))],
        "label": list(labels),
        "label_index": [ord(label) for label in labels],
        "position": [-1 if label == "x" else number for number, label in enumerate(labels)],
        "short": [str(number) in short for number in range(len(labels))],
    }
    return Split("somewhere", "name", split, 1, pa.table(columns))


def chosen(splits: list[Split], **choice: object) -> list[str]:
    return [row["clip_id"] for _, row in choose(splits, Choice(**choice))]  # type: ignore[arg-type]


def test_without_a_seed_each_class_has_its_first_before_any_has_a_second() -> None:
    assert chosen([split_of("bbbbacxaa")], limit=3) == ["train4", "train0", "train5"]
    assert chosen([split_of("bbbbacxaa")], limit=5) == ["train4", "train7", "train0", "train1", "train5"]


def test_a_seed_draws_from_all_and_again_the_same() -> None:
    splits = [split_of("a" * 30 + "b" * 10), split_of("b" * 20, "val")]
    drawn = {seed: chosen(splits, limit=8, seed=seed) for seed in range(6)}
    assert drawn == {seed: chosen(splits, limit=8, seed=seed) for seed in range(6)}
    assert len(set(map(tuple, drawn.values()))) == 6
    assert len({clip_id for ids in drawn.values() for clip_id in ids}) > 24
    assert all(len(set(ids)) == 8 for ids in drawn.values())


def test_labels_and_flags_are_both_to_be_met() -> None:
    splits = [split_of("aabbx", short="124")]
    assert chosen(splits, labels=["a"]) == ["train0", "train1"]
    assert chosen(splits, flags=["short"]) == ["train1", "train2"]
    assert chosen(splits, labels=["b"], flags=["short"]) == ["train2"]


def test_ids_are_shown_as_they_are_asked_for_whatever_became_of_them(data_set: Path) -> None:
    assert chosen(open_data_set(str(data_set)), clip_ids=[SILENT, MISSING]) == [SILENT, MISSING]


def test_a_picture_that_can_not_be_written_is_told_before_it_is_drawn(
    data_set: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet_command, "draw_contact_sheet", lambda *_: pytest.fail("drawn"))
    assert main(["sheet", str(data_set), "/proc/sheet.png"]) == 1  # where nobody makes files
    assert capsys.readouterr().err.startswith("error: /proc/sheet.png: can't be written: ")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"labels": ["c"]}, "--label c: no clip has that label; there are a, b, x"),
        ({"labels": ["x"]}, "no clip that has a record is such as asked for"),
        ({"flags": ["short"]}, "no clip that has a record is such as asked for"),
    ],
)
def test_a_choice_that_leaves_nothing_is_an_error(choice: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        chosen([split_of("abx")], **choice)


def size(path: Path) -> tuple[int, int]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture.shape[:2]


def test_a_sheet_is_one_picture(data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "a.png"
    assert main(["sheet", str(data_set), str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert main(["sheet", str(data_set), str(tmp_path / "b.png"), f"--id={RIGHT[0]}"]) == 0
    assert size(out)[0] > size(tmp_path / "b.png")[0]
    assert size(out)[1] > size(tmp_path / "b.png")[1]


def test_more_clips_than_a_page_holds_go_to_several(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beam_pipeline.viewing.sheet_command.CLIPS_A_PAGE", 2)
    assert main(["sheet", str(data_set), str(tmp_path / "a.png")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-01.png", "a-02.png"]


def test_a_clip_without_a_record_has_its_reason_in_its_place(data_set: Path, tmp_path: Path) -> None:
    assert main(["sheet", str(data_set), str(tmp_path / "a.png"), "--id", MISSING]) == 0
    assert size(tmp_path / "a.png")


def test_a_remote_data_set_is_drawn(data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTS", str(data_set.parents[1]))
    assert main(["sheet", f"{SCHEME}looked/1.0.0", str(tmp_path / "a.png"), "--id", DOWN[0]]) == 0
    assert size(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("a.jpg", [], "a.jpg: its suffix must be .png, got '.jpg'"),
        ("there.png", [], "there.png: is there already"),
        ("a.png", ["--split", "test"], "there is no split test, only train, val"),
        ("a.png", ["--label", "up"], "--label up: no clip has that label; there are downwards, to the right"),
        ("a.png", ["--id", "nope"], "no clip has the id nope"),
        ("a.png", ["--limit", "0"], "must be a whole number above 0, got '0'"),
        ("a.png", ["--seed", "-1"], "must be a whole number from 0, got '-1'"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    out: str,
    options: list[str],
    message: str,
    data_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "there.png").write_bytes(b"mine")
    try:
        status = main(["sheet", str(data_set), str(tmp_path / out), *options])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("there.png", b"mine")]
