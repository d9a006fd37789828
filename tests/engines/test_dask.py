"""On a Dask cluster, by the commands of docs/engines/dask.md."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.engines.conftest import ROOT, set_up
from tests.engines.pages import commands
from tests.engines.records import leftovers, outcome
from tests.engines.scripts import Place, writer_of_a_shard

KILLS = int(os.environ.get("KINETICS_KILLS", "0"))


@pytest.fixture(scope="module", autouse=True)
def dask(environment: dict[str, str]) -> None:
    set_up(commands("dask", "Set up"), ROOT, environment, "Dask")


def test_dask_makes_what_the_local_runner_makes(place: Place, local: dict) -> None:
    status, output = place.run(commands("dask", "Cluster") + commands("dask", "Run"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")


def test_a_worker_that_is_killed_in_mid_shard_changes_nothing(place: Place, local: dict) -> None:
    with place.running(commands("dask", "Cluster") + commands("dask", "Run")) as process:
        victim = None
        while victim is None and process.poll() is None:
            victim = writer_of_a_shard(place.folder)
            time.sleep(0.05)
        assert victim, place.output
        os.kill(victim, signal.SIGKILL)
        status = process.wait(900)
    assert status == 0, place.output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")


@pytest.mark.skipif(not KILLS, reason="takes a minute for each few kills: make test-faults")
def test_workers_killed_at_random_moments_lose_nothing(place: Place, local: dict) -> None:
    """Dask gives up a part whose workers died four times; then the same command goes on, as after any other end.

    So it does where no worker is left: `dask worker` gives up one that dies as it starts, and the job waits for others.
    """
    seed = int(os.environ.get("KINETICS_SEED", time.time_ns()))
    print(f"KINETICS_SEED={seed}")  # shown where the test fails
    moments, killed, ends = random.Random(seed), 0, []
    started = time.monotonic()
    while killed < KILLS:
        with place.running(commands("dask", "Cluster") + commands("dask", "Run")) as process:
            while process.poll() is None and killed < KILLS:
                time.sleep(moments.uniform(0, _every_s(started, ends)))
                nannies, workers = _dask_workers(process.pid)
                if not nannies:
                    break
                if workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(moments.choice(workers), signal.SIGKILL)
                        killed += 1
            ends.append(_end(process))
        assert ends[-1] in (0, 1, None), place.output
        print(f"{killed} workers killed in {len(ends)} runs, the last of which ended with {ends[-1]}")
        if ends[-1] == 1:
            assert "what was made is kept: Attempted to run task" in place.output, place.output
        if ends[-1] == 0:
            assert outcome(place.folder / "records") == local
            shutil.rmtree(place.folder / "records")
    status, output = place.run(commands("dask", "Cluster") + commands("dask", "Run"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")


def _end(process: subprocess.Popen) -> int | None:
    """Waits for a run; returns its exit status, or None where no worker is left."""
    until = time.monotonic() + 1800
    while process.poll() is None and _dask_workers(process.pid)[0] and time.monotonic() < until:
        time.sleep(0.5)
    return process.poll()


def _every_s(started: float, ends: list[int]) -> float:
    """Returns how long to wait at most between two kills: a run is to see some, however fast the machine is."""
    return 20.0 if not ends else max(2.0, (time.monotonic() - started) / len(ends) / 3)


def _dask_workers(group: int) -> tuple[list[int], list[int]]:
    """Returns the processes `dask worker` of a group of processes, and those that they started, which make shards."""
    nannies, started = [], []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent, group_of = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group_of) != group or state == "Z":
                continue
            command = (folder / "cmdline").read_bytes()
            if b"worker" in command.split(b"\0"):
                nannies.append(int(folder.name))
            elif b"spawn_main" in command:
                started.append((int(folder.name), int(parent)))
    return nannies, [number for number, parent in started if parent in nannies]
