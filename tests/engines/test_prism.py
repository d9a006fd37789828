"""On Prism, by the commands of docs/engines/prism.md."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.engines.conftest import needs, set_up
from tests.engines.pages import commands
from tests.engines.records import leftovers, outcome
from tests.engines.scripts import Place, writer_of_a_shard


@pytest.fixture(scope="module")
def prism(downloads: Path, environment: dict[str, str]) -> None:
    needs("go")
    set_up(commands("prism", "Set up"), downloads, environment, "Prism")


@pytest.mark.usefixtures("prism")
def test_prism_makes_what_the_local_runner_makes(place: Place, local: dict) -> None:
    status, output = place.run(commands("prism", "Run"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")


@pytest.mark.usefixtures("prism")
def test_ctrl_c_cancels_the_job_and_the_next_run_goes_on(place: Place, local: dict) -> None:
    with place.running(commands("prism", "Run")) as process:
        while not writer_of_a_shard(place.folder) and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.wait(300)
    assert "run the same command again to go on" in place.output
    status, output = place.run(commands("prism", "Run"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")
