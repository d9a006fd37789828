"""What the images are made of agrees with the rest: the lock file, the command line, the packages."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions, WorkerOptions

from beam_pipeline.cli import _parser

ROOT = Path(__file__).parents[1]
_PIN_RE = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;\\]+)[^\n]*\n(?P<hashes>(?:\s+--hash=\S+[^\n]*\n)*)", re.M
)


def pins(path: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Returns version and hashes of each package that a lock file has."""
    found = _PIN_RE.finditer(path.read_text())
    return {match["name"]: (match["version"], tuple(re.findall(r"sha256:\w+", match["hashes"]))) for match in found}


def excluded() -> list[str]:
    lines = (ROOT / "docker/worker/excludes.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_worker_has_the_versions_and_hashes_of_the_lock_file() -> None:
    worker, lock = pins(ROOT / "docker/worker/requirements.txt"), pins(ROOT / "requirements.lock")
    assert {name: pin for name, pin in worker.items() if name in lock} == {
        name: pin for name, pin in lock.items() if name in worker
    }
    assert all(hashes for _, hashes in worker.values())
    # What the lock file has not comes with Google's clients.
    others = worker.keys() - lock.keys()
    assert {"google-cloud-dataflow-client", "google-cloud-storage"} <= others
    assert len(others) < 40


def test_a_worker_has_what_the_job_imports_and_no_tensorflow() -> None:
    worker = pins(ROOT / "docker/worker/requirements.txt")
    assert {
        "apache-beam",
        "av",
        "numba",
        "opencv-contrib-python-headless",
        "pebble",
        "pyarrow",
        "yt-dlp",
    } <= worker.keys()
    assert not {"tensorflow", "keras", *excluded()} & worker.keys()


def test_the_worker_image_has_the_beam_that_submits_the_job() -> None:
    version = pins(ROOT / "docker/worker/requirements.txt")["apache-beam"][0]
    dockerfile = (ROOT / "docker/worker/Dockerfile").read_text()
    assert f"FROM apache/beam_python3.11_sdk:{version} AS beam" in dockerfile
    assert set(re.findall(r"^FROM (python:\S+)", dockerfile, re.M)) == {"python:3.11-slim-bookworm"}


@pytest.mark.parametrize("image", ["worker", "flex_template"])
def test_a_dockerfile_copies_what_is_there_and_not_ignored(image: str) -> None:
    dockerfile = (ROOT / "docker" / image / "Dockerfile").read_text()
    sent = [
        line[1:] for line in (ROOT / f"docker/{image}/Dockerfile.dockerignore").read_text().split() if line[0] == "!"
    ]
    copies = [
        line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY") and "--from" not in line
    ]
    copied = [path for paths in copies for path in paths]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path.split("/")[0] in sent, path


def test_cloud_build_makes_both_images() -> None:
    build = yaml.safe_load((ROOT / "docker/cloudbuild.yaml").read_text())
    files = [step["args"][step["args"].index("--file") + 1] for step in build["steps"]]
    assert files == ["docker/worker/Dockerfile", "docker/flex_template/Dockerfile"]
    assert build["images"] == [step["args"][step["args"].index("--tag") + 1] for step in build["steps"]]


def launched(*parameters: str) -> list[str]:
    return runpy.run_path(str(ROOT / "docker/flex_template/launch.py"))["arguments"](parameters)


def test_a_templates_parameters_are_options_of_the_command_line() -> None:
    metadata = json.loads((ROOT / "docker/flex_template/metadata.json").read_text())
    values = {"limit": "5", "settings": "a=1"}
    parameters = {parameter["name"]: values.get(parameter["name"], "x") for parameter in metadata["parameters"]}
    arguments, others = _parser().parse_known_args(launched(*(f"--{k}={v}" for k, v in parameters.items())))
    assert (arguments.config, arguments.settings, arguments.split, arguments.limit) == (["x"], ["a=1"], ["x"], 5)
    assert arguments.data_dir == "x"
    assert PipelineOptions(others).view_as(WorkerOptions).sdk_container_image == "x"
    assert others == ["--sdk_container_image=x"]


def test_a_templates_lists_are_read_as_a_shell_reads_them() -> None:
    given = ["--config=a.yaml b.yaml", "--settings=x='[1, 2]' y=3", "--region=here", "--split="]
    assert launched(*given) == [
        "run",
        "--config=a.yaml",
        "--config=b.yaml",
        "--set=x=[1, 2]",
        "--set=y=3",
        "--region=here",
    ]


def test_a_templates_parameters_have_what_google_asks_for() -> None:
    metadata = json.loads((ROOT / "docker/flex_template/metadata.json").read_text())
    assert metadata["name"] and metadata["description"]
    for parameter in metadata["parameters"]:
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]*", parameter["name"])
        assert {"label", "helpText"} <= parameter.keys() <= {"name", "label", "helpText", "isOptional", "regexes"}
        for pattern in parameter.get("regexes", ()):
            re.compile(pattern)
