"""Cuts a section out of a video without decoding it: a small mp4 file that presents exactly the clip.

    video   ──K──────────K───────[───────────K──]────────K──     K: key frames; [ ]: start and end of the clip
    file                 K───────[───────────K──]──              from the key frame before it, packets as they are
                         before 0        presented

Timestamps become those of the video minus the start, in a unit of which the start and the end are whole multiples. An
edit list presents [0, end - start); a tag says what the file is a section of, for readers that want what lies around it
(`section_tag`): the last frame of a low output rate may lie shortly after the end, and sound needs a run-up.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise
from math import ceil, lcm
from operator import add
from pathlib import Path
from typing import cast

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
from beam_pipeline.media.section_file import MAX_TIMESCALE, Track, write_tracks
from beam_pipeline.media.section_tag import SITINGS, Section, SectionSound
from beam_pipeline.media.streams import (
    SEEK_BACK_S,
    choose_stream,
    clock_origin_s,
    ends_before_announced,
    is_broadcast,
    rewind,
    seek,
    usual_frame_ticks,
)

# Beyond the clip's end: output frames show what comes up to half an interval later (1 a second is the lowest rate this
# is enough for), and resampling the sound reaches a little further, too.
BEYOND_S = Fraction(1, 2)
# Decoding order runs ahead of showing by less than this, where a packet doesn't say by how much.
_REORDERING_S = 1
_ROUND_TIMESCALE = 1 << 28  # where no unit is exact: 4 ns
# Of packets, which are held in memory. A clip of a minute at 20 Mbit/s has 150 MB.
_MAX_BYTES = 512 << 20
_BROADCAST_PERIOD_S = Fraction(1 << 33, 90_000)  # after which the clock of MPEG-TS begins anew: 26.5 hours


@dataclass(frozen=True, slots=True)
class Stretch:
    """What part of a stream an open container holds, if not all: from its beginning to its end, without a gap.

    Attributes:
      origin_s: the time on the stream's clock that counts as 0.
      from_beginning: it begins where the stream does.
      to_end: it ends where the stream does.
    """

    origin_s: Fraction
    from_beginning: bool
    to_end: bool


class StretchError(Exception):
    """A stretch that lacks what a section needs.

    Attributes:
      of_sound: it is that of the sound.
      before: what lies before it is needed; else what follows.
    """

    def __init__(self, of_sound: bool, before: bool):
        super().__init__(of_sound, before)
        self.of_sound = of_sound
        self.before = before


def span_s(container: InputContainer, origin_s: Fraction, of_sound: bool) -> tuple[Fraction, Fraction] | None:
    """Returns when the video of a container that was just opened begins and ends; None where it holds none.

    Args:
      container: all of it is read; open it anew for anything else.
      origin_s: the time on its clock that counts as 0.
      of_sound: its sound instead.

    Raises:
      ClipError: `no_video`; `unreadable`.
    """
    stream = sound.choose_track(container) if of_sound else choose_stream(container)
    if stream is None:
        return None
    _read_only(container, stream)
    origin_s = _in_this_period(origin_s, container)
    spans_s = []
    try:
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                tick_s = packet.time_base or Fraction(1, av.time_base)
                spans_s.append((packet.pts * tick_s, (packet.pts + (packet.duration or 0)) * tick_s))
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libav: {error.strerror}") from error
    if not spans_s:
        return None
    return min(begin_s for begin_s, _ in spans_s) - origin_s, max(end_s for _, end_s in spans_s) - origin_s


def cut_section(
    video: InputContainer,
    audio: InputContainer | None,
    start_us: int,
    end_us: int,
    path: str | Path,
    video_stretch: Stretch | None = None,
    audio_stretch: Stretch | None = None,
) -> None:
    """Writes [start_us, end_us) of a video to an mp4 file, or a QuickTime one where mp4 can't hold its codecs.

    Decoding the file as it presents itself gives the frames of the video with start ≤ time < end, at exactly
    time - start; `video.read_frames` and `audio.read_audio` give what they give for the video itself. Where the video
    ends before, the file holds what there is.

    Args:
      video: from `open_container`, anywhere: may be cut several times, unless it is a stretch.
      audio: what holds the sound: the same, another container, or None for no sound.
      start_us: on the video's clock, microseconds.
      end_us: likewise.
      path: of the file to write; if writing it fails, what there is of it is left.
      video_stretch: what `video` holds, if not all of a video; then it was just opened.
      audio_stretch: what `audio` holds, if that is another.

    Raises:
      ClipError: `no_video`; `no_overlap`, the video ends before the clip begins or begins after it ends; `unsupported`,
        it has no timestamps, can't be sought, or no such file can hold its codec; `too_large`; `unreadable`;
        `format_unavailable`, the clock of a stretch is set back in it.
      StretchError: a stretch is too short.
      OSError: the file can't be written.
    """
    origin_s = video_stretch.origin_s if video_stretch else clock_origin_s(video)
    try:
        track, section = _video_track(video, video_stretch, origin_s, start_us, end_us)
        tracks = [track]
        if audio is not None:
            if audio is not video and not (is_broadcast(audio) and is_broadcast(video)):  # these have one clock
                origin_s = audio_stretch.origin_s if audio_stretch else clock_origin_s(audio)
            stretch = video_stretch if audio is video else audio_stretch
            found = _sound_track(audio, stretch, origin_s, start_us, end_us, must_reach=audio is not video)
            if found is not None:
                tracks.append(found[0])
                section = replace(section, sound=found[1])
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libav: {error.strerror}") from error
    with Path(path).open("w+b") as file:
        write_tracks(file, tracks, section.to_tag())


# -- Which packets ----------------------------------------------------------------------------------------------------


def _video_track(
    container: InputContainer, stretch: Stretch | None, origin_s: Fraction, start_us: int, end_us: int
) -> tuple[Track, Section]:
    stream = choose_stream(container)
    _read_only(container, stream)
    origin_s = _in_this_period(origin_s, container)
    start_s, end_s = origin_s + Fraction(start_us, 1_000_000), origin_s + Fraction(end_us, 1_000_000)
    if stretch:
        packets, sought, at_end = _packets_of_stretch(container, stream, stretch, start_s, end_s)
    else:
        packets, sought, at_end = _video_packets(container, stream, start_s, end_s)
    at_end |= _drop_hidden_end(packets)
    is_all = stretch is None or stretch.from_beginning  # else there is no telling what the header announces
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
        damaged=at_end and is_all and ends_before_announced(container, stream, ends_s),
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
    return Track(stream, timescale, packets, packets[0].dts or 0, shown, until), section


def _video_packets(
    container: InputContainer, stream: VideoStream, start_s: Fraction, end_s: Fraction
) -> tuple[list[Packet], bool, bool]:
    """Returns the packets, whether the container was sought, and whether they go up to its end."""
    for back_s in SEEK_BACK_S:
        if not seek(container, stream, start_s - back_s):
            break
        packets, at_end = _packets_until(container, stream, end_s + BEYOND_S, from_key_frame=True)
        if packets and _is_safe_to_begin_with(stream, packets, start_s):
            return packets, True, at_end
    rewind(container, stream)
    packets, at_end = _packets_until(container, stream, end_s + BEYOND_S, from_key_frame=False)
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
    for packet in _timed(container.demux(stream), "its frames are shown"):
        if from_key_frame and not packets and not packet.is_keyframe:
            continue
        packets.append(packet)
        if _decoded_s(packet) >= until_s and not packet.is_discard:  # behind what is hidden there may be more to show
            return packets, False
    return packets, True


def _timed(packets: Iterator[Packet], what: str) -> Iterator[Packet]:
    """Yields the packets that have content, as many as can be held.

    Raises:
      ClipError: `unsupported` where one has no time; `too_large`.
    """
    size = 0
    for packet in packets:
        if not packet.size:
            continue
        if packet.pts is None:
            raise ClipError("unsupported", f"can't be cut: the file doesn't say when {what}")
        size += packet.size
        if size > _MAX_BYTES:
            raise ClipError("too_large", f"can't be cut: more than {_MAX_BYTES >> 20} MiB are needed for the clip")
        yield packet


def _decoded_s(packet: Packet) -> Fraction:
    tick_s = packet.time_base or Fraction(1, av.time_base)
    if packet.dts is not None:
        return packet.dts * tick_s
    return (packet.pts or 0) * tick_s - _REORDERING_S


def _packets_of_stretch(
    container: InputContainer,
    stream: VideoStream,
    stretch: Stretch,
    start_s: Fraction,
    end_s: Fraction,
) -> tuple[list[Packet], bool, bool]:
    """As `_video_packets`, of a stretch, which is short: all of it is read.

    Where it lacks what is needed it is no use to decode what there is: that may look right and not be.
    """
    packets = list(_timed(container.demux(stream), "its frames are shown"))
    if any(b.dts < a.dts for a, b in pairwise(packets) if a.dts is not None and b.dts is not None):
        raise ClipError("format_unavailable", "can't be cut: the stream's clock is set back within the clip")
    last = next((index for index, each in enumerate(packets) if _decoded_s(each) >= end_s + BEYOND_S), None)
    at_end = last is None
    if at_end and not stretch.to_end:
        raise StretchError(of_sound=False, before=False)
    wanted = packets if last is None else packets[: last + 1]
    for begin, packet in reversed(list(enumerate(wanted))):
        if packet.is_keyframe and _is_safe_to_begin_with(stream, wanted[begin:], start_s):
            return wanted[begin:], bool(begin) or not stretch.from_beginning, at_end
    if not stretch.from_beginning:
        raise StretchError(of_sound=False, before=True)
    if not packets:
        raise ClipError("unreadable", "its video stream has no packets")
    return wanted, False, at_end


def _in_this_period(origin_s: Fraction, container: InputContainer) -> Fraction:
    """Returns an origin in that period of a broadcast clock that a container begins in: they go on over its end."""
    if not is_broadcast(container) or container.start_time is None:
        return origin_s
    begin_s = Fraction(container.start_time, av.time_base)
    return origin_s + round((begin_s - origin_s) / _BROADCAST_PERIOD_S) * _BROADCAST_PERIOD_S


def _drop_hidden_end(packets: list[Packet]) -> bool:
    """Drops packets behind the last that an edit list shows; returns whether there are any.

    What it hides before the first that it shows is needed: to decode that.

    Raises:
      ClipError: `no_overlap` where it shows none; `unsupported` where it has several parts within the section, since
        these are shown in another order than they are decoded in.
    """
    count = len(packets)
    while packets and packets[-1].is_discard:
        packets.pop()
    if not packets:
        raise ClipError("no_overlap", "the video ends before the clip begins")
    first = min(packet.pts for packet in packets if packet.pts is not None and not packet.is_discard)
    if any(packet.is_discard and packet.pts is not None and packet.pts >= first for packet in packets):
        raise ClipError("unsupported", "can't be cut: within the clip its edit list goes to another place of the file")
    return len(packets) < count


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
    if timescale <= MAX_TIMESCALE:
        return timescale
    return max(1, _ROUND_TIMESCALE // tick_s.denominator) * tick_s.denominator


def _sound_track(
    container: InputContainer,
    stretch: Stretch | None,
    origin_s: Fraction,
    start_us: int,
    end_us: int,
    must_reach: bool,
) -> tuple[Track, SectionSound] | None:
    """Returns the packets that `audio.read_audio` would decode, and their clock; None where there are none.

    `must_reach`: a stretch that holds no sound at the clip's beginning or end is too short; else there is none there.
    """
    stream = sound.choose_track(container)
    if stream is None or not (rate := stream.rate) or (tick_s := stream.time_base) is None:
        return None
    origin_s = _in_this_period(origin_s, container)
    start_s, end_s = origin_s + Fraction(start_us, 1_000_000), origin_s + Fraction(end_us, 1_000_000)
    from_s, until_s = start_s - sound.PREROLL_S, end_s + BEYOND_S
    first_ticks = stream.start_time or 0
    if stretch is None:
        read = _sound_packets(container, stream, from_s)
    else:
        read = _sound_of_stretch(container, stream, stretch, from_s, until_s, must_reach)
    packets: list[Packet] = []
    for packet in _timed(read, "its sound is heard"):
        packets.append(packet)
        if (packet.pts or 0) * tick_s >= until_s:
            break
    if not packets:
        return None
    first_pts = packets[0].pts or 0
    skip, discard = _skipped_samples(packets[0])[0], _skipped_samples(packets[-1])[1]
    if stretch is not None and not stretch.from_beginning:  # then no decoder's delay lies in it, nor the track's first
        skip, first_ticks = 0, first_pts - 1
    elif not skip and "matroska" in container.format.name and first_pts <= first_ticks:
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
    return (Track(stream, rate, packets, first, max(0, first), until), clock) if until > max(0, first) else None


def _sound_of_stretch(
    container: InputContainer,
    stream: AudioStream,
    stretch: Stretch,
    from_s: Fraction,
    until_s: Fraction,
    must_reach: bool,
) -> Iterator[Packet]:
    """Yields packets from the last at or before a time on."""
    _read_only(container, stream)
    rewind(container, stream)
    packets = list(_timed(container.demux(stream), "its sound is heard"))
    times_s = [(packet.pts or 0) * (stream.time_base or 0) for packet in packets]
    before = sum(time_s <= from_s for time_s in times_s)
    if must_reach and not before and not stretch.from_beginning:
        raise StretchError(of_sound=True, before=True)
    if must_reach and not stretch.to_end and (not times_s or times_s[-1] < until_s):
        raise StretchError(of_sound=True, before=False)
    return iter(packets[max(0, before - 1) :])


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
