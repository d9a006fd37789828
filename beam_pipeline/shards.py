"""One shard: what it asks for joined with what the store has, encoded, written whole, and accounted for."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

from beam_pipeline import files
from beam_pipeline.annotations import Row, merge
from beam_pipeline.budgets import budget
from beam_pipeline.clips import REASONS, Clip, ClipError
from beam_pipeline.job import Job, RunError, writing_to
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, read_state, state_path, write_state
from beam_pipeline.media.task import ClipTask, EncodedClip, FileError, run_clip_task
from beam_pipeline.pool import Task
from beam_pipeline.store import StoredFile, match_clips
from beam_pipeline.tfrecord import FRAMING_BYTES, CorruptRecordError, ShardWriter, read_record_at
from tf_data import contract

STATE_INTERVAL_S = 2.0  # a progress bar follows it
_UNKNOWN = -1
# Of a ledger row: what was asked for, and what was tried, whatever became of it.
_LASTING_COLUMNS = (
    *("clip_id", "video_id", "start_s", "end_s", "label", "label_index", "split"),
    *("attempts", "attempted_at", "source_uri", "shard"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One clip of a shard: the row that asks for it, the file that holds it, and what an earlier run made of it."""

    key: str
    row: Row | None  # None: an earlier run asked for it, and this one is limited
    file: StoredFile | None
    before: StateRow | None


class Pool(Protocol):
    """What a shard needs of `pool.DecodePool`."""

    def map(self, tasks: Iterable[tuple[Plan, Task | None]]) -> Iterator[tuple[Plan, Any]]:
        """Yields (plan, result or `ClipError`) in the order of `tasks`."""


def make_shard(job: Job, split: str, shard: int, rows: Iterable[Row], stored: Iterable[StoredFile], pool: Pool) -> str:
    """Makes one shard, or leaves it as it is where nothing has changed.

    A record is copied byte for byte from what an earlier run wrote, sealed or not, where the clip's row and its file's
    checksum are the same, or where the file is gone; a failure of the same file is not tried again unless it may pass.
    Records are in the order of their clip ids.

    Args:
      job: the run.
      split: the split's name.
      shard: the shard's number.
      rows: the annotation rows of its videos.
      stored: the files whose names speak of its videos.
      pool: where clips are encoded.

    Returns:
      The path of the shard's state file.

    Raises:
      RunError: the output can't be written, or records would be lost that earlier runs wrote and nobody asks for now.
    """
    with writing_to(job.directory):
        return _make_shard(job, split, shard, rows, stored, pool)


def _make_shard(job: Job, split: str, shard: int, rows: Iterable[Row], stored: Iterable[StoredFile], pool: Pool) -> str:
    path = state_path(job.directory, split, shard, job.num_shards[split])
    before = _before(job, split, shard, path)
    plans = _plan(job, split, merge(rows), list(stored), before)
    maker = _Maker(job, split, shard)

    def remake(plan: Plan) -> tuple[StateRow, bytes | None]:
        ((_, outcome),) = pool.map([(plan, maker.task(plan, again=True))])
        return maker.settle(plan, outcome, record_is_lost=True)

    builder = _ShardBuilder(job, split, shard, plans, before, path, remake)
    try:
        for plan, outcome in pool.map((plan, maker.task(plan)) for plan in plans):
            builder.add(plan, *maker.settle(plan, outcome))
        builder.seal()
    finally:
        builder.close()
    return path


def _before(job: Job, split: str, shard: int, path: str) -> ShardState | None:
    """Returns what earlier runs made of a shard; rows whose record is not there any more are to be tried again."""
    before = read_state(path)
    name = contract.shard_file(job.name, split, shard, job.num_shards[split])
    sizes = {name: files.size(files.join(job.directory, name))}
    if before is None:
        if sizes[name]:
            raise RunError(
                f"{job.directory}: {name} is there, but its state {path} is gone or damaged, so that nobody knows what "
                f"it holds. Bring the state back, or delete {name} to have it made anew from the store"
            )
        return None

    def is_there(row: StateRow) -> bool:
        if row.file not in sizes:
            sizes[row.file] = files.size(files.join(job.directory, *row.file.split("/")))
        end = row.offset + row.row.bytes + FRAMING_BYTES
        return any(end <= (sizes[file] or 0) for file in (row.file, name))

    rows = (
        row if row.row.status != "ok" or is_there(row) else replace(row, source_crc32c=_UNKNOWN) for row in before.rows
    )
    return replace(before, rows=tuple(rows))


