"""What a flow image costs and loses, by how it is stored: TV-L1 flow between frames of real clips as the job has them.

    KINETICS_TEST_DATA=DIR python benchmarks/flow_storage.py [--pairs 3] [--clips 10]

Prints for each storage the bytes an image; how far what is read is from the flow that was estimated, clipped to the
bound (20 pixels), by component: mean over all pixels and of the worst clip, 99th percentile, maximum, and the mean of
the signed error; mean and maximum once more where JPEG is decoded with TensorFlow's default, the fast inverse DCT, as
other readers do; and CPU ms an image to encode it, and to decode the middle 224×224 of it as `tf_data` does, on one
core.

`jpeg444` and `png` are what `flow.storage` names. For comparison: JPEG with chroma at half the resolution, and two grey
JPEG images instead of one in colour.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import simplejpeg
import tensorflow as tf

from beam_pipeline.media.flow import encode_levels, estimate_flow, levels_of
from beam_pipeline.media.settings import Flow
from benchmarks.flow import CLIPS, pairs_of
from tf_data.decoding import decode_views

BOUND_PX = 20.0
CROP_PX = 224
ROUNDS = 5
Encoder = Callable[[np.ndarray], list[bytes]]


@dataclass(frozen=True)
class Storage:
    """`encode` makes of a field's levels one image of two channels, or two images of one."""

    name: str
    encode: Encoder
    rounding: str = "nearest"
    png: bool = False


@dataclass(frozen=True)
class Result:
    """Of one clip's fields: bytes and CPU ms an image, and the errors of all pixels and components, pixels."""

    num_bytes: float
    encode_ms: float
    decode_ms: float
    errors: np.ndarray
    fast_errors: np.ndarray


def stored(storage: str, quality: int = 95) -> Encoder:
    return lambda levels: [encode_levels(levels, storage, quality)]


def subsampled(quality: int) -> Encoder:
    return lambda levels: [simplejpeg.encode_jpeg(levels, quality=quality, colorsubsampling="420", fastdct=False)]


def grey(quality: int) -> Encoder:
    return lambda levels: [
        simplejpeg.encode_jpeg(levels[..., k : k + 1].copy(), quality=quality, colorspace="GRAY", fastdct=False)
        for k in range(2)
    ]


STORAGES = (
    *(Storage(f"jpeg444, quality {quality}", stored("jpeg444", quality)) for quality in (85, 90, 95, 100)),
    Storage("jpeg444, quality 100, truncate", stored("jpeg444", 100), "truncate"),
    Storage("png", stored("png"), png=True),
    Storage("png, truncate", stored("png"), "truncate", png=True),
    Storage("4:2:0, quality 95", subsampled(95)),
    Storage("4:2:0, quality 100, truncate", subsampled(100), "truncate"),
    Storage("two grey, quality 95", grey(95)),
    Storage("two grey, quality 100", grey(100)),
)


def measure(fields: list[np.ndarray], storage: Storage) -> Result:
    """Stores and reads fields of one size, float32 (height, width, 2)."""
    levels = [levels_of(field, BOUND_PX, storage.rounding) for field in fields]
    encode_s, images = fastest(lambda: [storage.encode(each) for each in levels])
    streams = [tf.constant(stream) for stream in zip(*images, strict=True)]
    height, width, _ = fields[0].shape
    side = min(CROP_PX, height, width)
    crop = [(height - side) // 2, (width - side) // 2, side, side]

    frames = tf.constant([list(range(len(fields)))])

    @tf.function
    def read(window: tf.Tensor, exact: bool) -> tf.Tensor:
        views = [
            decode_views(stream, frames, window, channels=2 // len(streams), exact=exact, png=storage.png)[0]
            for stream in streams
        ]
        return tf.concat(views, axis=-1)

    middle, whole = tf.constant([crop]), tf.constant([[0, 0, height, width]])
    read(middle, True)
    decode_s, _ = fastest(lambda: read(middle, True))
    truth = np.clip(np.stack(fields), -BOUND_PX, BOUND_PX)
    errors, fast_errors = (
        read(whole, exact).numpy() * np.float32(2 * BOUND_PX / 255) - np.float32(BOUND_PX) - truth
        for exact in (True, False)
    )
    return Result(
        sum(len(image) for pair in images for image in pair) / len(fields),
        1e3 * encode_s / len(fields),
        1e3 * decode_s / len(fields),
        errors.ravel(),
        fast_errors.ravel(),
    )


def fastest(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of the best of several rounds, and what the work returns."""
    best, result = float("inf"), None
    for _ in range(ROUNDS):
        started = time.process_time()
        result = work()
        best = min(best, time.process_time() - started)
    return best, result


def report(name: str, results: list[Result]) -> None:
    errors, fast = (np.concatenate([getattr(r, what) for r in results]) for what in ("errors", "fast_errors"))
    num_bytes, encode_ms, decode_ms = (
        statistics.mean(getattr(r, what) for r in results) for what in ("num_bytes", "encode_ms", "decode_ms")
    )
    size = np.abs(errors)
    worst = max(np.abs(result.errors).mean() for result in results)
    print(
        f"{name:32}{num_bytes / 1e3:7.1f}{size.mean():9.3f}{worst:7.3f}{np.percentile(size, 99):8.3f}{size.max():8.2f}"
        f"{errors.mean():9.3f}{np.abs(fast).mean():10.3f}{np.abs(fast).max():8.2f}{encode_ms:11.2f}{decode_ms:11.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="of each clip")
    parser.add_argument("--clips", type=int, default=len(CLIPS))
    args = parser.parse_args()
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    videos = Path(os.environ["KINETICS_TEST_DATA"]) / "videos"
    clips = [
        [estimate_flow(first, second, Flow()) for first, second in pairs_of(videos / clip, args.pairs)]
        for clip in CLIPS[: args.clips]
    ]
    print(f"{sum(map(len, clips))} pairs of {len(clips)} clips, bound {BOUND_PX:g} px")
    print(
        f"{'':32}{'KB':>7}{'mean px':>9}{'worst':>7}{'99 %':>8}{'max':>8}{'bias':>9}{'  by fast':>10}{'max':>8}"
        f"{'encode ms':>11}{'decode ms':>11}"
    )
    for storage in STORAGES:
        report(storage.name, [measure(fields, storage) for fields in clips])


if __name__ == "__main__":
    main()
