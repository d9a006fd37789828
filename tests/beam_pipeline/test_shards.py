"""What a shard keeps, tries again and refuses: without Beam, on small real clips."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline import files, heartbeat, shard_builder
from beam_pipeline.config import load_config
from beam_pipeline.errors import RunError
from beam_pipeline.job import Job
from beam_pipeline.ledger import LedgerRow, ShardState, read_state, state_path
from beam_pipeline.media.process import run_clip_task
from beam_pipeline.pipeline import read_unit, units
from beam_pipeline.run import run, survey
from beam_pipeline.shard_builder import Plan
from beam_pipeline.shards import Row, StoredFile, make_shard
from beam_pipeline.tfrecord import read_records
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(4)]


class HerePool:
    """Runs tasks in this process, and remembers how many it was given at a time."""

    def __init__(self, stop_after: int = 1000):
        self.given: list[int] = []
        self._stop_after = stop_after

    def map(self, tasks: Iterable[tuple[Plan, Any]]) -> Iterator[tuple[Plan, Any]]:
        self.given.append(0)
        for plan, task in tasks:
            if task is not None:
                assert task.function is run_clip_task
                if sum(self.given) == self._stop_after:
                    raise KeyboardInterrupt
                self.given[-1] += 1
            yield plan, task and task.function(task.argument)


def joined(job: Job) -> tuple[list[Row], list[StoredFile]]:
    """Returns what the graph's join brings to the one shard of a job."""
    values = [fields for unit in units(job) for _, (_, _, fields) in read_unit(unit, job) if fields]
    rows = [Row(*fields) for kind, *fields in values if kind == "row"]
    return rows, [StoredFile(*fields) for kind, *fields in values if kind == "file"]


class Place:
    """A store, a list and an output: one split `train` of one shard, whose clips are `clips`."""

    def __init__(self, folder: Path, clips: list[str]):
        self.folder = folder
        self.store = folder / "store"
        for n, clip in enumerate(clips):
            write_clip(self.store / f"{clip}.mp4", hue=n * 40)
        write_list(folder / "train.csv", clips)

    def settings(self, *extra: str) -> list[str]:
        return [
            *("name=tiny", f"splits.train.annotations={self.folder / 'train.csv'}", "splits.train.shards=1"),
            *(f"source.store={self.store}", "encode.shorter_side=64", *extra),
        ]

    def job(self, limit: int | None = None, *extra: str) -> Job:
        return survey(load_config(None, self.settings(*extra), str(self.folder)), ["train"], limit, cores=1)[0]

    def make(self, limit: int | None = None, pool: HerePool | None = None) -> HerePool:
        job, pool = self.job(limit), pool or HerePool()
        make_shard(job, "train", 0, *joined(job), pool)
        return pool

    def rows(self) -> dict[str, LedgerRow]:
        state = read_state(state_path(self.job().directory, "train", 0, 1))
        assert state
        return {row.row.clip_id: row.row for row in state.rows}

    def fates(self) -> dict[str, str]:
        return {clip: row.reason or row.status for clip, row in self.rows().items()}

    @property
    def output(self) -> Path:
        return self.folder / "tiny" / "1.0.0"

    @property
    def state(self) -> Path:
        return Path(state_path(str(self.output), "train", 0, 1))

    @property
    def shard(self) -> Path:
        return self.output / "tiny-train.tfrecord-00000-of-00001"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, CLIPS)


def test_a_shard_without_its_state_is_not_written_over(place: Place) -> None:
    place.make()
    content = place.shard.read_bytes()
    (place.store / f"{CLIPS[0]}.mp4").unlink()
    Path(state_path(place.job().directory, "train", 0, 1)).write_text("{")
    with pytest.raises(RunError, match="is gone or damaged"):
        place.make()
    assert place.shard.read_bytes() == content


def test_records_that_are_gone_are_made_again_all_at_once(place: Place) -> None:
    assert place.make().given == [4]
    content = place.shard.read_bytes()
    place.shard.unlink()
    assert place.make().given == [4]
    assert place.shard.read_bytes() == content


def test_records_that_are_gone_with_their_files_are_told(place: Place) -> None:
    place.make()
    place.shard.unlink()
    (place.store / f"{CLIPS[1]}.mp4").unlink()
    place.make()
    assert place.fates() == {clip: "not_found" if clip == CLIPS[1] else "ok" for clip in CLIPS}
    lost = place.rows()[CLIPS[1]]
    assert (lost.num_frames, lost.bytes, lost.position, lost.attempts) == (0, 0, -1, 1)


def test_an_index_does_not_outlive_the_shard_that_it_speaks_of(place: Place) -> None:
    place.make()
    index = place.output / "index-train.npz"
    index.write_bytes(b"of the shard as it is")
    place.make()
    assert index.exists()
    write_clip(place.store / f"{CLIPS[0]}.mp4", hue=255)
    place.make()
    assert not index.exists()


