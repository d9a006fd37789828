"""Our TV-L1 is OpenCV's, as near as OpenCV is to itself, and the same bits on any processor."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from beam_pipeline.media.flow import estimate_flow
from beam_pipeline.media.settings import Flow, TVL1Parameters
from beam_pipeline.media.tvl1 import TVL1, sweeps, warps
from tests.beam_pipeline.media.test_flow import real_luma, texture

SIZE = (160, 120)
USUAL = TVL1Parameters()
SETTERS = {
    "tau": "Tau",
    "data_weight": "Lambda",
    "theta": "Theta",
    "num_levels": "ScalesNumber",
    "level_scale": "ScaleStep",
    "num_warps": "WarpingsNumber",
    "epsilon_px": "Epsilon",
    "outer_iterations": "OuterIterations",
    "inner_iterations": "InnerIterations",
    "median_px": "MedianFiltering",
}


def opencvs(first: np.ndarray, second: np.ndarray, parameters: TVL1Parameters = USUAL) -> np.ndarray:
    estimator = cv2.optflow.DualTVL1OpticalFlow_create()
    for name, setter in SETTERS.items():
        getattr(estimator, f"set{setter}")(getattr(parameters, name))
    return estimator.calc(first, second, None)


def ours(first: np.ndarray, second: np.ndarray, parameters: TVL1Parameters = USUAL) -> np.ndarray:
    return TVL1(*first.shape, parameters)(first, second)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """The mean end-point error, in pixels."""
    return float(np.linalg.norm(one - other, axis=-1).mean())


def levels(flow: np.ndarray) -> np.ndarray:
    return np.rint((np.clip(flow, -20, 20) + 20) * 255 / 40)


def moved(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The frame after `flow` has moved every pixel; the flow of a pixel is that at the place to which it comes."""
    rows, columns = np.indices(frame.shape).astype(np.float32)
    after = cv2.remap(frame.astype(np.float32), columns - flow[..., 0], rows - flow[..., 1], cv2.INTER_CUBIC, None, 2)
    return np.clip(np.rint(after), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("clip", ["R6llTwEh07w.mp4", "mmaction2_demo.mp4", "mmaction2_test.mp4", "WUzgd7C1pWA.mp4"])
def test_real_clips_are_as_near_to_opencv_as_opencv_is_to_itself(test_data: Path, clip: str) -> None:
    """Rounding is amplified: a τ that is a millionth larger moves OpenCV's own flow by hundredths of a pixel."""
    pairs = list(pairwise(real_luma(test_data / "videos" / clip, 4, SIZE)))
    expected = [opencvs(*pair) for pair in pairs]
    flows = [ours(*pair) for pair in pairs]
    others = [opencvs(*pair, TVL1Parameters(tau=0.25 * (1 + 1e-6))) for pair in pairs]
    itself = np.mean([distance(*both) for both in zip(others, expected, strict=True)])
    assert np.mean([distance(*both) for both in zip(flows, expected, strict=True)]) <= max(0.01, 1.5 * itself)
    near = [abs(levels(flow) - levels(reference)) <= 1 for flow, reference in zip(flows, expected, strict=True)]
    assert np.mean(near) > 0.99


@pytest.mark.parametrize(
    "changed",
    [
        {"tau": 0.2},
        {"data_weight": 0.1},
        {"theta": 0.2},
        {"num_levels": 2},
        {"level_scale": 0.5},
        {"num_warps": 3},
        {"epsilon_px": 0.05},
        {"outer_iterations": 2},
        {"inner_iterations": 7},
        {"median_px": 3},
        {"median_px": 1},
    ],
    ids=str,
)
def test_each_parameter_means_what_it_means_to_opencv(changed: dict[str, float]) -> None:
    first = texture(90, 120)
    second = moved(first, np.full((90, 120, 2), (1.7, -0.6), np.float32))
    # Few sweeps, which do not amplify rounding.
    usual = TVL1Parameters(data_weight=0.05, num_warps=2, outer_iterations=4, inner_iterations=5)
    parameters = replace(usual, **changed)  # type: ignore[arg-type]
    expected = opencvs(first, second, parameters)
    assert distance(ours(first, second, parameters), expected) < 1e-4
    assert distance(opencvs(first, second, usual), expected) > 5e-3


def test_all_parameters_are_compared() -> None:
    assert {field.name for field in fields(TVL1Parameters)} == set(SETTERS)


def motions(height: int, width: int) -> dict[str, np.ndarray]:
    rows, columns = np.indices((height, width)).astype(np.float32)
    y, x = rows - height / 2, columns - width / 2
    still = np.zeros((height, width, 2), np.float32)
    inside = (abs(x) < 25) & (abs(y) < 20)
    return {
        "a quarter of a pixel": still + np.float32((0.25, 0)),
        "right and up": still + np.float32((2.5, -1.25)),
        "zoom": np.dstack([x, y]) * np.float32(0.03),
        "rotation": np.dstack([-y, x]) * np.float32(0.03),
        "an object before a background": np.where(inside[..., np.newaxis], np.float32((4, 1)), still),
    }


@pytest.mark.parametrize("motion", motions(2, 2))
def test_known_motion_is_found_as_well_as_by_opencv(test_data: Path, motion: str) -> None:
    first = real_luma(test_data / "videos" / "mmaction2_demo.mp4", 1, SIZE)[0]
    truth = motions(*first.shape)[motion]
    second = moved(first, truth)
    inner = np.s_[12:-12, 12:-12]
    error = distance(ours(first, second)[inner], truth[inner])
    assert error < 1.02 * distance(opencvs(first, second)[inner], truth[inner]) + 0.003
    assert error < 0.35


def test_nothing_that_moves_is_exactly_zero() -> None:
    frame = texture(48, 64)
    assert not ours(frame, frame.copy()).any()
    black = np.zeros_like(frame)
    assert not ours(black, black.copy()).any()


@pytest.mark.parametrize("moves", [True, False])
def test_what_rests_is_left_out_without_a_difference(moves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    first = texture(96, 128)
    second = first.copy()
    if moves:
        second[40:70, 50:80] = moved(first, np.full((96, 128, 2), (1.5, 0.5), np.float32))[40:70, 50:80]
    flow = ours(first, second)
    assert moves == flow.any()
    left_out, linearise = [], warps.linearise

    def linearise_all(first, channels, fields, width, step, unmoved, *scratch) -> None:
        left_out.append(unmoved.sum())
        unmoved[:] = False
        linearise(first, channels, fields, width, step, unmoved, *scratch)

    monkeypatch.setattr(warps, "linearise", linearise_all)
    monkeypatch.setattr(sweeps, "at_rest", lambda fields, width: False)
    np.testing.assert_array_equal(ours(first, second), flow)
    assert max(left_out) > 10  # blocks


def test_a_cut_to_another_scene_stays_finite() -> None:
    assert np.isfinite(ours(texture(48, 64), 255 - texture(48, 64, seed=1))).all()


@pytest.mark.parametrize("size", [(2, 2), (2, 200), (17, 19), (33, 128), (97, 61)])
def test_odd_sizes_are_opencvs_too(size: tuple[int, int]) -> None:
    first = texture(*size)
    second = moved(first, np.full((*size, 2), (0.4, 0.3), np.float32))
    flow = ours(first, second)
    assert flow.shape == (*size, 2)
    if min(size) > 2:  # below, OpenCV reads what it never wrote
        assert distance(flow, opencvs(first, second)) < 0.01


def test_the_frame_between_two_pairs_is_prepared_once_and_gives_the_same() -> None:
    frames = [texture(40, 56, seed) for seed in range(3)]
    estimator = TVL1(40, 56)
    together = [estimator(*pair) for pair in pairwise(frames)]
    assert all(np.array_equal(flow, ours(*pair)) for flow, pair in zip(together, pairwise(frames), strict=True))
    assert np.array_equal(estimator(frames[0], frames[1]), together[0])


DIGEST = """
import hashlib
from beam_pipeline.media.flow import estimate_flow
from beam_pipeline.media.settings import Flow
from tests.beam_pipeline.media.tvl1.test_estimator import moved, texture
import numpy as np
first = texture(75, 101)
flow = estimate_flow(first, moved(first, np.full((75, 101, 2), (1.3, 0.7), np.float32)), Flow())
print(hashlib.sha256(flow.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("cpu", ["nehalem", "haswell", "x86-64"])
def test_other_processors_give_the_same_bits(cpu: str) -> None:
    first = texture(75, 101)
    second = moved(first, np.full((75, 101, 2), (1.3, 0.7), np.float32))
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env=os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == hashlib.sha256(estimate_flow(first, second, Flow()).tobytes()).hexdigest()


COMPILED = """
from beam_pipeline.media.tvl1 import compile_once, sweeps
compile_once()
print(sum(sweeps.iterate.stats.cache_misses.values()))
"""


def compiled_by(count: int, cache: Path | str) -> list[int]:
    """How often each of so many processes, which start together, compiles the sweeps."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", COMPILED],
            env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    outputs = [process.communicate()[0] for process in started]
    assert all(process.returncode == 0 for process in started)
    return [int(output) for output in outputs]


def test_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    assert sorted(compiled_by(3, tmp_path / "cache")) == [0, 0, 1]
    assert compiled_by(1, tmp_path / "cache") == [0]


def test_a_machine_that_can_keep_no_cache_compiles_anew() -> None:
    compiled_by(1, "/proc/nowhere")
