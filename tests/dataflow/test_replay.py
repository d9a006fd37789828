"""A submitted job does its work where only what was staged is installed, and makes what a run on one machine makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from beam_pipeline.demo.mini_kinetics import make_mini_kinetics
from tests.dataflow.conftest import ROOT, Start
from tests.dataflow.fake_dataflow import FakeDataflow
from tests.dataflow.workers import Workers
from tests.object_stores.clouds import Cloud

_ATTEMPTS = ("attempts", "attempted_at", "source_uri")  # when and where, of which the two runs differ


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clips and lists, the fewest that there can be."""
    folder = tmp_path_factory.mktemp("demo")
    make_mini_kinetics(folder, clips_per_class=4)
    return folder


def options(place: str, data_dir: str) -> list[str]:
    """The demo's job, with frames, flow and sound of one split."""
    return [
        *("--config", "configs/demo.yaml", "--split", "val", "--data_dir", data_dir),
        *("--set", f"source.store={place}/videos", "--set", f"splits.val.annotations={place}/annotations/val.csv"),
        *("--set", f"splits.train.annotations={place}/annotations/train.csv"),
    ]


def submit_and_work(submit: Start, cloud: Cloud, workers: Workers, data_dir: str, *extra: str) -> tuple[int, str, str]:
    with FakeDataflow(work=workers.work) as service:
        process = submit(service, *options(f"{cloud.url}/demo", data_dir), *extra)
        output, error = process.communicate(timeout=900)
    return process.returncode, output, error


def test_the_staged_job_makes_the_same_bytes(
    submit: Start, cloud: Cloud, demo: Path, worker_python: str, wheel: Path, tmp_path: Path
) -> None:
    cloud.put_folder(demo, "demo")
    workers = Workers(worker_python, tmp_path / "staged", cloud.environment)
    status, output, error = submit_and_work(submit, cloud, workers, f"{cloud.url}/made", "--extra_package", str(wheel))
    assert status == 0, error
    assert "val: 10 clips asked for, 9 written, 1 failed; 2 shards" in output
    # It was the staged package that worked, in an environment without TensorFlow.
    assert (workers.staged / "beam_pipeline" / "pipeline.py").is_file()
    local = [sys.executable, "-m", "beam_pipeline", "run", *options(str(demo), str(tmp_path / "local"))]
    subprocess.run(local, cwd=ROOT, check=True, capture_output=True)
    here = tmp_path / "local" / "demo" / "1.0.0"
    there = cloud.get_folder("made/demo/1.0.0", tmp_path / "there")
    names = {path.name for path in here.iterdir() if path.is_file()}
    assert {path.name for path in there.iterdir() if path.is_file()} == names
    assert len([name for name in names if ".tfrecord-" in name]) == 2
    for name in sorted(names - {"clips-val.parquet", "info-val.json"}):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    ledgers = [pq.read_table(folder / "clips-val.parquet").drop_columns(_ATTEMPTS) for folder in (here, there)]
    assert ledgers[0].equals(ledgers[1])
    infos = [json.loads((folder / "info-val.json").read_text()) for folder in (here, there)]
    configurations = [info.pop("configuration") for info in infos]
    assert infos[0] == infos[1]
    assert configurations[0]["flow"] == configurations[1]["flow"]


def test_without_its_package_the_job_fails_and_says_so(
    submit: Start, cloud: Cloud, demo: Path, worker_python: str, tmp_path: Path
) -> None:
    cloud.put_folder(demo, "demo")
    workers = Workers(worker_python, tmp_path / "staged", cloud.environment)
    status, output, error = submit_and_work(submit, cloud, workers, f"{cloud.url}/none")
    assert (status, output) == (1, "")
    assert "ModuleNotFoundError: No module named 'beam_pipeline'" in error
    assert "the Dataflow job failed" in error


def test_workers_with_other_code_stop_the_job(
    submit: Start, cloud: Cloud, demo: Path, worker_python: str, wheel: Path, tmp_path: Path
) -> None:
    cloud.put_folder(demo, "demo")
    older = tmp_path / "older"
    unpack = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(older), str(wheel)]
    subprocess.run(unpack, check=True)
    with (older / "tf_data" / "contract.py").open("a") as file:
        file.write("# a line of yesterday's\n")
    workers = Workers(worker_python, older, cloud.environment)
    status, _, error = submit_and_work(submit, cloud, workers, f"{cloud.url}/older")
    assert status == 1
    assert error.splitlines()[-1].startswith("error: workers have another version of beam_pipeline")
