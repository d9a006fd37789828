"""What the job adds to its decoding, and to its optical flow, and what a second worker gives.

    KINETICS_TEST_DATA=DIR python benchmarks/job.py [--clips 40] [--rounds 5] [--seconds 10] [--flow METHOD]

Runs the real command line on copies of real 340×256 Kinetics clips, one worker and two, each worker pinned to a core of
its own, and beside it bare loops in one process over the same clips: one that encodes their frames and writes records,
and one that estimates and encodes the flow of frames that it has. Start-up is taken out by doing each with few clips
and with many: what is printed is the difference, a clip. Peak memory is that of all processes together (proportional
set size, sampled) with many clips.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from beam_pipeline.media.flow import flow_estimator
from beam_pipeline.media.settings import Flow
from benchmarks.scale import memory_of_group

ROOT = Path(__file__).resolve().parents[1]
REAL_CLIPS = ("R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4", "mmaction2_demo.mp4", "mmaction2_test.mp4")
FEW = 2 * len(REAL_CLIPS)

FRAMES_ALONE = """
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
    for name in sys.argv[3:]:
        path = Path(name)
        clip = Clip(path.stem[:11], 0, int(sys.argv[2]) * 10**6, "a label")
        task = ClipTask(clip, 0, "train", "bench", name, path.name, path.stat().st_size, None, MediaSettings())
        writer.write(encode_clip(task).record)
"""

# Each real clip is read once, with few clips as with many: so the difference holds nothing of it.
FLOW_ALONE = """
import functools, os, sys
from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import encode_flow
from beam_pipeline.media.process import prepare_decoder
from beam_pipeline.media.settings import Encode, Flow
from beam_pipeline.media.video import read_frames
prepare_decoder()
@functools.cache
def luma_of(path):
    with open_container(path) as container:
        return read_frames(container, 0, int(sys.argv[2]) * 10**6, "true", Encode(), keep_luma=True).luma
for name in sys.argv[3:]:
    encode_flow(luma_of(os.path.realpath(name)), Flow(sys.argv[1]))
