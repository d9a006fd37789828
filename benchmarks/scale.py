"""What the job and the reader cost at the size of Kinetics, without the pixels.

    python benchmarks/scale.py [--clips 10000 100000 650000] [--clips_a_shard 65]

For each size: a list like Kinetics-700's, a store with a file a clip, and the real command line from plan to ledger
and index, with a stand-in for pixels that costs nothing (`benchmarks/no_pixels.py`), then the reader on what that made:
650,000 clips are 10,000 shards. Prints wall-clock and CPU seconds; peak memory of all processes together (proportional
set size, sampled); the bytes that crossed the shuffles a clip; the reader's seconds to its first batch, from a process
that has TensorFlow already, and the most memory it held. Below that what a clip takes at each size by the first one:
1.0 is linear. With --missing only one clip has a file, and there is nothing to read.
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

ROOT = Path(__file__).resolve().parents[1]
BATCH = 16

READ = """
import json, resource, sys, time
import tensorflow as tf
import tf_data
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
batch = next(iter(tf_data.load('k700', split='train', data_dir=sys.argv[1], batch_size=int(sys.argv[2]), seed=0)))
first_s = time.perf_counter() - started
assert batch['rgb'].shape[0] == int(sys.argv[2])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({'first batch s': first_s, 'reader MB': after * 1024 / 1e6, 'of it import': before * 1024 / 1e6}))
"""


def write_rows(path: Path, count: int) -> list[str]:
    """Writes a K700-like CSV; returns the ids of its clips."""
    labels = (ROOT / "configs/labels/k700.txt").read_text().splitlines()
    lines = ["label,youtube_id,time_start,time_end,split"]
    clips = []
    for n in range(count):
        video_id = hashlib.blake2b(str(n).encode(), digest_size=8).hexdigest()[:11]
        start = n % 280
        lines.append(f"{labels[n % 700]},{video_id},{start},{start + 10},train")
        clips.append(f"{video_id}_{start:06d}_{start + 10:06d}")
    path.write_text("\n".join(lines) + "\n")
    return clips


def write_store(folder: Path, clips: list[str]) -> None:
    """Writes a file for each clip, a thousand a folder."""
    for first in range(0, len(clips), 1000):
        part = folder / f"part{first // 1000:05d}"
        part.mkdir(parents=True)
        for clip in clips[first : first + 1000]:
            (part / f"{clip}.mp4").write_bytes(b"-")


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


def measure(clips: int, shards: int, missing: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        ids = write_rows(folder / "train.csv", clips)
        write_store(folder / "store", ids[:1] if missing else ids)
        command = [
            *(sys.executable, "-m", "benchmarks.no_pixels", "run", "--json", "--data_dir", str(folder / "out")),
            *("--set", "name=k700", "--set", f"splits.train.annotations={folder / 'train.csv'}"),
            *("--set", f"splits.train.shards={shards}", "--set", f"source.store={folder / 'store'}"),
        ]
        environment = os.environ | {"SHUFFLED": str(folder / "shuffled")}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        peak = 0
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0, env=environment
        ) as process:
            while process.poll() is None:
                peak = max(peak, memory_of_group(process.pid))
                time.sleep(0.25)
            assert process.stdout
            summary = json.loads(process.stdout.read())
        wall_s = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        (split,) = summary["splits"]
        assert (split["asked"], split["written"]) == (clips, 1 if missing else clips), split
        result = {
            "clips": clips,
            "shards": shards,
            "wall s": wall_s,
            "CPU s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "peak MB": peak / 1e6,
            "shuffled B/clip": int((folder / "shuffled").read_text()) / clips,
        }
        if not missing:
            read = [sys.executable, "-c", READ, str(folder / "out"), str(BATCH)]
            done = subprocess.run(read, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            result |= json.loads(done.stdout.splitlines()[-1])
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000, 650_000])
    parser.add_argument("--clips_a_shard", type=int, default=65)
    parser.add_argument("--missing", action="store_true", help="all clips but one have no file")
    arguments = parser.parse_args()
    results = []
    print(f"{os.cpu_count()} cores", flush=True)
    for clips in arguments.clips:
        result = measure(clips, max(1, clips // arguments.clips_a_shard), arguments.missing)
        if not results:
            print("  ".join(f"{name:>15}" for name in result))
        results.append(result)
        print("  ".join(f"{value:>15,.{0 if value >= 100 else 1}f}" for value in result.values()), flush=True)
    for result in results:
        times = {
            name: result[name] / result["clips"] / (results[0][name] / results[0]["clips"])
            for name in ("wall s", "CPU s")
        }
        print(f"{result['clips']:>15,} clips: a clip takes " + ", ".join(f"{t:.2f}× the {n}" for n, t in times.items()))


if __name__ == "__main__":
    main()
