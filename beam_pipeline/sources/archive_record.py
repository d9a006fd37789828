"""What is known of an archive: how far it was read, what of it is in the store, what was passed over and why.

One JSON file an archive, `<store>/.fetch/archives/<hash of its URL>.json`, rewritten while the archive is read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass, field

from beam_pipeline import files
from beam_pipeline.store import FETCH_DIR

_FOLDER = "archives"
_REVISION = 1
_MAX_NAMES = 20_000  # listed of each kind of what was passed over; real archives have up to 5,000 members


@dataclass(slots=True)
class PassedOver:
    """Members that were not stored: how many, and the names of the first of them."""

    count: int = 0
    names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ArchiveRecord:
    """The record of an archive.

    Attributes:
      url: without what lets one in: the record is found by the whole of it, and read by whoever can read the store.
      folder: of the store, where its clips are.
      state: reading (now, or when it was killed), complete, or failed.
      size: of the archive in bytes; None where its server doesn't tell.
      etag: of the archive; empty where nothing tells.
      bytes: of the archive that were read.
      reason: a class of `clips.REASONS`, where it failed.
      detail: a line for people.
      stored: the size in bytes of each stored clip, by file name.
      passed_over: by why: `not_wanted` (a clip in no annotation), `made` (its record is there, its file is gone),
        `empty`, `duplicate` (the first of a clip is taken), `too_large`, `link`, `device`, `sparse`, `other`,
        `not_a_clip`.
      started_at: UTC, ISO 8601; so is `ended_at`, empty while it is read.
    """

    url: str
    folder: str
    state: str = "reading"
    size: int | None = None
    etag: str = ""
    bytes: int = 0
    reason: str = ""
    detail: str = ""
    stored: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, PassedOver] = field(default_factory=dict)
    started_at: str = ""
    ended_at: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Members by what became of them: `stored`, and why they were passed over."""
        return {"stored": len(self.stored)} | {why: passed.count for why, passed in self.passed_over.items()}

    def pass_over(self, why: str, name: str) -> None:
        """Counts a member that is not stored, and lists it while there is room."""
        passed = self.passed_over.setdefault(why, PassedOver())
        passed.count += 1
        if len(passed.names) < _MAX_NAMES:
            passed.names.append(ascii(name[-200:])[1:-1])

    def may_bring(self, wanted: Collection[str], made: Container[str], present: Container[str]) -> bool:
        """Whether the archive has a clip that is wanted, of which no record is made and which is not in the store.

        Args:
          wanted: clip ids.
          made: clip ids.
          present: names of files in the archive's folder of the store.
        """
        passed = [self.passed_over.get(why, PassedOver()) for why in ("not_wanted", "made")]
        missing = [name for name in self.stored if name not in present]
        clip_ids = {name.rpartition(".")[0] for name in (*missing, *(name for each in passed for name in each.names))}
        if any(clip_id in wanted and clip_id not in made for clip_id in clip_ids):
            return True
        if all(each.count == len(each.names) for each in passed):
            return False
        stored = {name.rpartition(".")[0] for name in self.stored}  # of what is not listed, any may be in it
        return any(clip_id not in made and clip_id not in stored for clip_id in wanted)


def record_key(url: str) -> str:
    """Returns what an archive's files in `.fetch/` are named by."""
    return hashlib.blake2b(url.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def write_record(store: str, url: str, record: ArchiveRecord) -> None:
    """Writes the record of an archive in place of the one before, whole or not at all."""
    content = {"revision": _REVISION} | dataclasses.asdict(record)
    files.write_whole(record_path(store, url), json.dumps(content).encode())


def read_record(store: str, url: str) -> ArchiveRecord | None:
    """Returns the record of an archive, None where there is none, or one that this version doesn't know."""
    return _parsed(files.read_whole(record_path(store, url)))


def read_archive_records(store: str) -> Iterator[ArchiveRecord]:
    """Yields the records of all archives that were ever read into a store."""
    folder = files.join(store, FETCH_DIR, _FOLDER)
    for name in files.names(folder):
        if name.endswith(".json") and not files.is_temporary(name):
            record = _parsed(files.read_whole(files.join(folder, name)))
            if record:
                yield record


def record_path(store: str, url: str) -> str:
    """Returns where the record of an archive is."""
    return files.join(store, FETCH_DIR, _FOLDER, f"{record_key(url)}.json")


def _parsed(content: bytes | None) -> ArchiveRecord | None:
    try:
        values = json.loads(content or b"null")
        if not isinstance(values, dict) or values.pop("revision", None) != _REVISION:
            return None
        values["passed_over"] = {why: PassedOver(**passed) for why, passed in values["passed_over"].items()}
        return ArchiveRecord(**values)
    except (ValueError, TypeError, KeyError, AttributeError):  # not ours: the archive is read anew
        return None