"""


@dataclass(frozen=True)
class Cost:
    """Wall-clock and CPU seconds of a command and its children, and the most memory they held together."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def make_store(folder: Path, data: Path, count: int, seconds: int) -> list[Path]:
    """Links copies of real clips under ids of their own and lists them in a CSV.

    Each clip comes twice in a row, so that two workers are done at the same time, whatever each clip costs.
    """
    folder.mkdir()
    rows = ["label,youtube_id,time_start,time_end,split"]
    paths = []
    for n in range(count):
        video_id = f"clip{n:07d}"
        path = folder / f"{video_id}_000000_{seconds:06d}.mp4"
        path.symlink_to(data / "videos" / REAL_CLIPS[n // 2 % len(REAL_CLIPS)])
        paths.append(path)
        rows.append(f"a label,{video_id},0,{seconds},train")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    return paths


def pin_workers(parent: int, done: threading.Event) -> None:
    """Gives each decoding process a core of its own, in the order in which they come."""
    cores = sorted(os.sched_getaffinity(0))
    pinned: dict[int, int] = {}
    while not done.wait(0.2):
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, ppid = int(status.parent.name), int(status.read_text().rsplit(")", 1)[1].split()[1])
                command = (status.parent / "cmdline").read_bytes()
                if ppid == parent and b"spawn_main" in command and pid not in pinned:
                    pinned[pid] = cores[len(pinned) % len(cores)]
                    os.sched_setaffinity(pid, {pinned[pid]})
            except (OSError, ValueError):
                continue


def peak_memory_mb(group: int, done: threading.Event) -> float:
    """Samples the memory of a process group until it is done."""
    peak = 0
    while not done.wait(1):
        peak = max(peak, memory_of_group(group))
    return peak / 1e6


def cost_of(command: list[str]) -> Cost:
    """Runs a command to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, process_group=0)
    done = threading.Event()
    with ThreadPoolExecutor() as threads:
        threads.submit(pin_workers, process.pid, done)
        peak_mb = threads.submit(peak_memory_mb, process.pid, done)
        status = process.wait()
        wall_s = time.monotonic() - started
        done.set()
    assert status == 0, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak_mb.result())


def job(store: Path, workers: int, flow: str | None) -> list[str]:
    out = tempfile.mkdtemp(dir=store.parent)
    return [
        *(sys.executable, "-m", "beam_pipeline", "run", "--data_dir", out, "--overwrite", "--set", "name=bench"),
        *("--set", f"splits.train.annotations={store / 'train.csv'}", "--set", "splits.train.shards=1"),
        *("--set", f"source.store={store}", "--set", f"workers={workers}"),
        *(("--set", f"flow.method={flow}") if flow else ()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40, help=f"a multiple of {FEW}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of each clip")
    parser.add_argument("--flow", metavar="METHOD", help="of optical flow, such as tvl1; none by default")
    arguments = parser.parse_args()
    if arguments.clips < 1 or arguments.clips % FEW:
        parser.error(f"--clips must be a multiple of {FEW}, each real clip twice, got {arguments.clips}")
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    data, flow = Path(os.environ["KINETICS_TEST_DATA"]).resolve(), arguments.flow
    if flow:
        flow_estimator(Flow(flow))  # compiled, once a machine
    with tempfile.TemporaryDirectory() as name:
        stores = {count: Path(name, f"store{count}") for count in (FEW, FEW + arguments.clips)}
        paths = {
            count: list(map(str, make_store(store, data, count, arguments.seconds))) for count, store in stores.items()
        }
        python, seconds = (sys.executable, "-c"), str(arguments.seconds)
        ways = {"frames alone": {n: [*python, FRAMES_ALONE, f"{name}/bare", seconds, *paths[n]] for n in stores}}
        if flow:
            ways["flow alone"] = {n: [*python, FLOW_ALONE, flow, seconds, *paths[n]] for n in stores}
        alone = list(ways)
        ways["job, 1 worker"] = {n: job(store, 1, flow) for n, store in stores.items()}
        ways["job, 2 workers"] = {n: job(store, 2, flow) for n, store in stores.items()}
        rounds: list[dict[str, Cost]] = []
        for _ in range(arguments.rounds):
            costs = {way: [cost_of(command) for command in commands.values()] for way, commands in ways.items()}
            rounds.append({way: a_clip(few, many, arguments.clips) for way, (few, many) in costs.items()})
    print(f"{arguments.rounds} rounds of {arguments.clips} clips beyond the first {FEW}, flow: {flow}; seconds a clip")
    print(f"{'':<16}{'CPU median':>12}{'best wall':>12}{'peak MB':>10}")
    best_s = {way: min(costs[way].wall_s for costs in rounds) for way in ways}
    for way, wall_s in best_s.items():
        cpu_s, peak_mb = statistics.median(c[way].cpu_s for c in rounds), max(c[way].peak_mb for c in rounds)
        print(f"{way:<16}{cpu_s:>12.3f}{wall_s:>12.3f}{peak_mb:>10.0f}")
    ratio = statistics.median(c["job, 1 worker"].cpu_s / sum(c[way].cpu_s for way in alone) for c in rounds)
    print(f"CPU of the job / {' + '.join(alone)}, round by round: median {ratio:.3f}")
    two = best_s["job, 1 worker"] / best_s["job, 2 workers"]
    print(f"clips a second with two workers / one, best of {arguments.rounds}: {two:.2f}")


def a_clip(few: Cost, many: Cost, clips: int) -> Cost:
    """What each of the clips costs that `many` had more than `few`."""
    return Cost((many.wall_s - few.wall_s) / clips, (many.cpu_s - few.cpu_s) / clips, many.peak_mb)


if __name__ == "__main__":
    main()
