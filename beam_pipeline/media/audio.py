"""The sound of a clip: mono samples on the clock of its container, exactly as many as the clip's duration asks for.

Sample n is the sound at start + n/rate of the same clock that the video's frames are on. Where there is no sound (no
track, a gap, an early end) there is silence.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from math import ceil, floor, gcd

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer
from av.stream import Discard

from beam_pipeline.media.section_tag import SectionSound, section_of
from beam_pipeline.media.settings import Audio

# A decoder that starts in mid-stream needs a while until its output is right: an AAC frame for the overlap, nine MP3
# frames for the bit reservoir, 80 ms for Opus (RFC 7845, 4.6).
PREROLL_S = Fraction(1)
# Nearer than this to the track's first sample, decoding from there costs less than a wrong seek (1 ms a second).
SEEK_FROM_S = 10
# Beyond the clip on both sides: the resampler's filter reaches 4 ms, the alignment below half a period of the rates.
MARGIN_S = 0.1
# Timestamps that are off by less than the first are jitter (Vorbis in WebM: 10 ms), by more than the second a gap (as
# for ffmpeg's `aresample=async=1`); between them it depends on whether they come back. A lost frame is 20 ms or more.
_JITTER_S, _GAP_S = 0.015, 0.1
# At most so many source samples are tried for one that falls on an output sample (44.1 to 48 kHz needs 147).
_MAX_PERIOD = 480

# What each loudspeaker's channel adds to mono, before the weights are scaled to a sum of 1: libswresample's default
# (`swr_build_matrix2` with levels of √½ for centre and surround), so what `ffmpeg -ac 1` writes into 16-bit files, as
# the tools do that feed DMVR's and VGGish's users. For stereo it is the plain mean. The subwoofer is left out.
_SIDE, _SURROUND = 0.5**0.5, 0.5
_MONO_WEIGHTS = {
    "FC": 1.0,
    "FL": _SIDE,
    "FR": _SIDE,
    "FLC": _SIDE,
    "FRC": _SIDE,
    "SL": _SURROUND,
    "SR": _SURROUND,
    "BL": _SURROUND,
    "BR": _SURROUND,
    "BC": _SURROUND,
}


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """The sound of one clip.

    Attributes:
      samples: float32 (round(duration·rate),), mono in [-1, 1].
      has_audio: whether any of them was decoded; False means silence throughout.
    """

    samples: np.ndarray
    has_audio: bool


def read_audio(container: InputContainer, start_s: Fraction, duration_s: Fraction, audio: Audio) -> AudioTrack:
    """Decodes the sound of [start_s, start_s + duration_s) from the track that ffmpeg would take.

    What can't be decoded is silence, never an error: a clip's pictures are worth keeping without its sound. Decoder
    delay and edit lists are respected, gaps are silence, several channels are mixed to one as `ffmpeg -ac 1` does for
    16-bit output, and libswresample converts the rate.

    Args:
      container: a container that was just opened; nothing has been read from it.
      start_s: the time of the first sample on the container's clock, that of a frame's pts · time_base.
      duration_s: what to take.
      audio: the sample rate.

    Returns:
      The same bits on any x86-64 processor.
    """
    samples = np.zeros(round(duration_s * audio.sample_rate), np.float32)
    stream = choose_track(container)
    filled = 0
    if stream is not None and samples.size:
        section = section_of(container)
        clock = section.sound if section else None
        if clock:
            start_s += clock.start_s
        with _portable_libav():
            sounds = _sounds(container, stream, start_s, start_s + duration_s, clock)
            for run in _runs(sounds, clock.track_start_s if clock else _track_start_s(stream)):
                filled = _place(run, samples, filled, start_s, audio.sample_rate)
    # Beyond full scale lies what lossy decoders and resamplers overshoot by.
    return AudioTrack(np.clip(samples, -1, 1, out=samples), filled > 0)


def choose_track(container: InputContainer) -> AudioStream | None:
    """Returns the track that ffmpeg's `map_auto_audio` takes: flagged as default, then most channels, then first."""
    decodable = [s for s in container.streams.audio if s.codec_context is not None]
    return max(decodable, key=lambda s: (bool(s.disposition & s.disposition.default), s.channels), default=None)


