"""Dense optical flow between neighbouring frames, and the images that carry it in a record.

A flow image holds a pair's displacement in pixels, from the first frame to the second: R = x, G = y, B = 0, each level
(clip(v, ±bound) + bound) / (2·bound)·255, rounded. JPEG images are without chroma subsampling: 4:2:0 bleeds x into y by
several pixels at a bound of 20 (benchmarks/flow_storage.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import simplejpeg

from beam_pipeline.clips import ClipError
from beam_pipeline.media.png import encode_png, is_png
from beam_pipeline.media.settings import Flow

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class FlowFrames:
    """The flow of one clip.

    Attributes:
      encoded: T − 1 JPEG or PNG images; image k is the flow from frame k to frame k + 1.
      clipped: the share, 0 to 1, of vector components that lie beyond ±bound and were clipped to it.
      mean_px: the mean length of the vectors in pixels, before clipping.
    """

    encoded: list[bytes]
    clipped: float
    mean_px: float


def encode_flow(luma: Sequence[np.ndarray], flow: Flow) -> FlowFrames:
    """Estimates and encodes the flow between each frame of a clip and the next.

    Args:
      luma: T grey frames, uint8 (height, width), all of one size.
      flow: how to estimate and to store it.

    Returns:
      T − 1 images (none for a clip of one frame), the same bytes on any x86-64 processor.

    Raises:
      ClipError: `unsupported` for frames that the method can't work on: too small, or of several sizes.
      ValueError: for a method, a storage or a rounding that does not exist.
    """
    encoded: list[bytes] = []
    num_clipped, num_components, sum_px = 0, 0, 0.0
    estimate = flow_estimator(flow)
    for previous, following in pairwise(luma):
        vectors = estimate(previous, following)
        encoded.append(encode_levels(levels_of(vectors, flow.bound_px, flow.rounding), flow.storage, flow.quality))
        num_clipped += int(np.count_nonzero(np.abs(vectors) > flow.bound_px))
        num_components += vectors.size
        squares = vectors * vectors
        sum_px += float(np.sqrt(squares[..., 0] + squares[..., 1]).sum(dtype=np.float64))
    count = max(num_components, 1)
    return FlowFrames(encoded, num_clipped / count, 2 * sum_px / count)


def estimate_flow(previous: np.ndarray, following: np.ndarray, flow: Flow) -> np.ndarray:
    """Returns the flow of a single pair; of several, what `flow_estimator` returns is quicker."""
    return flow_estimator(flow)(previous, following)


def flow_estimator(flow: Flow) -> Estimator:
    """Returns a function that estimates flow, one pair after the other.

    It takes a grey frame, uint8 (height, width), and the frame after it, and returns the displacement of every pixel of
    the first, float32 (height, width, 2): (x, y) in pixels, x to the right and y downwards; the same bits on any x86-64
    processor. It raises ClipError (`unsupported`) for frames that the method can't work on: too small, or of two sizes;
    and MemoryError. Frames must not change between calls: TV-L1 prepares a frame once for both pairs that it is in.

    Args:
      flow: the method and its parameters; how it is stored doesn't matter here.

    Raises:
      ValueError: for a method that does not exist.
    """
    if flow.method not in _METHODS:
        raise ValueError(f"flow.method must be one of {', '.join(METHODS)}, got {flow.method!r}")
    with _portable_opencv():
        method = _METHODS[flow.method](flow)

    def estimate(previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        with _portable_opencv():
            return _checked(method, previous, following, flow.method)

    return estimate


def levels_of(vectors: np.ndarray, bound_px: float, rounding: str) -> np.ndarray:
    """Returns the image of a flow field, uint8 (height, width, 3).

    Args:
      vectors: float32 (height, width, 2), (x, y) in pixels.
      bound_px: what levels 0 and 255 stand for.
      rounding: `nearest`, or `truncate`: in float32 as MediaPipe's flow_quantizer_model.cc, which it equals bit by bit.

    Raises:
      ValueError: for another rounding.
    """
    bound = np.float32(bound_px)
    levels = np.zeros((*vectors.shape[:2], 3), np.uint8)
    if rounding == "nearest":
        levels[..., :2] = np.rint((np.clip(vectors, -bound, bound) + bound) * np.float32(255 / (2 * bound_px)))
    elif rounding == "truncate":
        levels[..., :2] = np.clip((vectors + bound) / (bound + bound), 0, 1) * np.float32(255)
    else:
        raise ValueError(f"flow.rounding must be nearest or truncate, got {rounding!r}")
    return levels


def encode_levels(levels: np.ndarray, storage: str, quality: int) -> bytes:
    """Returns an image as a record stores it.

    Args:
      levels: uint8 (height, width, 3), x, y and nothing.
      storage: `jpeg444` or `png`.
      quality: of JPEG.

    Raises:
      ValueError: for another storage.
    """
    if storage == "jpeg444":
        return simplejpeg.encode_jpeg(levels, quality=quality, colorspace="RGB", colorsubsampling="444", fastdct=False)
    if storage == "png":
        return encode_png(levels)
    raise ValueError(f"flow.storage must be jpeg444 or png, got {storage!r}")


def decode_flow(encoded: bytes, bound_px: float) -> np.ndarray:
    """Returns the vectors of one flow image, float32 (height, width, 2): (x, y) in pixels, within ±bound_px.

    A level is 2·bound/255 pixels, so no motion, which lies between the levels 127 and 128, reads as half of one.

    Args:
      encoded: JPEG or PNG.
      bound_px: what levels 0 and 255 stand for.
    """
    if is_png(encoded):
        as_stored = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        levels: Any = cv2.imdecode(np.frombuffer(encoded, np.uint8), as_stored)
    else:
        levels = simplejpeg.decode_jpeg(encoded, colorspace="RGB", fastdct=False)
    return levels[..., :2].astype(np.float32) * np.float32(2 * bound_px / 255) - np.float32(bound_px)


def _tvl1(flow: Flow) -> Estimator:
    """Zach, Pock and Bischof 2007; with OpenCV's parameters, the flow that I3D was trained on."""
    from beam_pipeline.media.tvl1 import TVL1, compile_once  # only here: numba takes half a second to load

    assert flow.tvl1
    compile_once()
    of_size = functools.cache(functools.partial(TVL1, parameters=flow.tvl1))
    return lambda previous, following: of_size(*previous.shape)(previous, following)


