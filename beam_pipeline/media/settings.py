"""How clips are encoded: the values of a configuration that decide a record's bytes.

`beam_pipeline.config` checks these types and bounds; here they are plain values, so that a decoding process needs
nothing to hold them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Annotated, Literal

from annotated_types import Interval


@dataclass(frozen=True, slots=True)
class Encode:
    """Frames: `fps` a second, JPEG 4:2:0 at `jpeg_quality`, of a size that either `shorter_side` or `height` gives."""

    fps: Annotated[Fraction, Interval(gt=0, le=240)] = Fraction(25)
    shorter_side: Annotated[int, Interval(ge=16, le=2160)] | None = 256  # None: `height` gives the size
    height: Annotated[int, Interval(ge=16, le=2160)] | None = None
    resize: Literal["area", "bilinear", "bicubic"] = "area"
    jpeg_quality: Annotated[int, Interval(ge=1, le=100)] = 95
    min_duration_s: Annotated[float, Interval(ge=0, le=3600)] = 1.0  # shorter footage is `too_short`
    max_duration_s: Annotated[float, Interval(gt=0, le=3600)] = 60.0  # a longer clip is `too_large`
    apply_sar: bool = False  # False keeps the stored pixels, as every published Kinetics pipeline does

    @property
    def target_px(self) -> int:
        """Pixels of the side that gives the size."""
        side = self.height or self.shorter_side
        assert side  # the configuration has seen to it
        return side


@dataclass(frozen=True, slots=True)
class TVL1Parameters:
    """The parameters of TV-L1; the defaults are OpenCV's, with which I3D's flow was made.

    The bounds keep the sweeps stable and the cost finite: at most some twenty times that of the defaults.

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
    num_levels: Annotated[int, Interval(ge=1, le=10)] = 5
    level_scale: Annotated[float, Interval(ge=0.1, le=0.95)] = 0.8
    num_warps: Annotated[int, Interval(ge=1, le=10)] = 5
    epsilon_px: Annotated[float, Interval(ge=0, le=1)] = 0.01
    outer_iterations: Annotated[int, Interval(ge=1, le=20)] = 10
    inner_iterations: Annotated[int, Interval(ge=1, le=100)] = 30
    median_px: Literal[1, 3, 5] = 5


TVL1_PRESETS = {
    "tvl1": TVL1Parameters(),
    "tvl1_fast": TVL1Parameters(
        num_levels=4, level_scale=0.6, num_warps=4, epsilon_px=0.015, outer_iterations=5, inner_iterations=20
    ),
}
"""The methods that are TV-L1, and their parameters; what a configuration gives replaces a row's value by value."""

_OTHER_PARAMETERS: dict[str, dict[str, float | str]] = {
    "imported": {},  # whoever made it knows
    # OpenCV's DISOPTICAL_FLOW_PRESET_MEDIUM.
    "dis": {"preset": "medium"},
    # Those of denseflow, mmaction2's extractor, so that its users get its flow; under OpenCV's names.
    "farneback": {
        "pyr_scale": 0.702,
        "levels": 5,
        "winsize": 10,
        "iterations": 2,
        "poly_n": 7,
        "poly_sigma": 1.5,
        "flags": "OPTFLOW_FARNEBACK_GAUSSIAN",
    },
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Optical flow, and the images that carry it: R = x, G = y, B = 0.

    Attributes:
      method: how it is estimated; `imported` is taken from a folder of images (`media.frame_folders`).
      bound_px: what lies beyond ±bound_px is clipped to it.
      storage: `jpeg444`, JPEG without chroma subsampling, or `png`, which loses nothing but the rounding.
      quality: of JPEG; PNG has none.
      rounding: from (v + bound_px) / (2·bound_px)·255 to a level: the nearest one, or the one below, as MediaPipe does.
      tvl1: the parameters of a method that is TV-L1, by default its row of `TVL1_PRESETS`; None for the others.

    Raises:
      ValueError: `tvl1` is given for another method.
    """

    method: Literal["tvl1", "tvl1_fast", "dis", "farneback", "imported"] = "tvl1"
    bound_px: Annotated[float, Interval(gt=0, le=255)] = 20.0
    storage: Literal["jpeg444", "png"] = "jpeg444"
    quality: Annotated[int, Interval(ge=1, le=100)] = 95
    rounding: Literal["nearest", "truncate"] = "nearest"
    tvl1: TVL1Parameters | None = None

    def __post_init__(self) -> None:
        row = TVL1_PRESETS.get(self.method)
        if self.tvl1 is None:
            object.__setattr__(self, "tvl1", row)
        elif row is None:
            raise ValueError(f"flow.tvl1 is for the methods {', '.join(TVL1_PRESETS)}, got it for {self.method}")

    @property
    def parameters(self) -> dict[str, float | str]:
        """All parameters of the method, by name."""
        return asdict(self.tvl1) if self.tvl1 else dict(_OTHER_PARAMETERS[self.method])


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: mono float32 samples in [-1, 1] at `sample_rate` hertz."""

    sample_rate: Annotated[int, Interval(ge=1000, le=192_000)] = 48_000


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """All that decides a record's pixels and samples; `flow` and `audio` are None where they are not asked for.

    `trimmed` says what the files of the store hold: `true`, just the clip; `false`, the whole video, to be cut at the
    annotated times; `whole`, a file of which all is taken. With `frame_folders` they are folders of images, whose size
    `encode` does not give.
    """

    encode: Encode = Encode()
    flow: Flow | None = None
    audio: Audio | None = None
    trimmed: Literal["true", "false", "whole"] = "true"
    frame_folders: bool = False
