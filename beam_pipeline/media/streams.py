"""Which video stream of a file is the clip, and its decoded frames in order with the time of each."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, cast

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags as CodecFlags
from av.codec.context import ThreadType
from av.container import InputContainer
from av.format import Flags as FormatFlags
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from beam_pipeline.clips import ClipError
from beam_pipeline.media.timing import TimestampGuess

_DEFAULT_STREAM_BONUS_PX = 5_000_000

# How far before a clip to look for a key frame, in turn: formats seek by decoding order, by a coarse index or by
# guessing at byte positions, so the first place they come to may lie behind the clip's start.
SEEK_BACK_S = (0, 2, 10, 60)

# A file is `damaged` when more than this of the footage that its header announces is missing, in seconds and as a
# part. Headers round, and count the sound that goes on after the last frame.
_MISSING_S = 1
_MISSING_PART = Fraction(1, 10)


class UnsafeSeekError(Exception):
    """What follows a seek can't be trusted to equal what decoding from the beginning gives."""


class Picture(NamedTuple):
    """A decoded frame, its time in ticks of `time_base` seconds, and how many ticks it lasts (never 0).

    `interlaced` says that it was, and has been deinterlaced.
    """

    frame: VideoFrame
    ticks: int
    duration_ticks: int
    time_base: Fraction
    interlaced: bool = False


@dataclass(slots=True)
class Health:
    """What decoding came across; `cause` is libav's word for the last error, `ended_early` says that one ended it."""

    damaged: bool = False
    ended_early: bool = False
    cause: str = ""

    @property
    def because(self) -> str:
        """The cause as the end of a sentence; empty where there is none."""
        return f": {self.cause}" if self.cause else ""


def choose_stream(container: InputContainer) -> VideoStream:
    """Returns the video stream that ffmpeg's command takes by default, set to decode exactly and in one thread.

    That is the one with the most pixels, where being marked as default counts for 5 million of them, and the first of
    equals (`map_auto_video` in fftools/ffmpeg_mux_init.c). Cover pictures are no video.

    Raises:
      ClipError: `no_video`; `unsupported` where there is no decoder for it.
    """
    best, best_score = None, -1
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        context = stream.codec_context
        score = context.width * context.height if context else 0
        score += _DEFAULT_STREAM_BONUS_PX * bool(stream.disposition & Disposition.default)
        if score > best_score:
            best, best_score = stream, score
    if best is None:
        only_cover = "only a cover picture" if container.streams.video else "no video stream"
        raise ClipError("no_video", f"the file has {only_cover}")
    if best.codec_context is None:
        raise ClipError("unsupported", "there is no decoder for its video stream")
    if not best.codec_context.is_open:
        best.codec_context.thread_count = 1
        best.codec_context.thread_type = ThreadType.NONE
        best.codec_context.flags |= CodecFlags.bitexact.value  # or MPEG-4's motion compensation is not, on x86
    return best


def clock_origin_s(container: InputContainer) -> Fraction:
    """Returns the time on the container's clock that counts as 0.

    Broadcast formats (MPEG-TS, MPEG-PS, …) start their clocks anywhere, so there it is the container's start; in all
    others a file's times are what they say.
    """
    if is_broadcast(container) and container.start_time is not None:
        return Fraction(container.start_time, av.time_base)
    return Fraction(0)


def is_broadcast(container: InputContainer) -> bool:
    """Whether a container's format is one for broadcasting, whose clock starts anywhere."""
    return bool(container.format.flags & cast(int, FormatFlags.ts_discont.value))


def pictures(
    container: InputContainer, stream: VideoStream, health: Health, after_seek: bool = False
) -> Iterator[Picture]:
    """Yields the frames from the container's position on, in the order and at the times they are shown.

    An error ends the stream: frames decoded before it are still yielded, and `health` tells. Errors before the first
    frame are skipped, as files cut out of a stream begin with packets that nothing can decode yet.

    Args:
      container: at its beginning, or sought.
      stream: one of `choose_stream`.
      health: written to.
      after_seek: skip packets up to the first key frame, and frames that are shown before it: they refer to what was
        not decoded.

    Raises:
      UnsafeSeekError: after a seek, where frames refer to others before the key frame, lack a pts or are out of order:
        what such frames show, or when, depends on all that came before.
    """
    guess = TimestampGuess()
    time_base = stream.time_base or Fraction(1, av.time_base)
    usual_ticks = usual_frame_ticks(stream, time_base)
    next_ticks = 0
    last_ticks: int | None = None
    for frame in _decoded(container, stream, health, after_seek):
        ticks = guess.best(frame.pts, frame.dts)
        if ticks is None:
            ticks = next_ticks
        if after_seek:
            if last_ticks is None and not frame.key_frame:
                continue
            if frame.pts is None or frame.is_corrupt or (last_ticks is not None and ticks <= last_ticks):
                raise UnsafeSeekError
            last_ticks = ticks
        duration = frame.duration if frame.duration > 0 else usual_ticks
        next_ticks = ticks + duration
        health.damaged = health.damaged or frame.is_corrupt
        yield Picture(frame, ticks, duration, time_base)


