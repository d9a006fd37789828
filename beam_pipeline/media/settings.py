"""How clips are encoded: the values of a configuration that decide a record's bytes.

`beam_pipeline.config` checks these types and bounds; here they are plain values, so that a decoding process needs
nothing to hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from annotated_types import Interval


@dataclass(frozen=True, slots=True)
class Encode:
    """Frames: `fps` a second, shorter side `shorter_side` pixels, JPEG 4:2:0 at `jpeg_quality`."""

    fps: Annotated[Fraction, Interval(gt=0, le=240)] = Fraction(25)
    shorter_side: Annotated[int, Interval(ge=16, le=2160)] = 256
    resize: Literal["area", "bilinear", "bicubic"] = "area"
    jpeg_quality: Annotated[int, Interval(ge=1, le=100)] = 95
    min_duration_s: Annotated[float, Interval(ge=0, le=3600)] = 1.0  # shorter footage is `too_short`
    max_duration_s: Annotated[float, Interval(gt=0, le=3600)] = 60.0  # a longer clip is `too_large`
    apply_sar: bool = False  # False keeps the stored pixels, as every published Kinetics pipeline does


@dataclass(frozen=True, slots=True)
class TVL1Parameters:
    """The parameters of TV-L1; the defaults are OpenCV's, with which I3D's flow was made.

    The bounds keep the cost finite, at most some hundred times that of the defaults, and the sweeps stable.

    Attributes:
      tau: time step of the dual variables; above 1/4 they need not converge (Chambolle 2004).
      data_weight: λ; the smaller, the smoother is the flow.
      theta: tightness of the coupling between data term and smoothness.
      num_levels: of the pyramid, at most.
      level_scale: size of a level by that of the one below it.
      num_warps: how often a level is linearised anew.
      epsilon_px: the root mean square change of the flow at which sweeps stop.
      outer_iterations: runs of sweeps for each warp, a median filter before each, at most.
      inner_iterations: sweeps a run, at most.
      median_px: side of the median filter, 3 or 5; 1 for none.
    """

    tau: Annotated[float, Interval(ge=0.001, le=0.25)] = 0.25
    data_weight: Annotated[float, Interval(ge=0.001, le=10)] = 0.15
    theta: Annotated[float, Interval(ge=0.001, le=10)] = 0.3
    num_levels: Annotated[int, Interval(ge=1, le=20)] = 5
    level_scale: Annotated[float, Interval(ge=0.1, le=0.95)] = 0.8
    num_warps: Annotated[int, Interval(ge=1, le=20)] = 5
    epsilon_px: Annotated[float, Interval(ge=0, le=1)] = 0.01
    outer_iterations: Annotated[int, Interval(ge=1, le=20)] = 10
    inner_iterations: Annotated[int, Interval(ge=1, le=100)] = 30
    median_px: Literal[1, 3, 5] = 5


@dataclass(frozen=True, slots=True)
class Flow:
    """Optical flow, stored as R = x, G = y with level = round((clip(v, ±bound_px) + bound_px)/(2·bound_px)·255)."""

    method: Literal["tvl1", "dis", "farneback"] = "tvl1"
    bound_px: Annotated[float, Interval(gt=0, le=255)] = 20.0
    storage: Literal["jpeg444"] = "jpeg444"
    quality: Annotated[int, Interval(ge=1, le=100)] = 95


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: mono float32 samples in [-1, 1] at `sample_rate` hertz."""

    sample_rate: Annotated[int, Interval(ge=1000, le=192_000)] = 48_000


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """All that decides a record's pixels and samples; `flow` and `audio` are None where they are not asked for.

    `trimmed` says what the files of the store hold: `true`, just the clip; `false`, the whole video, to be cut at the
    annotated times; `whole`, a file of which all is taken.
    """

    encode: Encode = Encode()
    flow: Flow | None = None
    audio: Audio | None = None
    trimmed: Literal["true", "false", "whole"] = "true"