# -- Decoding: frames on the container's clock, joined to runs without a gap ------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sound:
    """One decoded frame: when it begins, give or take half a tick, and its samples if the clip can need them.

    Rational arithmetic costs more than decoding, so all that is only a comparison of times is done on `near_s`.
    """

    time_s: Fraction
    near_s: float
    tick_s: Fraction
    rate: int
    num_samples: int
    samples: np.ndarray | None

    @property
    def end_s(self) -> Fraction:
        return self.time_s + Fraction(self.num_samples, self.rate)


@dataclass(frozen=True, slots=True)
class _Run:
    """Frames that follow each other without a gap; sample 0 is the first one's first, at `begin_s`."""

    begin_s: Fraction
    rate: int
    num_samples: int
    chunks: list[tuple[int, np.ndarray]]

    def samples(self, begin: int, end: int) -> np.ndarray:
        """Samples [begin, end) of the run, zero where none were kept."""
        samples = np.zeros(end - begin, np.float32)
        for index, chunk in self.chunks:
            low, high = max(begin, index), min(end, index + len(chunk))
            if low < high:
                samples[low - begin : high - begin] = chunk[low - index : high - index]
        return np.nan_to_num(samples, copy=False, nan=0, posinf=0, neginf=0)


def _sounds(
    container: InputContainer, stream: AudioStream, start_s: Fraction, end_s: Fraction, clock: SectionSound | None
) -> list[_Sound]:
    """Decodes from some time before start_s to shortly after end_s; both on the video's clock for a section's sound."""
    sounds: list[_Sound] = []
    needed_from_s, needed_to_s = float(start_s) - 2 * MARGIN_S, float(end_s) + MARGIN_S
    if clock:
        for sound in _section_sounds(container, stream, clock):
            if sound.near_s >= needed_to_s:
                break
            sounds.append(sound)
        return sounds
    for frame in _frames(container, stream, start_s):
        tick_s = frame.time_base or stream.time_base or Fraction(1, frame.sample_rate)
        if frame.pts is not None:
            time_s = frame.pts * tick_s
        elif sounds:  # in 3GP, AVI and MPEG-TS only the first frame of a chunk has a time
            time_s = sounds[-1].end_s
        else:
            time_s = _track_start_s(stream)
        near_s = float(time_s)
        if near_s >= needed_to_s:
            break
        needed = near_s + frame.samples / frame.sample_rate > needed_from_s
        samples = _mono(frame) if needed else None
        sounds.append(_Sound(time_s, near_s, tick_s, frame.sample_rate, frame.samples, samples))
    return sounds


def _section_sounds(container: InputContainer, stream: AudioStream, clock: SectionSound) -> Iterator[_Sound]:
    """Decodes all of a section's sound, at the times that the same packets had in the video."""
    stream.codec_context.flags2 |= Flags2.skip_manual.value  # what its decoder's delay was, the clock says
    skip = clock.skip
    for frame, following in _with_next(_frames(container, stream, None)):
        if frame.pts is None:
            continue
        begin = min(skip, frame.samples)
        end = frame.samples - (clock.discard if following is None else 0)
        skip -= begin
        if begin >= end:
            continue
        rate = frame.sample_rate
        ticks = clock.video_ticks(frame.pts, rate) + _rescaled(begin, Fraction(1, rate) / clock.tick_s)
        time_s = ticks * clock.tick_s
        yield _Sound(time_s, float(time_s), clock.tick_s, rate, end - begin, _mono(frame)[begin:end])


def _with_next(frames: Iterator[av.AudioFrame]) -> Iterator[tuple[av.AudioFrame, av.AudioFrame | None]]:
    frame = next(frames, None)
    while frame is not None:
        following = next(frames, None)
        yield frame, following
        frame = following


def _rescaled(count: int, factor: Fraction) -> int:
    """As libavutil rounds: to the nearest, halves up."""
    return floor(count * factor + Fraction(1, 2))