def seek(container: InputContainer, stream: VideoStream, time_s: Fraction) -> bool:
    """Goes to a key frame at or before a time on the container's clock, as far as its format allows.

    Returns False, and stays, where that is the beginning or the format can't seek.
    """
    time_base = stream.time_base or Fraction(1, av.time_base)
    ticks = math.floor(time_s / time_base)
    if ticks <= (stream.start_time or 0):
        return False
    try:
        container.seek(ticks, stream=stream)
    except av.FFmpegError:
        return False
    return True


def rewind(container: InputContainer, stream: VideoStream | AudioStream) -> None:
    """Goes back to the beginning.

    Raises:
      ClipError: `unsupported` where the format can't.
    """
    first_ticks = stream.start_time or 0
    # MPEG-TS searches by decoding time, so that its first key frame lies before the first frame's time.
    well_before_ticks = first_ticks - math.ceil(10 / (stream.time_base or Fraction(1, av.time_base)))
    for offset, by_byte in ((well_before_ticks, False), (first_ticks, False), (0, True)):
        try:
            container.seek(offset, stream=stream, unsupported_byte_offset=by_byte)
        except av.FFmpegError:
            continue
        return
    raise ClipError("unsupported", f"{container.format.name} files can't be sought")


def ends_before_announced(container: InputContainer, stream: VideoStream, end_s: Fraction) -> bool:
    """Whether footage that ends at `end_s` is notably less than what the header announces."""
    if stream.duration is not None and stream.time_base is not None:
        length_s = stream.duration * stream.time_base
        announced_s = (stream.start_time or 0) * stream.time_base + length_s
    elif container.duration is not None:
        length_s = Fraction(container.duration, av.time_base)
        announced_s = Fraction(container.start_time or 0, av.time_base) + length_s
    else:
        return False
    return announced_s - end_s > _MISSING_S and announced_s - end_s > _MISSING_PART * length_s


def usual_frame_ticks(stream: VideoStream, time_base: Fraction) -> int:
    """Returns how long a frame lasts that doesn't say so itself."""
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    return max(1, math.floor(1 / (rate * time_base)))  # as libavformat rounds, where it fills in durations itself


def _decoded(container: InputContainer, stream: VideoStream, health: Health, after_seek: bool) -> Iterator[VideoFrame]:
    any_packet = not after_seek
    any_frame = False
    break_pts: int | None = None
    try:
        for packet in container.demux(stream):
            if not any_packet and packet.size and not packet.is_keyframe:
                continue
            any_packet = True
            try:
                frames = packet.decode()
            except av.EOFError:  # the last packet of `demux` is empty and flushes the decoder
                return
            except av.error.MemoryError:  # no fault of the file's
                raise
            except av.FFmpegError as error:
                health.cause = _cause(error)
                if any_frame:
                    break_pts = packet.pts
                    break
                health.damaged = health.damaged or not after_seek
                continue
            health.damaged = health.damaged or packet.is_corrupt
            if frames:
                any_frame = True
                yield from frames
        else:
            return
    except av.error.MemoryError:
        raise
    except av.FFmpegError as error:
        health.cause = _cause(error)
    health.damaged = health.ended_early = True
    # What the decoder still holds was decoded before the break, but may be shown after it.
    with contextlib.suppress(av.FFmpegError):
        for frame in stream.codec_context.decode(None):
            if frame.pts is None or break_pts is None or frame.pts < break_pts:
                yield frame


def _cause(error: av.FFmpegError) -> str:
    return str(error.strerror).splitlines()[0] if error.strerror else type(error).__name__
