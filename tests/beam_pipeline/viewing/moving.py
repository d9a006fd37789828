"""Clips of a texture that moves evenly, as videos, images and records."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from beam_pipeline.media.flow import encode_flow
from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.records import sequence_example
from beam_pipeline.tfrecord import frame
from tests.beam_pipeline.media.videos import planar_frame, write_video
from tf_data import contract

SHARD = "moving-train.tfrecord-00000-of-00001"
DIS = Flow("dis")
MEDIA = MediaSettings(Encode(shorter_side=48), DIS)
Step = tuple[int, int]  # pixels a frame, to the right and downwards


def grey_frames(num_frames: int, step: Step = (3, 0), size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Returns uint8 (height, width) pictures of a soft texture on its way."""
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 40, 210, cv2.NORM_MINMAX)
    return [np.roll(texture, (step[1] * k, step[0] * k), axis=(0, 1)) for k in range(num_frames)]


def video(path: Path, num_frames: int, step: Step = (3, 0), size: tuple[int, int] = (48, 64)) -> Path:
    """Writes a lossless video of 25 frames a second."""
    half = np.full(((size[0] + 1) // 2, (size[1] + 1) // 2), 128, np.uint8)
    frames = (planar_frame([luma, half, half], "yuv420p") for luma in grey_frames(num_frames, step, size))
    return write_video(path, frames)


def images(folder: Path, num_frames: int, step: Step = (3, 0), name: str = "img_{}.png") -> list[Path]:
    """Writes an RGB image a frame, numbered from 1 and without zeros in front."""
    folder.mkdir(exist_ok=True)
    paths = [folder / name.format(number) for number in range(1, num_frames + 1)]
    for path, picture in zip(paths, grey_frames(num_frames, step), strict=True):
        assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    return paths


def record(
    clip_id: str = "a_000000_000001", num_frames: int = 6, step: Step = (3, 0), flow: Flow | None = DIS
) -> bytes:
    """Returns a record as the job makes it, at 25 frames a second."""
    luma = grey_frames(num_frames, step)
    context = {contract.EXAMPLE_ID: clip_id, "image/frame_rate": 25.0}
    jpegs = [simplejpeg.encode_jpeg(np.repeat(picture[..., np.newaxis], 3, axis=2)) for picture in luma]
    lists: dict[str, list] = {contract.IMAGE_ENCODED: jpegs}
    if flow:
        context[contract.FLOW_SATURATION] = float(flow.bound_px)
        lists[contract.FLOW_ENCODED] = encode_flow(luma, flow).encoded
    return sequence_example(context, lists)


def shard(folder: Path, *records: bytes) -> Path:
    """Writes records to a shard."""
    path = folder / SHARD
    path.write_bytes(b"".join(part for one in records for part in frame(one)))
    return path
