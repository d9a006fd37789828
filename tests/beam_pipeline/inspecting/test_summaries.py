"""What a page says of a split: counts that are the ledger's, classes and distributions."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.inspecting.rows import read_rows
from beam_pipeline.inspecting.summaries import histogram, summary_of
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, state_path, write_state
from tests.beam_pipeline.inspecting.made_up import write_ledger, write_made_up

OK = LedgerRow(
    clip_id="a", video_id="a", start_s=0, end_s=10, label="juggling", label_index=0, split="train", shard=0, position=0
)
OK = replace(OK, num_frames=250, duration_s=10.0, width=340, height=256, bytes=1000)


def test_counts_are_those_of_the_ledger(tmp_path: Path) -> None:
    directory = write_made_up(tmp_path, 3000)
    (rows,) = read_rows(str(directory))
    summary = summary_of(rows)
    ledger = pq.read_table(directory / "clips-train.parquet").to_pylist()
    written = [row for row in ledger if row["status"] == "ok"]
    assert (summary["asked"], summary["written"], summary["failed"]) == (3000, len(written), 3000 - len(written))
    assert summary["bytes"] == sum(row["bytes"] for row in written)
    assert summary["hours"] == pytest.approx(sum(row["duration_s"] for row in written) / 3600)
    reasons = Counter(row["reason"] for row in ledger if row["status"] == "failed")
    assert {row["reason"]: row["count"] for row in summary["reasons"]} == reasons
    asked_for, made = (Counter(row["label"] for row in rows) for rows in (ledger, written))
    assert {row["name"]: (row["asked"], row["written"]) for row in summary["classes"]} == {
        label: (asked_for[label], made[label]) for label in asked_for
    }
    flags = {row["flag"]: row["count"] for row in summary["flags"]}
    for flag in ("short", "has_audio"):
        assert flags[flag] == sum(row[flag] for row in written)
    for distribution in summary["distributions"]:
        assert sum(distribution["counts"]) + distribution["beyond"] == len(written)


def test_a_class_with_fewer_than_half_of_the_median_is_thin(tmp_path: Path) -> None:
    counts = {"few": 4, "half": 5, "some": 10, "more": 10, "many": 30}
    rows = [
        replace(OK, clip_id=f"{label}{k}", label=label, label_index=index, position=k)
        for index, (label, count) in enumerate(counts.items())
        for k in range(count)
    ]
    (read,) = read_rows(str(write_ledger(tmp_path, rows, [*counts, "unused"])))
    summary = summary_of(read)
    assert [row["name"] for row in summary["classes"] if row["thin"]] == ["few"]
    assert summary["unused_labels"] == 1


def test_a_label_that_the_list_has_not_is_a_class_too(tmp_path: Path) -> None:
    (read,) = read_rows(str(write_ledger(tmp_path, [OK, replace(OK, label="stray", position=1)], ["juggling"])))
    assert [row["name"] for row in summary_of(read)["classes"]] == ["juggling", "stray"]


def test_a_data_set_without_a_clip_has_a_summary(tmp_path: Path) -> None:
    (read,) = read_rows(str(write_ledger(tmp_path, [], ["juggling"])))
    summary = summary_of(read)
    assert (summary["asked"], summary["classes"], summary["distributions"]) == (0, [], [])


@pytest.mark.parametrize("break_it", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no index")])
def test_without_an_index_there_is_no_brightness_and_all_else(break_it, tmp_path: Path) -> None:
    directory = write_made_up(tmp_path, 100)
    break_it(directory / "index-train.npz")
    (read,) = read_rows(str(directory))
    assert [row["name"] for row in summary_of(read)["distributions"]] == ["duration_s", "bytes"]


def test_an_index_of_another_run_is_not_believed(tmp_path: Path) -> None:
    rows = [OK, replace(OK, clip_id="b", position=1)]
    qualities = {"mean_luma": np.array([10.0, 20.0])}
    directory = write_ledger(tmp_path, rows, ["juggling"], qualities)
    assert "brightness" in read_rows(str(directory))[0].numbers
    with np.load(directory / "index-train.npz") as index:
        np.savez(directory / "index-train.npz", **{**index, "offset": index["offset"] + 1})
    assert "brightness" not in read_rows(str(directory))[0].numbers


def test_a_job_that_runs_is_told_from_its_states(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "settings-train.json").write_text(json.dumps({"name": "going", "shards": 4}))
    plan = {"name": "going", "run_id": "r", "splits": {"train": {"asked": 10, "shards": 4}}}
    (state / "plan.json").write_text(json.dumps(plan))
    failed = replace(OK, clip_id="b", status="failed", reason="private", detail="Private video", position=-1)
    left = replace(failed, clip_id="c", reason="not_attempted", detail="")
    rows = tuple(StateRow(row, "f", 0, mean_luma=99.0) for row in (OK, failed, left))
    write_state(state_path(str(tmp_path), "train", 1, 4), ShardState("train", 1, 4, False, 0, 5, rows))
    (read,) = read_rows(str(tmp_path))
    summary = summary_of(read)
    assert not summary["finished"]
    assert [summary[name] for name in ("asked", "written", "failed", "waiting")] == [10, 1, 1, 8]
    brightness = next(row for row in summary["distributions"] if row["name"] == "brightness")
    assert (brightness["median"], sum(brightness["counts"])) == (99.0, 1)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60))
def test_every_value_is_in_one_bar_or_beyond(values: list[float]) -> None:
    shown = histogram(np.array(values))
    assert sum(shown["counts"]) + shown["beyond"] == len(values)
    assert 1 <= len(shown["counts"]) <= 30
    assert shown["start"] <= min(values) + 1e-6 * max(1.0, max(map(abs, values)))


def test_of_a_few_values_none_is_beyond() -> None:
    shown = histogram(np.array([0, 48.2]))
    assert (shown["beyond"], sum(shown["counts"])) == (0, 2)


def test_bars_are_of_a_round_width_and_what_is_far_out_is_counted_apart() -> None:
    shown = histogram(np.concatenate([np.linspace(0, 9.9, 999), [1e6]]))
    assert (shown["start"], shown["step"], shown["beyond"]) == (0.0, 0.5, 1)
    assert len(shown["counts"]) == 20
