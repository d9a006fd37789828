"""A data set in an object store is checked, compared and named as one on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.object_stores.clouds import Cloud
from tests.object_stores.conftest import ROOT, VERSION

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def command(cloud: Cloud, *words: str, status: int = 0) -> str:
    process = subprocess.run(
        [sys.executable, "-m", "beam_pipeline", *words],
        cwd=ROOT,
        env=os.environ | cloud.environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == status, process.stderr + process.stdout
    return process.stdout


def copied(cloud: Cloud, tiny: Path) -> str:
    """Puts a finished data set into the store; returns its URL."""
    cloud.put_folder(tiny / VERSION, VERSION)
    return f"{cloud.url}/{VERSION}"


def test_verify_finds_a_flipped_bit_here_and_by_workers(cloud: Cloud, tiny: Path) -> None:
    url = copied(cloud, tiny)
    assert "all is right" in command(cloud, "verify", url)
    shard = max((tiny / VERSION).glob("*.tfrecord-*"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    cloud.put(f"{VERSION}/{shard.name}", bytes(content))
    here = json.loads(command(cloud, "verify", "--json", url, status=1))
    (problem,) = here["problems"]
    assert (problem["file"], problem["what"]) == (shard.name, "it fails its checksum")
    report = f"--report={cloud.url}/reports/verified.jsonl"
    assert json.loads(command(cloud, "verify", "--json", url, RUNNER, report, status=1)) == here


def test_diff_and_fingerprint_find_a_copy_the_same(cloud: Cloud, tiny: Path) -> None:
    url, here = copied(cloud, tiny), str(tiny / VERSION)
    assert json.loads(command(cloud, "diff", "--json", here, url))["identical"] == 8
    assert command(cloud, "fingerprint", url) == command(cloud, "fingerprint", here)


def test_doctor_reads_records(cloud: Cloud, tiny: Path) -> None:
    found = json.loads(command(cloud, "doctor", "--json", copied(cloud, tiny)))
    assert found["looked_at"] == 8
    assert [each["reads"] for each in found["readers"] if "tf-models" in each["reader"]] == [True]
