"""Writes packets to a small mp4 file that presents just a stretch of them, whatever the first is.

libavformat writes the file; its edit lists are then written anew, since no option of its makes them exactly so.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import BinaryIO, cast

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from beam_pipeline.clips import ClipError
from beam_pipeline.media.section_tag import TAG

MAX_TIMESCALE = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Track:
    """A stream's packets, their timestamps in units of 1 / `timescale` from the clip's start on.

    What is presented goes from `shown` to `shown_until`; `first_dts` is the first packet's.
    """

    stream: VideoStream | AudioStream
    timescale: int
    packets: list[Packet]
    first_dts: int
    shown: int
    shown_until: int


def write_tracks(file: BinaryIO, tracks: Sequence[Track], tag: str) -> None:
    """Writes the video's track and, if there is one, the sound's.

    Args:
      file: for writing and reading, empty.
      tracks: what to write.
      tag: the text of `section_tag.TAG`.

    Raises:
      ClipError: `unsupported`, no such file can hold their codecs.
      OSError: the file can't be written.
    """
    timescale = lcm(*(track.timescale for track in tracks))
    if timescale > MAX_TIMESCALE:
        timescale = tracks[0].timescale
    for format_name in ("mp4", "mov", "3gp"):
        if _mux(file, format_name, tracks, timescale, tag):
            _present(file, tracks, timescale)
            return
    codecs = " and ".join(track.stream.codec_context.codec.canonical_name for track in tracks)
    raise ClipError("unsupported", f"can't be cut: no mp4 file holds {codecs}")


def _mux(file: BinaryIO, format_name: str, tracks: Sequence[Track], timescale: int, tag: str) -> bool:
    """Writes a file; returns False where the format can't hold the codecs."""
    file.seek(0)
    file.truncate()
    options = {
        "avoid_negative_ts": "disabled",
        "fflags": "+bitexact",  # no library's version: the same section has the same bytes
        "movflags": "use_metadata_tags",
        "movie_timescale": str(timescale),
        "video_track_timescale": str(tracks[0].timescale),
    }
    output = av.open(file, "w", format=format_name, options=options)
    output.metadata[TAG] = tag
    try:
        muxed = []
        for track in tracks:
            copy = output.add_stream_from_template(track.stream, opaque=True)
            if isinstance(track.stream, VideoStream) and track.stream.sample_aspect_ratio:
                cast(VideoStream, copy).codec_context.sample_aspect_ratio = track.stream.sample_aspect_ratio
            muxed += [(packet, copy) for packet in track.packets]
        muxed.sort(key=lambda item: (item[0].dts or 0) * item[0].time_base)
        for packet, copy in muxed:
            packet.stream = copy
            output.mux(packet)
        output.close()
    except (av.error.FFmpegError, ValueError):
        with suppress(av.error.FFmpegError):
            output.close()
        return False
    return True


# -- What it presents (ISO/IEC 14496-12) ------------------------------------------------------------------------------


def _present(file: BinaryIO, tracks: Sequence[Track], timescale: int) -> None:
    """Rewrites the edit lists and durations at the file's end to present what the tracks say, and nothing else."""
    offset, moov = last_box(file)
    trunk = []
    following = iter(tracks)
    until = max(Fraction(track.shown_until, track.timescale) for track in tracks)
    for name, box in boxes(moov, 8):
        if name == b"mvhd":
            box = _with_duration(box, 24, 32, round(until * timescale))
        elif name == b"trak":
            box = _presented_track(box, next(following), timescale)
        trunk.append(box)
    file.seek(offset)
    file.write(make_box(b"moov", *trunk))
    file.truncate()


def _presented_track(trak: bytes, track: Track, timescale: int) -> bytes:
    def movie_units(ticks: int) -> int:
        return round(Fraction(ticks * timescale, track.timescale))

    edits = []
    if track.shown > 0:
        edits.append(struct.pack(">Qqhh", movie_units(track.shown), -1, 1, 0))
    shown_for = movie_units(track.shown_until) - movie_units(track.shown)
    edits.append(struct.pack(">Qqhh", shown_for, track.shown - track.first_dts, 1, 0))
    edit_list = make_box(b"edts", make_box(b"elst", struct.pack(">II", 1 << 24, len(edits)), *edits))
    branches = []
    for name, box in boxes(trak, 8):
        if name == b"tkhd":
            branches += [_with_duration(box, 28, 36, movie_units(track.shown_until)), edit_list]
        elif name != b"edts":
            branches.append(box)
    return make_box(b"trak", *branches)


def _with_duration(box: bytes, offset: int, offset_64: int, duration: int) -> bytes:
    """Returns a header box with its duration set, which lies at the second offset in version 1 boxes."""
    if box[8]:
        at, field = offset_64, struct.pack(">Q", duration)
    else:
        at, field = offset, struct.pack(">I", min(duration, (1 << 32) - 1))
    return box[:at] + field + box[at + len(field) :]


def last_box(file: BinaryIO) -> tuple[int, bytes]:
    """Returns the offset and the bytes of a file's last box, which is its index."""
    offset = 0
    end = file.seek(0, io.SEEK_END)
    while True:
        file.seek(offset)
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        if offset + size >= end:
            assert name == b"moov", name
            file.seek(offset)
            return offset, file.read()
        offset += size


def boxes(parent: bytes, offset: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields the names and bytes, header included, of the boxes in a box from an offset on, 8 behind a plain header."""
    while offset < len(parent):
        size, name = struct.unpack_from(">I4s", parent, offset)
        yield name, parent[offset : offset + size]
        offset += size


def make_box(name: bytes, *content: bytes) -> bytes:
    """Returns a box of that content."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body
