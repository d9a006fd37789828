"""What is asked of a decoding process, and what comes back: values alone, so that who asks needs no decoder."""

from __future__ import annotations

from dataclasses import dataclass

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.settings import MediaSettings

RECORD_REVISION = 4
"""Part of a run's fingerprint: raise it whenever the bytes of a record change (tests/beam_pipeline/test_golden.py)."""


@dataclass(frozen=True, slots=True)
class ClipTask:
    """A clip and the file, or the folder of images, that holds it."""

    clip: Clip
    label_index: int
    split: str
    dataset_name: str
    path: str  # where the file is
    uri: str  # its path within the store, which is what the record keeps: stores move
    size: int  # bytes, as listed; 0 for a folder
    known_crc32c: int | None  # of the file that the record we have was made from
    settings: MediaSettings


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """A record and what the ledger says of it; `record` is None where the file is the one we have a record of."""

    crc32c: int
    record: bytes | None = None
    num_frames: int = 0
    duration_s: float = 0.0
    width: int = 0
    height: int = 0
    short: bool = False
    damaged: bool = False
    rotated: bool = False
    has_audio: bool = False
    upscaled: bool = False
    repeated_frames: int = 0
    mean_luma: float = 0.0
    clipped_flow: float | None = None  # None: without flow
    mean_flow_px: float | None = None


class FileError(ClipError):
    """A `ClipError` of a file whose checksum is known, so that a rerun can tell whether it is still the same file."""

    def __init__(self, reason: str, detail: str, crc32c: int):
        super().__init__(reason, detail)
        self.args = (reason, detail, crc32c)
        self.crc32c = crc32c


class UnreadFileError(ClipError):
    """A `ClipError` of a file whose bytes could not be had. Where that goes for one after another, the store is ill."""


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """A clip and where the file that holds it is."""

    path: str
    clip: Clip
    settings: MediaSettings


@dataclass(frozen=True, slots=True)
class Probed:
    """What a file's header and first frame say.

    Attributes:
      duration_s: the clip's footage, 0 where the header says nothing.
      width: of the coded frames, pixels.
      height: of the coded frames.
      has_audio: whether there is a track of sound.
    """

    duration_s: float
    width: int
    height: int
    has_audio: bool
