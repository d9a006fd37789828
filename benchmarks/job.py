"""What the job adds to its decoding, and what a second worker gives.

    KINETICS_TEST_DATA=DIR python benchmarks/job.py [--clips 40] [--rounds 5]

Runs the real command line on copies of real 340×256 Kinetics clips, one worker and two, each worker pinned to a core of
its own, and beside it a bare loop over the same clips that encodes and writes records in one process. Start-up is taken
out by doing each with few clips and with many: what is printed is the difference, a clip.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REAL_CLIPS = ("R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4", "mmaction2_demo.mp4", "mmaction2_test.mp4")
FEW = 4

BARE_LOOP = """
import sys
from pathlib import Path
from beam_pipeline.clips import Clip
from beam_pipeline.media.encoding import encode_clip
from beam_pipeline.media.process import prepare_decoder
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.media.task import ClipTask
from beam_pipeline.tfrecord import ShardWriter
prepare_decoder()
with open(sys.argv[1], "wb") as file:
    writer = ShardWriter(file)
    for name in sys.argv[2:]:
        path = Path(name)
        clip = Clip(path.stem[:11], 0, 10_000_000, "a label")
        task = ClipTask(clip, 0, "train", "bench", name, path.name, path.stat().st_size, None, MediaSettings())
        writer.write(encode_clip(task).record)
"""


def make_store(folder: Path, data: Path, count: int) -> list[Path]:
    """Links copies of real clips under ids of their own and lists them in a CSV."""
    folder.mkdir()
    rows = ["label,youtube_id,time_start,time_end,split"]
    paths = []
    for n in range(count):
        video_id = f"clip{n:07d}"
        path = folder / f"{video_id}_000000_000010.mp4"
        path.symlink_to(data / "videos" / REAL_CLIPS[n % len(REAL_CLIPS)])
        paths.append(path)
        rows.append(f"a label,{video_id},0,10,train")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    return paths


def pin_workers(parent: int, done: threading.Event) -> None:
    """Gives each decoding process a core of its own, in the order in which they come."""
    cores = sorted(os.sched_getaffinity(0))
    pinned: dict[int, int] = {}
    while not done.wait(0.02):
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, ppid = int(status.parent.name), int(status.read_text().rsplit(")", 1)[1].split()[1])
                command = (status.parent / "cmdline").read_bytes()
                if ppid == parent and b"spawn_main" in command and pid not in pinned:
                    pinned[pid] = cores[len(pinned) % len(cores)]
                    os.sched_setaffinity(pid, {pinned[pid]})
            except (OSError, ValueError):
                continue


def timed(command: list[str]) -> tuple[float, float]:
    """Returns the wall-clock and the CPU seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    done = threading.Event()
    pinning = threading.Thread(target=pin_workers, args=(process.pid, done))
    pinning.start()
    status = process.wait()
    wall_s = time.monotonic() - started
    done.set()
    pinning.join()
    assert status == 0, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def job(store: Path, workers: int) -> list[str]:
    out = tempfile.mkdtemp(dir=store.parent)
    return [
        *(sys.executable, "-m", "beam_pipeline", "run", "--data_dir", out, "--set", "name=bench"),
        *("--set", f"splits.train.annotations={store / 'train.csv'}", "--set", "splits.train.shards=1"),
        *("--set", f"source.store={store}", "--set", f"workers={workers}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    data = Path(os.environ["KINETICS_TEST_DATA"]).resolve()
    with tempfile.TemporaryDirectory() as name:
        stores = {count: Path(name, f"store{count}") for count in (FEW, FEW + arguments.clips)}
        paths = {count: make_store(store, data, count) for count, store in stores.items()}
        ways = {
            "bare loop": {n: [sys.executable, "-c", BARE_LOOP, f"{name}/bare", *map(str, paths[n])] for n in stores},
            "job, 1 worker": {n: job(stores[n], 1) for n in stores},
            "job, 2 workers": {n: job(stores[n], 2) for n in stores},
        }
        results: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way, commands in ways.items():
                few, many = (
                    timed([*command, "--overwrite"] if "-m" in command else command) for command in commands.values()
                )
                results[way].append(((many[0] - few[0]) / arguments.clips, (many[1] - few[1]) / arguments.clips))
    print(f"{arguments.rounds} rounds of {arguments.clips} clips beyond the first {FEW}; seconds a clip")
    print(f"{'':<16}{'CPU median':>12}{'best wall':>12}")
    for way, rounds in results.items():
        print(f"{way:<16}{statistics.median(r[1] for r in rounds):>12.3f}{min(r[0] for r in rounds):>12.3f}")
    cpu = [j[1] / bare[1] for j, bare in zip(results["job, 1 worker"], results["bare loop"], strict=True)]
    one, two = (min(r[0] for r in results[f"job, {n}"]) for n in ("1 worker", "2 workers"))
    print(f"CPU of the job / bare loop, round by round: median {statistics.median(cpu):.3f}")
    print(f"clips a second with two workers / one, best of {arguments.rounds}: {one / two:.2f}")


if __name__ == "__main__":
    main()
