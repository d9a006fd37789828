"""A thousand clips of real videos, good and bad, through the whole job, killed three times on the way.

It takes ten minutes, so that `make test-faults` alone runs it.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.beam_pipeline.test_faults import ROOT, folder, ledger, made, moments, wait_for_end_of_group

__all__ = ["moments"]  # a fixture

NUM_SHARDS = 20
KILLS = 3


@pytest.fixture(scope="module")
def store(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to whole videos, which are called by their names with extensions: two differ in nothing else."""
    if not os.environ.get("KINETICS_FAULTS"):
        pytest.skip("takes ten minutes: make test-faults runs it")
    store = tmp_path_factory.mktemp("store")
    for path in (test_data / "videos").iterdir():
        (store / path.name).symlink_to(path)
    return store


def write_rows(path: Path, test_data: Path, count: int) -> None:
    """Writes rows that cut all videos at many times; some lie beyond the end, and some videos have nothing to cut."""
    with (test_data / "manifest.csv").open(newline="") as file:
        durations = {row["file"]: float(row["duration_s"] or 5) for row in csv.DictReader(file)}
    windows = -(-count // len(durations))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "video_id", "start", "end", "split"])
        rows = []
        for video, duration_s in sorted(durations.items()):
            for k in range(windows):
                start = round(duration_s * k / windows, 3)
                rows.append([f"class {k % 10}", video, start, round(start + 1.2 + 0.4 * (k % 3), 3), "train"])
        writer.writerows(random.Random(0).sample(rows, count))


def command(store: Path, rows: Path, data_dir: Path, flow: str) -> list[str]:
    settings = {
        "name": "tiny",
        "splits.train.annotations": rows,
        "splits.train.shards": NUM_SHARDS,
        "source.store": store,
        "source.trimmed": "false",
        "encode.shorter_side": 128,
        "flow": f"{{method: {flow}}}" if flow else "null",
        "audio.sample_rate": 16000,
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(data_dir), *words]


def num_shards(data_dir: Path) -> int:
    return len(list(folder(data_dir).glob("*.tfrecord-*")))


@pytest.mark.parametrize(("count", "flow"), [(1000, ""), (150, "dis")])
def test_real_clips_killed_three_times_end_as_if_nothing_had_been(
    test_data: Path, store: Path, tmp_path: Path, moments: random.Random, count: int, flow: str
) -> None:
    rows = tmp_path / "train.csv"
    write_rows(rows, test_data, count)
    started = time.monotonic()
    subprocess.run(command(store, rows, tmp_path / "undisturbed", flow), cwd=ROOT, check=True)
    whole_s = time.monotonic() - started
    killed_dir, sealed = tmp_path / "killed", []
    for target in sorted(moments.sample(range(NUM_SHARDS - 5), KILLS)):
        killed = subprocess.Popen(command(store, rows, killed_dir, flow), cwd=ROOT, process_group=0)
        while num_shards(killed_dir) < target and killed.poll() is None:
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 1))
        assert killed.poll() is None, "the run ended before it was killed"
        killed.kill()
        killed.wait()
        wait_for_end_of_group(killed.pid)
        sealed.append(num_shards(killed_dir))
    subprocess.run(command(store, rows, killed_dir, flow), cwd=ROOT, check=True)
    assert made(killed_dir) == made(tmp_path / "undisturbed")
    assert len({row["clip_id"] for row in ledger(killed_dir)}) == len(ledger(killed_dir)) == count
    verified = subprocess.run([sys.executable, "-m", "beam_pipeline", "verify", str(killed_dir)], cwd=ROOT)
    assert verified.returncode == 0
    reasons = Counter(row["reason"] or "ok" for row in ledger(killed_dir))
    print(f"{count} clips in {whole_s:.0f} s undisturbed; shards at each kill: {sealed}; {dict(reasons)}")
