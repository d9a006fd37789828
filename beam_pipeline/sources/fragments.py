"""Formats that come in fragments (HLS, DASH): which there are, and which of them a section needs.

Fragments are found by the durations that a list announces. These may be rounded, so that their sum drifts away from the
stream's clock; what was read tells, and is corrected by.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Any
from urllib.parse import urljoin

from beam_pipeline.clips import ClipError

Span = tuple[Fraction, Fraction]
"""When something begins and ends on a stream's clock, in seconds from its beginning."""

_MAX_FRAGMENTS = 100_000
_MAX_DURATION_S = 86_400.0  # of one
_MAX_LINE = 1 << 16  # characters
# The value of EXT-X-KEY and EXT-X-MAP: attributes one after another.
_ATTRIBUTE_RE = re.compile(r'\s*([A-Z0-9-]{1,64})=("[^"]*"|[^",]*)(?:,|$)')

# Up to this, and the length of a fragment, lists are as good as right; beyond, what was read must run as much faster or
# slower than its list as all before it did, but for this part: else the clock was set back somewhere.
_EXACT_S = 2
_UNEVEN = Fraction(15, 100)
_MAX_RATIO = 4


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a video: bytes [first, end) of a URL, all of it where `first` is None."""

    url: str
    duration_s: float = 0.0
    first: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Fragments:
    """All parts of a video on one clock, in order.

    Attributes:
      head: what a reader needs before any of them.
      parts: the parts.
      is_whole: there are no more of it. Else what follows has a clock, or a head, of its own.
    """

    head: Fragment | None
    parts: tuple[Fragment, ...]
    is_whole: bool = True

    @cached_property
    def begins_s(self) -> list[Fraction]:
        """When each begins, going by the list, and when the last ends."""
        return list(accumulate((Fraction(part.duration_s) for part in self.parts), initial=Fraction(0)))

    def touching(self, start_s: Fraction, end_s: Fraction) -> range:
        """Returns the indices of the parts in [start_s, end_s), going by the list: one at least, all without durations.

        That is the first or the last one where the list has none there.
        """
        begins_s = self.begins_s
        if not begins_s[-1]:
            return range(len(self.parts))
        first = max(0, bisect_right(begins_s, start_s, hi=len(self.parts)) - 1)
        return range(first, max(first + 1, bisect_left(begins_s, end_s, hi=len(self.parts))))

    def check_clock(self, window: range, held: Span) -> None:
        """Checks that what some parts hold is on the clock that the list begins with.

        Raises:
          ClipError: `format_unavailable`.
        """
        listed_s = self.begins_s[window.start]
        part_s = max(Fraction(self.parts[index].duration_s) for index in window)
        if not self.begins_s[-1] or abs(held[0] - listed_s) <= _EXACT_S + part_s:
            return
        ratio = self._ratio(window, held)
        uneven_s = abs(held[0] - listed_s * ratio)
        if not 0 < ratio < _MAX_RATIO or uneven_s > _UNEVEN * held[0] + _EXACT_S + part_s:
            raise ClipError("format_unavailable", "the stream's clock is another than its list of fragments says")

    def corrected(self, window: range, before: bool, held: Span | None, wanted: Span) -> range:
        """Returns the indices of the parts to read instead of some that are too few for a section.

        Args:
          window: which were read.
          before: what lies before them is needed; else what follows.
          held: what they hold; None if nothing.
          wanted: what the section needs.

        Raises:
          ClipError: `format_unavailable` where there are no more.
        """
        count = len(self.parts)
        if (window.start == 0) if before else (window.stop == count):
            raise ClipError(
                "format_unavailable", "the clip reaches over a joint of the stream, where its clock changes"
            )
        if before and (held is None or held[0] <= wanted[0]):  # no key frame: it may be anywhere before
            return range(max(0, window.start - len(window)), window.stop)
        if held is None:
            return range(window.start, min(count, window.stop + len(window)))
        ratio = min(max(self._ratio(window, held), 1 / Fraction(_MAX_RATIO)), Fraction(_MAX_RATIO))
        start_s, end_s = (self.begins_s[window.start] + (time_s - held[0]) / ratio for time_s in wanted)
        found = self.touching(start_s, end_s)
        if before:
            first = min(found.start, window.start - 1)
            return range(first, found.stop if first < found.stop < window.start else window.stop)
        return found if found.start > window.stop else range(window.start, max(found.stop, window.stop + 1))

    def _ratio(self, window: range, held: Span) -> Fraction:
        """Returns how long parts last for each second that the list says; the last part of all is often short."""
        begins_s = self.begins_s
        if window.stop == len(self.parts) and begins_s[window.start]:
            return held[0] / begins_s[window.start]
        return (held[1] - held[0]) / (begins_s[window.stop] - begins_s[window.start] or 1)


def fragments_of(chosen: Mapping[str, Any], read: Callable[[str], tuple[str, bytes]]) -> Fragments:
    """Returns a format's fragments, as yt-dlp lists them or as its HLS playlist does.

    Args:
      chosen: the format.
      read: returns what is at a URL, and the URL that it was at last found at.

    Raises:
      ClipError: `format_unavailable` for a stream that is encrypted, still goes on, or whose list makes no sense.
    """
    try:
        if listed := chosen.get("fragments"):
            return _from_list(list(listed), chosen.get("fragment_base_url") or chosen["url"])
        if str(chosen.get("protocol")).startswith("m3u8"):
            base, playlist = read(chosen["url"])
            return _from_playlist(playlist.decode("utf-8", "replace"), base)
    except (ValueError, KeyError) as error:
        raise ClipError("format_unavailable", "the stream's list of fragments can't be read") from error
    raise ClipError("format_unavailable", f"formats by the protocol {chosen.get('protocol')} can't be cut")


def _from_list(listed: list[Mapping[str, Any]], base: str) -> Fragments:
    parts = [
        Fragment(each.get("url") or urljoin(base, each["path"]), float(each.get("duration") or 0)) for each in listed
    ]
    head = parts.pop(0) if len(parts) > 1 and not parts[0].duration_s else None
    return _checked(head, parts)


def _from_playlist(text: str, base: str) -> Fragments:
    """Reads a media playlist (RFC 8216, section 4.3.2) up to where its clock or its head changes."""
    if "#EXT-X-ENDLIST" not in text:
        raise ClipError("format_unavailable", "the stream has not ended yet")
    head: Fragment | None = None
    parts: list[Fragment] = []
    duration_s, byte_range, next_byte = 0.0, "", 0
    for line in (line.strip() for line in text.splitlines()):
        if len(line) > _MAX_LINE:
            raise ValueError(f"a line of {len(line)} characters")
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-KEY" and _attributes(value).get("METHOD") != "NONE":
            raise ClipError("format_unavailable", "the stream is encrypted")
        if tag == "#EXT-X-MAP":
            attributes = _attributes(value)
            another, _ = _ranged(urljoin(base, attributes["URI"]), 0.0, attributes.get("BYTERANGE", ""), 0)
            if parts and another != head:
                return _checked(head, parts, is_whole=False)
            head = another
        elif tag == "#EXT-X-DISCONTINUITY" and parts:
            return _checked(head, parts, is_whole=False)
        elif tag == "#EXTINF":
            duration_s = float(value.split(",")[0])
        elif tag == "#EXT-X-BYTERANGE":
            byte_range = value
        elif line and not line.startswith("#"):
            part, next_byte = _ranged(urljoin(base, line), duration_s, byte_range, next_byte)
            parts.append(part)
            duration_s, byte_range = 0.0, ""
    return _checked(head, parts)


def _attributes(value: str) -> dict[str, str]:
    attributes, position = {}, 0
    while match := _ATTRIBUTE_RE.match(value, position):
        attributes[match[1]] = match[2].strip('"')
        position = match.end()
    return attributes


def _ranged(url: str, duration_s: float, byte_range: str, next_byte: int) -> tuple[Fragment, int]:
    if not byte_range:
        return Fragment(url, duration_s), 0
    length, _, offset = byte_range.partition("@")
    first = int(offset) if offset else next_byte
    if int(length) <= 0 or first < 0:
        raise ValueError(f"the range {byte_range}")
    return Fragment(url, duration_s, first, first + int(length)), first + int(length)


def _checked(head: Fragment | None, parts: list[Fragment], is_whole: bool = True) -> Fragments:
    if not 0 < len(parts) <= _MAX_FRAGMENTS:
        raise ClipError("format_unavailable", f"the stream is a list of {len(parts)} fragments")
    for part in (*parts, *([head] if head else [])):
        if not 0 <= part.duration_s <= _MAX_DURATION_S:
            raise ValueError(f"a duration of {part.duration_s} s")
        if not part.url.startswith(("http://", "https://")):
            raise ClipError("format_unavailable", "a fragment is at no HTTP address")
    return Fragments(head, tuple(parts), is_whole)
