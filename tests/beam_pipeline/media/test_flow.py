"""Optical flow: right vectors, the stored levels, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import simplejpeg

from beam_pipeline.clips import ClipError
from beam_pipeline.media.flow import METHODS, decode_flow, encode_flow, estimate_flow, flow_estimator, levels_of
from beam_pipeline.media.process import prepare_decoder
from beam_pipeline.media.settings import TVL1_PRESETS, Flow, TVL1Parameters
from beam_pipeline.pool import ChildPool, Task

SHIFT = (3, -2)  # x to the right, y upwards


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def moving(num_frames: int, height: int, width: int, shift: tuple[int, int] = SHIFT) -> list[np.ndarray]:
    """Frames of one texture that moves by `shift` pixels a frame and comes in again on the other side."""
    x, y = shift
    base = texture(height, width)
    return [np.roll(base, (k * y, k * x), axis=(0, 1)) for k in range(num_frames)]


def real_luma(path: Path, num_frames: int, size: tuple[int, int] = (340, 256)) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(num_frames), strict=False)]
        return [cv2.resize(frame.to_ndarray(format="gray"), size, interpolation=cv2.INTER_AREA) for frame in frames]


@pytest.mark.parametrize("method", METHODS)
def test_vectors_point_to_where_a_texture_moves(method: str) -> None:
    first, second = moving(2, 64, 80)
    vectors = estimate_flow(first, second, Flow(method))
    assert vectors.shape == (64, 80, 2)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.median(vectors[8:-8, 8:-8], axis=(0, 1)), SHIFT, atol=0.25)


def test_image_k_is_the_flow_from_frame_k_to_the_next() -> None:
    still_then_moving = [moving(1, 64, 80)[0], *moving(3, 64, 80)]
    encoded = encode_flow(still_then_moving, Flow("dis")).encoded
    medians = [np.median(decode_flow(image, 20.0)[8:-8, 8:-8], axis=(0, 1)) for image in encoded]
    np.testing.assert_allclose(medians, [(0, 0), SHIFT, SHIFT], atol=0.25)


def test_red_is_x_and_green_is_y_and_blue_is_nothing() -> None:
    image = simplejpeg.decode_jpeg(encode_flow(moving(2, 64, 80), Flow("dis", bound_px=10)).encoded[0])
    expected = [round((v + 10) / 20 * 255) for v in SHIFT] + [0]
    np.testing.assert_allclose(np.median(image[8:-8, 8:-8], axis=(0, 1)), expected, atol=3)


def test_chroma_is_not_subsampled() -> None:
    _, _, _, subsampling = simplejpeg.decode_jpeg_header(encode_flow(moving(2, 32, 32), Flow("dis")).encoded[0])
    assert subsampling == "444"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("clip", ["R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4", "mmaction2_demo.mp4"])
def test_stored_flow_of_a_real_clip_is_near_the_estimate(test_data: Path, method: str, clip: str) -> None:
    size = (128, 96) if method.startswith("tvl1") else (340, 256)
    luma = real_luma(test_data / "videos" / clip, 3, size)
    flow = Flow(method, bound_px=20.0)
    for image, pair in zip(encode_flow(luma, flow).encoded, pairwise(luma), strict=True):
        expected = np.clip(estimate_flow(*pair, Flow(method)), -20, 20)
        error = np.abs(decode_flow(image, 20.0) - expected)
        assert error.mean() < (0.1 if method != "farneback" else 0.16)  # rougher flow: more for JPEG to lose
        assert error.max() < 2.8


def test_levels_are_rounded_not_truncated(test_data: Path) -> None:
    luma = real_luma(test_data / "videos" / "R6llTwEh07w.mp4", 8)
    images = encode_flow(luma, Flow("dis", quality=100)).encoded
    expected = [estimate_flow(a, b, Flow("dis")) for a, b in pairwise(luma)]
    bias = np.mean([decode_flow(i, 20.0) - np.clip(e, -20, 20) for i, e in zip(images, expected, strict=True)])
    assert abs(bias) < 0.03  # truncating: -0.078


@pytest.mark.parametrize("clip", ["R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4", "mmaction2_demo.mp4"])
def test_png_is_off_by_half_a_level_at_most(test_data: Path, clip: str) -> None:
    luma = real_luma(test_data / "videos" / clip, 2)
    (image,) = encode_flow(luma, Flow("dis", storage="png")).encoded
    error = decode_flow(image, 20.0) - np.clip(estimate_flow(*luma, Flow("dis")), -20, 20)
    assert np.abs(error).max() < 20 / 255 + 1e-5


def test_quality_does_not_matter_to_png() -> None:
    luma = moving(2, 32, 48)
    assert encode_flow(luma, Flow("dis", storage="png", quality=1)) == encode_flow(luma, Flow("dis", storage="png"))


def test_truncated_levels_are_those_below() -> None:
    """As MediaPipe's flow_quantizer_model.cc has it, `static_cast<uint8_t>(clamp((v - min) / (max - min)) * 255)`."""
    vectors = np.float32([[(-20.1, -20), (-19.85, -19.84)], [(0, 0.078), (0.079, 19.99)], [(20, 20.1), (-1, 1)]])
    levels = levels_of(vectors, 20.0, "truncate")
    assert levels.tolist() == [[[0, 0, 0], [0, 1, 0]], [[127, 127, 0], [128, 254, 0]], [[255, 255, 0], [121, 133, 0]]]


