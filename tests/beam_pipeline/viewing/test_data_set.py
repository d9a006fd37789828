"""Finding records: by the ledger alone, by the states of a job at work, on any file system."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.data_set import DataSetError, find_clip, open_data_set
from beam_pipeline.ledger import SCHEMA, read_state, state_path, write_state
from beam_pipeline.tfrecord import read_records
from beam_pipeline.viewing.clip_reading import read_clip
from beam_pipeline.viewing.clip_record import id_of
from tests.beam_pipeline.object_files import SCHEME
from tests.beam_pipeline.viewing.conftest import DOWN, MISSING, RIGHT, SILENT


def read_all(folder: str | Path) -> list[str]:
    """Returns the ids of all records, each found by its row."""
    splits = open_data_set(str(folder))
    rows = [(split, row) for split in splits for row in split.clips.to_pylist() if row["status"] == "ok"]
    for split, row in rows:
        assert read_clip(split, row).clip_id == row["clip_id"]
    return [row["clip_id"] for _, row in rows]


def copied(data_set: Path, to: Path, *without: str) -> Path:
    return Path(shutil.copytree(data_set, to, ignore=shutil.ignore_patterns(*without)))


def test_every_record_is_found_by_the_ledger_without_index_and_states(data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy", "index-*", "state")
    assert sorted(read_all(folder)) == sorted([*RIGHT, *DOWN, SILENT])


def test_places_are_where_the_shards_have_the_records(data_set: Path) -> None:
    split = open_data_set(str(data_set), ["train"])[0]
    for file in {row["file"] for row in split.clips.to_pylist()} - {""}:
        rows = [row for row in split.clips.to_pylist() if row["file"] == file]
        rows.sort(key=lambda row: row["offset"])
        assert [row["clip_id"] for row in rows] == [id_of(record) for record in read_records(str(data_set / file))]


def test_a_job_at_work_is_seen_by_its_states(data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy", "clips-*", "info-*", "index-*")
    assert sorted(read_all(folder)) == sorted([*RIGHT, *DOWN, SILENT])


def test_a_record_that_a_job_has_moved_since_is_found_where_it_is_now(data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy")
    split, row = find_clip(open_data_set(str(folder)), RIGHT[0])
    path = state_path(str(folder), "train", row["shard"], split.num_shards)
    state = read_state(path)
    assert state
    moved = tuple(replace(each, file="state/moved.partial") for each in state.rows if each.file)
    write_state(path, replace(state, sealed=False, rows=moved))
    (folder / row["file"]).rename(folder / "state" / "moved.partial")
    assert read_clip(split, row).clip_id == RIGHT[0]


def test_a_split_that_is_being_made_has_the_columns_of_one_that_is_finished(data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy", "*-val.*", "*-val-*tfrecord*")
    shutil.copytree(data_set / "state", folder / "state", dirs_exist_ok=True)
    train, val = open_data_set(str(folder))
    assert (train.is_finished, val.is_finished) == (True, False)
    assert pa.concat_tables([train.clips, val.clips]).num_rows == 5


@pytest.mark.parametrize("how", ["unsealed", "asked for", "planned"])
def test_a_job_that_goes_on_with_a_finished_split_is_seen_by_its_states(
    how: str, data_set: Path, tmp_path: Path
) -> None:
    folder = copied(data_set, tmp_path / "copy")
    (finished,) = open_data_set(str(folder), ["train"])
    assert finished.is_finished
    path = state_path(str(folder), "train", 0, finished.num_shards)
    state = read_state(path)
    assert state
    if how == "planned":
        plan = json.loads((folder / "state" / "plan.json").read_text())
        plan["splits"]["train"]["asked"] += 1
        (folder / "state" / "plan.json").write_text(json.dumps(plan))
    else:
        more = replace(state.rows[0], row=replace(state.rows[0].row, clip_id="more"))
        rows, asked = (*state.rows, more), state.asked + (how == "asked for")
        write_state(path, replace(state, sealed=how != "unsealed", asked=asked, rows=rows))
    (going,) = open_data_set(str(folder), ["train"])
    assert not going.is_finished
    assert ("more" in going.clips["clip_id"].to_pylist()) == (how != "planned")


def test_the_folder_above_the_only_data_set_will_do(data_set: Path) -> None:
    assert sorted(read_all(data_set.parents[1])) == sorted([*RIGHT, *DOWN, SILENT])


def test_a_remote_data_set_is_read(data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from beam_pipeline.media.process import use_store_options

    monkeypatch.setenv("OBJECTS", str(tmp_path))
    copied(data_set, tmp_path / "looked" / "1.0.0", "state")
    use_store_options({})
    assert sorted(read_all(f"{SCHEME}looked/1.0.0")) == sorted([*RIGHT, *DOWN, SILENT])


# -- What can't be -----------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=f"{tmp_path}: there is no data set"):
        open_data_set(str(tmp_path))


def test_several_data_sets_are_named(data_set: Path, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        copied(data_set, tmp_path / version)
    with pytest.raises(DataSetError, match=r"there are several data sets, name one of .*1\.0\.0, .*2\.0\.0"):
        open_data_set(str(tmp_path))


def test_a_split_that_is_not_there_is_named(data_set: Path) -> None:
    with pytest.raises(DataSetError, match="there is no split test, only train, val"):
        open_data_set(str(data_set), ["test"])
    assert [split.split for split in open_data_set(str(data_set), ["validation"])] == ["val"]


def test_an_id_that_is_not_there_is_named_beside_some_that_are(data_set: Path) -> None:
    with pytest.raises(DataSetError, match=f"no clip has the id nope; there are {RIGHT[0]}"):
        find_clip(open_data_set(str(data_set)), "nope")


def test_a_clip_that_failed_says_why(data_set: Path) -> None:
    with pytest.raises(ClipError, match=f"clip {MISSING} has no record: not_found: ") as raised:
        read_clip(*find_clip(open_data_set(str(data_set)), MISSING))
    assert raised.value.reason == "not_found"


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "exchanged"])
def test_a_damaged_shard_is_an_error_that_says_what_to_do(damage: str, data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy")
    split, row = find_clip(open_data_set(str(folder)), SILENT)
    path = folder / row["file"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    elif damage == "exchanged":
        _, other = find_clip(open_data_set(str(folder)), DOWN[0])
        (path, row) = (folder / other["file"], {**other, "clip_id": "x"})
    else:
        path.write_bytes(content if damage == "flipped" else content[:-9])
    with pytest.raises(ClipError, match=r"python -m beam_pipeline verify .* tells what is broken") as raised:
        read_clip(split, row)
    assert raised.value.reason == "unreadable"


@pytest.mark.parametrize("damage", ["no parquet", "other columns", "info"])
def test_a_damaged_ledger_is_an_error(damage: str, data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy", *(["state"] if damage == "info" else []))
    ledger = folder / "clips-val.parquet"
    if damage == "no parquet":
        ledger.write_bytes(b"PAR1" * 20)
    elif damage == "other columns":
        pq.write_table(pq.read_table(ledger).drop_columns(["shard"]), ledger)
    else:
        (folder / "info-val.json").write_text('{"name": "../../looked", "num_shards": 1}')
    with pytest.raises(DataSetError, match=r"is damaged|has other columns than a ledger"):
        open_data_set(str(folder))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("duration_s", math.inf),
        ("duration_s", math.nan),
        ("duration_s", -1.0),
        ("start_s", math.nan),
        ("bytes", 1 << 62),
        ("position", -2),
        ("label", None),
        ("reason", None),
        ("status", "done"),
        ("attempted_at", "yesterday"),
        ("attempted_at", "2026-11-30"),
    ],
)
@pytest.mark.parametrize("by_states", [False, True])
def test_a_value_that_no_run_writes_is_named(
    column: str, value: object, by_states: bool, data_set: Path, tmp_path: Path
) -> None:
    folder = copied(data_set, tmp_path / "copy", *(["clips-val*"] if by_states else []))
    if by_states:
        (path,) = (folder / "state").glob("val-*.json")
        state = read_state(str(path))
        assert state
        first, *others = state.rows
        rows = (replace(first, row=replace(first.row, **{column: value})), *others)  # type: ignore[arg-type]
        write_state(str(path), replace(state, rows=rows))
    else:
        path = folder / "clips-val.parquet"
        rows_there = pq.read_table(path).to_pylist()
        pq.write_table(pa.Table.from_pylist([rows_there[0] | {column: value}, *rows_there[1:]], SCHEMA), path)
    with pytest.raises(DataSetError, match=f"{path}: is damaged: {column} (can't be|is missing in 1 rows)"):
        open_data_set(str(folder), ["val"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("configuration", [1]), ("config", 3), ("flow", "tvl1"), ("frame_rate", "25"), ("version", None)],
)
def test_metadata_of_another_type_is_named(key: str, value: object, data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy")
    path = folder / "info-val.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataSetError, match=rf"{path}: {key} can't be .*; run again to write it anew"):
        open_data_set(str(folder), ["val"])


@pytest.mark.parametrize("num_shards", [True, 0, -1, 10**7, "2", None])
def test_a_number_of_shards_that_can_not_be_is_damage(num_shards: object, data_set: Path, tmp_path: Path) -> None:
    folder = copied(data_set, tmp_path / "copy", "state")
    (folder / "info-val.json").write_text(json.dumps({"name": "looked", "num_shards": num_shards}))
    with pytest.raises(DataSetError, match="is damaged"):
        open_data_set(str(folder), ["val"])
