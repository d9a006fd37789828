"""Who can read a data set, how it meets I3D's preprocessing, and what the command says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline import cli
from beam_pipeline.checking.doctor import Diagnosis
from beam_pipeline.checking.public_readers import try_readers
from beam_pipeline.checking.suspicions import Suspicion
from beam_pipeline.records import SequenceExample
from beam_pipeline.tfrecord import read_records
from tests.beam_pipeline.checking.small_data_sets import make, write_store

TRAIN = [("one", 0, "archery"), ("two", 0, "archery"), ("six", 3, "yoga"), ("not there", 0, "yoga")]
VAL = [("two", 5, "archery"), ("ten", 0, "yoga")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor")
    write_store(folder / "store", [*TRAIN[:3], *VAL])
    streams = ("flow.method=dis", "flow.bound_px=10", "audio.sample_rate=8000")
    return make(folder / "out", folder / "store", {"train": TRAIN[:3], "val": VAL}, *streams)


def diagnosed(made: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    cli.main(["doctor", str(made), "--json", *words])
    return json.loads(capsys.readouterr().out)


def test_public_readers_read_records_with_all_streams(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readers = diagnosed(made, capsys)["readers"]
    assert {reader["reader"] for reader in readers if not reader["reads"]} == {
        "scenic MBT audiovisual_tfrecord_dataset"
    }
    (mediapipe,) = (reader for reader in readers if "MediaPipe" in reader["reader"])
    assert mediapipe["remarks"][0].startswith("runs on TensorFlow 1 alone")
    (flow,) = (reader for reader in readers if "is_flow" in reader["reader"])
    assert flow["remarks"][0].startswith("wants is_rgb=None and zero_centering_image=True with it")
    assert mediapipe["remarks"][-1] == "so its flow is too large: the bound is 10"


def test_each_item_of_i3d_is_told(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {item["name"]: (item["met"], item["found"]) for item in diagnosed(made, capsys)["i3d"]}
    assert found["frames a second"] == ("yes", "25")
    assert found["shorter side, pixels"] == ("no", "32")
    assert found["resizing"] == ("yes", "area")
    assert found["frames' compression"] == ("unknown", "JPEG, quality 95")
    assert found["extent"] == ("yes", "files of just the clip; median 1 s")
    assert found["flow's method"] == ("no", "dis")
    assert found["its bound, pixels"] == ("no", "10")
    assert found["their rounding"] == ("unknown", "nearest")
    assert found["their compression"] == ("unknown", "JPEG 4:4:4")


def test_the_status_says_whether_something_looks_wrong(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", str(made), "--split", "train"]) == 0
    assert capsys.readouterr().out.endswith("What looks wrong\n  nothing\n")
    assert cli.main(["doctor", str(made)]) == 1
    assert "1 video in train and in val" in capsys.readouterr().out


def test_a_sample_may_be_larger_than_what_is_there(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnosed(made, capsys, "--sample", "999999999999999999") == diagnosed(made, capsys, "--sample", "999")


def test_a_data_set_without_a_record_is_looked_at_by_its_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    made = make(tmp_path / "out", tmp_path / "store", {"train": TRAIN})
    assert cli.main(["doctor", str(made)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("4 clips asked for, 0 records, 0 of which were read")
    assert lines[2] == "No record: nothing to try public readers on, or to compare with I3D's"
    assert lines[-1] == "  train: there is no record of 4 clips: 3 are not_found"


def test_people_are_told_one_thing_a_line_and_no_chance_of_zero() -> None:
    found = Suspicion("folder", "train", "2 clips from a\n\x1b[2Jb failed", 0.0)
    text = Diagnosis("tiny", "/data", ("train",), 2, 0, 0, (), (), (), (found,)).as_text()
    assert text.splitlines()[-1] == r"  train: 2 clips from a\n\x1b[2Jb failed (by chance: below 1e-300)"


def test_what_is_no_data_set_is_a_bad_request(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", str(made / "state")]) == 2
    assert "there is no data set" in capsys.readouterr().err


def pack_frames(example: SequenceExample) -> None:  # type: ignore[valid-type]
    steps = example.feature_lists.feature_list["image/encoded"].feature
    steps[0].bytes_list.value.extend([step.bytes_list.value[0] for step in steps[1:]])
    del steps[1:]


def drop_flow(example: SequenceExample) -> None:  # type: ignore[valid-type]
    del example.feature_lists.feature_list["FORWARD_FLOW/image/encoded"]


def drop_sound(example: SequenceExample) -> None:  # type: ignore[valid-type]
    del example.feature_lists.feature_list["WAVEFORM/feature/floats"]


def label_twice(example: SequenceExample) -> None:  # type: ignore[valid-type]
    example.context.feature["clip/label/index"].int64_list.value.append(1)


def break_an_image(example: SequenceExample) -> None:  # type: ignore[valid-type]
    example.feature_lists.feature_list["image/encoded"].feature[0].bytes_list.value[0] = b"no image"


def empty_sound(example: SequenceExample) -> None:  # type: ignore[valid-type]
    example.feature_lists.feature_list["WAVEFORM/feature/floats"].feature[0].float_list.ClearField("value")


@pytest.mark.parametrize(
    ("change", "readers", "why", "expected"),
    [
        (pack_frames, ["MediaPipe", "DMVR add_image, ", "scenic V", "scenic M", "tf-models"], "image/encoded", False),
        (drop_flow, ["MediaPipe", "DMVR add_image('", "scenic M"], "the records have no flow", True),
        (drop_sound, ["DMVR add_audio", "scenic M"], "the records have no sound", True),
        (label_twice, ["MediaPipe", "scenic M"], "clip/label/index", False),
        (break_an_image, ["MediaPipe", "DMVR add_image, ", "scenic V", "scenic M", "tf-models"], "", False),
        (empty_sound, ["DMVR add_audio", "scenic M"], "WAVEFORM/feature/floats has no samples", False),
    ],
)
def test_a_record_that_a_reader_can_not_read_is_told_with_the_reason(
    made: Path, change: Callable, readers: list[str], why: str, expected: bool
) -> None:
    record = next(record for shard in made.glob("*train.tfrecord-*") for record in read_records(str(shard)))
    example = SequenceExample.FromString(record)
    change(example)
    tried = try_readers({"a clip": example.SerializeToString()}, 20.0)
    failed = [each for each in tried if not each.reads]
    assert [each.reader for each in failed] == [each.reader for each in tried if each.reader.startswith(tuple(readers))]
    first = failed[0]
    assert (first.clip_id, first.expected) == ("a clip", expected)
    assert why in first.why
