"""When a frame is shown: timestamps guessed as libavcodec does, and the rule that maps them to output frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

HALF = Fraction(1, 2)


@dataclass(slots=True)
class TimestampGuess:
    """Chooses between a frame's two timestamps: reordered packet pts and dts, either of which a file may get wrong.

    Trusts the pts unless they failed to increase more often than the dts did. This is what libavcodec's
    `guess_correct_pts` (libavcodec/decode.c) does to fill `AVFrame.best_effort_timestamp`, which PyAV does not show;
    without it an old AVI, which stores no pts, would have times for some of its frames only, and out of order.
    """

    faulty_pts: int = 0
    faulty_dts: int = 0
    last_pts: int | None = None
    last_dts: int | None = None

    def best(self, pts: int | None, dts: int | None) -> int | None:
        """Returns the more trustworthy of a frame's timestamps, None where it has none. To be called in order."""
        if dts is not None:
            self.faulty_dts += self.last_dts is not None and dts <= self.last_dts
            self.last_dts = dts
        elif pts is not None:
            self.last_dts = pts
        if pts is not None:
            self.faulty_pts += self.last_pts is not None and pts <= self.last_pts
            self.last_pts = pts
        elif dts is not None:
            self.last_pts = dts
        if pts is not None and (self.faulty_pts <= self.faulty_dts or dts is None):
            return pts
        return dts


class OutputGrid:
    """The output frames' times start + k / fps, in a stream's ticks and in exact integers.

    A source frame at time t is shown from output floor((t - start)·fps + ½) on, until the next source frame takes over
    from its own: output k is the last source frame with time < start + (k + ½) / fps. This is what ffmpeg's `fps`
    filter does with its default rounding (libavfilter/vf_fps.c).
    """

    __slots__ = ("_denominator", "_offset", "_scale", "fps", "start_s")

    def __init__(self, start_s: Fraction, fps: Fraction, time_base: Fraction):
        scale = time_base * fps
        offset = HALF - start_s * fps
        self.start_s = start_s
        self.fps = fps
        self._scale = scale.numerator * offset.denominator
        self._offset = offset.numerator * scale.denominator
        self._denominator = scale.denominator * offset.denominator

    def first_output(self, ticks: int) -> int:
        """Returns the first output index that shows a source frame at `ticks`; negative before the clip begins."""
        return (ticks * self._scale + self._offset) // self._denominator


def num_outputs(duration_s: Fraction, fps: Fraction) -> int:
    """Returns how many k ≥ 0 have k / fps < duration_s: the number of frames of that much footage."""
    return max(0, math.ceil(duration_s * fps))
