"""Cuts a section out of a video without decoding it: a small mp4 file that presents exactly the clip.

    video   ──K──────────K───────[───────────K──]────────K──     K: key frames; [ ]: start and end of the clip
    file                 K───────[───────────K──]──              from the key frame before it, packets as they are
                         before 0        presented

Timestamps become those of the video minus the start, in a unit of which the start and the end are whole multiples. An
edit list presents [0, end - start); a tag says what the file is a section of, for readers that want what lies around it
(`section_tag`): the last frame of a low output rate may lie shortly after the end, and sound needs a run-up.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise
from math import ceil, lcm
from operator import add
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from beam_pipeline.clips import ClipError
from beam_pipeline.media import audio as sound
from beam_pipeline.media.section_tag import SITINGS, TAG, Section, SectionSound
from beam_pipeline.media.streams import (
    SEEK_BACK_S,
    choose_stream,
    clock_origin_s,
    ends_before_announced,
    rewind,
    seek,
    usual_frame_ticks,
)

# Beyond the clip's end: output frames show what comes up to half an interval later (1 a second is the lowest rate this
# is enough for), and resampling the sound reaches a little further, too.
_BEYOND_S = Fraction(1, 2)
# Decoding order runs ahead of showing by less than this, where a packet doesn't say by how much.
_REORDERING_S = 1
_MAX_TIMESCALE = (1 << 31) - 1
_ROUND_TIMESCALE = 1 << 28  # where no unit is exact: 4 ns


@dataclass(frozen=True, slots=True)
class _Track:
    """A stream's packets, their timestamps in units of 1 / `timescale` from the clip's start on.

    What is presented goes from `shown` to `shown_until`; `first_dts` is the first packet's.
    """

    stream: VideoStream | AudioStream
    timescale: int
    packets: list[Packet]
    first_dts: int
    shown: int
    shown_until: int


def cut_section(
    video: InputContainer, audio: InputContainer | None, start_us: int, end_us: int, path: str | Path
) -> None:
    """Writes [start_us, end_us) of a video to an mp4 file, or a QuickTime one where mp4 can't hold its codecs.

    Decoding the file as it presents itself gives the frames of the video with start ≤ time < end, at exactly
    time - start; `video.read_frames` and `audio.read_audio` give what they give for the video itself. Where the video
    ends before, the file holds what there is.

    Args:
      video: from `open_container`, anywhere: may be cut several times.
      audio: what holds the sound: the same, another container, or None for no sound.
      start_us: on the video's clock, microseconds.
      end_us: likewise.
      path: of the file to write; if writing it fails, what there is of it is left.

    Raises:
      ClipError: `no_video`; `no_overlap`, the video ends before the clip begins or begins after it ends; `unsupported`,
        it has no timestamps, can't be sought, or no such file can hold its codec; `unreadable`.
      OSError: the file can't be written.
    """
    try:
        stream = choose_stream(video)
        track, section = _video_track(video, stream, start_us, end_us)
        tracks = [track]
        if audio is not None and (audio_stream := sound.choose_track(audio)) is not None:
            found = _sound_track(audio, audio_stream, Fraction(start_us, 1_000_000), Fraction(end_us, 1_000_000))
            if found is not None:
                tracks.append(found[0])
                section = replace(section, sound=found[1])
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libav: {error.strerror}") from error
    with Path(path).open("w+b") as file:
        _write(file, tracks, section.to_tag())


# -- Which packets ----------------------------------------------------------------------------------------------------


def _video_track(container: InputContainer, stream: VideoStream, start_us: int, end_us: int) -> tuple[_Track, Section]:
    start_s = clock_origin_s(container) + Fraction(start_us, 1_000_000)
    end_s = start_s + Fraction(end_us - start_us, 1_000_000)
    _read_only(container, stream)
    packets, sought, at_end = _video_packets(container, stream, start_s, end_s)
    tick_s = stream.time_base or Fraction(1, av.time_base)
    timescale = _exact_timescale(tick_s, start_s, end_s)
    usual_ticks = usual_frame_ticks(stream, tick_s)
    pts = [packet.pts for packet in packets if packet.pts is not None]
    dts = _decoding_order(pts, [packet.dts for packet in packets])
    durations = [packet.duration or usual_ticks for packet in packets]
    ends_s = max(map(add, pts, durations)) * tick_s
    if ends_s <= start_s:
        raise ClipError("no_overlap", "the video ends before the clip begins")
    if min(pts) * tick_s >= end_s:
        raise ClipError("no_overlap", "the video begins after the clip ends")
    section = Section(
        start_us,
        end_us,
        sought,
        ends_s=ends_s - start_s if at_end else None,
        damaged=at_end and ends_before_announced(container, stream, ends_s),
        siting=_chroma_siting(stream, packets[0]),
    )
    shift = round(start_s * timescale)
    for packet, its_pts, its_dts, duration in zip(packets, pts, dts, durations, strict=True):
        packet.pts = round(its_pts * tick_s * timescale) - shift
        packet.dts = round(its_dts * tick_s * timescale) - shift
        packet.duration = round(duration * tick_s * timescale)
        packet.time_base = Fraction(1, timescale)
        # Decoding is to begin with the first, which is known to be safe, and with no other before the clip.
        packet.is_keyframe = packet is packets[0] or (packet.is_keyframe and its_pts * tick_s > start_s)
    end = ceil((end_s - start_s) * timescale)
    # libavformat would move the first frame that it shows to the beginning of what an edit presents: so the edit begins
    # with that frame. One that lasts all through the clip is shown from the beginning.
    shown = min((packet.pts for packet in packets if packet.pts is not None and 0 <= packet.pts < end), default=0)
    until = min(end, round(ends_s * timescale) - shift)
    return _Track(stream, timescale, packets, packets[0].dts or 0, shown, until), section


def _video_packets(
    container: InputContainer, stream: VideoStream, start_s: Fraction, end_s: Fraction
) -> tuple[list[Packet], bool, bool]:
    """Returns the packets, whether the container was sought, and whether they go up to its end."""
    for back_s in SEEK_BACK_S:
        if not seek(container, stream, start_s - back_s):
            break
        packets, at_end = _packets_until(container, stream, end_s + _BEYOND_S, from_key_frame=True)
        if packets and _is_safe_to_begin_with(stream, packets, start_s):
            return packets, True, at_end
    rewind(container, stream)
    packets, at_end = _packets_until(container, stream, end_s + _BEYOND_S, from_key_frame=False)
    if not packets:
        raise ClipError("unreadable", "its video stream has no packets")
    return packets, False, at_end


def _packets_until(
    container: InputContainer, stream: VideoStream, until_s: Fraction, from_key_frame: bool
) -> tuple[list[Packet], bool]:
    """Returns packets up to and including the first that is decoded at or after a time; and whether there are no more.

    Those that are decoded before it include all that are shown before it; and with it, it is known how long they are.
    """
    packets: list[Packet] = []
    tick_s = stream.time_base or Fraction(1, av.time_base)
    for packet in container.demux(stream):
        if not packet.size or (from_key_frame and not packets and not packet.is_keyframe):
            continue
        if packet.pts is None:
            raise ClipError("unsupported", "can't be cut: the file doesn't say when its frames are shown")
        packets.append(packet)
        decoded_s = packet.pts * tick_s - _REORDERING_S if packet.dts is None else packet.dts * tick_s
        if decoded_s >= until_s:
            return packets, False
    return packets, True


def _is_safe_to_begin_with(stream: VideoStream, packets: Sequence[Packet], start_s: Fraction) -> bool:
    """Whether decoding can begin with these packets, as `streams.pictures` would after a seek.

    The first must really be a key frame, at or before the start; and deinterlacing needs the frame before the clip's.
    """
    tick_s = stream.time_base or Fraction(1, av.time_base)
    first_pts = packets[0].pts
    if first_pts is None or first_pts * tick_s > start_s:
        return False
    decoder = _decoder(stream)
    seen = 0
    for packet in (*packets, None):
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            return False
        for frame in frames:
            if not seen and not frame.key_frame:
                continue
            if frame.pts is None or frame.is_corrupt or (not seen and frame.pts > start_s / tick_s):
                return False
            if seen:
                return not frame.interlaced_frame or frame.pts * tick_s <= start_s
            seen += 1
    return False


def _decoder(stream: VideoStream) -> VideoCodecContext:
    decoder = cast(VideoCodecContext, CodecContext.create(stream.codec_context.codec, "r"))
    decoder.extradata = stream.codec_context.extradata
    decoder.thread_count = 1
    return decoder


def _chroma_siting(stream: VideoStream, packet: Packet) -> str:
    """Returns where a container says that VP9's chroma samples lie, which neither its bitstream nor mp4 can tell.

    PyAV doesn't tell it either, but swscale goes by it: so it is what gives the same small picture of coloured noise.
    """
    if stream.codec_context.codec.canonical_name != "vp9":
        return SITINGS[0]
    try:
        told = _small_noise(stream.codec_context, packet)
        stream.codec_context.flush_buffers()
        for siting in SITINGS:
            decoder = _decoder(stream)
            decoder.options = {"chroma_sample_location": siting}
            if told == _small_noise(decoder, packet):
                return siting
    except av.error.FFmpegError:
        pass
    return SITINGS[0]


def _small_noise(decoder: VideoCodecContext, packet: Packet) -> bytes:
    """Returns noise as a frame of the decoder's would be scaled; empty where the packet has none."""
    for frame in decoder.decode(packet):
        noise = random.Random(0)
        for plane in frame.planes:
            plane.update(noise.randbytes(plane.buffer_size))
        return frame.reformat(64, 64, "yuv420p", interpolation="AREA").to_ndarray().tobytes()
    return b""


