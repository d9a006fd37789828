"""A Dataflow and a Google Cloud Storage of this machine, and the command line that submits to them.

`make test-dataflow` makes the environments that this needs, and only then are these tests collected.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dataflow.fake_dataflow import FakeDataflow
from tests.object_stores.clouds import Cloud, google

ROOT = Path(__file__).parents[2]
WORKER_PYTHON = os.environ.get("KINETICS_WORKER_PYTHON", "")
collect_ignore_glob = [] if WORKER_PYTHON else ["test_*.py"]
IMAGE = "us-central1-docker.pkg.dev/of-a-test/kinetics/worker:1"


@pytest.fixture(scope="session")
def worker_python() -> str:
    """The Python of an environment that holds what docker/worker/requirements.txt pins, and nothing else."""
    return WORKER_PYTHON


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with google(tmp_path_factory.mktemp("google")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what of this checkout becomes a package."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("beam_pipeline", "tf_data", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="session")
def wheel(checkout: Path) -> Path:
    """This checkout as a package."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "."]
    subprocess.run(build, cwd=checkout, check=True)
    return next(checkout.glob("*.whl"))


Start = Callable[..., subprocess.Popen]


@pytest.fixture
def submit(cloud: Cloud) -> Start:
    """Starts the real command line on a job for a fake Dataflow, with the overlay that is shipped."""

    def start(service: FakeDataflow, *extra: str, command: str = "run") -> subprocess.Popen:
        options = [
            "--project=of-a-test",
            f"--temp_location={cloud.url}/tmp",
            f"--sdk_container_image={IMAGE}",
            f"--dataflow_endpoint={service.url}",
            "--no_auth",
        ]
        words = [sys.executable, "-m", "beam_pipeline", command, *extra, "--config", "configs/dataflow.yaml", *options]
        environment = os.environ | cloud.environment
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(words, cwd=ROOT, env=environment, **pipes)  # type: ignore[call-overload]

    return start
