"""Which of a video's formats is fetched: the cheapest that has what the records need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Format = Mapping[str, Any]
"""A format as yt-dlp describes it; https://github.com/yt-dlp/yt-dlp#output-template names the fields."""

_DIRECT = ("http", "https")  # one file, of which any part may be asked for
_MIN_AUDIO_HZ, _MIN_AUDIO_KBIT = 44_100, 48.0  # below are YouTube's 22 kHz variants for slow telephones
_UNKNOWN = float("inf")
# What neither mp4 nor QuickTime files hold, so that no section can be cut: as sites' extractors name it.
_CANT_BE_CUT = ("vp8", "vp08", "vp6", "theora", "flv", "wmv", "rv")


def is_direct(chosen: Format) -> bool:
    """Whether a format is one file over HTTP, of which parts can be read; else it is a list of fragments."""
    return chosen.get("protocol") in _DIRECT and not chosen.get("fragments")


def choose(formats: Iterable[Format], target_px: int, with_audio: bool) -> list[Format]:
    """Chooses formats as `source.youtube.format: auto` does.

    The smallest picture whose shorter side is at least the target's, else the largest below. Of equals: what is as it
    was uploaded (not damaged, upscaled or HDR), one file rather than fragments, H.264 or VP9 rather than AV1, and the
    fewest bytes, sound included where it is asked for. What can't be cut only where there is nothing else, and nothing
    that is encrypted.

    Args:
      formats: as yt-dlp lists them.
      target_px: the shorter side that frames will have.
      with_audio: whether sound is wanted, from the same format or another.

    Returns:
      The video's format, and the audio's where that is another; nothing where no format has video.
    """
    usable = [each for each in formats if each.get("has_drm") is not True and each.get("protocol") != "mhtml"]
    sounds = [each for each in usable if each.get("vcodec") == "none" and each.get("acodec") != "none"]
    sound = min(sounds, key=_audio_rank) if with_audio and sounds else None
    options: list[list[Format]] = []
    for each in usable:
        if each.get("vcodec") == "none":
            continue
        if each.get("acodec") == "none" and sound is not None:
            options.append([each, sound])
        options.append([each])
    return min(options, key=lambda option: _video_rank(option, target_px, with_audio), default=[])


def _video_rank(option: list[Format], target_px: int, with_audio: bool) -> tuple[float, ...]:
    video = option[0]
    side = _shorter_side(video)
    is_silent = with_audio and len(option) == 1 and video.get("acodec") == "none"
    note = str(video.get("format_note") or "")
    is_altered = (video.get("preference") or 0) < 0 or "AI-upscaled" in note or "DAMAGED" in note
    return (
        _codec(video).startswith(_CANT_BE_CUT),
        is_silent,
        is_altered,
        (video.get("dynamic_range") or "SDR") != "SDR",
        side < target_px,
        side if side >= target_px else -side,
        not is_direct(video),
        _codec(video).startswith("av01"),
        -max(each.get("language_preference") or -1 for each in option),
        sum(_bytes(each) for each in option),
    )


def _audio_rank(sound: Format) -> tuple[float, ...]:
    note = str(sound.get("format_note") or "")
    return (
        -(sound.get("language_preference") or -1),  # the original's language before what it was dubbed into
        "DRC" in note,
        (sound.get("asr") or _MIN_AUDIO_HZ) < _MIN_AUDIO_HZ,
        (sound.get("abr") or sound.get("tbr") or _MIN_AUDIO_KBIT) < _MIN_AUDIO_KBIT,
        not is_direct(sound),
        _bytes(sound),
    )


def _shorter_side(video: Format) -> float:
    sides = [side for side in (video.get("width"), video.get("height")) if side]
    return min(sides, default=0)


def _codec(video: Format) -> str:
    return str(video.get("vcodec") or "").lower()


def _bytes(each: Format) -> float:
    """Returns a format's size, or its rate where only that is known: formats of one video are compared alike."""
    return each.get("filesize") or each.get("filesize_approx") or (each.get("tbr") or 0) * 1e3 or _UNKNOWN