def _runs(sounds: list[_Sound], track_start_s: Fraction) -> Iterator[_Run]:
    """Joins frames to runs: timestamps that merely jitter neither cut the sound nor move it."""
    begin = 0
    while begin < len(sounds):
        first, num_samples, end = sounds[begin], 0, begin
        while end < len(sounds) and (end == begin or not _is_gap(sounds, end, first, num_samples)):
            num_samples += sounds[end].num_samples
            end += 1
        members = sounds[begin:end]
        indices = np.cumsum([0, *(sound.num_samples for sound in members)]).tolist()
        chunks = [(i, m.samples) for i, m in zip(indices, members, strict=False) if m.samples is not None]
        begin_s = first.time_s if first.time_s <= track_start_s else _begin_s(members, indices)
        yield _Run(begin_s, first.rate, num_samples, chunks)
        begin = end


def _is_gap(sounds: list[_Sound], index: int, first: _Sound, num_samples: int) -> bool:
    """Whether frame `index` begins a new run, rather than following on `num_samples` samples since `first`.

    It does when its time is far off, or when it and all those shortly after it are off in the same direction.
    """
    if sounds[index].rate != first.rate:
        return True
    jitter_s = max(_JITTER_S, float(first.tick_s))
    expected_s = first.near_s + num_samples / first.rate
    watched_until_s = expected_s + _GAP_S
    sign = 0
    for sound in islice(sounds, index, None):
        if expected_s > watched_until_s:
            break
        off_s = sound.near_s - expected_s
        if abs(off_s) > _GAP_S:
            return True
        if abs(off_s) <= jitter_s or sign * off_s < 0:
            return False
        sign = 1 if off_s > 0 else -1
        expected_s += sound.num_samples / sound.rate
    return True


