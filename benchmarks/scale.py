"""A run over a whole Kinetics-700 list of which all but one clip is missing: what the job itself costs.

    python benchmarks/scale.py [--rows 650000] [--shards 1024]

Runs the real command line on half of the rows and on all of them, and prints for each: wall-clock and CPU seconds,
peak memory of all its processes together (proportional set size, sampled), rows in the ledger, and the ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def write_rows(path: Path, count: int) -> str:
    """Writes a K700-like CSV; returns the id of its first clip."""
    labels = (ROOT / "configs/labels/k700.txt").read_text().splitlines()
    lines = ["label,youtube_id,time_start,time_end,split"]
    for n in range(count):
        digest = hashlib.blake2b(str(n).encode(), digest_size=8).hexdigest()[:11]
        start = n % 280
        lines.append(f"{labels[n % 700]},{digest},{start},{start + 10},train")
    path.write_text("\n".join(lines) + "\n")
    first = lines[1].split(",")
    return f"{first[1]}_{int(first[2]):06d}_{int(first[3]):06d}"


def write_clip(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
        for k in range(250):
            picture = np.full((256, 340, 3), 60 + k % 100, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def memory_of_group(group: int) -> int:
    """Returns the bytes of all processes of a group, what they share counted once."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[2]) == group:
                rollup = (stat.parent / "smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration):
            continue
    return total


def measure(rows: int, shards: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        (folder / "store").mkdir()
        clip = write_rows(folder / "train.csv", rows)
        write_clip(folder / "store" / f"{clip}.mp4")
        command = [
            *(sys.executable, "-m", "beam_pipeline", "run", "--json", "--data_dir", str(folder / "out")),
            *("--set", "name=k700", "--set", f"splits.train.annotations={folder / 'train.csv'}"),
            *("--set", f"splits.train.shards={shards}", "--set", f"source.store={folder / 'store'}"),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        peak = 0
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0) as process:
            while process.poll() is None:
                peak = max(peak, memory_of_group(process.pid))
                time.sleep(0.25)
            assert process.stdout
            summary = json.loads(process.stdout.read())
        wall_s = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        (split,) = summary["splits"]
        assert (split["asked"], split["written"]) == (rows, 1), split
        return {
            "rows": rows,
            "wall s": wall_s,
            "CPU s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "peak MB": peak / 1e6,
            "failed": sum(split["failed"].values()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=650_000)
    parser.add_argument("--shards", type=int, default=1024)
    arguments = parser.parse_args()
    half, whole = (measure(rows, arguments.shards) for rows in (arguments.rows // 2, arguments.rows))
    names = list(whole)
    print(f"{os.cpu_count()} cores, {arguments.shards} shards")
    print("  ".join(f"{name:>10}" for name in names))
    for result in (half, whole):
        print("  ".join(f"{result[name]:>10,.0f}" for name in names))
    print("  ".join(f"{whole[name] / half[name]:>9.2f}×" for name in names))


if __name__ == "__main__":
    main()