def _plan(job: Job, split: str, wanted: list[Row], stored: list[StoredFile], before: ShardState | None) -> list[Plan]:
    earlier = {state.row.clip_id: state for state in before.rows} if before else {}
    asked = {row.key for row in wanted}
    unasked = {key: state for key, state in earlier.items() if key not in asked}
    clips = [row.clip for row in wanted if not row.error]
    if job.is_limited(split):  # the other clips of a video count, where an earlier run has seen them
        clips += [_clip(state.row) for state in unasked.values() if state.row.reason != "bad_annotation"]
    matched = match_clips(clips, stored, job.media.trimmed)
    there = {files.join(job.store, file.uri) for file in stored}
    plans = []
    for row in wanted:
        file, state = None if row.error else matched.get(row.key), earlier.get(row.key)
        if file is None and state and state.row.source_uri in there and state.trimmed == job.media.trimmed:
            state = None  # its file is named after several clips now, as it would have been had all been asked for
        plans.append(Plan(row.key, row, file, state))
    if job.is_limited(split):  # a trial run over a part never takes away what a whole one made
        plans += [Plan(key, None, None, state) for key, state in unasked.items()]
        plans.sort(key=lambda plan: plan.key)
    elif lost := [key for key, state in unasked.items() if state.row.status == "ok"]:
        raise RunError(
            f"{job.directory}: {len(lost)} records of one shard, such as {lost[0]}, are in no annotation file any "
            "more. Restore their rows, choose a new version, or make everything anew with --overwrite"
        )
    if relabelled := [plan.key for plan in plans if plan.file is None and _has_record(plan) and not _same_label(plan)]:
        raise RunError(
            f"{job.directory}: {len(relabelled)} clips of one shard, such as {relabelled[0]}, have another label than "
            "their records, and no file in the store to make them anew from. Bring back the files or the labels"
        )
    return plans


def _clip(row: LedgerRow) -> Clip:
    return Clip(row.video_id, round(row.start_s * 1e6), round(row.end_s * 1e6))


def _has_record(plan: Plan) -> bool:
    return plan.before is not None and plan.before.row.status == "ok"


def _same_label(plan: Plan) -> bool:
    return plan.before is None or plan.row is None or plan.before.row.label == plan.row.label


