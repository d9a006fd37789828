"""What a clip is, what becomes of it, and where it belongs: the values that every stage passes on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

VIDEO_ID_RE = re.compile(r"[A-Za-z0-9._-]{1,128}")

# Why a clip failed; docs/failures.md says what each means and what to do. True: another try may succeed.
REASONS = {
    "not_found": False,
    "not_attempted": True,
    "unreadable": False,
    "unsupported": False,
    "no_video": False,
    "no_overlap": False,
    "too_short": False,
    "too_large": False,
    "timeout": True,
    "crashed": False,
    "out_of_memory": False,
    "bad_annotation": False,
    # from fetching
    "private": False,
    "removed": False,
    "copyright": False,
    "geo_blocked": False,
    "age_restricted": False,
    "login_required": False,
    "bot_check": True,
    "rate_limited": True,
    "network": True,
    "format_unavailable": False,
    "archive_corrupt": False,
}


class ClipError(Exception):
    """A clip that can't become a record: a class of `REASONS` and a line for people, the same for the same cause."""

    def __init__(self, reason: str, detail: str):
        assert reason in REASONS, reason
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def too_short(duration_s: float, min_duration_s: float, more: str = "") -> ClipError:
    """Returns the failure of a clip with less footage than `encode.min_duration_s`; `more`: what else is to be told."""
    detail = f"{duration_s:.2f} s of footage, less than encode.min_duration_s: {min_duration_s:g}"
    return ClipError("too_short", detail + (f"; {more}" if more else ""))


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip that an annotation list asks for: [start_us, end_us) microseconds of a video, and its label.

    `label` is the original name, empty where the list has none.
    """

    video_id: str
    start_us: int
    end_us: int
    label: str = ""

    @property
    def clip_id(self) -> str:
        """`{video_id}_{start:06d}_{end:06d}`, unique in a split; fractional seconds as `000012.500`."""
        return f"{self.video_id}_{_seconds(self.start_us)}_{_seconds(self.end_us)}"


def _seconds(time_us: int) -> str:
    whole, rest = divmod(time_us, 1_000_000)
    if not rest:
        return f"{whole:06d}"
    return f"{whole:06d}.{rest // 1000:03d}" if rest % 1000 == 0 else f"{whole:06d}.{rest:06d}"


def utc_now() -> str:
    """Returns the time as ledgers keep it: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def shard_of(video_id: str, num_shards: int) -> int:
    """Returns the shard of all clips of a video: blake2b of the *video* id, so that its clips are one visit."""
    digest = hashlib.blake2b(video_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % num_shards
