"""What a section cut out of a video says of itself, in one tag of its container, so that it reads as the video does.

A section begins with what decoders need before the clip, at negative times; its edit list presents the clip alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer

TAG = "clip_section"

_FRACTION_RE = re.compile(r"-?[0-9]{1,20}(/[0-9]{1,20})?")

SITINGS = ("unspecified", "left", "topleft")
"""Values of libavcodec's option `chroma_sample_location`."""


@dataclass(frozen=True, slots=True)
class SectionSound:
    """The clock of a section's sound, which in the file itself counts whole samples, as it was in the video.

    Attributes:
      start_s: where the clip begins on the clock of the container that the sound came from.
      tick_s: the unit of its timestamps there.
      first_ticks: when its track begins there.
      skip: so many decoded samples at the section's beginning are a decoder's delay, not sound.
      discard: so many at its end are padding.
    """

    start_s: Fraction
    tick_s: Fraction
    first_ticks: int
    skip: int = 0
    discard: int = 0

    @property
    def track_start_s(self) -> Fraction:
        """When its track begins in the video."""
        return self.first_ticks * self.tick_s

    def file_ticks(self, ticks: int, rate: int) -> int:
        """Returns the nearest whole sample, counted from near the clip's start, to a timestamp in the video."""
        return round(ticks * self.tick_s * rate) - round(self.start_s * rate)

    def video_ticks(self, file_ticks: int, rate: int) -> int:
        """Returns the timestamp that `file_ticks` was made from."""
        return round(Fraction(file_ticks + round(self.start_s * rate), rate) / self.tick_s)


@dataclass(frozen=True, slots=True)
class Section:
    """[start_us, end_us) of a video's clock, in microseconds: the file's time 0 is `start_us`.

    Attributes:
      start_us: where the clip begins.
      end_us: where it ends.
      sought: the file begins with a key frame from within the video, not where the video does.
      ends_s: when the video ends, on the file's clock; None where it goes on.
      damaged: it ends well before what its header announces.
      siting: where the video says that its chroma samples lie, one of `SITINGS`, if VP9's mp4 file can't tell.
      sound: of the sound's clock; None where there is no sound.
    """

    start_us: int
    end_us: int
    sought: bool = False
    ends_s: Fraction | None = None
    damaged: bool = False
    siting: str = SITINGS[0]
    sound: SectionSound | None = None

    def to_tag(self) -> str:
        """Returns the tag's text; `section_of` reads it."""
        sound = self.sound and {
            "start": str(self.sound.start_s),
            "tick": str(self.sound.tick_s),
            "first": self.sound.first_ticks,
            "skip": self.sound.skip,
            "discard": self.sound.discard,
        }
        values = {
            "start_us": self.start_us,
            "end_us": self.end_us,
            "sought": self.sought,
            "ends": None if self.ends_s is None else str(self.ends_s),
            "damaged": self.damaged,
            "siting": self.siting,
            "sound": sound,
        }
        return json.dumps(values, separators=(",", ":"))


def section_of(container: InputContainer) -> Section | None:
    """Returns what a file says of the section that it is; None for any other file."""
    text = container.metadata.get(TAG)
    if text is None:
        return None
    try:
        values = json.loads(text)
        clock = values["sound"]
        sound = clock and SectionSound(
            _fraction(clock["start"]),
            _fraction(clock["tick"]),
            int(clock["first"]),
            max(0, int(clock["skip"])),
            max(0, int(clock["discard"])),
        )
        section = Section(
            int(values["start_us"]),
            int(values["end_us"]),
            bool(values["sought"]),
            None if values["ends"] is None else _fraction(values["ends"]),
            bool(values["damaged"]),
            values["siting"],
            sound or None,
        )
    except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError, RecursionError):
        return None  # somebody else's tag
    if section.end_us <= section.start_us or (section.sound and section.sound.tick_s <= 0):
        return None
    if section.siting not in SITINGS:
        return None
    return section


def _fraction(text: str) -> Fraction:
    if not _FRACTION_RE.fullmatch(text):  # Fraction itself would take 1e999999999, and never come back
        raise ValueError(text)
    return Fraction(text)
