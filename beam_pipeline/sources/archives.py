"""Archives of clips, CVDF's above all, read into the store as they come: nothing else is written, nothing is kept."""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from beam_pipeline import files, pool
from beam_pipeline.clips import ClipError, utc_now
from beam_pipeline.sources.archive_record import ArchiveRecord, read_archive_records, read_record, write_record
from beam_pipeline.sources.disk import check_free
from beam_pipeline.sources.members import FolderWriter, folder_writer, sizes_in
from beam_pipeline.sources.tar_stream import Member, members
from beam_pipeline.sources.transfer import Patience, SourceChangedError, Stream, open_stream
from beam_pipeline.store import StoredFile
from beam_pipeline.web import without_secrets

__all__ = ["Archive", "ArchiveFailure", "fetch_archive", "read_archive_records"]

_CLIP_FILE_RE = re.compile(
    r"(?P<clip_id>[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}_[0-9]{6,9}(?:\.[0-9]{3,6})?_[0-9]{6,9}(?:\.[0-9]{3,6})?)"
    r"\.(?:mp4|mkv|webm|avi|mov|m4v|flv|3gp|3g2|ts|mts|mpg|mpeg|wmv|ogv)",
    re.IGNORECASE,
)
_ARCHIVE_SUFFIX_RE = re.compile(r"\.(?:tar\.gz|tgz|tar|gz)$", re.IGNORECASE)
_UNSAFE_RE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_MEMBER = 2 << 30  # bytes; the longest real clips have some tens of MiB
_READINGS = 3  # from the start, of an archive that changes meanwhile
_RECORD_INTERVAL_S = 5.0
_CHECK_FREE_BYTES = 256 << 20
_FOR_GOOD = ("archive_corrupt", "unsupported", "too_large")  # as long as the file is the same
_MAX_UNPUBLISHED = 16  # clips that are written but not yet on the disk


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of a split's clips, or of corrected copies, which win over all others: an http(s) URL or a path.

    `split` is empty where it may have clips of any.
    """

    url: str
    split: str
    is_replacement: bool

    @property
    def folder(self) -> str:
        """Where its clips are in the store."""
        path = self.url if files.is_local(self.url) else unquote(re.split("[?#]", self.url, maxsplit=1)[0])
        stem = _ARCHIVE_SUFFIX_RE.sub("", PurePosixPath(path).name)
        return f"{'replacement' if self.is_replacement else _safe(self.split or 'all')}/{_safe(stem)}"


@dataclass(frozen=True, slots=True)
class ArchiveFailure:
    """Why an archive was not read to its end: a class of `clips.REASONS`, and a line for people."""

    reason: str
    detail: str


def fetch_archive(
    archive: Archive,
    store: str,
    wanted: Collection[str],
    made: Container[str] = frozenset(),
    min_free_gib: float = 0.0,
    retry_permanent: bool = False,
    stopping: threading.Event = pool.stopping,
    patience: Patience | None = None,
) -> Iterator[StoredFile | ArchiveFailure]:
    """Puts an archive's clips into the store, unless they are there already.

    Clips are members named `{clip id}.{extension of a video}`, in whatever folder; the first of a clip is taken. What
    became of every member is in the archive's record (`read_archive_records`). An archive that was read to its end is
    not asked for again, unless a clip in it is wanted that was not wanted then, or that is neither made nor in the
    store any more; nor is one read again that is corrupt and still the same file, unless `retry_permanent`.

    Args:
      archive: what to read.
      store: the store's folder or URL.
      wanted: the ids of all clips that are asked for.
      made: the ids of clips of which there are records: those whose files are gone stay so, but for corrected copies.
      min_free_gib: GiB that must stay free on the store's disk.
      retry_permanent: read again what was found corrupt.
      stopping: ends it early once it is set, with the failure `not_attempted`.
      patience: with a web server.

    Yields:
      Each of the archive's clips that is in the store, as soon as it is; at the end, if the archive could not be read
      to its end, why.

    Raises:
      OSError: the store can't be written, or its disk is full; the record says that it was not read to its end.
    """
    before = read_record(store, archive.url)
    if before and before.folder != archive.folder:
        before = None
    shown = without_secrets(archive.url)
    present = sizes_in(store, archive.folder)
    nothing_new = before and not before.may_bring(wanted, made, present)
    if before and nothing_new and before.state == "complete":
        yield from _still_there(before.stored, present, archive.folder)
        return
    for _ in range(_READINGS):
        record = ArchiveRecord(shown, archive.folder, started_at=utc_now())
        try:
            check_free(store, min_free_gib)
            with open_stream(archive.url, stopping, patience) as stream:
                if before and nothing_new and not retry_permanent and _is_given_up(before, stream):
                    yield from _still_there(before.stored, present, archive.folder)
                    yield ArchiveFailure(before.reason, before.detail)
                    return
                with folder_writer(store, archive.folder) as writer:
                    keep_away: Container[str] = frozenset() if archive.is_replacement else made
                    reading = _Reading(archive, record, stream, store, wanted, keep_away, present, min_free_gib, writer)
                    yield from reading.clips()
                    writer.sync()
            record.state = "complete"
            break
        except SourceChangedError:
            record.reason, record.detail = "network", "it changes while it is read"
            present |= record.stored
        except ClipError as error:
            record.reason, record.detail = error.reason, error.detail
            break
    record.ended_at = utc_now()
    if record.state != "complete":
        record.state = "failed"
        if not record.detail.startswith(shown):
            record.detail = f"{shown}: {record.detail}"
        if before:  # what an earlier reading came further to
            earlier = {name: size for name, size in before.stored.items() if name not in record.stored}
            yield from _still_there(earlier, present, archive.folder)
            record.stored |= earlier
    write_record(store, archive.url, record)
    if record.state == "failed":
        yield ArchiveFailure(record.reason, record.detail)


class _Reading:
    """One reading of an archive, from its start to its end or a failure."""

    def __init__(
        self,
        archive: Archive,
        record: ArchiveRecord,
        stream: Stream,
        store: str,
        wanted: Container[str],
        made: Container[str],
        present: Mapping[str, int],
        min_free_gib: float,
        writer: FolderWriter,
    ):
        self._archive = archive
        self._record = record
        self._stream = stream
        self._store = store
        self._wanted = wanted
        self._made = made
        self._present = present
        self._min_free_gib = min_free_gib
        self._writer = writer
        self._seen: set[str] = set()  # clip ids
        self._unpublished: deque[Future[StoredFile]] = deque()
        self._unchecked = 0  # bytes written since there was room for them
        self._recorded_at = -math.inf
        record.size, record.etag = stream.size, stream.etag

    def clips(self) -> Iterator[StoredFile]:
        """Yields each clip that is in the store, and notes what was passed over; raises as `members` does."""
        self._note()
        try:
            for member in members(self._stream):
                yield from self._take(member)
                yield from self._published(_MAX_UNPUBLISHED)
                self._note()
        except (ClipError, SourceChangedError):
            yield from self._published(0)
            raise
        finally:
            self._record.bytes = self._stream.position
        yield from self._published(0)

    def _take(self, member: Member) -> Iterator[StoredFile]:
        name = member.name.rpartition("/")[2]
        match = _CLIP_FILE_RE.fullmatch(name)
        if member.kind == "folder":
            return
        if member.kind != "file" or match is None:
            self._record.pass_over("not_a_clip" if member.kind == "file" else member.kind, member.name)
            return
        clip_id = match["clip_id"]
        if why := self._why_not(name, clip_id, member.size):
            self._record.pass_over(why, name)
            return
        if self._present.get(name) == member.size:
            self._record.stored[name] = member.size
            yield StoredFile(f"{self._record.folder}/{name}", member.size)
        else:
            if self._unchecked > _CHECK_FREE_BYTES:
                check_free(self._store, self._min_free_gib)
                self._unchecked = 0
            self._unchecked += member.size
            self._unpublished.append(self._writer.write(name, member.pieces))
        self._seen.add(clip_id)

    def _why_not(self, name: str, clip_id: str, size: int) -> str:
        if not size:
            return "empty"
        if clip_id not in self._wanted:
            return "not_wanted"
        if clip_id in self._seen:
            return "duplicate"
        if clip_id in self._made and name not in self._present:
            return "made"
        return "too_large" if size > _MAX_MEMBER else ""

    def _published(self, at_most: int) -> Iterator[StoredFile]:
        """Yields what has reached the store, and waits until at most so many clips have not."""
        while self._unpublished and (len(self._unpublished) > at_most or self._unpublished[0].done()):
            file = self._unpublished.popleft().result()
            self._record.stored[file.uri.rpartition("/")[2]] = file.size
            yield file

    def _note(self) -> None:
        if time.monotonic() - self._recorded_at > _RECORD_INTERVAL_S:
            self._record.bytes = self._stream.position
            write_record(self._store, self._archive.url, self._record)
            self._recorded_at = time.monotonic()


def _is_given_up(before: ArchiveRecord, stream: Stream) -> bool:
    """Whether an archive failed for good before, and is still the same file."""
    failed_for_good = before.state == "failed" and before.reason in _FOR_GOOD
    return failed_for_good and bool(stream.etag) and (stream.etag, stream.size) == (before.etag, before.size)


def _still_there(stored: Iterable[str], present: dict[str, int], folder: str) -> Iterator[StoredFile]:
    """Yields those clips of an earlier reading that nobody has removed from the store since."""
    for name in stored:
        if name in present:
            yield StoredFile(f"{folder}/{name}", present[name])


def _safe(name: str) -> str:
    """Returns a name that is one part of a path, in any store."""
    return _UNSAFE_RE.sub("_", name).lstrip(".")[:100] or "archive"
