"""What a worker's image holds: installed from its pins alone, enough for the job, without TensorFlow."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.dataflow.conftest import ROOT

REQUIREMENTS = "docker/worker/requirements.txt"


def python(worker_python: str, code: str) -> str:
    """Runs code where this checkout is installed over a worker's packages; returns what it prints."""
    done = subprocess.run([worker_python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_that_workers_load_is_there(worker_python: str) -> None:
    modules = [
        *("beam_pipeline.pipeline", "beam_pipeline.media.encoding", "beam_pipeline.media.tvl1.estimator"),
        *("beam_pipeline.media.audio", "beam_pipeline.sources.youtube", "apache_beam.io.gcp.gcsfilesystem"),
        *("apache_beam.runners.worker.sdk_worker_main", "apache_beam.runners.dataflow.internal.apiclient"),
    ]
    python(worker_python, f"import importlib; [importlib.import_module(name) for name in {modules!r}]")


def test_tensorflow_is_not(worker_python: str) -> None:
    code = "import importlib.util as u; print([name for name in ('tensorflow', 'keras') if u.find_spec(name)])"
    assert python(worker_python, code) == "[]"


def test_packages_agree_with_each_other(worker_python: str) -> None:
    check = [sys.executable, "-m", "pip", "--python", worker_python, "check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_pins_are_what_make_lock_writes(tmp_path: Path) -> None:
    dry = subprocess.run(["make", "--dry-run", "lock"], cwd=ROOT, capture_output=True, text=True, check=True)
    commands = dry.stdout.replace("\\\n", " ").splitlines()
    (command,) = (shlex.split(line) for line in commands if line.endswith(REQUIREMENTS))
    written = tmp_path / "requirements.txt"
    shutil.copy(ROOT / REQUIREMENTS, written)  # versions that it has are kept where they still do
    command = ["uv", *command[1:-1], str(written)]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)
    assert written.read_text() == (ROOT / REQUIREMENTS).read_text()