def test_two_tries_of_one_run_do_not_share_a_temporary(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # As where another runner repeats a bundle: what the first try wrote is still there for the second.
    monkeypatch.setattr(shard_builder, "STATE_INTERVAL_S", 0)
    job = place.job()
    monkeypatch.setattr(place, "job", lambda limit=None: job)
    with pytest.raises(KeyboardInterrupt):
        place.make(pool=HerePool(stop_after=3))
    write_clip(place.store / f"{CLIPS[0]}.mp4", hue=255)
    with pytest.raises(KeyboardInterrupt):
        place.make(pool=HerePool(stop_after=3))
    for clip in CLIPS[1:3]:
        (place.store / f"{clip}.mp4").unlink()
    place.make()
    assert place.fates() == dict.fromkeys(CLIPS, "ok")
    assert len(list(read_records(str(place.shard)))) == 4


def test_a_shard_in_which_nothing_changes_stays_finished_however_long_that_takes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.make()
    content = place.state.read_bytes()
    monkeypatch.setattr(shard_builder, "STATE_INTERVAL_S", -1)  # every clip's checksum takes longer than that
    place.make()
    assert place.state.read_bytes() == content


def test_a_shard_that_is_at_its_first_clip_says_that_it_is_at_work(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "STATE_INTERVAL_S", 0.01)
    seen: list[ShardState] = []

    class SlowPool(HerePool):
        def map(self, tasks: Iterable[tuple[Plan, Any]]) -> Iterator[tuple[Plan, Any]]:
            while not (state := read_state(str(place.state))):
                time.sleep(0.01)
            seen.append(state)
            yield from super().map(tasks)

    place.make(pool=SlowPool())
    (state,) = seen
    assert (state.sealed, state.asked, state.rows) == (False, len(CLIPS), ())
    assert state.work and state.work.worker == socket.gethostname()
    finished = read_state(str(place.state))
    assert finished and finished.sealed and finished.work is None


@pytest.mark.parametrize("step", ["publish", "read_record_at"])  # of a finished shard, of a record that is kept
def test_signs_of_life_go_on_while_a_disk_or_a_store_takes_its_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place.make()
    write_clip(place.store / f"{CLIPS[3]}.mp4", hue=255)
    monkeypatch.setattr(heartbeat, "STATE_INTERVAL_S", 0.01)
    monkeypatch.setattr(shard_builder, "BEAT_INTERVAL_S", 0.0)
    owner: Any = files if step == "publish" else shard_builder
    at_once = getattr(owner, step)
    beats: list[bool] = []

    def slow(*arguments: Any) -> Any:
        was = place.state.stat().st_mtime_ns
        for _ in range(1000):
            if place.state.stat().st_mtime_ns != was:
                break
            time.sleep(0.01)
        state = read_state(str(place.state))
        beats.append(place.state.stat().st_mtime_ns != was and state is not None and state.work is not None)
        return at_once(*arguments)

    monkeypatch.setattr(owner, step, slow)
    place.make()
    assert beats and all(beats)
    finished = read_state(str(place.state))
    assert finished and finished.sealed and finished.work is None
    assert len(list(read_records(str(place.shard)))) == len(CLIPS)


def test_a_run_of_one_split_leaves_what_another_can_go_on_from(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_builder, "STATE_INTERVAL_S", 0)
    settings = place.settings(f"splits.val.annotations={place.folder / 'val.csv'}", "splits.val.shards=1", "workers=1")
    write_list(place.folder / "val.csv", CLIPS[:1], split="val")
    with pytest.raises(KeyboardInterrupt):
        place.make(pool=HerePool(stop_after=3))
    run(load_config(None, settings, str(place.folder)), splits=["val"])
    for clip in CLIPS[:3]:
        (place.store / f"{clip}.mp4").unlink()
    place.make()
    assert place.fates() == dict.fromkeys(CLIPS, "ok")


def test_a_limited_run_keeps_bad_rows(place: Place) -> None:
    with (place.folder / "train.csv").open("a") as file:
        file.write("juggling balls,clip0000009,7,3,train\n")
    place.make()
    before = place.fates()
    assert before["train.csv:6"] == "bad_annotation"
    place.make(limit=1)
    assert place.fates() == before


def test_a_file_named_by_its_id_alone_is_no_clips_once_there_are_two(tmp_path: Path) -> None:
    place = Place(tmp_path, ["one0000000a_000000_000001", "two0000000b_000000_000001"])
    write_list(tmp_path / "train.csv", [f"two0000000b_{n:06d}_{n + 1:06d}" for n in range(2)])
    (place.store / "two0000000b_000000_000001.mp4").rename(place.store / "two0000000b.mp4")
    place.make(limit=1)
    assert list(place.fates().values()) == ["ok"]  # nothing tells that there is another
    place.make()
    assert list(place.fates().values()) == ["not_found", "not_found"]
    place.make(limit=1)
    assert list(place.fates().values()) == ["not_found", "not_found"]


def test_a_whole_video_that_is_taken_for_a_cut_one_costs_no_records(tmp_path: Path) -> None:
    place = Place(tmp_path, [])
    write_clip(place.store / "two0000000b.mp4", seconds=2.2)
    write_list(tmp_path / "train.csv", [f"two0000000b_{n:06d}_{n + 1:06d}" for n in range(2)])
    job = place.job(None, "source.trimmed=false")
    rows, _ = joined(job)
    make_shard(job, "train", 0, rows, [StoredFile("two0000000b.mp4", 1)], HerePool())
    place.make()
    assert list(place.fates().values()) == ["ok", "ok"]


def test_a_second_label_in_json_is_told_by_its_annotation(place: Place) -> None:
    twice = [{"label": label, "segment": [0, 1]} for label in ("first", "second")]
    entry = {"annotations": twice, "subset": "train"}
    (place.folder / "train.csv").write_text(json.dumps({"clip0000000": entry}))
    place.make()
    (detail,) = (row.detail for row in place.rows().values() if row.reason == "bad_annotation")
    assert detail.startswith("train.csv annotation 2: ")


def test_a_limit_beyond_a_splits_clips_leaves_it_complete(place: Place) -> None:
    settings = place.settings(f"splits.val.annotations={place.folder / 'val.csv'}", "splits.val.shards=1", "workers=1")
    write_list(place.folder / "val.csv", CLIPS[:1], split="val")
    run(load_config(None, settings, str(place.folder)), limit=2)
    infos = [json.loads((place.output / f"info-{split}.json").read_text()) for split in ("train", "val")]
    assert [info["complete"] for info in infos] == [False, True]