def test_nearest_levels_are_off_by_half_a_level_at_most() -> None:
    vectors = np.random.default_rng(0).uniform(-21, 21, (40, 50, 2)).astype(np.float32)
    levels = levels_of(vectors, 20.0, "nearest")[..., :2].astype(float)
    assert np.abs(levels - (np.clip(vectors, -20, 20) + 20) * 255 / 40).max() < 0.5 + 1e-4


def test_tvl1_takes_its_parameters_from_the_settings() -> None:
    from beam_pipeline.media.tvl1 import TVL1

    pair = moving(2, 48, 64)
    parameters = TVL1Parameters(num_levels=2, num_warps=1, outer_iterations=1, inner_iterations=3)
    flow = estimate_flow(*pair, Flow(tvl1=parameters))
    np.testing.assert_allclose(flow, TVL1(48, 64, parameters)(*pair), atol=1e-3)
    assert (flow != estimate_flow(*pair, Flow())).any()


@pytest.mark.parametrize("method", ["tvl1", "tvl1_fast"])
def test_a_method_that_is_tvl1_has_its_row_of_parameters(method: str) -> None:
    assert Flow(method).tvl1 == TVL1_PRESETS[method]  # type: ignore[arg-type]
    pair = moving(2, 48, 64)
    same = estimate_flow(*pair, Flow(tvl1=TVL1_PRESETS[method]))
    np.testing.assert_array_equal(estimate_flow(*pair, Flow(method)), same)  # type: ignore[arg-type]


def test_parameters_of_tvl1_are_refused_for_another_method() -> None:
    with pytest.raises(ValueError, match=r"flow\.tvl1 is for the methods tvl1, tvl1_fast, got it for dis"):
        Flow("dis", tvl1=TVL1Parameters())


def test_vectors_beyond_the_bound_are_clipped_and_counted() -> None:
    luma = moving(2, 64, 80, shift=(6, 0))
    flow = encode_flow(luma, Flow("dis", bound_px=4))
    vectors = estimate_flow(luma[0], luma[1], Flow("dis"))
    assert flow.clipped == np.mean(np.abs(vectors) > 4) > 0.4
    assert flow.mean_px == pytest.approx(np.linalg.norm(vectors, axis=-1).mean(), rel=1e-6)
    assert simplejpeg.decode_jpeg(flow.encoded[0])[32, 40, 0] >= 253


def test_a_clip_of_one_frame_has_no_flow() -> None:
    flow = encode_flow([texture(32, 32)], Flow("dis"))
    assert (flow.encoded, flow.clipped, flow.mean_px) == ([], 0.0, 0.0)


@pytest.mark.parametrize("method", ["tvl1", "tvl1_fast", "dis"])
def test_what_a_repeated_frame_is_spared_would_have_been_zero(test_data: Path, method: str) -> None:
    frame = real_luma(test_data / "videos" / "WUzgd7C1pWA.mp4", 1, (96, 72))[0]
    makers = {
        "tvl1": lambda: cv2.optflow.DualTVL1OpticalFlow_create(),
        "tvl1_fast": lambda: cv2.optflow.DualTVL1OpticalFlow_create(),
        "dis": lambda: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
    }
    assert not makers[method]().calc(frame, frame, None).any()
    assert not estimate_flow(frame, frame.copy(), Flow(method)).any()
    flow = encode_flow([frame, frame, frame], Flow(method))
    assert flow.mean_px == 0
    assert np.abs(decode_flow(flow.encoded[1], 20.0)).max() < 0.08  # half a level


def test_farneback_estimates_repeated_frames_as_it_does_not_give_zero() -> None:
    frame = texture(64, 80)
    assert estimate_flow(frame, frame, Flow("farneback")).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_does_not_depend_on_the_pairs_before_it(method: str) -> None:
    luma = [texture(48, 64, seed) for seed in range(4)]
    together = encode_flow(luma, Flow(method)).encoded
    alone = [encode_flow(pair, Flow(method)).encoded[0] for pair in pairwise(luma)]
    assert together == alone


def test_planes_with_padded_rows_give_the_same_flow() -> None:
    luma = moving(2, 48, 64)
    padded = [np.pad(frame, ((0, 0), (0, 13)), constant_values=77)[:, :64] for frame in luma]
    assert encode_flow(padded, Flow("dis")) == encode_flow(luma, Flow("dis"))


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (15, 16), (8, 64), (300, 15), (9, 300)])
def test_dis_refuses_frames_that_would_crash_it(size: tuple[int, int]) -> None:
    with pytest.raises(ClipError, match=f"dis needs frames of 16×16 or more, got {size[1]}×{size[0]}") as raised:
        encode_flow([texture(*size), texture(*size, seed=1)], Flow("dis"))
    assert raised.value.reason == "unsupported"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(16, 16), (16, 340), (500, 17)])
