"""The engines that a run is tried on. `make test-engines` sets them up, and only then are these tests collected."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest

from beam_pipeline.demo.mini_kinetics import make_mini_kinetics
from tests.engines.records import outcome
from tests.engines.scripts import Place

ROOT = Path(__file__).parents[2]
HOME = os.environ.get("KINETICS_ENGINES", "")  # the folder for what engines are made of
collect_ignore_glob = [] if HOME else ["test_*.py"]


@pytest.fixture(scope="session")
def downloads() -> Path:
    """A folder that outlives the tests, for what was downloaded and built."""
    folder = Path(HOME).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def environment(downloads: Path) -> dict[str, str]:
    """The variables of a shell whose `python` is of a virtual environment on top of the one that runs the tests."""
    venv = downloads / "venv"
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    purelib = subprocess.run(
        [str(venv / "bin" / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    base = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(purelib) / "base.pth").write_text(base)
    constraints = Path(__file__).with_name("constraints.txt")
    return os.environ | {
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),  # the code at hand, whatever of it is installed
        "PIP_CONSTRAINT": str(constraints),
    }


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "demo"
    make_mini_kinetics(folder, clips_per_class=int(os.environ.get("KINETICS_CLIPS_PER_CLASS", "8")))
    return folder


@pytest.fixture
def place(tmp_path: Path, films: Path, environment: dict[str, str]) -> Place:
    """A folder like a checkout in which the demo's clips were made."""
    return _place(tmp_path, films, environment)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, films: Path, environment: dict[str, str]) -> dict:
    """The outcome of a run without `--runner`."""
    place = _place(tmp_path_factory.mktemp("local"), films, environment)
    status, output = place.run("python -m beam_pipeline run --config configs/demo.yaml --data_dir records")
    assert status == 0, output
    return outcome(place.folder / "records")


def _place(folder: Path, films: Path, environment: dict[str, str]) -> Place:
    (folder / "configs").symlink_to(ROOT / "configs")
    (folder / "demo").symlink_to(films)
    (folder / "flink_logs").mkdir()
    flink = {"FLINK_PID_DIR": str(folder), "FLINK_LOG_DIR": str(folder / "flink_logs")}
    return Place(folder, environment | flink)


def set_up(script: str, folder: Path, environment: dict[str, str], what: str) -> None:
    """Runs the commands that an engine needs first; without it, its tests are skipped with the reason."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        _give_up(f"{what} can't be had here: {' '.join(said)[:300]}")


def needs(*programs: str) -> None:
    """Skips the tests where a program is not on the PATH."""
    if missing := [program for program in programs if not shutil.which(program)]:
        _give_up(f"needs {' and '.join(missing)}, which the PATH does not have")


def _give_up(why: str) -> NoReturn:
    """Skips the tests of an engine that can't be had; where all has to pass, that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
