"""docs/dataflow.md: its commands, run as they stand there."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.beam_pipeline.clips_on_disk import write_clip, write_list
from tests.dataflow.conftest import ROOT
from tests.dataflow.fake_dataflow import FakeDataflow
from tests.dataflow.workers import Workers
from tests.object_stores.clouds import Cloud

CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(6)]
VARIABLES = {
    "PROJECT": "of-a-test",
    "REGION": "us-central1",
    "BUCKET": "bucket",
    "IMAGES": "us-central1-docker.pkg.dev/of-a-test/kinetics",
    "WORKER": "worker@of-a-test.iam.gserviceaccount.com",
}
_SETS_UP = ("python3.11 -m venv", "submit/bin/pip install")  # as `make test-dataflow` has done


def blocks(what: str) -> Iterator[str]:
    """Yields the page's blocks of shell commands that begin a line with `what`."""
    page = (ROOT / "docs/dataflow.md").read_text()
    for block in re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S):
        if re.search(rf"^{re.escape(what)}", block, re.M):
            yield block


def commands(what: str) -> list[str]:
    """Returns the page's commands that begin with `what`, in order."""
    lines = [line for block in blocks(what) for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith(what)]


@pytest.mark.skipif(not shutil.which("gcloud"), reason="needs gcloud, which checks its own commands")
def test_gcloud_knows_its_commands(tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "no_proxy": "", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    environment = os.environ | VARIABLES | nowhere | {"CLOUDSDK_CONFIG": str(tmp_path)}
    found = [command for command in commands("gcloud ") if " login" not in command]
    assert len(found) > 12
    for command in found:
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode != 2, (
            f"{command}\n{done.stderr}"
        )  # its status for what it can't parse; 1: nobody is logged in


@pytest.fixture
def place(checkout: Path, cloud: Cloud, tmp_path: Path) -> Path:
    """A checkout whose Kinetics-400 is six clips in an archive on Cloud Storage."""
    folder = tmp_path / "checkout"
    shutil.copytree(checkout, folder)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        for clip in CLIPS[1:]:
            write_clip(folder / f"{clip}.mp4")
            file.add(folder / f"{clip}.mp4", f"{clip}.mp4")
    cloud.put("source/val.tgz", archive.getvalue())
    write_list(folder / "val.csv", CLIPS, label="juggling balls", split="val")
    cloud.put("source/val.csv", (folder / "val.csv").read_bytes())
    config = yaml.safe_load((folder / "configs/k400.yaml").read_text())
    config["splits"] = {"val": {"annotations": [f"{cloud.url}/source/val.csv"], "shards": 2}}
    config["source"] |= {"archives": {"val": [f"{cloud.url}/source/val.tgz"]}, "replacements": []}
    (folder / "configs/k400.yaml").write_text(yaml.safe_dump(config))
    binaries = folder / "submit" / "bin"
    binaries.mkdir(parents=True)
    for name, command in (("python", sys.executable), ("pip", f"{sys.executable} -m pip")):
        (binaries / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (binaries / name).chmod(0o755)
    return folder


def test_the_page_leads_from_nothing_to_the_records(
    place: Path, cloud: Cloud, worker_python: str, wheel: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(image), str(wheel)]
    subprocess.run(install, check=True)
    workers = Workers(worker_python, image, cloud.environment)
    environment = os.environ | VARIABLES | cloud.environment
    (setting,) = blocks("cat > cloud.yaml")
    written = "\n".join(line for line in setting.splitlines() if not line.startswith(_SETS_UP))

    def run(command: str) -> tuple[int, str, str]:
        with FakeDataflow(work=workers.work) as service:
            subprocess.run(["bash", "-c", written], cwd=place, env=environment, check=True)
            with (place / "cloud.yaml").open("a") as file:
                file.write(f"  dataflow_endpoint: {service.url}\n  no_auth: true\n")
            done = subprocess.run(
                ["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True, timeout=600
            )
        return done.returncode, done.stdout, done.stderr

    results = {command: run(command) for command in commands("submit/bin/") if not command.startswith(_SETS_UP)}
    assert [result[0] for result in results.values()] == [0] * 6, results
    trial, plan, whole, status, _, changed = (output for _, output, _ in results.values())
    assert "val: 6 clips asked for, 5 written, 1 failed; 2 shards" in trial
    assert "n2-standard-4" in plan
    assert "val: 6 clips asked for, 5 written, 1 failed; 2 shards" in whole
    assert "not_found" in status
    assert "val: 6 clips asked for" in changed
    assert sorted(cloud.names("k400/"))