def _decoding_order(pts: Sequence[int], dts: Sequence[int | None]) -> list[int]:
    """Returns the packets' dts where they are in order and not after the pts, else such as are."""
    known = [ticks for ticks in dts if ticks is not None]
    increasing = all(a < b for a, b in pairwise(known))
    if len(known) == len(pts) and increasing and all(d <= p for d, p in zip(known, pts, strict=True)):
        return known
    in_order = sorted(pts)
    if any(a == b for a, b in pairwise(in_order)):
        raise ClipError("unsupported", "can't be cut: two of its frames are shown at the same time")
    ahead = max(o - p for o, p in zip(in_order, pts, strict=True))
    return [ticks - ahead for ticks in in_order]


def _exact_timescale(tick_s: Fraction, *times_s: Fraction) -> int:
    """Returns units a second of which the tick and the times are whole multiples, as far as 31 bits go."""
    timescale = lcm(tick_s.denominator, *(time_s.denominator for time_s in times_s))
    if timescale <= _MAX_TIMESCALE:
        return timescale
    return max(1, _ROUND_TIMESCALE // tick_s.denominator) * tick_s.denominator


def _sound_track(
    container: InputContainer, stream: AudioStream, start_s: Fraction, end_s: Fraction
) -> tuple[_Track, SectionSound] | None:
    """Returns the packets that `audio.read_audio` would decode, and their clock; None where there are none."""
    rate = stream.rate
    tick_s = stream.time_base
    if not rate or tick_s is None:
        return None
    origin_s = clock_origin_s(container)
    start_s, end_s = origin_s + start_s, origin_s + end_s
    packets: list[Packet] = []
    skips: list[tuple[int, int]] = []
    for packet in _sound_packets(container, stream, start_s - sound.PREROLL_S):
        if not packet.size:
            continue
        if packet.pts is None:
            raise ClipError("unsupported", "can't be cut: the file doesn't say when its sound is heard")
        packets.append(packet)
        skips.append(_skipped_samples(packet))
        if packet.pts * tick_s >= end_s + _BEYOND_S:
            break
    if not packets:
        return None
    first_pts = packets[0].pts or 0
    first_ticks = stream.start_time if stream.start_time is not None else 0
    skip, discard = skips[0][0], skips[-1][1]
    if not skip and "matroska" in container.format.name and first_pts <= first_ticks:
        skip = stream.codec_context.delay  # its demuxer tells it only of a file just opened
    clock = SectionSound(start_s, tick_s, first_ticks, skip, discard)
    last = None
    for packet in packets:
        assert packet.pts is not None
        ticks = clock.file_ticks(packet.pts, rate)
        if last is not None and ticks <= last:
            raise ClipError("unsupported", "can't be cut: two packets of its sound have the same time")
        last = ticks
        packet.duration = max(1, round((packet.duration or 0) * tick_s * rate))
        packet.pts = packet.dts = ticks
        packet.time_base = Fraction(1, rate)
    assert last is not None
    first = clock.file_ticks(first_pts, rate)
    until = min(ceil((end_s - start_s) * rate), last + (packets[-1].duration or 0))
    return (_Track(stream, rate, packets, first, max(0, first), until), clock) if until > max(0, first) else None


def _sound_packets(container: InputContainer, stream: AudioStream, time_s: Fraction) -> Iterator[Packet]:
    """Yields those of `audio.packets_from`, by another way where its own would read all that lies before."""
    _read_only(container, stream)
    rewind(container, stream)
    tick_s = stream.time_base or Fraction(1, av.time_base)
    near_beginning = time_s - (stream.start_time or 0) * tick_s < sound.SEEK_FROM_S
    if near_beginning or not container.streams.video or "matroska" not in container.format.name:
        return sound.packets_from(container, stream, time_s)
    for back_s in SEEK_BACK_S:  # a Matroska file's index is mostly of its video alone
        if not seek(container, container.streams.video[0], time_s - back_s):
            break
        before: Packet | None = None
        packets = container.demux(stream)
        for packet in packets:
            if packet.pts is None or packet.pts * tick_s > time_s:
                if before is None:
                    break
                return chain((before, packet), packets)
            before = packet
    rewind(container, stream)
    return sound.packets_from(container, stream, time_s)


def _skipped_samples(packet: Packet) -> tuple[int, int]:
    """Returns how many decoded samples are to be dropped at the packet's beginning and end."""
    if not packet.has_sidedata("skip_samples"):
        return 0, 0
    # AV_PKT_DATA_SKIP_SAMPLES of libavcodec/packet.h: two little-endian 32-bit counts, then reasons.
    skip, discard = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))
    return skip, discard


