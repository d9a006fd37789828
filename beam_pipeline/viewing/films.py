"""Films: pictures one after another, with sound where there is some, as MP4, WebM or GIF."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from typing import Any, Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from beam_pipeline.viewing.clip_record import Sound

Form = Literal["mp4", "webm", "gif"]

# What a browser plays: H.264 and AAC; VP9 and Opus, for browsers without licences for those. Hardly to be told from
# what was drawn; H.264 in a third of the time of its default, and no larger; VP9 at the pace of a live broadcast.
_VIDEO: dict[str, tuple[str, dict[str, str]]] = {
    "mp4": ("libx264", {"crf": "17", "preset": "veryfast"}),
    "webm": ("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}),
}
_SOUND = {"mp4": "aac", "webm": "libopus"}
_SOUND_RATE = 48_000  # which both take, and sound of other rates is resampled to

# A GIF's times are in hundredths of a second, and what is shown for less than two is shown for ten by every browser.
_GIF_TICK, _GIF_LEAST_TICKS = Fraction(1, 100), 2
# One palette for the whole film; an ordered dither, which stays where nothing moves.
_GIF_PALETTE, _GIF_DITHER = "stats_mode=full", "dither=bayer:bayer_scale=3:diff_mode=rectangle"


def write_film(
    path: str | os.PathLike[str],
    form: Form,
    pictures: Iterable[np.ndarray],
    frame_rate: Fraction,
    sound: Sound | None = None,
) -> None:
    """Writes a film, picture k of which is shown at k / frame_rate.

    Args:
      path: of a local file; what is there is replaced.
      form: `mp4` (H.264, AAC), `webm` (VP9, Opus) or `gif`, which has no sound, repeats for ever, and has its times
        rounded to hundredths of a second; of more than 50 pictures a second it leaves some out.
      pictures: uint8 RGB (height, width, 3), one or more, all of one size; of an odd size the last row or column is
        there twice in all forms but GIF, whose colour has the full resolution.
      frame_rate: pictures a second, exactly.
      sound: begins with the first picture; what is longer than the pictures is cut off.

    Raises:
      ValueError: there is no picture.
      OSError: the file can't be written.
    """
    several = iter(pictures)
    first = next(several, None)
    if first is None:
        raise ValueError("a film takes one picture or more")
    pictures = chain([first], several)
    options = {
        "mp4": {"movflags": "+faststart"},  # plays before it is loaded
        "webm": {},
        "gif": {"final_delay": str(max(_GIF_LEAST_TICKS, round(1 / frame_rate / _GIF_TICK)))},
    }
    path = os.path.abspath(path)  # noqa: PTH100 - libav takes `x:y/z` for an address of the protocol x
    with _libav_errors(), av.open(path, "w", format=form, options=options[form]) as container:
        if form == "gif":
            _write_gif(container, pictures, frame_rate, first.shape)
        else:
            _write_video(container, form, pictures, frame_rate, first.shape, sound)


@contextmanager
def _libav_errors() -> Iterator[None]:
    """Lets what libav says of a disk be an `OSError` with a number."""
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OSError(errno.EIO, f"libav: {error.strerror}") from error


def _frame(picture: np.ndarray, pts: int, time_base: Fraction) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture, np.uint8), format="rgb24")
    frame.pts, frame.time_base = pts, time_base
    return frame


# -- MP4 and WebM ------------------------------------------------------------------------------------------------------


def _write_video(
    container: OutputContainer,
    form: Form,
    pictures: Iterable[np.ndarray],
    frame_rate: Fraction,
    shape: tuple[int, ...],
    sound: Sound | None,
) -> None:
    codec, options = _VIDEO[form]
    stream: Any = container.add_stream(codec, rate=frame_rate, options=options)
    odd = shape[0] % 2, shape[1] % 2  # 4:2:0 has one colour for two by two
    stream.height, stream.width = shape[0] + odd[0], shape[1] + odd[1]
    stream.pix_fmt = "yuv420p"
    # BT.709 in limited range, and said so: players guess by the size of a picture.
    context = stream.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries = context.color_trc = 1
    track = _Track(container, form, sound) if sound else None
    for number, picture in enumerate(pictures):
        if track:
            track.write_until(float((number + 1) / frame_rate))
        even = np.pad(picture, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge") if any(odd) else picture
        frame = _frame(even, number, 1 / frame_rate).reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    if track:
        track.finish()


class _Track:
    """The sound of a film, written along with its pictures so that a player finds both together."""

    def __init__(self, container: OutputContainer, form: Form, sound: Sound):
        self._container = container
        self._sound = sound
        self._stream: Any = container.add_stream(_SOUND[form], rate=_SOUND_RATE, layout="mono")
        self._written = 0

    def write_until(self, time_s: float) -> None:
        """Writes the samples up to a time."""
        end = min(len(self._sound.samples), round(time_s * self._sound.sample_rate))
        if end <= self._written:
            return
        samples = np.clip(self._sound.samples[np.newaxis, self._written : end], -1, 1)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "mono")
        frame.sample_rate, frame.pts = self._sound.sample_rate, self._written
        frame.time_base = Fraction(1, self._sound.sample_rate)
        self._container.mux(self._stream.encode(frame))
        self._written = end

    def finish(self) -> None:
        """Writes what is still on its way."""
        self._container.mux(self._stream.encode(None))


# -- GIF ---------------------------------------------------------------------------------------------------------------


def _write_gif(
    container: OutputContainer, pictures: Iterable[np.ndarray], frame_rate: Fraction, shape: tuple[int, ...]
) -> None:
    height, width, _ = shape
    stream: Any = container.add_stream("gif", rate=1 / _GIF_TICK)
    stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
    stream.codec_context.time_base = _GIF_TICK
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=_GIF_TICK)
    split = graph.add("split")
    palette, dithered = graph.add("palettegen", _GIF_PALETTE), graph.add("paletteuse", _GIF_DITHER)
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(dithered, 1, 0)
    palette.link_to(dithered, 0, 1)
    dithered.link_to(sink)
    graph.configure()
    earliest = 0
    for number, picture in enumerate(pictures):
        ticks = round(number / frame_rate / _GIF_TICK)
        if ticks >= earliest:
            source.push(_frame(picture, ticks, _GIF_TICK))
            earliest = ticks + _GIF_LEAST_TICKS
    source.push(None)
    for frame in _pulled(sink):
        frame.time_base = _GIF_TICK
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _pulled(sink: Any) -> Iterator[VideoFrame]:
    while True:
        try:
            yield sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
