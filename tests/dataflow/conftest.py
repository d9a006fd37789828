"""A Dataflow and a Google Cloud Storage of this machine, and the command line that submits to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dataflow.fake_dataflow import FakeDataflow

ROOT = Path(__file__).parents[2]
IMAGE = "us-central1-docker.pkg.dev/of-a-test/kinetics/worker:1"


@pytest.fixture(scope="session")
def worker_python() -> str:
    """The Python of an environment that holds what docker/worker/requirements.txt pins, and nothing else."""
    python = os.environ.get("KINETICS_WORKER_PYTHON")
    if not python:
        pytest.skip("needs an environment like a Dataflow worker's: make test-dataflow")
    return python


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    pytest.importorskip("google.cloud.dataflow", reason="needs Google's clients: make test-dataflow")
    from tests.object_stores.clouds import google

    with google(tmp_path_factory.mktemp("google")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as a package."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("beam_pipeline", "tf_data", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "."]
    subprocess.run(build, cwd=folder, check=True)
    return next(folder.glob("*.whl"))


Start = Callable[..., subprocess.Popen]


@pytest.fixture
def submit(cloud) -> Start:  # type: ignore[no-untyped-def]
    """Starts the real command line on a job for a fake Dataflow, with the overlay that is shipped."""

    def start(service: FakeDataflow, *extra: str) -> subprocess.Popen:
        options = [
            "--project=of-a-test",
            f"--temp_location={cloud.url}/tmp",
            f"--sdk_container_image={IMAGE}",
            f"--dataflow_endpoint={service.url}",
            "--no_auth",
        ]
        command = [sys.executable, "-m", "beam_pipeline", "run", *extra, "--config", "configs/dataflow.yaml", *options]
        environment = os.environ | cloud.environment
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)  # type: ignore[call-overload]

    return start