def _begin_s(members: list[_Sound], indices: list[int]) -> Fraction:
    """When a run begins, as its frames' times say it: the median.

    A clock coarser than a sample (1 ms in Matroska) tells each frame's time within half a tick only, all together tell
    it much better; so a clip cut from the middle of a video sounds where it does when read from the start.
    """
    by_start = sorted(zip(indices, members, strict=False), key=lambda item: item[1].near_s - item[0] / item[1].rate)
    index, member = by_start[len(by_start) // 2]
    return member.time_s - Fraction(index, member.rate)


def _frames(container: InputContainer, stream: AudioStream, start_s: Fraction | None) -> Iterator[av.AudioFrame]:
    """Yields all that decodes, from where it is or some time before start_s on; what doesn't decode is left out."""
    stream.codec_context.thread_count = 1
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    packets = container.demux(stream) if start_s is None else packets_from(container, stream, start_s - PREROLL_S)
    while True:
        try:
            packet = next(packets, None)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:  # the file is cut off or damaged here
            return
        if packet is None:
            return
        try:
            frames = stream.decode(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:  # this packet is damaged, the next may not be
            continue
        for frame in frames:
            if frame.samples and frame.sample_rate > 0:
                yield frame


def packets_from(container: InputContainer, stream: AudioStream, time_s: Fraction) -> Iterator[av.Packet]:
    """Yields a track's packets from a time on, or from before it.

    Args:
      container: at its beginning.
      stream: the track.
      time_s: on the container's clock.
    """
    time_base = stream.time_base
    first_s = _track_start_s(stream)
    if time_base is None or time_s - first_s < SEEK_FROM_S:
        return container.demux(stream)
    try:
        container.seek(floor(time_s / time_base), stream=stream)
        packet = next(container.demux(stream), None)
        if packet is not None and packet.pts is not None and packet.pts * time_base <= time_s:
            return chain([packet], container.demux(stream))
        container.seek(floor(first_s / time_base), stream=stream)  # a poor index: it led past what was asked for
    except av.error.FFmpegError:  # not seekable: then from where it is, the beginning
        pass
    return container.demux(stream)


def _track_start_s(stream: AudioStream) -> Fraction:
    if stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base


def _mono(frame: av.AudioFrame) -> np.ndarray:
    """Returns a frame's samples as float32 (n,), its channels mixed by `_MONO_WEIGHTS`; full scale is ±1."""
    if frame.format.is_planar and frame.layout.nb_channels >= _PLANES:
        frame = _packed(frame)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(frame.samples, -1).T
    if samples.dtype == np.uint8:
        samples = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / 2.0 ** (8 * samples.dtype.itemsize - 1)
    samples = samples.astype(np.float32, copy=False)
    if len(samples) == 1:
        return samples[0]
    weights = [_MONO_WEIGHTS.get(channel.name, 0.0) for channel in frame.layout.channels]
    if len(weights) != len(samples) or not any(weights):  # a layout that names no loudspeakers: the plain mean
        weights = [1.0] * len(samples)
    mono = np.zeros(samples.shape[1], np.float32)
    for weight, channel in zip(weights, samples, strict=True):  # one by one: a dot product rounds as its BLAS likes
        if weight:
            mono += channel * np.float32(weight / sum(weights))
    return mono


# AVFrame's own pointers to planes. PyAV 18 counts planes up to a null pointer, which with so many channels or more
# there is none behind: `to_ndarray` then reads anywhere and crashes.
_PLANES = 8


def _packed(frame: av.AudioFrame) -> av.AudioFrame:
    resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
    (packed,) = resampler.resample(frame)
    return packed


# -- Placing a run among the clip's samples ---------------------------------------------------------------------------


def _place(run: _Run, samples: np.ndarray, filled: int, start_s: Fraction, rate: int) -> int:
    """Writes a run's sound to where it belongs in `samples`, from index `filled` on; returns the new `filled`."""
    offset_s = run.begin_s - start_s
    margin = ceil(MARGIN_S * run.rate)
    low = max(0, floor(-offset_s * run.rate) - margin)
    high = min(run.num_samples, ceil((Fraction(len(samples), rate) - offset_s) * run.rate) + margin)
    if high <= low:
        return filled
    origin = _aligned(low, offset_s, run.rate, rate)
    resampled = _resample(run.samples(origin, high), run.rate, rate)
    first = round((offset_s + Fraction(origin, run.rate)) * rate)
    begin = max(filled, round((offset_s + Fraction(low, run.rate)) * rate))
    end = min(len(samples), round((offset_s + Fraction(high, run.rate)) * rate), first + len(resampled))
    if end <= begin:
        return filled
    samples[begin:end] = resampled[begin - first : end - first]
    return end


def _aligned(low: int, offset_s: Fraction, source_rate: int, rate: int) -> int:
    """Returns the source sample, `low` or not long before it, that comes nearest to an output sample in time.

    The resampler puts its first output on its first input, so this is what the sound is off by: at most half an output
    sample, and mostly none.
    """
    candidates = low - np.arange(min(source_rate // gcd(source_rate, rate), _MAX_PERIOD))
    positions = float(offset_s * rate) + candidates * (rate / source_rate)
    distances = np.abs(positions - np.rint(positions)).round(6)  # so that of equals the nearest is taken
    return int(candidates[np.argmin(distances)])


def _resample(samples: np.ndarray, source_rate: int, rate: int) -> np.ndarray:
    if source_rate == rate:
        return samples
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
    frame.sample_rate = source_rate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([np.zeros(0, np.float32), *(f.to_ndarray()[0] for f in frames)])


# -- The same bits everywhere -----------------------------------------------------------------------------------------

# AV_CPU_FLAG_{MMX, MMXEXT, SSE, SSE2, CMOV} of libavutil/cpu.h: what every x86-64 processor has.
_X86_64_BASELINE = 0x0001 | 0x0002 | 0x0008 | 0x0010 | 0x1000


@contextmanager
def _portable_libav() -> Iterator[None]:
    """Decoders and resamplers that are made and used inside the block round the same on any x86-64 processor.

    Left to themselves AAC, Opus, Vorbis and AC-3 decode with AVX or FMA where there is one, which moves samples by up
    to 4e-7; the `bitexact` flag changes nothing. With the instructions that all have, decoding takes 5 to 20 % longer:
    a millisecond or two a clip. The flags are the process's, so what another thread opens meanwhile is slower, too.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        yield
        return
    libavutil = ctypes.CDLL(av._core.__file__)  # an extension module of PyAV; libavutil's symbols are found through it
    flags = libavutil.av_get_cpu_flags()
    libavutil.av_force_cpu_flags(_X86_64_BASELINE)
    try:
        yield
    finally:
        libavutil.av_force_cpu_flags(flags)
