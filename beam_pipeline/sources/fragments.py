"""Formats that come in fragments (HLS, DASH): just those that a section touches, joined to one file.

The joined file begins with the video's first fragment, so that its clock starts where the whole video's does, and goes
on with the fragments around the section. Their timestamps are left alone: a reader sees a gap in time, nothing else.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol
from urllib.parse import urljoin

from beam_pipeline.clips import ClipError

_MAX_FRAGMENTS = 100_000
_MAX_DURATION_S = 86_400.0  # of one
_ATTRIBUTE_RE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a video: bytes [first, end) of a URL, all of it where `first` is None."""

    url: str
    duration_s: float = 0.0
    first: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Fragments:
    """All parts of a video, in order; `head` is what a reader needs before any of them."""

    head: Fragment | None
    parts: tuple[Fragment, ...]

    @property
    def duration_s(self) -> float:
        """How long they are together."""
        return sum(part.duration_s for part in self.parts)

    def around(self, start_s: float, end_s: float) -> Iterator[Fragment]:
        """Yields the parts that a reader of [start_s, end_s) needs: the head, the first, and those around the section.

        One more than it touches on either side, since announced durations are rounded; all where there are none.
        """
        if self.head:
            yield self.head
        if not self.duration_s:
            yield from self.parts
            return
        begins = [0.0]
        for part in self.parts:
            begins.append(begins[-1] + part.duration_s)
        touched = [
            index for index in range(len(self.parts)) if begins[index] < end_s and begins[index + 1] > start_s
        ] or [len(self.parts) - 1]
        first, last = max(1, touched[0] - 1), min(len(self.parts) - 1, touched[-1] + 1)
        yield self.parts[0]
        yield from self.parts[first : last + 1]


def fragments_of(chosen: Mapping[str, Any], read: Callable[[str], bytes]) -> Fragments:
    """Returns a format's fragments, as yt-dlp lists them or as its HLS playlist does.

    Args:
      chosen: the format.
      read: returns what is at a URL.

    Raises:
      ClipError: `format_unavailable` for a stream that is encrypted, still goes on, or whose list makes no sense.
    """
    try:
        if listed := chosen.get("fragments"):
            return _from_list(list(listed), chosen.get("fragment_base_url") or chosen["url"])
        if str(chosen.get("protocol")).startswith("m3u8"):
            return _from_playlist(read(chosen["url"]).decode("utf-8", "replace"), chosen["url"])
    except (ValueError, KeyError) as error:
        raise ClipError("format_unavailable", "the stream's list of fragments can't be read") from error
    raise ClipError("format_unavailable", f"formats by the protocol {chosen.get('protocol')} can't be cut")


class Part(Protocol):
    """An answer that is read piece by piece."""

    def read(self, count: int) -> bytes:
        """Returns 1 to `count` bytes, nothing at the end."""
        ...

    def close(self) -> None:
        """Hangs up."""


def join(fragments: Iterator[Fragment], file: BinaryIO, open_part: Callable[[Fragment], Part], limit: int) -> None:
    """Writes fragments one after another.

    Raises:
      ClipError: `too_large` where they are more than `limit` bytes.
    """
    written = 0
    for fragment in fragments:
        with contextlib.closing(open_part(fragment)) as part:
            while chunk := part.read(1 << 16):
                written += len(chunk)
                if written > limit:
                    raise ClipError("too_large", f"the fragments around the clip are more than {limit >> 20} MiB")
                file.write(chunk)


def _from_list(listed: list[Mapping[str, Any]], base: str) -> Fragments:
    parts = [
        Fragment(each.get("url") or urljoin(base, each["path"]), float(each.get("duration") or 0)) for each in listed
    ]
    head = parts.pop(0) if len(parts) > 1 and not parts[0].duration_s else None
    return _checked(head, parts)


def _from_playlist(text: str, base: str) -> Fragments:
    """Reads a media playlist: RFC 8216, section 4.3.2."""
    if "#EXT-X-ENDLIST" not in text:
        raise ClipError("format_unavailable", "the stream has not ended yet")
    head: Fragment | None = None
    parts: list[Fragment] = []
    duration_s, byte_range, next_byte = 0.0, "", 0
    for line in (line.strip() for line in text.splitlines()):
        tag, _, value = line.partition(":")
        attributes = {name: text.strip('"') for name, text in _ATTRIBUTE_RE.findall(value)}
        if tag == "#EXT-X-KEY" and attributes.get("METHOD") != "NONE":
            raise ClipError("format_unavailable", "the stream is encrypted")
        if tag == "#EXT-X-MAP" and head is None:
            head, _ = _ranged(urljoin(base, attributes["URI"]), 0.0, attributes.get("BYTERANGE", ""), 0)
        elif tag == "#EXTINF":
            duration_s = float(value.split(",")[0])
        elif tag == "#EXT-X-BYTERANGE":
            byte_range = value
        elif line and not line.startswith("#"):
            part, next_byte = _ranged(urljoin(base, line), duration_s, byte_range, next_byte)
            parts.append(part)
            duration_s, byte_range = 0.0, ""
    return _checked(head, parts)


def _ranged(url: str, duration_s: float, byte_range: str, next_byte: int) -> tuple[Fragment, int]:
    if not byte_range:
        return Fragment(url, duration_s), 0
    length, _, offset = byte_range.partition("@")
    first = int(offset) if offset else next_byte
    return Fragment(url, duration_s, first, first + int(length)), first + int(length)


def _checked(head: Fragment | None, parts: list[Fragment]) -> Fragments:
    if not 0 < len(parts) <= _MAX_FRAGMENTS:
        raise ClipError("format_unavailable", f"the stream is a list of {len(parts)} fragments")
    for part in (*parts, *([head] if head else [])):
        if not 0 <= part.duration_s <= _MAX_DURATION_S:
            raise ValueError(f"a duration of {part.duration_s} s")
        if not part.url.startswith(("http://", "https://")):
            raise ClipError("format_unavailable", "a fragment is at no HTTP address")
    return Fragments(head, tuple(parts))
