"""On Flink, by the commands of docs/engines/flink.md: within the job server, and on a cluster of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.engines.conftest import set_up
from tests.engines.job_servers import job_server
from tests.engines.pages import commands
from tests.engines.records import leftovers, outcome
from tests.engines.scripts import Place

_DRIVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"


@pytest.fixture(scope="module")
def with_job_server(downloads: Path, environment: dict[str, str]) -> dict[str, str]:
    return job_server("flink", "beam-runners-flink-1.19", _DRIVER, downloads, environment)


@pytest.fixture
def place(place: Place, with_job_server: dict[str, str]) -> Place:
    return dataclasses.replace(place, env=place.env | {"JOB_SERVER": with_job_server["JOB_SERVER"]})


def test_a_cluster_within_the_job_server_makes_what_the_local_runner_makes(place: Place, local: dict) -> None:
    status, output = place.run(commands("flink", "Run: a cluster within the job server"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")


def test_a_cluster_with_two_task_managers_makes_what_the_local_runner_makes(
    place: Place, local: dict, downloads: Path, environment: dict[str, str]
) -> None:
    installing, starting = commands("flink", "Cluster").split("export FLINK_HOME", 1)
    if not list((downloads / "flink").glob("lib/python3*/site-packages/pyflink/bin/jobmanager.sh")):
        set_up(installing, downloads, environment, "Flink")
    (place.folder / "flink").symlink_to(downloads / "flink")
    script = f"export FLINK_HOME{starting}" + commands("flink", "Run: on that cluster")
    status, output = place.run(script)
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")
    logs = list((place.folder / "flink_logs").glob("*taskexecutor*.log"))
    assert len(logs) == 2
    assert all("Make shards" in log.read_text() for log in logs)
