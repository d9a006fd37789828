"""On a Dask cluster, by the commands of docs/engines/dask.md."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.engines.conftest import ROOT, set_up
from tests.engines.pages import commands
from tests.engines.records import leftovers, outcome
from tests.engines.scripts import Place, writer_of_a_shard


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
