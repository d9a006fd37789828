"""`plan` as its users run it, beside the run that follows."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beam_pipeline.cli import main
from beam_pipeline.planning import advice
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(6)]
MISSING, CORRUPT = CLIPS[1], CLIPS[4]
USAGE = namedtuple("usage", "total used free")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for n, clip in enumerate(CLIPS):
        if clip != MISSING:
            write_clip(folder / f"{clip}.mp4", hue=n * 30, seconds=1.0 + n / 10)
    (folder / f"{CORRUPT}.mp4").write_bytes(b"not a video at all" * 40)
    write_list(folder / "train.csv", CLIPS)
    (folder / "labels.txt").write_text("juggling balls\nkissing\nyoga\n")
    return folder


def options(store: Path, data_dir: Path, *settings: str) -> list[str]:
    given = ["name=tiny", f"splits.train.annotations={store / 'train.csv'}", "splits.train.shards=1", "workers=1"]
    given += [f"source.store={store}", f"labels={store / 'labels.txt'}", "encode.shorter_side=64", *settings]
    return ["--data_dir", str(data_dir), *(word for setting in given for word in ("--set", setting))]


def plan(capsys: pytest.CaptureFixture[str], words: list[str], *extra: str) -> dict[str, Any]:
    assert main(["plan", *words, "--json", *extra]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_plan_of_a_sample_of_all_is_what_the_run_then_writes(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = options(store, tmp_path / "out", "flow.method=dis", "audio.sample_rate=8000")
    planned = plan(capsys, words)
    assert not (tmp_path / "out").exists()
    assert main(["run", *words]) == 0
    lengths = np.load(tmp_path / "out/tiny/1.0.0/index-train.npz")["length"]
    assert planned["record_bytes"] == {"value": pytest.approx(lengths.sum()), "error": 0.0}
    assert 0 < planned["flow_bytes"]["value"] < planned["record_bytes"]["value"]
    assert planned["sample"]["clips"] == 5
    assert planned["sample"]["failed"] == {"unreadable": 1}


def test_processor_time_is_told_by_what_it_is_for(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = plan(capsys, options(store, tmp_path, "flow.method=dis"), "--sample", "3")["work"]
    assert work["flow_s"]["value"] > 0
    assert work["audio_s"]["value"] == 0
    parts = (work[part]["value"] for part in ("frames_s", "flow_s", "audio_s"))
    assert work["total_s"]["value"] == pytest.approx(sum(parts))
    assert work["total_s"]["error"] > 0


def test_people_are_told_what_is_missing_and_how_far_off_it_may_be(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *options(store, tmp_path, "splits.train.shards=6"), "--sample", "3"]) == 0
    shown = capsys.readouterr().out
    assert "train: 6 clips of 1 class, 1 without a file; 6 shards of about" in shown
    assert "± is the standard error that such a sample leaves" in shown
    assert "warning: train: no clip of 2 of the 3 classes: 'kissing', 'yoga'" in shown
    assert "warning: train: 1 clip of 6 (16.7%) without a file in the store will be not_found" in shown
    assert "Take splits.train.shards: 1" in shown
    assert "10 machines n1-standard-1" in shown


def test_machines_are_those_of_beams_options(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = options(store, tmp_path, "beam.machine_type=n2-standard-4", "beam.disk_size_gb=40")
    planned = plan(capsys, words, "--sample", "1", "--workers", "3", "--disk_size_gb=50")["elsewhere"]
    assert planned["machines"] == {"count": 3, "machine_type": "n2-standard-4", "disk_gib": 50.0, "speed": 1.0}
    assert planned["processors"] == 12


def test_machines_that_would_have_nothing_to_do_are_told(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(capsys, options(store, tmp_path), "--sample", "1", "--workers", "3")
    assert [w for w in planned["warnings"] if "3 processors for 1 shard" in w]
    planned = plan(capsys, options(store, tmp_path), "--sample", "1", "--workers", "1")
    assert not [w for w in planned["warnings"] if "processors for" in w]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--machine_type=abacus"], "machine type abacus is not in the price table"),
        (["--prices", "/nowhere.yaml"], "/nowhere.yaml: there is no such price table"),
        (["--sample", "0"], "above 0"),
        (["--speed", "-1"], "a factor, 0.01 or more"),
        (["--machin_type=x"], "unknown option --machin_type=x"),
        (["--set", "source.store=/nowhere"], "there is no folder /nowhere"),
    ],
)
def test_a_bad_request_is_told_before_anything_is_encoded(
    store: Path, tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["plan", *options(store, tmp_path), *extra])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_what_is_to_be_fetched_is_told_to_be_no_measurement(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = [f"abcdefghij{n}_000000_000010" for n in range(10)]
    write_list(tmp_path / "train.csv", lists)
    words = options(store, tmp_path / "out", "source.kind=youtube", f"source.store={tmp_path / 'empty'}")
    words += ["--set", f"splits.train.annotations={tmp_path / 'train.csv'}"]
    planned = plan(capsys, words)
    assert planned["sample"] is None
    assert planned["splits"][0]["to_make"] == 10
    assert planned["record_bytes"]["value"] > 0
    assert planned["record_bytes"]["error"] is None
    assert planned["fetch_bytes"] == pytest.approx(10 * 1.5e6)
    assert planned["fetch_s"] == pytest.approx(10 * 12)
    assert main(["plan", *words]) == 0
    assert "Nothing could be measured" in capsys.readouterr().out


def test_a_store_without_a_single_clip_plans_nothing_and_says_why(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    planned = plan(capsys, options(store, tmp_path, f"source.store={tmp_path / 'empty'}"))
    assert planned["record_bytes"]["value"] == 0
    assert any("6 clips of 6 (100.0%) without a file in the store" in warning for warning in planned["warnings"])


def test_a_disk_that_is_too_small_is_told(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice.shutil, "disk_usage", lambda _: USAGE(2000, 1000, 1000))
    (warning,) = (w for w in plan(capsys, options(store, tmp_path))["warnings"] if "disk" in w)
    assert "data_dir" in warning
    assert "has 1.0 kB free" in warning


def test_records_that_are_there_need_no_room(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", *options(store, tmp_path)]) == 0
    shard = next((tmp_path / "tiny/1.0.0").glob("*.tfrecord-*")).stat().st_size
    capsys.readouterr()
    monkeypatch.setattr(advice.shutil, "disk_usage", lambda _: USAGE(3 * shard, shard, 1.1 * shard))
    assert not [w for w in plan(capsys, options(store, tmp_path))["warnings"] if "disk" in w]


def test_settings_that_a_run_would_refuse_are_told(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *options(store, tmp_path)]) == 0
    capsys.readouterr()
    planned = plan(capsys, options(store, tmp_path, "splits.train.shards=2"), "--sample", "1")
    assert any("a run would be refused" in w and "shards was 1, is 2" in w for w in planned["warnings"])


def test_paths_of_this_machine_are_told_where_others_are_to_work(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(capsys, options(store, tmp_path), "--sample", "1", "--runner=FlinkRunner")
    reach = [w for w in planned["warnings"] if "FlinkRunner must reach it" in w]
    assert [w.partition(":")[0] for w in reach] == ["data_dir", "source.store"]


def test_the_sample_is_what_a_limited_run_takes(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "store"
    shutil.copytree(store, whole)
    for clip in (MISSING, CORRUPT):
        write_clip(whole / f"{clip}.mp4", seconds=1.0)
    planned = plan(capsys, options(whole, tmp_path / "out"), "--sample", "2")
    assert main(["run", *options(whole, tmp_path / "out"), "--limit", "2"]) == 3
    lengths = np.load(tmp_path / "out/tiny/1.0.0/index-train.npz")["length"]
    assert planned["record_bytes"]["value"] == pytest.approx(lengths.mean() * 6)


def test_what_is_made_already_is_told(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = options(store, tmp_path)
    assert main(["run", *words, "--limit", "2"]) == 3
    capsys.readouterr()
    assert main(["plan", *words, "--sample", "1"]) == 0
    assert "2 of 6 clips are done already, and a run keeps them" in capsys.readouterr().out
    assert main(["run", *words]) == 0
    capsys.readouterr()
    assert main(["plan", *words, "--sample", "1"]) == 0
    assert "6 of 6 clips are done already: it is finished, and a run only looks" in capsys.readouterr().out


def test_a_row_that_can_be_no_clip_counts_as_done_as_it_does_in_the_ledger(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_list(tmp_path / "train.csv", CLIPS)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("yoga,clip0000009,5,4,train\n")
    words = [*options(store, tmp_path), "--set", f"splits.train.annotations={tmp_path / 'train.csv'}"]
    assert main(["run", *words]) == 0
    capsys.readouterr()
    assert main(["plan", *words, "--sample", "1"]) == 0
    assert "7 of 7 clips are done already: it is finished" in capsys.readouterr().out