def _read_only(container: InputContainer, stream: Stream) -> None:
    for other in container.streams:
        other.discard = Discard.default if other.index == stream.index else Discard.all


# -- The file ---------------------------------------------------------------------------------------------------------


def _write(file: BinaryIO, tracks: Sequence[_Track], tag: str) -> None:
    timescale = lcm(*(track.timescale for track in tracks))
    if timescale > _MAX_TIMESCALE:
        timescale = tracks[0].timescale
    for format_name in ("mp4", "mov", "3gp"):
        if _mux(file, format_name, tracks, timescale, tag):
            _present(file, tracks, timescale)
            return
    codecs = " and ".join(track.stream.codec_context.codec.canonical_name for track in tracks)
    raise ClipError("unsupported", f"can't be cut: no mp4 file holds {codecs}")


def _mux(file: BinaryIO, format_name: str, tracks: Sequence[_Track], timescale: int, tag: str) -> bool:
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


def _present(file: BinaryIO, tracks: Sequence[_Track], timescale: int) -> None:
    """Rewrites the edit lists and durations at the file's end to present what the tracks say, and nothing else."""
    offset, moov = _last_box(file)
    trunk = []
    following = iter(tracks)
    until = max(Fraction(track.shown_until, track.timescale) for track in tracks)
    for name, box in _boxes(moov, 8):
        if name == b"mvhd":
            box = _with_duration(box, 24, 32, round(until * timescale))
        elif name == b"trak":
            box = _presented_track(box, next(following), timescale)
        trunk.append(box)
    file.seek(offset)
    file.write(_box(b"moov", *trunk))
    file.truncate()