def _dis(flow: Flow) -> Estimator:
    """Kroeger et al. 2016, dense inverse search."""
    del flow
    # One a pair, which costs next to nothing: at some sizes (17×40) OpenCV's reads what the pair before left in it.
    new: Callable[[int], Any] = cv2.DISOpticalFlow_create  # type: ignore[attr-defined]  # not in its stubs
    medium = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    return lambda previous, following: new(medium).calc(previous, following, None)


def _farneback(flow: Flow) -> Estimator:
    """Farnebäck 2003."""
    options: dict[str, Any] = flow.parameters | {"flags": cv2.OPTFLOW_FARNEBACK_GAUSSIAN}
    return lambda previous, following: cv2.calcOpticalFlowFarneback(previous, following, None, **options)


_METHODS: dict[str, Callable[[Flow], Estimator]] = {
    "tvl1": _tvl1,
    "tvl1_fast": _tvl1,
    "dis": _dis,
    "farneback": _farneback,
}
METHODS = tuple(_METHODS)

# Below this OpenCV's DIS reads beyond its patches: not-a-numbers or a segmentation fault for 8 to 15 pixels.
_MIN_SIDE_PX = {"dis": 16, "tvl1": 2, "tvl1_fast": 2}  # TV-L1: a gradient takes two

# Repeated source frames need no estimate where the method gives exactly zero for them. Farneback does not.
_STILL_IS_ZERO = frozenset({"tvl1", "tvl1_fast", "dis"})


def _checked(estimate: Estimator, previous: np.ndarray, following: np.ndarray, method: str) -> np.ndarray:
    height, width = previous.shape
    min_side_px = _MIN_SIDE_PX.get(method, 1)
    if min(height, width) < min_side_px:
        raise ClipError(
            "unsupported", f"flow by {method} needs frames of {min_side_px}×{min_side_px} or more, got {width}×{height}"
        )
    if following.shape != previous.shape:
        size = f"{following.shape[1]}×{following.shape[0]}"
        raise ClipError("unsupported", f"flow by {method} fails on {width}×{height} frames: the next one is {size}")
    if method in _STILL_IS_ZERO and (previous is following or np.array_equal(previous, following)):
        return np.zeros((height, width, 2), np.float32)
    try:
        vectors = estimate(np.ascontiguousarray(previous), np.ascontiguousarray(following))
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem or str(error) == "std::bad_alloc":
            raise MemoryError(f"flow by {method} of {width}×{height} frames") from error
        raise ClipError("unsupported", f"flow by {method} fails on {width}×{height} frames: {error.err}") from error
    if not np.isfinite(vectors).all():
        raise ClipError("unsupported", f"flow by {method} on {width}×{height} frames is not finite")
    return vectors


@contextmanager
def _portable_opencv() -> Iterator[None]:
    """One thread, and the same bits everywhere, inside the block; what was set before comes back after it.

    OpenCV picks its kernels by processor (AVX2 with fused multiply-add, IPP), and each rounds in its own way. Its
    baseline kernels cost DIS and Farneback nothing (measured: ±2 %); of TV-L1 OpenCV only resizes.
    """
    threads, optimized = cv2.getNumThreads(), cv2.useOptimized()
    cv2.setNumThreads(1)
    cv2.setUseOptimized(False)
    try:
        yield
    finally:
        cv2.setUseOptimized(optimized)
        cv2.setNumThreads(threads)
