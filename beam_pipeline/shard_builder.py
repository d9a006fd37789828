"""A shard's file while it is made: what earlier runs wrote is left or copied, and nothing is lost on the way."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from beam_pipeline import files
from beam_pipeline.annotations import Row
from beam_pipeline.clips import utc_now
from beam_pipeline.heartbeat import BEAT_INTERVAL_S, REMOTE_STATE_INTERVAL_S, STATE_INTERVAL_S
from beam_pipeline.job import Job
from beam_pipeline.ledger import ShardState, StateRow, begin_work, write_state
from beam_pipeline.store import NOT_FOUND, Absence, StoredFile
from beam_pipeline.tfrecord import CorruptRecordError, ShardWriter, read_record_at
from tf_data import contract


@dataclass(frozen=True, slots=True)
class Plan:
    """One clip of a shard: the row that asks for it, the file that holds it, and what an earlier run made of it."""

    key: str
    row: Row | None  # None: an earlier run asked for it, and this one is limited
    file: StoredFile | None
    before: StateRow | None
    absence: Absence = NOT_FOUND  # why there is no file, where there is none

    @property
    def has_record(self) -> bool:
        """Whether an earlier run made its record, and it is there."""
        return self.before is not None and self.before.row.status == "ok" and not self.record_is_lost

    @property
    def record_is_lost(self) -> bool:
        """Whether an earlier run made its record, which has gone with its file or is known to be damaged."""
        return self.before is not None and self.before.row.status == "ok" and not self.before.file


class ShardBuilder:
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
        self._work = begin_work(job.run_id)
        # Of the state's file, and of nothing that the work waits for: heartbeats go on while records are copied, and
        # while a store takes its time.
        self._lock = threading.Lock()
        self._state_is_written = False
        self._state_is_final = False
        self._state_at = time.monotonic()

    def add(self, plan: Plan, entry: StateRow, record: bytes | None) -> None:
        """Takes the next clip, in the order of the plans; an `ok` without a record has one in an earlier file."""
        if record is not None:
            self._move_left()
            entry = self._written(entry, record)
        elif entry.row.status == "ok":
            self._left.append((len(self._rows), plan))
        self._rows.append(entry)
        self._work = replace(self._work, clip_at=utc_now())
        self._write_state(STATE_INTERVAL_S if files.is_local(self._directory) else REMOTE_STATE_INTERVAL_S)

    def beat(self) -> None:
        """Says in the state that the shard is at work, where that is not there or has stood for long."""
        self._write_state(BEAT_INTERVAL_S if self._state_is_written else 0.0)

    def leave(self, why: str) -> None:
        """Takes down that clips are left that may still succeed, and why."""
        self._state = replace(self._state, unfinished=why)

    def seal(self) -> None:
        """Puts the finished shard in its place, unless it is there, and says so in the state; beats are idle then."""
        if self._is_as_before():
            self._seal_state(self._before.bytes if self._before else 0)
            return
        self._move_left()
        writer, file = self._open()
        self._write_state()  # should the renaming be the last that is done, the rows still tell what the file holds
        file.close()
        files.delete(self._full(self._index))  # it speaks of the shard as it was; without it, readers go by the files
        files.publish(self._full(self._temporary), self._full(self._name))
        self._rows = [replace(row, file=self._name) if row.offset >= 0 else row for row in self._rows]
        self._seal_state(writer.offset)

    def close(self) -> None:
        """Closes what is open; a shard that is not sealed is left for the next run."""
        for file in (self._file, *self._earlier.values()):
            if file is not None:
                with contextlib.suppress(Exception):  # of a file that could not be written, told already
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
        with self._lock:
            self._state_is_final = True
            state = replace(self._state, sealed=True, bytes=shard_bytes, rows=tuple(self._rows))
            if state != self._before or self._state_is_written:
                write_state(self._path, state)

    def _write_state(self, interval_s: float = 0.0) -> None:
        """Says how far the shard is, unless that was said within `interval_s` or was the last word.

        What earlier runs made of the clips that are still to come stays in it.
        """
        with self._lock:
            if self._state_is_final or time.monotonic() - self._state_at < interval_s:
                return
            rows = tuple(self._rows)
            to_come = [plan.before for plan in self._plans[len(rows) :] if plan.before]
            work = replace(self._work, alive_at=utc_now())
            write_state(self._path, replace(self._state, rows=(*rows, *to_come), work=work))
            self._state_is_written = True
            self._state_at = time.monotonic()

    def _open(self) -> tuple[ShardWriter, BinaryIO]:
        if self._file is None or self._writer is None:
            self._file = files.create(self._full(self._temporary))
            self._writer = ShardWriter(self._file)
        return self._writer, self._file

    def _written(self, entry: StateRow, record: bytes) -> StateRow:
        """Writes a record; returns its row with where it is."""
        writer, _ = self._open()
        offset = writer.write(record)
        writer.flush()  # before any state names it
        row = replace(entry.row, position=self._records)
        self._records += 1
        return replace(entry, row=row, file=self._temporary, offset=offset)

    def _move_left(self) -> None:
        """Copies the records that are still in earlier files, all of which come before the next one to be written."""
        left, self._left = self._left, []
        for place, plan in left:
            entry, record = self._rows[place], self._read(self._rows[place])
            if record is None:
                entry, record = self._remake(plan)
            self._rows[place] = entry if record is None else self._written(entry, record)
            self._work = replace(self._work, clip_at=utc_now())

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
