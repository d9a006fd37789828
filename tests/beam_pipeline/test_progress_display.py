"""What a run says while it works, where nobody watches a terminal: a line now and then, for a log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from beam_pipeline import progress_display
from beam_pipeline.cli import main
from beam_pipeline.config import load_config
from beam_pipeline.progress_display import Progress
from beam_pipeline.run import survey
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(6)]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    for n, clip in enumerate(CLIPS):
        write_clip(tmp_path / "store" / f"{clip}.mp4", hue=n * 40)
    write_list(tmp_path / "train.csv", CLIPS)
    settings = ["name=tiny", f"splits.train.annotations={tmp_path / 'train.csv'}", "splits.train.shards=1", "workers=1"]
    settings += [f"source.store={tmp_path / 'store'}", "encode.shorter_side=64"]
    return ["--data_dir", str(tmp_path), *(word for setting in settings for word in ("--set", setting))]


def test_a_log_gets_a_line_now_and_then(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_display, "_LINE_INTERVAL_S", 0.02)
    assert main(["run", *words, "--json"]) == 0
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert lines
    assert all(re.match(r"[\d.]+ s: \d of 6 clips done, 0 failed", line) for line in lines)
    assert shown.out.count("\n") == 1  # and standard output is the summary's alone


def test_the_states_of_a_store_tell_what_those_of_a_disk_do(words: list[str], tmp_path: Path) -> None:
    assert main(["run", *words, "--limit", "4"]) == 3
    job, _ = survey(load_config(None, words[3::2], str(tmp_path)), ["train"], None, cores=1)
    look = progress_display._local_progress(job, ["train"])
    assert look() == progress_display._remote_progress(job, ["train"]) == Progress(4, 0)
    for path in (tmp_path / "store").iterdir():
        path.write_bytes(b"not a video at all")
    assert main(["run", *words]) == 0  # four have their records
    assert look() == progress_display._remote_progress(job, ["train"]) == Progress(6, 2)


def test_a_run_that_is_over_within_a_minute_says_nothing_before_its_end(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_display, "_LINE_INTERVAL_S", 3600.0)  # a minute may pass on a machine that is busy
    assert main(["run", *words]) == 0
    assert capsys.readouterr().err == ""
