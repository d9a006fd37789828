"""How clips are encoded: the values of a configuration that decide a record's bytes, and the presets that fill them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Encode:
    """Frames: `fps` a second, shorter side `shorter_side` pixels, JPEG 4:2:0 at `jpeg_quality` (1–100)."""

    fps: Fraction = Fraction(25)
    shorter_side: int = 256
    resize: str = "area"  # area | bilinear | bicubic
    jpeg_quality: int = 95
    min_duration_s: float = 1.0  # footage shorter than this is `too_short`
    max_duration_s: float = 60.0  # a longer clip is `too_large`
    apply_sar: bool = False  # False keeps the stored pixels, as every published Kinetics pipeline does


@dataclass(frozen=True, slots=True)
class Flow:
    """Optical flow: stored as R = x, G = y, levels round((clip(v, ±bound_px) + bound_px) / (2·bound_px)·255)."""

    method: str = "tvl1"  # tvl1 | dis | farneback
    bound_px: float = 20.0
    storage: str = "jpeg444"
    quality: int = 95


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: mono float32 samples in [-1, 1] at `sample_rate` hertz."""

    sample_rate: int = 48_000


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """All that decides a record's pixels and samples; `flow` and `audio` are None where they are not asked for.

    `trimmed` says what the files of the store hold: `true`, just the clip; `false`, the whole video, to be cut at the
    annotated times; `whole`, a file of which all is taken.
    """

    encode: Encode = Encode()
    flow: Flow | None = None
    audio: Audio | None = None
    trimmed: str = "true"  # true | false | whole
