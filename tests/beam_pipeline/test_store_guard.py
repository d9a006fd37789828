"""A store that gives no clip any more stops the run; single clips that can't be read are their own matter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.errors import RunError
from beam_pipeline.media.process import run_clip_task, run_probe_task
from beam_pipeline.media.settings import Encode, MediaSettings
from beam_pipeline.media.task import ClipTask, ProbeTask
from beam_pipeline.pool import Task
from beam_pipeline.store_guard import IN_A_ROW, GuardedPool
from tests.beam_pipeline.clips_on_disk import write_clip

SETTINGS = MediaSettings(Encode(shorter_side=64), None, None, "true")


class HerePool:
    """Runs tasks in this process; what a clip's file does to it is its outcome."""

    def map(self, tasks: Iterable[tuple[str, Task | None]]) -> Iterator[tuple[str, Any]]:
        for key, task in tasks:
            try:
                yield key, task and task.function(task.argument)
            except ClipError as error:
                yield key, error


@pytest.fixture
def pool(tmp_path: Path) -> GuardedPool:
    return GuardedPool(HerePool(), str(tmp_path))


def reasons(pool: GuardedPool, paths: Iterable[Path]) -> list[str]:
    tasks = ((path.name, Task(run_clip_task, reading_of(path), 1.0, 1.0)) for path in paths)
    return [outcome.reason if isinstance(outcome, ClipError) else "" for _, outcome in pool.map(tasks)]


def reading_of(path: Path) -> ClipTask:
    size = path.stat().st_size if path.exists() else 1
    clip = Clip(path.stem, 0, 1_000_000, "yoga")
    return ClipTask(clip, 0, "train", "tiny", str(path), path.name, size, None, SETTINGS)


def folder_reading_of(path: Path) -> ClipTask:
    return replace(reading_of(path), settings=replace(SETTINGS, frame_folders=True))


def gone(folder: Path, count: int) -> list[Path]:
    return [folder / f"gone{n}.mp4" for n in range(count)]


def test_a_store_that_was_unmounted_stops_the_run(pool: GuardedPool, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"{tmp_path}: {IN_A_ROW} clips in a row could not be read, the last: the file"):
        reasons(pool, gone(tmp_path, IN_A_ROW))


def test_shards_of_few_clips_are_counted_together(pool: GuardedPool, tmp_path: Path) -> None:
    for path in gone(tmp_path, IN_A_ROW - 1):
        assert reasons(pool, [path]) == ["not_found"]
    with pytest.raises(RunError):
        reasons(pool, gone(tmp_path, 1))


def test_one_that_can_be_read_starts_the_count_anew(pool: GuardedPool, tmp_path: Path) -> None:
    good, corrupt = tmp_path / "good.mp4", tmp_path / "corrupt.mp4"
    write_clip(good)
    corrupt.write_bytes(b"not a video at all" * 40)
    nearly = gone(tmp_path, IN_A_ROW - 1)
    expected = ["not_found"] * len(nearly)
    assert reasons(pool, [*nearly, good, *nearly, corrupt, *nearly]) == [
        *expected,
        "",
        *expected,
        "unreadable",
        *expected,
    ]


def test_clips_without_a_task_count_for_nothing(pool: GuardedPool, tmp_path: Path) -> None:
    reasons(pool, gone(tmp_path, IN_A_ROW - 1))
    assert list(pool.map([("kept", None)])) == [("kept", None)]
    with pytest.raises(RunError):
        reasons(pool, gone(tmp_path, 1))


def test_folders_of_frames_count_too(pool: GuardedPool, tmp_path: Path) -> None:
    clips = [folder_reading_of(path) for path in gone(tmp_path, IN_A_ROW)]
    with pytest.raises(RunError, match="the folder has gone"):
        list(pool.map((clip.path, Task(run_clip_task, clip, 1.0, 1.0)) for clip in clips))


def test_files_that_are_only_looked_at_count_too(pool: GuardedPool, tmp_path: Path) -> None:
    probes = [ProbeTask(str(path), Clip(path.stem, 0, 1_000_000), SETTINGS) for path in gone(tmp_path, IN_A_ROW)]
    with pytest.raises(RunError):
        list(pool.map((probe.path, Task(run_probe_task, probe, 1.0, 1.0)) for probe in probes))
