"""What optical flow costs a pair, and how far it is from OpenCV's TV-L1, on frames of real clips as the job has them.

    KINETICS_TEST_DATA=DIR python benchmarks/flow.py [--pairs 2] [--clips 29] [--front PICTURE.png]

Every method estimates the same pairs by turns, on one core, the quick ones several times. Prints CPU ms a pair; how
many times as fast as OpenCV's TV-L1 (`× total` by the sums, `× least` on the pair where it gains least); the end-point
error against it, mean and 99th percentile; and the share of stored levels (bound 20) within ±1. `tvl1` and the others
are what `flow.method` names; scikit-image's TV-L1 is there where it is installed.

TV-L1 amplifies rounding where a picture is flat, so distances are judged against what a τ larger by a millionth does to
OpenCV's own flow: the second table has both for each clip, and says where ours is beyond max(0.01 px, 1.25 × that).
The last line is what a second process on another core brings.

With --front TV-L1 is also run with other parameters, by us and by OpenCV, and drawn with the other methods: speed
against error. That takes matplotlib.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import METHODS, flow_estimator
from beam_pipeline.media.settings import TVL1_PRESETS, Encode, Flow, TVL1Parameters
from beam_pipeline.media.tvl1 import TVL1
from beam_pipeline.media.video import read_frames

# Whatever is footage, goes on for a second or more and moves.
CLIPS = (
    "R6llTwEh07w.mp4",
    "TrumanShow_wave_f_nm_np1_fr_med_26.avi",
    "WUzgd7C1pWA.mp4",
    "askanything_playing_guitar.mp4",
    "askanything_yoga.mp4",
    "decord_flipping_a_pancake.mkv",
    "fate_h264_interlaced_crop.mp4",
    "filetype_fixture2.mkv",
    "gradio_playable_but_bad_container.mkv",
    "gradio_video_sample.webm",
    "imageio_cockatoo.mp4",
    "intel_asl_book.mkv",
    "intel_one_by_one_person_detection.mp4",
    "mdn_rabbit320.webm",
    "mediabunny_frag_buck_bunny.mp4",
    "mei_sample.3gp",
    "mei_with_gps.mov",
    "mmaction2_demo.mp4",
    "mmaction2_demo_skeleton.mp4",
    "mmaction2_demo_spatiotemporal_det.mp4",
    "mmaction2_test.mp4",
    "mmaction2_test_video_structuralize.mp4",
    "psd_delayed_start.mp4",
    "psd_goldeneye_vfr_drop3.mp4",
    "tuneavideo_man_skiing.mp4",
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi",
    "v_GGSY1Qvo990.mp4",
    "v_SoccerJuggling_g23_c01.avi",
    "videollava_sample_demo_22.mp4",
)
BOUND_PX = 20.0
AT_LEAST_S = 0.2  # of each method on each pair: its cost is a median, since a core is shared with who knows what
# From quick to near: none of them is both slower and farther than another.
FRONT = (
    TVL1Parameters(num_levels=4, level_scale=0.5, num_warps=2, outer_iterations=1, inner_iterations=10),
    TVL1Parameters(num_levels=4, level_scale=0.5, num_warps=2, epsilon_px=0.015, outer_iterations=5, median_px=3),
    TVL1_PRESETS["tvl1_fast"],
    TVL1Parameters(level_scale=0.75, num_warps=4, outer_iterations=5, inner_iterations=40),
    TVL1_PRESETS["tvl1"],
)
Pair = tuple[np.ndarray, np.ndarray]
Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pairs_of(path: Path, count: int) -> list[Pair]:
    """`count` pairs of neighbouring frames that differ, spread over the first 8 seconds."""
    with open_container(str(path)) as container:
        luma = read_frames(container, 0, 8_000_000, "false", Encode(), keep_luma=True).luma
    frames = [np.ascontiguousarray(frame) for frame in luma]
    differing = [pair for pair in pairwise(frames) if not np.array_equal(*pair)]
    return [differing[number] for number in np.linspace(0, len(differing) - 1, count).astype(int)]


def opencv(parameters: TVL1Parameters) -> Estimator:
    estimator = cv2.optflow.DualTVL1OpticalFlow_create(
        tau=parameters.tau,
        lambda_=parameters.data_weight,
        theta=parameters.theta,
        nscales=parameters.num_levels,
        warps=parameters.num_warps,
        epsilon=parameters.epsilon_px,
        innnerIterations=parameters.inner_iterations,  # OpenCV's spelling
        outerIterations=parameters.outer_iterations,
        scaleStep=parameters.level_scale,
        medianFiltering=parameters.median_px,
    )
    return lambda first, second: estimator.calc(first, second, None)


REFERENCE, SHAKEN, SCIKIT = "OpenCV's TV-L1", "OpenCV's, τ + 1e-6", "scikit-image's TV-L1"


def methods() -> dict[str, Estimator]:
    """New estimators, as a clip gets them."""
    found = {
        REFERENCE: opencv(TVL1Parameters()),
        SHAKEN: opencv(replace(TVL1Parameters(), tau=0.25 * (1 + 1e-6))),
        **{name: flow_estimator(Flow(name)) for name in METHODS},  # type: ignore[arg-type]
    }
    try:
        from skimage.registration import optical_flow_tvl1
    except ImportError:
        return found
    return found | {
        SCIKIT: lambda first, second: np.moveaxis(
            np.stack(optical_flow_tvl1(first, second, dtype=np.float32)[::-1]), 0, -1
        )
    }


def front() -> dict[str, Estimator]:
    """TV-L1 with the parameters of each row of FRONT, by us and by OpenCV."""
    return {
        f"{name} {number}": estimator
        for number, row in enumerate(FRONT)
        for name, estimator in (("tvl1", flow_estimator(Flow("tvl1", tvl1=row))), ("OpenCV", opencv(row)))
    }


@dataclass(frozen=True)
class Result:
    cpu_ms: float
    error_px: float
    error_99_px: float
    near: float  # share of stored levels


def levels(flow: np.ndarray) -> np.ndarray:
    return np.rint((np.clip(flow, -BOUND_PX, BOUND_PX) + BOUND_PX) * (255 / (2 * BOUND_PX)))


def measure(pairs: list[Pair], estimators: dict[str, Estimator]) -> list[dict[str, Result]]:
    """The results of every method for each pair; the first method is what the others are held against."""
    for name, estimate in estimators.items():
        if "OpenCV" not in name:  # which would take minutes; of the others, code is loaded and buffers are made
            estimate(*pairs[-1])
    table = []
    for first, second in pairs:
        results: dict[str, Result] = {}
        expected = None
        for name, estimate in estimators.items():
            times = []
            while sum(times) < AT_LEAST_S:
                started = time.process_time()
                flow = estimate(first, second)
                times.append(time.process_time() - started)
            cpu_ms = 1e3 * statistics.median(times)
            expected = flow if expected is None else expected
            error = np.linalg.norm(flow - expected, axis=-1)
            near = np.mean(np.abs(levels(flow) - levels(expected)) <= 1)
            results[name] = Result(cpu_ms, float(error.mean()), float(np.percentile(error, 99)), float(near))
        table.append(results)
    return table


@dataclass(frozen=True)
class Summary:
    """Of one method on all pairs: medians of ms, 99th percentile and share, means of error; the rest by sums."""

    cpu_ms: float
    times: float
    times_least: float
    error_px: float
    error_99_px: float
    near: float


def summaries(rows: list[dict[str, Result]]) -> dict[str, Summary]:
    reference = next(iter(rows[0]))
    total_ms = sum(row[reference].cpu_ms for row in rows)
    return {
        name: Summary(
            statistics.median(row[name].cpu_ms for row in rows),
            total_ms / sum(row[name].cpu_ms for row in rows),
            min(row[reference].cpu_ms / row[name].cpu_ms for row in rows),
            statistics.mean(row[name].error_px for row in rows),
            statistics.median(row[name].error_99_px for row in rows),
            statistics.median(row[name].near for row in rows),
        )
        for name in rows[0]
    }


def print_methods(found: dict[str, Summary]) -> None:
    print(f"{'':24}{'CPU ms':>8}{'× total':>9}{'× least':>9}{'error px':>10}{'99 %':>8}{'within ±1':>11}")
    for name, of in found.items():
        print(
            f"{name:24}{of.cpu_ms:8.1f}{of.times:9.1f}{of.times_least:9.1f}"
            f"{of.error_px:10.4f}{of.error_99_px:8.3f}{of.near:11.2%}"
        )


def print_clips(tables: dict[str, list[dict[str, Result]]]) -> None:
    print(f"\n{'tvl1 by clip':40}{'×':>6}{'error px':>10}{'itself':>8}{'within ±1':>11}")
    lines = []
    for clip, table in tables.items():
        error, itself, near = (
            statistics.mean(getattr(row[name], what) for row in table)
            for name, what in (("tvl1", "error_px"), (SHAKEN, "error_px"), ("tvl1", "near"))
        )
        speed = sum(row[REFERENCE].cpu_ms for row in table) / sum(row["tvl1"].cpu_ms for row in table)
        beyond = "" if error <= max(0.01, 1.25 * itself) else "   beyond"
        print(f"{clip:40}{speed:6.1f}{error:10.4f}{itself:8.4f}{near:11.2%}{beyond}")
        lines.append((speed, error, itself, near))
    speed, error, itself, near = (statistics.median(column) for column in zip(*lines, strict=True))
    print(f"{'median':40}{speed:6.1f}{error:10.4f}{itself:8.4f}{near:11.2%}")


def draw(methods: dict[str, Summary], front: dict[str, Summary], path: str) -> None:
    """Draws speed against error, both in powers of ten."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=150)
    for label, start, colour in (
        ("our TV-L1", "tvl1 ", "tab:blue"),
        ("OpenCV's, same parameters", "OpenCV ", "tab:grey"),
    ):
        points = sorted((of.times, of.error_px) for name, of in front.items() if name.startswith(start))
        axes.plot(*zip(*points, strict=True), "o-", ms=4, color=colour, label=label)
    for name, of in methods.items():
        if name != REFERENCE:
            ours = name.startswith("tvl1")
            axes.plot(
                of.times,
                of.error_px,
                "*" if ours else "s",
                ms=13 if ours else 6,
                color="tab:blue" if ours else "tab:orange",
            )
            axes.annotate(name, (of.times, of.error_px), xytext=(8, 5), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel=f"times as fast as {REFERENCE}, defaults (CPU)")
    axes.set_ylabel("mean end-point error against it, pixels")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(loc="upper left", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    print(f"\n{path}")


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
    parser.add_argument("--pairs", type=int, default=2, help="of each clip")
    parser.add_argument("--clips", type=int, default=len(CLIPS))
    parser.add_argument("--front", metavar="PICTURE.png", help="try other parameters too, and draw them")
    args = parser.parse_args()
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    videos = Path(os.environ["KINETICS_TEST_DATA"]) / "videos"
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    cv2.setNumThreads(1)
    pairs = {clip: pairs_of(videos / clip, args.pairs) for clip in CLIPS[: args.clips]}
    tables = {clip: measure(of_clip, methods() | (front() if args.front else {})) for clip, of_clip in pairs.items()}
    rows = [row for table in tables.values() for row in table]
    print(f"\n{len(rows)} pairs of {len(tables)} clips")
    found = summaries(rows)
    print_methods({name: found[name] for name in methods()})
    print_clips(tables)
    if args.front:
        others = {name: found.pop(name) for name in front()}
        print("\nother parameters")
        for number, row in enumerate(FRONT):
            print(f"{number}: {row}")
        print_methods(others)
        draw(found, others, args.front)
    os.sched_setaffinity(0, set(cores))
    if len(cores) > 1:
        some = next(iter(pairs.values()))
        rounds = [seconds_of(cores[:1], some) / seconds_of(cores[:2], some) for _ in range(3)]
        print(f"\ntwo processes: {2 * max(rounds):.2f} × the pairs a second of one, best of {len(rounds)}")


if __name__ == "__main__":
    main()