def test_small_and_narrow_frames_work(method: str, size: tuple[int, int]) -> None:
    flow = encode_flow([texture(*size), texture(*size, seed=1)], Flow(method))
    assert decode_flow(flow.encoded[0], 20.0).shape == (*size, 2)


@pytest.mark.parametrize(
    ("method", "size"),
    [
        ("farneback", (1, 1)),
        ("farneback", (1, 64)),
        *((m, s) for m in ("tvl1", "tvl1_fast", "farneback") for s in ((2, 3), (9, 200))),
    ],
)
def test_tiny_frames_work_where_the_method_can(method: str, size: tuple[int, int]) -> None:
    flow = encode_flow([texture(*size), texture(*size, seed=1)], Flow(method))
    assert len(flow.encoded) == 1


@pytest.mark.parametrize("method", ["tvl1", "tvl1_fast"])
@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1)])
def test_frames_of_one_pixel_are_refused_whose_flow_would_be_another_each_time(
    method: str, size: tuple[int, int]
) -> None:
    with pytest.raises(ClipError, match=f"flow by {method} needs frames of 2×2 or more") as raised:
        encode_flow([texture(*size), texture(*size, seed=1)], Flow(method))
    assert raised.value.reason == "unsupported"


@pytest.mark.parametrize("method", METHODS)
def test_frames_of_several_sizes_are_refused(method: str) -> None:
    with pytest.raises(ClipError, match=f"flow by {method} fails on 64×48 frames") as raised:
        encode_flow([texture(48, 64), texture(64, 48)], Flow(method))
    assert raised.value.reason == "unsupported"


def estimate_large(method: str) -> None:
    first, second = (np.full((4320, 7680), level, np.uint8) for level in (100, 200))
    estimate_flow(first, second, Flow(method))


@pytest.mark.parametrize("method", METHODS)
def test_what_needs_more_memory_than_there_may_be_is_not_called_unsupported(method: str) -> None:
    pool = ChildPool(workers=1, memory_mib=768, prepare=prepare_decoder)
    [(_, result)] = pool.map([(0, Task(estimate_large, method, 60, 600))])
    pool.close()
    assert isinstance(result, ClipError)
    assert result.reason == "out_of_memory"


def test_unknown_names_are_errors_that_say_what_there_is() -> None:
    pair = [texture(32, 32), texture(32, 32, seed=1)]
    with pytest.raises(ValueError, match=r"flow\.method must be one of tvl1, tvl1_fast, dis, farneback, got 'raft'"):
        estimate_flow(*pair, Flow("raft"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"flow\.storage must be jpeg444 or png, got 'webp'"):
        encode_flow(pair, Flow("dis", storage="webp"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"flow\.rounding must be nearest or truncate, got 'up'"):
        encode_flow(pair, Flow("dis", rounding="up"))  # type: ignore[arg-type]


def test_opencv_is_left_as_it_was() -> None:
    before = cv2.getNumThreads(), cv2.useOptimized()
    encode_flow(moving(2, 32, 32), Flow("dis"))
    with pytest.raises(ClipError):
        encode_flow(moving(2, 8, 8), Flow("dis"))
    assert (cv2.getNumThreads(), cv2.useOptimized()) == before


def digest() -> str:
    """Over the flow of a moving and a random pair, by every method and in every storage."""
    hashed = hashlib.sha256()
    for method in METHODS:
        for storage in ("jpeg444", "png"):
            settings = Flow(method, storage=storage)  # type: ignore[arg-type]
            flow = encode_flow([*moving(2, 48, 68), texture(48, 68, seed=5)], settings)
            hashed.update(b"".join(flow.encoded) + repr((flow.clipped, flow.mean_px)).encode())
    return hashed.hexdigest()


@pytest.mark.parametrize(
    "reduced",
    [
        {"OPENCV_CPU_DISABLE": "AVX2,AVX512-SKX"},
        {"OPENCV_CPU_DISABLE": "SSE4.1,SSE4.2,AVX,FP16,AVX2,AVX512-SKX", "OPENCV_IPP": "disabled"},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"},
        {"JSIMD_FORCENONE": "1"},
    ],
    ids=["no-avx2", "sse2-no-ipp", "libm-and-numpy", "jpeg-without-simd"],
)
def test_a_lesser_processor_gives_the_same_bytes(reduced: dict[str, str]) -> None:
    program = f"from {__name__} import digest; print(digest())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | reduced,
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[-1] == digest()


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_s_flow_does_not_depend_on_the_pairs_before(method: str) -> None:
    flow = Flow(method)  # type: ignore[arg-type]
    frames = [texture(17, 40, seed) for seed in range(3)]
    estimate = flow_estimator(flow)
    estimate(frames[0], frames[1])
    np.testing.assert_array_equal(estimate(frames[1], frames[2]), estimate_flow(frames[1], frames[2], flow))
