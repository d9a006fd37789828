"""On Spark, by the commands of docs/engines/spark.md."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.engines.job_servers import job_server
from tests.engines.pages import commands
from tests.engines.records import leftovers, outcome
from tests.engines.scripts import Place

_DRIVER = "org.apache.beam.runners.spark.SparkJobServerDriver"


def test_spark_makes_what_the_local_runner_makes(
    place: Place, local: dict, downloads: Path, environment: dict[str, str]
) -> None:
    with_job_server = job_server("spark", "beam-runners-spark-3", _DRIVER, downloads, environment)
    place = dataclasses.replace(place, env=place.env | {"JOB_SERVER": with_job_server["JOB_SERVER"]})
    status, output = place.run(commands("spark", "Run"))
    assert status == 0, output
    assert outcome(place.folder / "records") == local
    assert not leftovers(place.folder / "records")
