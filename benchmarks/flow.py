"""What optical flow costs a pair, and how far it is from OpenCV's TV-L1, on frames of real clips as the job has them.

    KINETICS_TEST_DATA=DIR python benchmarks/flow.py [--pairs 5] [--clips 10]

Every method estimates the same pairs by turns, on one core. Prints CPU ms a pair; how many times as fast as OpenCV's
TV-L1 (`× total` by the sums, `× least` on the pair where it gains least); the end-point error against it, mean and 99th
percentile; and the share of stored levels (bound 20) within ±1. `tvl1` and the others are what `flow.method` names.

TV-L1 amplifies rounding where a picture is flat, so distances are judged against what a τ larger by a millionth does to
OpenCV's own flow: the second table has both for each clip, and says where ours is beyond max(0.01 px, 1.25 × that).
The last line is what a second process on another core brings.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import METHODS, estimate_flow
from beam_pipeline.media.settings import Encode, Flow
from beam_pipeline.media.tvl1 import TVL1
from beam_pipeline.media.video import read_frames

CLIPS = (
    "R6llTwEh07w.mp4",
    "WUzgd7C1pWA.mp4",
    "mmaction2_demo.mp4",
    "mmaction2_test.mp4",
    "askanything_yoga.mp4",
    "decord_flipping_a_pancake.mkv",
    "imageio_cockatoo.mp4",
    "tuneavideo_man_skiing.mp4",
    "v_SoccerJuggling_g23_c01.avi",
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi",
)
BOUND_PX = 20.0
Pair = tuple[np.ndarray, np.ndarray]
Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pairs_of(path: Path, count: int) -> list[Pair]:
    """`count` pairs of neighbouring frames, spread over the first 8 seconds."""
    with open_container(str(path)) as container:
        luma = read_frames(container, 0, 8_000_000, "false", Encode(), keep_luma=True).luma
    starts = np.linspace(0, len(luma) - 2, count).astype(int)
    return [(np.ascontiguousarray(luma[start]), np.ascontiguousarray(luma[start + 1])) for start in starts]


def opencv(tau: float = 0.25) -> Estimator:
    estimator = cv2.optflow.DualTVL1OpticalFlow_create()
    estimator.setTau(tau)
    return lambda first, second: estimator.calc(first, second, None)


def methods() -> dict[str, Estimator]:
    found = {
        "OpenCV's TV-L1": opencv(),
        "the same, τ + 1e-6": opencv(0.25 * (1 + 1e-6)),
        **{name: lambda first, second, name=name: estimate_flow(first, second, Flow(name)) for name in METHODS},
    }
    try:
        from skimage.registration import optical_flow_tvl1
    except ImportError:
        return found
    return found | {
        "scikit-image's TV-L1": lambda first, second: np.moveaxis(
            np.stack(optical_flow_tvl1(first, second, dtype=np.float32)[::-1]), 0, -1
        )
    }


@dataclass(frozen=True)
class Result:
    cpu_ms: float
    error_px: float
    error_99_px: float
    near: float  # share of stored levels


def levels(flow: np.ndarray) -> np.ndarray:
    return np.rint((np.clip(flow, -BOUND_PX, BOUND_PX) + BOUND_PX) * (255 / (2 * BOUND_PX)))


def measure(pairs: list[Pair]) -> list[dict[str, Result]]:
    """The results of every method for each pair."""
    table = []
    for first, second in pairs:
        results: dict[str, Result] = {}
        expected = None
        for name, estimate in methods().items():
            started = time.process_time()
            flow = estimate(first, second)
            cpu_ms = 1e3 * (time.process_time() - started)
            expected = flow if expected is None else expected
            error = np.linalg.norm(flow - expected, axis=-1)
            near = np.mean(np.abs(levels(flow) - levels(expected)) <= 1)
            results[name] = Result(cpu_ms, float(error.mean()), float(np.percentile(error, 99)), float(near))
        table.append(results)
    return table


def report(tables: dict[str, list[dict[str, Result]]]) -> None:
    rows = [results for table in tables.values() for results in table]
    names = list(rows[0])
    reference = names[0]
    total = sum(row[reference].cpu_ms for row in rows)
    print(f"\n{len(rows)} pairs of {len(tables)} clips")
    print(f"{'':24}{'CPU ms':>8}{'× total':>9}{'× least':>9}{'error px':>10}{'99 %':>8}{'within ±1':>11}")
    for name in names:
        own = [row[name] for row in rows]
        least = min(row[reference].cpu_ms / row[name].cpu_ms for row in rows)
        print(
            f"{name:24}{statistics.median(r.cpu_ms for r in own):8.1f}{total / sum(r.cpu_ms for r in own):9.1f}"
            f"{least:9.1f}{statistics.mean(r.error_px for r in own):10.4f}"
            f"{statistics.median(r.error_99_px for r in own):8.3f}{statistics.median(r.near for r in own):11.2%}"
        )
    print(f"\n{'tvl1 by clip':40}{'×':>6}{'error px':>10}{'itself':>8}{'within ±1':>11}")
    for clip, table in tables.items():
        error, itself, near = (
            statistics.mean(getattr(row[name], what) for row in table)
            for name, what in (("tvl1", "error_px"), (names[1], "error_px"), ("tvl1", "near"))
        )
        speed = sum(row[reference].cpu_ms for row in table) / sum(row["tvl1"].cpu_ms for row in table)
        beyond = "" if error <= max(0.01, 1.25 * itself) else "   beyond"
        print(f"{clip:40}{speed:6.1f}{error:10.4f}{itself:8.4f}{near:11.2%}{beyond}")


def estimate_all(core: int, pairs: list[Pair], start: object) -> None:
    os.sched_setaffinity(0, {core})
    estimator = TVL1(*pairs[0][0].shape)
    estimator(*pairs[0])
    start.wait()  # type: ignore[attr-defined]
    for _ in range(5):
        for pair in pairs:
            estimator(*pair)


def seconds_of(cores: list[int], pairs: list[Pair]) -> float:
    """Wall-clock seconds of as many processes as there are cores, each of which estimates all pairs five times."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(cores) + 1)
    processes = [context.Process(target=estimate_all, args=(core, pairs, start)) for core in cores]
    for process in processes:
        process.start()
    start.wait()
    started = time.monotonic()
    for process in processes:
        process.join()
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="of each clip")
    parser.add_argument("--clips", type=int, default=len(CLIPS))
    args = parser.parse_args()
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    videos = Path(os.environ["KINETICS_TEST_DATA"]) / "videos"
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    cv2.setNumThreads(1)
    for name in METHODS:  # compiled, and loaded
        estimate_flow(*pairs_of(videos / CLIPS[0], 1)[0], Flow(name))
    tables = {clip: measure(pairs_of(videos / clip, args.pairs)) for clip in CLIPS[: args.clips]}
    report(tables)
    os.sched_setaffinity(0, set(cores))
    pairs = pairs_of(videos / CLIPS[2], args.pairs)
    rounds = [seconds_of(cores[:1], pairs) / seconds_of(cores[:2], pairs) for _ in range(3)]
    if len(cores) > 1:
        print(f"\ntwo processes: {2 * max(rounds):.2f} × the pairs a second of one, best of {len(rounds)}")


if __name__ == "__main__":
    main()
