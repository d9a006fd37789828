"""Object stores that fail, throttle, break off, dawdle and list late: nothing is lost, nothing is there twice."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.beam_pipeline.clips_on_disk import write_list
from tests.object_stores.clouds import Cloud
from tests.object_stores.conftest import CLIPS, MISSING, NUM_SHARDS, VERSION, Outcome, Place, lasting
from tests.object_stores.faulty_proxy import Call, Faults


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.essential), 2])
def test_one_call_in_ten_fails(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path, seed: int) -> None:
    cloud.proxy.reset(Faults(failing=0.1, seed=seed))
    remote.run()
    assert cloud.proxy.failed
    assert outcome.made() == lasting(tiny / VERSION)
    assert not outcome.leftovers()


def test_answers_come_slowly(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    cloud.proxy.reset(Faults(slow_s=0.3))
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)


@pytest.mark.essential
def test_connections_break_midway_through_uploads(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    cloud.proxy.reset(Faults(break_uploads=3))
    remote.run()
    assert cloud.proxy.failed == 3
    assert outcome.made() == lasting(tiny / VERSION)


@pytest.mark.essential
def test_connections_break_midway_through_downloads(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    cloud.proxy.reset(Faults(break_downloads=5))
    remote.run()
    assert cloud.proxy.failed == 5
    assert outcome.made() == lasting(tiny / VERSION)


def test_clips_that_can_not_be_read_for_now_are_made_by_the_next_run(
    remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path
) -> None:
    cloud.proxy.reset(Faults(statuses=(403,), refuse=lambda call: call.method == "GET" and CLIPS[1] in call.path))
    assert remote.run().summary["splits"][0]["failed"]["network"] == 1
    cloud.proxy.reset()
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)


@pytest.mark.essential
def test_a_store_that_refuses_all_its_clips_stops_the_run(remote: Place, cloud: Cloud, tiny: Path) -> None:
    clips = [f"other{n:06d}_{n:06d}_{n + 1:06d}" for n in range(12)]
    write_list(tiny / "other.csv", clips)
    cloud.put("train.csv", (tiny / "other.csv").read_bytes())
    for clip in clips:
        cloud.put(f"clips/{clip}.mp4", (tiny / "clips" / f"{CLIPS[0]}.mp4").read_bytes())
    cloud.proxy.reset(Faults(statuses=(403,), refuse=lambda call: "clips/other" in call.path))
    errors = remote.run(status=1).errors
    assert errors.startswith(f"error: {cloud.url}/clips: 10 clips in a row could not be read, the last: can't be read")
    assert "403" in errors
    assert errors.count("\n") == 1
    cloud.proxy.reset()
    assert remote.run().summary["splits"][0]["written"] == len(clips)


@pytest.mark.essential
def test_an_upload_that_is_refused_stops_the_run_and_leaves_nothing_that_looks_whole(
    remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path
) -> None:
    cloud.proxy.reset(Faults(statuses=(403,), refuse=_brings_a_shard(cloud)))
    errors = remote.run(status=1).errors
    assert errors.startswith(f"error: {cloud.url}/{VERSION}: can't be written: ")
    assert "403" in errors
    assert errors.count("\n") == 1
    assert not cloud.names(f"{VERSION}/tiny-train")
    cloud.proxy.reset()
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)
    assert not outcome.leftovers()


def _brings_a_shard(cloud: Cloud):
    if cloud.scheme == "gs":
        return lambda call: call.is_upload and any(".partial" in id_ for id_ in call.query.get("upload_id", ()))
    return lambda call: call.is_upload and ".partial" in call.path


@pytest.mark.parametrize("at", [pytest.param("copy", marks=pytest.mark.essential), "delete"])
def test_killed_while_a_shard_is_renamed(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path, at: str) -> None:
    """A rename is a copy and a deletion: the call of one of the two is the last that the run makes."""
    processes: list[subprocess.Popen[str]] = []

    def kill(call: Call) -> bool:
        if _is_of_rename(call, at):
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait()
        return False

    cloud.proxy.reset(Faults(refuse=kill))
    processes.append(remote.start("run"))
    processes[0].communicate(timeout=600)
    assert processes[0].returncode == -signal.SIGKILL
    cloud.proxy.reset()
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)
    assert not outcome.leftovers()


def _is_of_rename(call: Call, part: str) -> bool:
    if part == "delete":
        return call.method == "DELETE" and call.path.endswith(".partial")
    is_copy = call.method == "POST" and "copyTo" in call.path  # Google's
    return is_copy or (call.method == "PUT" and ".tfrecord-" in call.path and "partial" not in call.path)


def test_new_objects_are_listed_late(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    """Of what runs write themselves, nothing is found by listing: not even what a run that was killed left."""
    cloud.proxy.reset(Faults(listed_after_s=3600, listed_late="out/"))
    first = remote.start("run")
    while not cloud.names(f"{VERSION}/tiny-train"):
        assert first.poll() is None, first.communicate()
    first.kill()
    first.communicate()
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)
    remote.run("run", "--overwrite", "--set", "encode.jpeg_quality=80")
    remote.run("run", "--overwrite")
    assert outcome.made() == lasting(tiny / VERSION)
    cloud.proxy.reset()
    remote.run()
    assert not outcome.leftovers()


def test_clips_that_are_listed_late_are_made_by_the_next_run(
    remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path
) -> None:
    cloud.proxy.reset(Faults(listed_after_s=3600, listed_late=f"clips/{CLIPS[0]}"))
    assert remote.run().summary["splits"][0]["failed"]["not_found"] == 2
    cloud.proxy.reset()
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)


def test_two_runs_at_once_end_right_or_stop(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    """A store has no locks: either run may lose what the other takes for a leftover, and says so."""
    runs = [remote.start("run") for _ in range(2)]
    for run in runs:
        _, errors = run.communicate(timeout=600)
        assert run.returncode == 0 or (run.returncode == 1 and "can't be" in errors), errors
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)
    assert not outcome.leftovers()


def test_a_shard_that_has_gone_is_made_anew(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    remote.run()
    cloud.delete(next(name for name in cloud.names() if ".tfrecord-" in name))
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)


def test_a_clip_that_comes_later_is_made_later(remote: Place, cloud: Cloud, tiny: Path) -> None:
    remote.run()
    cloud.put(f"clips/{MISSING}.mp4", cloud.get(f"clips/{CLIPS[0]}.mp4"))
    assert remote.run().summary["splits"][0]["written"] == len(CLIPS) - 1


def test_a_shard_without_a_record_is_an_empty_object(remote: Place, cloud: Cloud) -> None:
    for name in cloud.names("clips/"):
        cloud.put(name, b"not a video at all")
    remote.run(status=1)
    shards = [name for name in cloud.names(f"{VERSION}/") if ".tfrecord-" in name]
    assert [cloud.get(name) for name in shards] == [b""] * NUM_SHARDS
