"""Emulated object stores, and the job run on them as its users run it: `make test-object-stores`."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.beam_pipeline.clips_on_disk import write_clip, write_list
from tests.object_stores.clouds import Cloud, amazon, google

ROOT = Path(__file__).parents[2]
CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(10)]
MISSING, CORRUPT = CLIPS[3], CLIPS[6]
NUM_SHARDS = 3
VERSION = "out/tiny/1.0.0"
_NEEDED = {"gs": ("google.cloud.storage", "gcp_storage_emulator"), "s3": ("boto3", "moto")}


@pytest.fixture(scope="session", params=["gs", "s3"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    for package in _NEEDED[request.param]:
        if not _is_installed(package):
            pytest.skip("needs clients and emulators of object stores: make test-object-stores")
    with ExitStack() as stack:
        yield stack.enter_context(
            google(tmp_path_factory.mktemp("google")) if request.param == "gs" else amazon()  # type: ignore[arg-type]
        )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture
def cloud(servers: Cloud) -> Cloud:
    """An object store whose bucket is empty, and in which nothing goes wrong yet."""
    servers.empty()
    servers.proxy.reset()
    return servers


@dataclass(frozen=True)
class Run:
    """What a command came to."""

    status: int
    output: str
    errors: str

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.output)


@dataclass(frozen=True)
class Place:
    """Where clips, their list and the output are, and how commands see it."""

    root: str
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)

    def command(self, name: str, *extra: str) -> list[str]:
        settings = {
            "name": "tiny",
            "splits.train.annotations": f"{self.root}/train.csv",
            "splits.train.shards": NUM_SHARDS,
            "source.store": f"{self.root}/clips",
            "workers": 1,
            "encode.shorter_side": 64,
            **self.settings,
        }
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        json_ = ["--json"] if name in ("run", "fetch") else []
        return [sys.executable, "-m", "beam_pipeline", name, *json_, "--data_dir", f"{self.root}/out", *words, *extra]

    def start(self, name: str, *extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(name, *extra),
            cwd=ROOT,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str = "run", *extra: str, status: int | Sequence[int] = 0) -> Run:
        process = self.start(name, *extra)
        output, errors = process.communicate(timeout=600)
        allowed = [status] if isinstance(status, int) else status
        assert process.returncode in allowed, f"{process.returncode}: {errors}{output}"
        return Run(process.returncode, output, errors)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips/ (one is missing, one corrupt), their list, and out/, made by an undisturbed run."""
    folder = tmp_path_factory.mktemp("tiny")
    for n, clip in enumerate(CLIPS):
        if clip != MISSING:
            write_clip(folder / "clips" / f"{clip}.mp4", hue=n * 20)
    (folder / "clips" / f"{CORRUPT}.mp4").write_bytes(b"not a video at all" * 40)
    write_list(folder / "train.csv", CLIPS)
    Place(str(folder)).run()
    return folder


@pytest.fixture
def remote(cloud: Cloud, tiny: Path) -> Place:
    """The same clips and list in an object store, with nothing made of them yet."""
    cloud.put_folder(tiny / "clips", "clips")
    cloud.put("train.csv", (tiny / "train.csv").read_bytes())
    return Place(cloud.url, cloud.environment)


def lasting(version: Path) -> dict[str, object]:
    """All that two runs over the same clips leave alike: shards, index, labels, and the ledger but for its tries."""
    made: dict[str, object] = {
        path.name: path.read_bytes()
        for path in version.iterdir()
        if ".tfrecord-" in path.name or path.name in ("labels.txt", "index-train.npz")
    }
    rows = pq.read_table(version / "clips-train.parquet").to_pylist()
    for row in rows:
        row["source_uri"] = row["source_uri"].rpartition("/")[2]
        del row["attempts"], row["attempted_at"]
    info = json.loads((version / "info-train.json").read_text())
    return made | {"ledger": rows, "complete": info["complete"], "num_failed": info["num_failed"]}


@dataclass(frozen=True)
class Outcome:
    """What a data set in an object store came to, next to what it should be."""

    cloud: Cloud
    folder: Path

    def made(self, version: str = VERSION) -> dict[str, object]:
        return lasting(self.cloud.get_folder(version, self.folder / f"{len(list(self.folder.iterdir()))}"))

    def leftovers(self) -> list[str]:
        return [name for name in self.cloud.names() if "partial" in name or name.endswith(".tmp")]


@pytest.fixture
def outcome(cloud: Cloud, tmp_path: Path) -> Outcome:
    (tmp_path / "fetched").mkdir()
    return Outcome(cloud, tmp_path / "fetched")
