"""What a clip may use of its decoding process before it counts as hanging."""

from __future__ import annotations

from beam_pipeline.clips import Clip
from beam_pipeline.config import Limits
from beam_pipeline.media.settings import Flow, MediaSettings

_BASE_S = 20.0  # opening, seeking, and a machine that is busy with other things
# CPU seconds a second of footage. Real 1080p H.264 takes 0.13 (benchmarks/producer.py), 4K AV1 in software about 2.
_DECODING = 10.0
# A pair of 340×256 frames takes 5.5 ms by DIS and 11 ms by Farneback.
_FLOW_S_PER_PAIR = {"farneback": 0.1, "dis": 0.05, "imported": 0.05}
# TV-L1 goes on until it converges, and takes at most an eighth of this where it makes all the sweeps that it may, a
# warp and a median filter counted in sweeps: so for the defaults, and for each parameter at the end of its range.
_SWEEP_S, _MEDIAN_SWEEPS, _WARP_SWEEPS = 1e-3, 3, 6
_FLOW_PIXELS = 340 * 256
_WIDEST_ASPECT = 2.4  # of a clip whose frames we have not seen
_FOLDER_SIDE_PX = 1080  # the shorter side of frames that are taken as they are
_SEEKING = 0.05  # a second of video that lies before the clip, where it can't be found by seeking
_WALL_PER_CPU = 10.0


def budget(clip: Clip, media: MediaSettings, limits: Limits) -> tuple[float, float]:
    """Returns the CPU seconds and the wall-clock seconds that a clip may take.

    CPU seconds grow with the footage and with the flow method; the wall-clock limit behind them is wide, since a disk
    or a network may be slow through no fault of the clip.
    """
    encode = media.encode
    asked_s = (clip.end_us - clip.start_us) / 1e6
    footage_s = encode.max_duration_s if media.trimmed == "whole" else min(asked_s, encode.max_duration_s)
    if limits.cpu_s_per_s == "auto":
        per_second = _DECODING
        if media.flow:
            pixels = _WIDEST_ASPECT * (_FOLDER_SIDE_PX if media.frame_folders else encode.target_px) ** 2
            per_second += _flow_s_per_pair(media.flow) * float(encode.fps) * max(1.0, pixels / _FLOW_PIXELS)
    else:
        per_second = limits.cpu_s_per_s
    cpu_s = _BASE_S + footage_s * per_second
    if media.trimmed == "false":
        cpu_s += _SEEKING * clip.start_us / 1e6
    wall_s = _WALL_PER_CPU * cpu_s if limits.wall_s == "auto" else limits.wall_s
    return cpu_s, wall_s


def _flow_s_per_pair(flow: Flow) -> float:
    """Returns the CPU seconds that a pair of 340×256 frames may take; finite, since all of the parameters are."""
    if flow.tvl1 is None:
        return _FLOW_S_PER_PAIR[flow.method]
    tvl1 = flow.tvl1
    frames = sum(tvl1.level_scale ** (2 * level) for level in range(tvl1.num_levels))  # in all levels of the pyramid
    runs = tvl1.outer_iterations * (tvl1.inner_iterations + _MEDIAN_SWEEPS)
    return _SWEEP_S * frames * tvl1.num_warps * (runs + _WARP_SWEEPS)
