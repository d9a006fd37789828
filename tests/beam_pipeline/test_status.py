"""What `status` tells of shards at work and of limits, from the files that runs leave."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from beam_pipeline import heartbeat
from beam_pipeline.cli import main
from beam_pipeline.config import load_config
from beam_pipeline.fetching import fetch_ledger
from beam_pipeline.job import Job
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, Work, state_path, write_state
from beam_pipeline.progress import write_plan
from beam_pipeline.run import survey
from beam_pipeline.status import ShardAtWork, as_text, read_status
from tests.beam_pipeline.clips_on_disk import write_clip, write_list
from tf_data import contract

CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(4)]
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NUM_SHARDS = 32
ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job that has begun, of which nothing is done."""
    (tmp_path / "store").mkdir()
    write_list(tmp_path / "train.csv", CLIPS)
    settings = ["name=tiny", f"splits.train.annotations={tmp_path / 'train.csv'}", f"source.store={tmp_path / 'store'}"]
    config = load_config(None, [*settings, f"splits.train.shards={NUM_SHARDS}"], str(tmp_path))
    job, scans = survey(config, ["train"], None, cores=1)
    write_plan(job.directory, job, {"train": scans["train"].asked})
    return job


def at_work(job: Job, shard: int, silent_s: float, clip_s: float, run_id: str | None = None) -> None:
    """Leaves the state of a shard of four clips, of which one is done."""
    alive, clip = ((NOW - timedelta(seconds=s)).isoformat(timespec="seconds") for s in (silent_s, clip_s))
    row = StateRow(LedgerRow(CLIPS[0], "clip0000000", 0.0, 1.0, "juggling balls", 0, "train", attempted_at=clip))
    state = ShardState(
        "train", shard, NUM_SHARDS, False, 0, 4, (row,), work=Work(run_id or job.run_id, "h", alive, clip)
    )
    write_state(state_path(job.directory, "train", shard, NUM_SHARDS), state)


def shards(job: Job) -> list[ShardAtWork]:
    status = read_status(job.directory, now=NOW)
    assert status
    return status.splits["train"].at_work


def text(job: Job) -> str:
    return as_text(job.store, [], None, read_status(job.directory, now=NOW), all_classes=False)


def test_a_shard_at_work_is_shown_with_its_last_signs_of_life(job: Job) -> None:
    at_work(job, 3, silent_s=12, clip_s=75)
    assert shards(job) == [ShardAtWork(3, 1, 4, "h", 12.0, 75.0)]
    assert "1 shard begun and not finished:\n" in text(job)
    assert "00003: 1 of 4 clips on h; last clip 1 min 15 s ago, sign of life 12.0 s ago" in text(job)


def test_a_shard_that_is_at_one_clip_for_longer_than_a_shard_should_take_is_flagged(job: Job) -> None:
    at_work(job, 3, silent_s=12, clip_s=3000)
    assert [(shard.is_stuck, shard.is_gone) for shard in shards(job)] == [(True, False)]
    assert "00003: 1 of 4 clips on h; STUCK? No clip done for 50 min 0 s, though its process is alive" in text(job)


def test_a_shard_whose_process_is_silent_is_flagged(job: Job) -> None:
    at_work(job, 3, silent_s=300, clip_s=310)
    assert [(shard.is_stuck, shard.is_gone) for shard in shards(job)] == [(True, True)]
    assert "STUCK? No sign of life for 5 min 0 s" in text(job)


def test_those_that_may_be_stuck_come_first_and_the_rest_is_counted(job: Job) -> None:
    for shard in range(20):
        at_work(job, shard, silent_s=5, clip_s=5 if shard != 19 else 1000)
    lines = text(job).splitlines()
    first = lines.index("    20 shards begun and not finished, 1 of them perhaps stuck:") + 1
    assert lines[first].startswith("      00019: ")
    assert lines[first + 10] == "      and 10 more"


def test_a_shard_whose_clips_are_being_fetched_says_that_it_is_at_work(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "STATE_INTERVAL_S", 0.01)
    write_plan(job.fetch_directory, job, {"train": 4})
    path = Path(state_path(job.fetch_directory, "train", 3, NUM_SHARDS))
    with fetch_ledger(job, "train", 3, []):
        while not path.exists():
            time.sleep(0.01)
        status = read_status(job.fetch_directory)
        assert status and [shard.shard for shard in status.splits["train"].at_work] == [3]
    status = read_status(job.fetch_directory)
    assert status and status.splits["train"].at_work == []


def test_what_an_earlier_run_left_is_not_at_work(job: Job) -> None:
    at_work(job, 3, silent_s=5, clip_s=5, run_id="another")
    assert shards(job) == []


def test_a_clock_that_is_behind_the_workers_makes_no_negative_times(job: Job) -> None:
    at_work(job, 3, silent_s=-60, clip_s=-60)
    assert [(shard.silent_s, shard.clip_s) for shard in shards(job)] == [(0.0, 0.0)]


