"""Whether a file of the store can become a record, as far as a look at its header and its first frame tells."""

from __future__ import annotations

from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from beam_pipeline.clips import Clip, ClipError, too_short
from beam_pipeline.media.container import open_container
from beam_pipeline.media.section_tag import section_of
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.media.streams import Health, choose_stream, pictures
from beam_pipeline.media.task import Probed, ProbeTask

# A file of a clip is no whole video: CVDF's run up to 0.9 s over, and who cuts at key frames may well double a clip.
_LONGER, _LONGER_S = 2, 5

__all__ = ["ProbeTask", "Probed", "probe_clip"]


def probe_clip(task: ProbeTask) -> Probed:
    """Opens a file, decodes its first frame and compares the length that its header announces with the clip's.

    Raises:
      ClipError: `not_found`, `unreadable`, `unsupported`, `no_video`; `no_overlap` for a video that ends before the
        clip begins; `too_short`, `too_large` where the header says so.
    """
    try:
        with open_container(task.path) as container:
            return _probe(container, task.clip, task.settings)
    except av.error.MemoryError as error:
        raise ClipError("out_of_memory", "needs more memory than limits.memory_mib allows") from error
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libav: {error.strerror}") from error


def _probe(container: InputContainer, clip: Clip, settings: MediaSettings) -> Probed:
    stream = choose_stream(container)
    health = Health()
    first = next(pictures(container, stream, health), None)
    if first is None:
        raise ClipError("unreadable", f"not one frame can be decoded{health.because}")
    width, height = first.frame.width, first.frame.height
    announced_s = _announced_s(container, stream)
    duration_s = Fraction(0)
    if announced_s is not None:
        duration_s = _check_duration(announced_s, clip, settings, is_section=section_of(container) is not None)
    return Probed(float(duration_s), width, height, bool(container.streams.audio))


def _check_duration(announced_s: Fraction, clip: Clip, settings: MediaSettings, is_section: bool) -> Fraction:
    """Returns how much footage of the clip there is, going by the header."""
    encode = settings.encode
    asked_s = Fraction(clip.end_us - clip.start_us, 1_000_000)
    if settings.trimmed == "false" and not is_section:
        if announced_s * 1_000_000 <= clip.start_us:
            raise ClipError("no_overlap", "the video ends before the clip begins")
        found_s = min(asked_s, announced_s - Fraction(clip.start_us, 1_000_000))
    else:
        found_s = announced_s
        at_most_s = Fraction(encode.max_duration_s)
        if settings.trimmed == "true":
            found_s, at_most_s = min(asked_s, announced_s), _LONGER * asked_s + _LONGER_S
        if announced_s > at_most_s:
            held = f"the file holds {float(announced_s):.2f} s of video"
            raise ClipError("too_large", f"{held}, more than {float(at_most_s):g} s")
    if found_s < Fraction(encode.min_duration_s):
        raise too_short(float(found_s), encode.min_duration_s)
    return found_s


def _announced_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Returns how much video there is from the clock's 0 (or the stream's start, if later) on; None if unknown."""
    if stream.duration is not None and stream.time_base is not None:
        before = min(0, stream.start_time or 0)
        return (stream.duration + before) * stream.time_base
    if container.duration is not None:
        return Fraction(container.duration, av.time_base)
    return None
