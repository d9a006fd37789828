"""What clips take as far as anybody can say without having one: figures of real 340×256 clips.

They stand in for a sample where a store is empty, and are to be taken for what they are: another codec, another size or
another machine makes twice or half of them.
"""

from __future__ import annotations

import math
from itertools import pairwise

from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.planning.measured_clip import MeasuredClip

STORE_BYTES_PER_S = {
    # CVDF's readme of Kinetics-700-2020: 603 GB of 536,489 training clips of ten seconds (docs/fetching_cvdf.md).
    "archive": 1.12e5,
    # Ten seconds at 360 lines are one or two megabytes (docs/fetching_youtube.md).
    "youtube": 1.5e5,
}

_AREA = 340 * 256
_ASPECT = 340 / 256
_FRAMES_S_PER_S = 0.019  # benchmarks/producer.py: decoding, scaling and encoding 340×256 H.264 at 25 fps
_AUDIO_S_PER_S = 0.004
# Seconds a pair of 340×256 frames, images and all. TV-L1's is a mean over processors and motion: docs/flow.md has the
# median pair on a quick processor, which takes two thirds of it; an older server's takes half as much again.
_FLOW_S_PER_PAIR = {"tvl1": 0.04, "tvl1_fast": 0.015, "dis": 0.007, "farneback": 0.012, "imported": 0.001}
# Bytes a frame of 340×256 by JPEG quality, and of flow by storage (docs/flow.md).
_FRAME_BYTES = ((1, 4_000), (75, 12_600), (85, 16_600), (90, 20_600), (95, 29_500), (98, 41_400), (100, 60_000))
_FLOW_BYTES = {"jpeg444": 10_000, "png": 26_000}
_RECORD_BYTES = 2_000  # all but images and samples
_SAMPLE_BYTES = 4


def typical_clip(media: MediaSettings, footage_s: float) -> MeasuredClip:
    """Returns what a clip of `footage_s` seconds may take."""
    encode = media.encode
    frames = footage_s * float(encode.fps)
    size = encode.target_px if not media.frame_folders else 256
    area = size * size * _ASPECT / _AREA
    frames_s = footage_s * _FRAMES_S_PER_S * float(encode.fps) / 25 * max(1.0, area)
    flow_s = frames * _FLOW_S_PER_PAIR[media.flow.method] * area if media.flow else 0.0
    audio_s = footage_s * _AUDIO_S_PER_S if media.audio else 0.0
    flow_bytes = frames * _FLOW_BYTES[media.flow.storage] * area if media.flow else 0.0
    audio_bytes = footage_s * media.audio.sample_rate * _SAMPLE_BYTES if media.audio else 0.0
    frame_bytes = frames * _frame_bytes(encode.jpeg_quality) * area
    return MeasuredClip(
        frames_s=frames_s,
        flow_s=flow_s,
        audio_s=audio_s,
        wall_s=frames_s + flow_s + audio_s,
        bytes=round(_RECORD_BYTES + frame_bytes + flow_bytes + audio_bytes),
        flow_bytes=round(flow_bytes),
        audio_bytes=round(audio_bytes),
        budget_s=math.inf,
    )


def _frame_bytes(quality: int) -> float:
    for (low, at_low), (high, at_high) in pairwise(_FRAME_BYTES):
        if quality <= high:
            return at_low + (at_high - at_low) * (quality - low) / (high - low)
    raise AssertionError(quality)