class _Maker:
    """What a plan asks of a decoding process, and what its outcome means."""

    def __init__(self, job: Job, split: str, shard: int):
        self._job = job
        self._split = split
        self._shard = shard
        self._selection = job.selections[split]

    def task(self, plan: Plan, again: bool = False) -> Task | None:
        """Returns what is to be decoded for a plan, or None where nothing is; `again` whatever we have already."""
        row, file, before = plan.row, plan.file, plan.before
        if row is None or file is None:
            return None
        job = self._job
        same_request = (
            before is not None
            and not again
            and not before.row.transient
            and _same_label(plan)
            and before.source_bytes == file.size
            and before.trimmed == job.media.trimmed
            and before.source_crc32c != _UNKNOWN
        )
        clip_task = ClipTask(
            clip=row.clip,
            label_index=self._selection.label_index(row.label),
            split=self._split,
            dataset_name=job.name,
            path=files.join(job.store, file.uri),
            uri=file.uri,
            size=file.size,
            known_crc32c=before.source_crc32c if before and same_request else None,
            settings=job.media,
        )
        return Task(run_clip_task, clip_task, *budget(row.clip, job.media, job.limits))

    def settle(self, plan: Plan, outcome: Any, record_is_lost: bool = False) -> tuple[StateRow, bytes | None]:
        """Returns the row of the ledger, and the record if it is a new one: an `ok` without one keeps what there is.

        `record_is_lost`: the bytes that an earlier run wrote turned out to be damaged.
        """
        row, file = plan.row, plan.file
        before = None if record_is_lost else plan.before
        if row is None:
            return before or self._lost(plan), None
        if row.error:
            return self._failed(plan, "bad_annotation", row.error, tried=False), None
        if file is None:
            if before and _has_record(plan):
                return before, None  # its file has gone, its record stays
            if record_is_lost:
                return self._lost(plan), None
            return self._failed(plan, "not_found", "no file of the store is named after this clip"), None
        if isinstance(outcome, EncodedClip):
            if outcome.record is None and before:
                return before, None
            return self._encoded(plan, file, outcome)
        assert isinstance(outcome, ClipError)
        if before and (outcome.reason == "not_attempted" or (_has_record(plan) and _same_label(plan))):
            return before, None  # what we have is better than what came of another try
        if outcome.reason == "not_attempted":
            return self._failed(plan, outcome.reason, outcome.detail, tried=False), None
        crc32c = outcome.crc32c if isinstance(outcome, FileError) else _UNKNOWN
        failed = self._failed(plan, outcome.reason, outcome.detail)
        return replace(failed, source_bytes=file.size, source_crc32c=crc32c, trimmed=self._job.media.trimmed), None

    def _lost(self, plan: Plan) -> StateRow:
        assert plan.before
        known = {name: getattr(plan.before.row, name) for name in _LASTING_COLUMNS}
        detail = "its record was damaged on the disk, and its file is no longer in the store"
        return StateRow(LedgerRow(**known, status="failed", reason="not_found", detail=detail))

    def _encoded(self, plan: Plan, file: StoredFile, clip: EncodedClip) -> tuple[StateRow, bytes | None]:
        assert clip.record is not None
        row = replace(
            self._row(plan, tried=True),
            num_frames=clip.num_frames,
            duration_s=clip.duration_s,
            width=clip.width,
            height=clip.height,
            bytes=len(clip.record),
            short=clip.short,
            damaged=clip.damaged,
            rotated=clip.rotated,
            has_audio=clip.has_audio,
        )
        made_from = StateRow(row, source_bytes=file.size, source_crc32c=clip.crc32c, trimmed=self._job.media.trimmed)
        return made_from, clip.record

    def _failed(self, plan: Plan, reason: str, detail: str, tried: bool = True) -> StateRow:
        row = self._row(plan, tried)
        return StateRow(replace(row, status="failed", reason=reason, transient=REASONS[reason], detail=detail))

    def _row(self, plan: Plan, tried: bool) -> LedgerRow:
        row = plan.row
        assert row
        earlier = plan.before.row if plan.before else None
        return LedgerRow(
            clip_id=row.key,
            video_id=row.video_id,
            start_s=row.start_us / 1e6,
            end_s=row.end_us / 1e6,
            label=row.label,
            label_index=contract.UNLABELLED if row.error else self._selection.label_index(row.label),
            split=self._split,
            attempts=(earlier.attempts if earlier else 0) + tried,
            attempted_at=_now() if tried else earlier.attempted_at if earlier else "",
            source_uri=files.join(self._job.store, plan.file.uri) if plan.file else "",
            shard=self._shard,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _ShardBuilder:
    """A shard's file while it is made.

    Records that earlier runs wrote are left where they are until the first new one comes: a shard in which nothing has
    changed is never written again. Until the shard is sealed, its state names the file of every record, and whatever
    earlier files it names stay where they are, so that a run that is killed at any moment loses nothing.
    """

    def __init__(
        self,
        job: Job,
        split: str,
        shard: int,
        plans: list[Plan],
        before: ShardState | None,
        path: str,
        remake: Callable[[Plan], tuple[StateRow, bytes | None]],
    ):
        num_shards = job.num_shards[split]
        self._directory = job.directory
        self._name = contract.shard_file(job.name, split, shard, num_shards)
        # Beyond one machine a shard may be tried twice, even at the same time: each try has a file of its own.
        attempt = f"{job.run_id}-{uuid.uuid4().hex[:8]}"
        self._temporary = f"{contract.STATE_DIR}/{split}-{shard:05d}-of-{num_shards:05d}.{attempt}.partial"
        self._index = contract.index_file(split)
        self._state = ShardState(split, shard, num_shards, False, 0, len(plans), ())
        self._path = path
        self._plans = plans
        self._before = before
        self._remake = remake
        self._rows: list[StateRow] = []
        self._left: list[tuple[int, Plan]] = []  # places in `_rows` of records that are still in earlier files
        self._file: BinaryIO | None = None
        self._writer: ShardWriter | None = None
        self._records = 0
        self._earlier: dict[str, BinaryIO | None] = {}
        self._state_at = time.monotonic()

    def add(self, plan: Plan, entry: StateRow, record: bytes | None) -> None:
        """Takes the next clip, in the order of the plans; an `ok` without a record has one in an earlier file."""
        place = len(self._rows)
        self._rows.append(entry)
        if entry.row.status == "ok":
            if record is None:
                self._left.append((place, plan))
            else:
                self._move_left()
                self._write(place, record)
        if time.monotonic() - self._state_at > STATE_INTERVAL_S:
            self._write_state()

    def seal(self) -> None:
        """Puts the finished shard in its place, unless it is there, and says so in the state."""
        if self._is_as_before():
            self._seal_state(self._before.bytes if self._before else 0)
            return
        self._move_left()
        writer, file = self._open()
        self._write_state()  # should the renaming be the last that is done, the rows still tell what the file holds
        file.close() if writer.offset else files.close_empty(file)
        files.delete(self._full(self._index))  # it speaks of the shard as it was; without it, readers go by the files
        files.publish(self._full(self._temporary), self._full(self._name))
        self._rows = [replace(row, file=self._name) if row.offset >= 0 else row for row in self._rows]
        self._seal_state(writer.offset)

    def close(self) -> None:
        """Closes what is open; a shard that is not sealed is left for the next run."""
        for file in (self._file, *self._earlier.values()):
            if file is not None:
                with contextlib.suppress(OSError):  # of a file that could not be written, told already
                    file.close()

    def _full(self, name: str) -> str:
        return files.join(self._directory, *name.split("/"))

    def _is_as_before(self) -> bool:
        """Whether the sealed shard holds just the records that it should."""
        before = self._before
        if self._writer or not before or not before.sealed:
            return False
        records = [row.row.clip_id for row in before.rows if row.row.status == "ok"]
        kept = [self._rows[place].row.clip_id for place, _ in self._left]
        return kept == records and files.size(self._full(self._name)) == before.bytes

    def _seal_state(self, shard_bytes: int) -> None:
        state = replace(self._state, sealed=True, bytes=shard_bytes, rows=tuple(self._rows))
        if state != self._before:
            write_state(self._path, state)

    def _write_state(self) -> None:
        """Says how far the shard is; what earlier runs made of the clips that are still to come stays in it."""
        if self._writer:
            self._writer.flush()
        to_come = [plan.before for plan in self._plans[len(self._rows) :] if plan.before]
        write_state(self._path, replace(self._state, rows=(*self._rows, *to_come)))
        self._state_at = time.monotonic()

    def _open(self) -> tuple[ShardWriter, BinaryIO]:
        if self._file is None or self._writer is None:
            self._file = files.create(self._full(self._temporary))
            self._writer = ShardWriter(self._file)
        return self._writer, self._file

    def _write(self, place: int, record: bytes) -> None:
        writer, _ = self._open()
        offset = writer.write(record)
        entry = self._rows[place]
        row = replace(entry.row, position=self._records)
        self._rows[place] = replace(entry, row=row, file=self._temporary, offset=offset)
        self._records += 1

    def _move_left(self) -> None:
        """Copies the records that are still in earlier files, all of which come before the next one to be written."""
        left, self._left = self._left, []
        for place, plan in left:
            entry, record = self._rows[place], self._read(self._rows[place])
            if record is None:
                entry, record = self._remake(plan)
                self._rows[place] = entry
            if record is not None:
                self._write(place, record)

    def _read(self, entry: StateRow) -> bytes | None:
        """Returns the record of a row from the earlier file that holds it, or None where it is not there intact."""
        # A run that was killed right after renaming its temporary left rows that name the temporary.
        for name in dict.fromkeys((entry.file, self._name)):
            file = self._open_earlier(name)
            if file is None:
                continue
            try:
                record = read_record_at(file, entry.offset, entry.row.bytes, name)
            except CorruptRecordError:
                continue
            if entry.row.clip_id.encode() in record:
                return record
        return None

    def _open_earlier(self, name: str) -> BinaryIO | None:
        if name not in self._earlier:
            try:
                self._earlier[name] = files.open_for_reading(self._full(name))
            except FileNotFoundError:
                self._earlier[name] = None
        return self._earlier[name]