def test_a_limited_run_is_not_taken_for_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n, clip in enumerate(CLIPS):
        write_clip(tmp_path / "store" / f"{clip}.mp4", hue=n * 40)
    write_list(tmp_path / "train.csv", CLIPS)
    words = ["name=tiny", f"splits.train.annotations={tmp_path / 'train.csv'}", "splits.train.shards=1", "workers=1"]
    words += [f"source.store={tmp_path / 'store'}", "encode.shorter_side=64"]
    options = ["--data_dir", str(tmp_path), *(word for setting in words for word in ("--set", setting))]
    assert main(["run", *options, "--limit", "3"]) == 3
    capsys.readouterr()
    assert main(["status", *options]) == 0
    shown = capsys.readouterr().out
    assert "train: 3 of 3 (100.0%) clips done" in shown
    assert "--limit left out 1 more row of its lists" in shown
    assert main(["run", *options]) == 0
    assert main(["run", *options, "--limit", "3"]) == 0  # adds nothing to what is whole
    capsys.readouterr()
    assert main(["status", *options]) == 0
    shown = capsys.readouterr().out
    assert "train: 4 of 4 (100.0%) clips done" in shown
    assert "--limit" not in shown


def test_states_of_versions_that_gave_no_signs_of_life_are_read(job: Job) -> None:
    at_work(job, 3, silent_s=5, clip_s=5)
    path = Path(state_path(job.directory, "train", 3, NUM_SHARDS))
    content = path.read_text()
    start, end = content.index('"work": '), content.index('"reasons"')
    path.write_text(content[:start] + content[end:])
    status = read_status(job.directory, now=NOW)
    assert status and status.splits["train"].done == 1
    assert status.splits["train"].at_work == []


def finished(job: Job) -> None:
    """Leaves a run that made its only shard with clips in it, two hours ago, and all the others without."""
    for shard in range(NUM_SHARDS):
        at = (NOW - timedelta(hours=2)).isoformat(timespec="seconds")
        row = LedgerRow(CLIPS[0], "clip", 0.0, 1.0, "juggling balls", 0, "train", attempted_at=at)
        rows = tuple(StateRow(row) for _ in CLIPS) if not shard else ()
        state = ShardState("train", shard, NUM_SHARDS, True, 0, len(rows), rows)
        write_state(state_path(job.directory, "train", shard, NUM_SHARDS), state)


def test_a_data_set_that_is_done_is_finished(job: Job) -> None:
    finished(job)
    assert text(job).splitlines()[-1] == "  finished, the last clip at 2026-03-01 10:00 UTC"


def test_what_is_left_unsealed_is_not_finished(job: Job) -> None:
    finished(job)
    at_work(job, 3, silent_s=12, clip_s=75)
    assert "finished, the last clip" not in text(job)


def test_the_rate_of_a_run_that_is_over_is_that_of_its_own_time(job: Job) -> None:
    """Of four clips a shard one is done in each of six, ten minutes before now; the run began ten minutes earlier."""
    for shard in range(6):
        at_work(job, shard, silent_s=600, clip_s=600)
    plan = Path(job.directory, "state", "plan.json")
    began = (NOW - timedelta(minutes=20)).isoformat(timespec="seconds")
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"started_at": began}))
    assert text(job).splitlines()[-1] == "  0.6 clips a minute, and none since 2026-03-01 11:50 UTC"


def test_who_reads_the_first_rows_only_gets_no_traceback(job: Job) -> None:
    finished(job)
    settings = ["name=tiny", f"splits.train.annotations={Path(job.directory).parents[1] / 'train.csv'}"]
    settings += [f"source.store={job.store}", f"splits.train.shards={NUM_SHARDS}"]
    words = [word for setting in settings for word in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "beam_pipeline",
        "status",
        "--csv",
        "--data_dir",
        f"{Path(job.directory).parents[1]}",
    ]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_plan_that_is_none_is_as_if_it_were_not_there(job: Job) -> None:
    at_work(job, 0, silent_s=0, clip_s=0)
    plan = Path(job.directory) / contract.STATE_DIR / "plan.json"
    plan.write_text("[1]")
    assert "train" in text(job)


def test_rows_of_a_run_that_has_not_begun_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["name=tiny", "splits.train={annotations: [a.csv], shards: 1}", f"source.store={tmp_path}"]
    settings = [word for option in options for word in ("--set", option)]
    assert main(["status", *settings, "--data_dir", str(tmp_path), "--csv"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no run has begun" in captured.err


@pytest.mark.parametrize("command", ["status", "prune", "plan", "run", "fetch"])
def test_a_command_line_without_a_configuration_is_told_what_is_missing(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 2
    assert "Give --config FILE" in capsys.readouterr().err