def _presented_track(trak: bytes, track: _Track, timescale: int) -> bytes:
    def movie_units(ticks: int) -> int:
        return round(Fraction(ticks * timescale, track.timescale))

    edits = []
    if track.shown > 0:
        edits.append(struct.pack(">Qqhh", movie_units(track.shown), -1, 1, 0))
    shown_for = movie_units(track.shown_until) - movie_units(track.shown)
    edits.append(struct.pack(">Qqhh", shown_for, track.shown - track.first_dts, 1, 0))
    edit_list = _box(b"edts", _box(b"elst", struct.pack(">II", 1 << 24, len(edits)), *edits))
    branches = []
    for name, box in _boxes(trak, 8):
        if name == b"tkhd":
            branches += [_with_duration(box, 28, 36, movie_units(track.shown_until)), edit_list]
        elif name != b"edts":
            branches.append(box)
    return _box(b"trak", *branches)


def _with_duration(box: bytes, offset: int, offset_64: int, duration: int) -> bytes:
    """Returns a header box with its duration set, which lies at the second offset in version 1 boxes."""
    if box[8]:
        at, field = offset_64, struct.pack(">Q", duration)
    else:
        at, field = offset, struct.pack(">I", min(duration, (1 << 32) - 1))
    return box[:at] + field + box[at + len(field) :]


def _last_box(file: BinaryIO) -> tuple[int, bytes]:
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


def _boxes(parent: bytes, offset: int) -> Iterator[tuple[bytes, bytes]]:
    while offset < len(parent):
        size, name = struct.unpack_from(">I4s", parent, offset)
        yield name, parent[offset : offset + size]
        offset += size


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body
