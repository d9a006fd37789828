"""One clip's video: from an open file to JPEG frames at the asked rate and size, and what to know about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from beam_pipeline.clips import ClipError, too_short
from beam_pipeline.media.deinterlacing import deinterlaced
from beam_pipeline.media.jpegs import FrameEncoder, decode_luma
from beam_pipeline.media.section_tag import SITINGS, section_of
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.streams import (
    SEEK_BACK_S,
    Health,
    Picture,
    UnsafeSeekError,
    choose_stream,
    clock_origin_s,
    ends_before_announced,
    pictures,
    rewind,
    seek,
)
from beam_pipeline.media.timing import OutputGrid, num_outputs


@dataclass(frozen=True, slots=True)
class Frames:
    """A clip's frames as they are stored.

    Attributes:
      jpegs: T images, 4:2:0 full-range BT.601; the same object again where a source frame is shown again.
      luma: T uint8 (height, width) planes, the Y behind each image, shared likewise; empty unless asked for.
      width: of the stored frames, pixels.
      height: of the stored frames, pixels.
      source_width: of the coded frames, before rotation and scaling.
      source_height: of the coded frames.
      codec: libavcodec's name of the source's codec, such as `h264`.
      rotation: degrees clockwise that the coded frames were turned by: 0, 90, 180 or 270.
      start_s: where the clip begins on the container's clock; its sound begins at the same instant.
      duration_s: footage found within the clip, never more than was asked for.
      short: the footage ends more than half a frame interval before the asked end.
      damaged: decoding broke, frames were flagged as corrupt, or the file ends well before what its header announces.
      interlaced: shown frames were interlaced, and were deinterlaced.
      upscaled: the source was smaller than what is stored.
      repeated_frames: how many of the T show the same source frame as the one before.
      mean_luma: mean of Y over all frames, 0–255.
      middle_luma: uint8 (height, width), the Y plane that frame T // 2's image decodes to.
    """

    jpegs: list[bytes]
    luma: list[np.ndarray]
    width: int
    height: int
    source_width: int
    source_height: int
    codec: str
    rotation: int
    start_s: Fraction
    duration_s: Fraction
    short: bool
    damaged: bool
    interlaced: bool
    upscaled: bool
    repeated_frames: int
    mean_luma: float
    middle_luma: np.ndarray


def read_frames(
    container: InputContainer, start_us: int, end_us: int, trimmed: str, encode: Encode, *, keep_luma: bool
) -> Frames:
    """Decodes a clip and encodes its frames.

    Output frame k is the last source frame with time < start + (k + ½) / fps, for k while start + k / fps lies before
    both the clip's and the footage's end; before the first frame's time it is the first frame. Footage ends when the
    last frame has been shown for its duration.

    Args:
      container: from `open_container`, at its beginning.
      start_us: the annotated start in the source video, microseconds.
      end_us: the annotated end.
      trimmed: `true`: the file is the clip, which begins with its first frame and lasts end - start; `whole`: it is all
        of the file, whatever was annotated; `false`: it is [start, end) of the file's own clock. A section that was cut
        out of a video has time 0 where the clip begins, and its frames are those of the video.
      encode: rate, size, quality and limits.
      keep_luma: whether to return `Frames.luma`.

    Raises:
      ClipError: `no_video`, `unreadable` (nothing decodes), `no_overlap` (the video ends before the clip begins, or
        begins after it ends), `too_short`, `too_large`, `unsupported` (it can't be decoded
        rightly: the detail says why).
    """
    asked_s = None if trimmed == "whole" else Fraction(end_us - start_us, 1_000_000)
    if asked_s is not None and asked_s > encode.max_duration_s:
        raise ClipError("too_large", f"the clip lasts {_text(asked_s)} s, more than {encode.max_duration_s:g} s")
    stream = choose_stream(container)
    if section := section_of(container):
        if asked_s is None:
            asked_s = Fraction(section.end_us - section.start_us, 1_000_000)
            if asked_s > encode.max_duration_s:
                raise ClipError("too_large", f"the file holds more than {encode.max_duration_s:g} s of video")
        start_s = Fraction(start_us - section.start_us if trimmed == "false" else 0, 1_000_000)
        if section.siting != SITINGS[0]:
            stream.codec_context.options = {"chroma_sample_location": section.siting}
        try:
            return _read(container, stream, start_s, asked_s, encode, keep_luma, after_seek=section.sought)
        except UnsafeSeekError:
            rewind(container, stream)
            return _read(container, stream, start_s, asked_s, encode, keep_luma, after_seek=False)
    if trimmed != "false":
        return _read(container, stream, None, asked_s, encode, keep_luma, after_seek=False)
    start_s = clock_origin_s(container) + Fraction(start_us, 1_000_000)
    for back_s in SEEK_BACK_S:
        if not seek(container, stream, start_s - back_s):
            break
        try:
            return _read(container, stream, start_s, asked_s, encode, keep_luma, after_seek=True)
        except UnsafeSeekError:
            continue
    rewind(container, stream)
    return _read(container, stream, start_s, asked_s, encode, keep_luma, after_seek=False)


def _read(
    container: InputContainer,
    stream: VideoStream,
    start_s: Fraction | None,
    asked_s: Fraction | None,
    encode: Encode,
    keep_luma: bool,
    after_seek: bool,
) -> Frames:
    """Reads a clip from the container's position on; it begins with the first frame where `start_s` is None."""
    health = Health()
    source = deinterlaced(pictures(container, stream, health, after_seek))
    first = next(source, None)
    if first is None:
        if after_seek:
            raise UnsafeSeekError
        raise ClipError("unreadable", f"not one frame can be decoded{health.because}")
    first_s = first.ticks * first.time_base
    start_s = first_s if start_s is None else start_s
    if after_seek and first_s > start_s:
        raise UnsafeSeekError
    if asked_s is not None and first_s >= start_s + asked_s:
        raise ClipError("no_overlap", "the video begins after the clip ends")
    footage = _Footage(OutputGrid(start_s, encode.fps, first.time_base), asked_s, encode.max_duration_s)
    encoder: FrameEncoder | None = None
    interlaced = False
    for picture, count in footage.shown(first, source):
        if after_seek and picture is first and picture.interlaced:
            raise UnsafeSeekError  # deinterlacing looks at the frame before, which has not been decoded
        if encoder is None:
            aspect_ratio = stream.sample_aspect_ratio if encode.apply_sar else None
            encoder = FrameEncoder(picture.frame, encode, aspect_ratio, keep_luma)
        encoder.show(picture.frame, count)
        interlaced = interlaced or picture.interlaced
    section = section_of(container)
    if section and section.ends_s is not None and footage.exhausted and not health.ended_early:
        footage.end_s = section.ends_s
    duration_s = footage.duration_s
    if duration_s <= 0:
        if health.ended_early:
            raise ClipError("unreadable", f"decoding breaks before the clip begins{health.because}")
        raise ClipError("no_overlap", "the video ends before the clip begins")
    if encoder is None or duration_s < Fraction(encode.min_duration_s):
        damage = f"decoding breaks there{health.because}" if health.ended_early else ""
        raise too_short(float(duration_s), encode.min_duration_s, damage)
    return Frames(
        jpegs=encoder.jpegs,
        luma=encoder.luma,
        width=encoder.width,
        height=encoder.height,
        source_width=encoder.source_width,
        source_height=encoder.source_height,
        codec=stream.codec_context.codec.canonical_name,
        rotation=encoder.orientation.clockwise_degrees,
        start_s=start_s,
        duration_s=duration_s,
        short=asked_s is not None and asked_s - duration_s > 1 / (2 * encode.fps),
        damaged=health.damaged or (footage.exhausted and _is_cut_off(container, stream, footage.end_s)),
        interlaced=interlaced,
        upscaled=encoder.size.upscaled,
        repeated_frames=encoder.repeated_frames,
        mean_luma=encoder.mean_luma,
        middle_luma=decode_luma(encoder.jpegs[len(encoder.jpegs) // 2]),
    )


class _Footage:
    """What of a clip a stream of pictures covers: which are shown how often, and, once they have been, up to when.

    `exhausted` says that the stream ended before the clip was covered.
    """

    def __init__(self, grid: OutputGrid, asked_s: Fraction | None, max_duration_s: float):
        self.exhausted = False
        self.end_s = grid.start_s
        self._grid = grid
        self._asked_s = asked_s
        self._max_duration_s = Fraction(max_duration_s)

    @property
    def duration_s(self) -> Fraction:
        """Footage within the clip; 0 or less where the stream ends before it."""
        found_s = self.end_s - self._grid.start_s
        return found_s if self._asked_s is None else min(found_s, self._asked_s)

    def shown(self, first: Picture, rest: Iterator[Picture]) -> Iterator[tuple[Picture, int]]:
        """Yields the pictures that are shown, and for how many outputs; reads no further than the clip needs.

        Raises:
          ClipError: `too_large` as soon as there is more footage than a clip may have.
        """
        fps = self._grid.fps
        wanted = num_outputs(self._max_duration_s if self._asked_s is None else self._asked_s, fps)
        current, covered = first, 0
        end_ticks = first.ticks + first.duration_ticks
        for picture in rest:
            end_ticks = max(end_ticks, picture.ticks + picture.duration_ticks)
            takes_over = min(self._grid.first_output(picture.ticks), wanted)
            if takes_over > covered:
                yield current, takes_over - covered
                covered = takes_over
                if covered == wanted:
                    break
            current = picture
        else:
            self.exhausted = True
        self.end_s = end_ticks * first.time_base
        if self._asked_s is None and self.duration_s > self._max_duration_s:
            raise ClipError("too_large", f"the file holds more than {float(self._max_duration_s):g} s of video")
        if self.exhausted and (last := num_outputs(self.duration_s, fps)) > covered:
            yield current, last - covered


def _is_cut_off(container: InputContainer, stream: VideoStream, end_s: Fraction) -> bool:
    section = section_of(container)
    return section.damaged if section else ends_before_announced(container, stream, end_s)


def _text(seconds: Fraction) -> str:
    return f"{float(seconds):.2f}"
