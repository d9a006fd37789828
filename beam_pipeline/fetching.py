"""A shard's clips into the store: what is there is checked, what is missing is visited, and all of it written down.

What became of each clip is kept in the store itself (`FetchLedger`), since every data set that is made from it wants to
know: a video that was private yesterday is not visited again for the next variant.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from beam_pipeline import files
from beam_pipeline.annotations import Row, merge
from beam_pipeline.clips import REASONS, Clip, ClipError, shard_of, too_short, utc_now
from beam_pipeline.errors import RunError
from beam_pipeline.heartbeat import BEAT_INTERVAL_S, REMOTE_STATE_INTERVAL_S, STATE_INTERVAL_S, beating
from beam_pipeline.job import Job, writing_to
from beam_pipeline.ledger import (
    LedgerRow,
    ShardState,
    StateRow,
    asked_row,
    begin_work,
    parse_state_name,
    read_state,
    state_path,
    write_state,
)
from beam_pipeline.media.process import run_probe_task
from beam_pipeline.media.task import ProbeTask
from beam_pipeline.pool import ChildPool, Pool, PoolError, Task
from beam_pipeline.shard_builder import Plan
from beam_pipeline.sources.disk import check_free
from beam_pipeline.sources.process import run_visit
from beam_pipeline.sources.visits import Fetched, Visits
from beam_pipeline.sources.youtube import YOUTUBE_ID_RE, VisitTask
from beam_pipeline.store import Absence, StoredFile, match_clips
from tf_data import contract

_MAY_BE_MENDED = ("crashed", "out_of_memory")  # a later version, or a larger machine, may do
_PROBE_CPU_S, _PROBE_WALL_S = 30.0, 300.0
_VISIT_CPU_S = 600.0  # a visit takes some seconds; a whole video that is cut here, minutes


@contextlib.contextmanager
def visiting(job: Job, pool: ChildPool | None) -> Iterator[Visits | None]:
    """Gives the visits of a lane while the block runs; None where there is nothing to visit."""
    if pool is None:
        yield None
        return
    source = job.source
    visits = Visits(source, pool, functools.partial(_visit, job), lambda: check_free(job.store, source.min_free_gib))
    try:
        yield visits
    finally:
        visits.close()


def _visit(job: Job, video_id: str, clips: Sequence[Clip], proxy: str | None) -> Task:
    task = VisitTask(
        video_id=video_id,
        clips=tuple(clips),
        youtube=job.source.youtube,
        target_px=job.media.encode.target_px,
        with_audio=job.media.audio is not None,
        store=job.store,
        proxy=proxy,
        min_duration_s=0.0,  # what is too short for this data set may do for another of the same store
    )
    return Task(run_visit, task, _VISIT_CPU_S, job.source.visit_timeout_s)


class FetchLedger:
    """What became of a shard's clips when they were fetched or checked, by clip id; `write` makes it last.

    Of clips that `asked` does not have, what earlier runs found out is kept.
    """

    def __init__(self, job: Job, split: str, shard: int, asked: Iterable[Row]):
        num_shards = job.num_shards[split]
        self._job, self._split, self._shard = job, split, shard
        self._path = state_path(job.fetch_directory, split, shard, num_shards)
        self._asked = {row.key: asked_row(job, split, shard, row) for row in asked}
        before = read_state(self._path)
        self.rows = (
            {state.row.clip_id: self._renewed(state) for state in (*before.rows, *before.others)} if before else {}
        )
        self._head = ShardState(split, shard, num_shards, False, 0, len(self._asked), ())
        self._work = begin_work(job.run_id)
        self._lock = threading.Lock()
        self._is_written = False
        self._written_at = time.monotonic()

    def note(
        self, key: str, outcome: Any, file: StoredFile | None, tries: int = 1, tried_at: str = "", visited: bool = False
    ) -> None:
        """Takes a clip's fate; the file on the disk follows within seconds. May be called from several threads.

        Args:
          key: the clip's.
          outcome: what is known of its file, or the `ClipError` that says why there is none.
          file: its file, if there is one.
          tries: how often it was tried now.
          tried_at: when, if not now.
          visited: whether its site decided it.
        """
        state = replace(self._state(key, outcome, file, tries, tried_at or utc_now()), visited=visited)
        with self._lock:
            self.rows[key] = state
            self._work = replace(self._work, clip_at=utc_now())
            interval_s = STATE_INTERVAL_S if files.is_local(self._path) else REMOTE_STATE_INTERVAL_S
            if time.monotonic() - self._written_at > interval_s:
                self._write(sealed=False)

    def keep(self, state: StateRow) -> None:
        """Takes a row as it is."""
        with self._lock:
            self.rows[state.row.clip_id] = state

    def leave(self, why: str) -> None:
        """Takes down that clips are left that may still succeed, and why."""
        self._head = replace(self._head, unfinished=why)

    def beat(self) -> None:
        """Says on the disk that the shard is at work, where that is not there or has stood for long."""
        with self._lock:
            if not self._is_written or time.monotonic() - self._written_at > BEAT_INTERVAL_S:
                self._write(sealed=False)

    def write(self, sealed: bool) -> None:
        """Puts what is known on the disk; `sealed`: every clip has been settled."""
        with self._lock:
            self._write(sealed)

    def _write(self, sealed: bool) -> None:
        rows = tuple(self.rows[key] for key in sorted(self.rows) if key in self._asked)
        others = tuple(self.rows[key] for key in sorted(self.rows) if key not in self._asked)
        size = sum(state.row.bytes for state in rows)
        work = None if sealed else replace(self._work, alive_at=utc_now())
        write_state(self._path, replace(self._head, sealed=sealed, bytes=size, rows=rows, others=others, work=work))
        self._is_written = True
        self._written_at = time.monotonic()

    def _renewed(self, state: StateRow) -> StateRow:
        """Returns a row with the label that the clip has now."""
        asked = self._asked.get(state.row.clip_id)
        if asked is None:
            return state
        return replace(state, row=replace(state.row, label=asked.label, label_index=asked.label_index))

    def _state(self, key: str, outcome: Any, file: StoredFile | None, tries: int, tried_at: str) -> StateRow:
        known = self.rows.get(key)
        row = replace(
            self._asked[key],
            attempts=(known.row.attempts if known else 0) + tries,
            attempted_at=tried_at if tries else known.row.attempted_at if known else "",
            source_uri=self._job.path_of(file) if file else "",
        )
        if not isinstance(outcome, ClipError) and outcome.duration_s < self._job.media.encode.min_duration_s:
            outcome = too_short(outcome.duration_s, self._job.media.encode.min_duration_s)
        if isinstance(outcome, ClipError):
            transient = REASONS[outcome.reason]
            failed = replace(row, status="failed", reason=outcome.reason, transient=transient, detail=outcome.detail)
            return StateRow(failed, source_bytes=file.size if file else -1)
        assert file
        ok = replace(
            row,
            duration_s=outcome.duration_s,
            width=outcome.width,
            height=outcome.height,
            bytes=file.size,
            has_audio=outcome.has_audio,
        )
        return StateRow(ok, source_bytes=file.size)


def reshard(job: Job) -> None:
    """Makes what a store knows of a data set's clips that of the job's shards, where it was made with other numbers.

    A variant may have other shards, and is not to visit again what an earlier one found gone. Nothing is lost if it is
    broken off: the old files go when the new ones are there.

    Raises:
      OSError: the store can't be written.
    """
    folder = files.join(job.fetch_directory, contract.STATE_DIR)
    places = {name: place for name in files.names(folder) if (place := parse_state_name(name))}
    for split, num_shards in job.num_shards.items():
        of_split = [name for name, place in places.items() if place[0] == split]
        old = [name for name in of_split if places[name][2] != num_shards]
        if not old:
            continue
        known: dict[int, dict[str, StateRow]] = {}
        for name in sorted(of_split, key=lambda name: name not in old):  # what the newer ones say counts
            state = read_state(files.join(folder, name))
            for row in (*state.rows, *state.others) if state else ():
                if row.row.reason != "bad_annotation":
                    shard = shard_of(row.row.video_id, num_shards)
                    known.setdefault(shard, {})[row.row.clip_id] = replace(row, row=replace(row.row, shard=shard))
        for shard, rows in known.items():
            others = tuple(rows[key] for key in sorted(rows))
            path = state_path(job.fetch_directory, split, shard, num_shards)
            write_state(path, ShardState(split, shard, num_shards, False, 0, 0, (), others=others))
        for name in old:
            files.delete(files.join(folder, name))


def fetch_shard(
    job: Job,
    split: str,
    shard: int,
    rows: Iterable[Row],
    stored: Iterable[StoredFile],
    pool: Pool,
    visits: Visits | None,
    absence: Absence,
) -> str:
    """Fills the store with a shard's clips and checks each once: it opens, has video, and the right length.

    Args:
      job: the run.
      split: the split's name.
      shard: the shard's number.
      rows: the annotation rows of its videos.
      stored: the files whose names speak of its videos.
      pool: where files are checked.
      visits: where missing clips come from, if from anywhere.
      absence: why a clip has no file, where nothing else is known.

    Returns:
      The path of the state in the store.

    Raises:
      RunError: the store can't be written.
    """
    with writing_to(job.store):
        wanted = merge(rows)
        matched = match_clips([row.clip for row in wanted if not row.error], stored, job.media.trimmed)
        made = read_state(state_path(job.directory, split, shard, job.num_shards[split]))
        before = {state.row.clip_id: state for state in made.rows} if made else {}
        plans = [Plan(row.key, row, matched.get(row.key), before.get(row.key), absence) for row in wanted]
        with fetch_ledger(job, split, shard, plans) as ledger:
            tasks = ((plan, _probe(job, plan, ledger)) for plan in obtained(job, plans, ledger, visits))
            for plan, outcome in pool.map(tasks):
                _settle(plan, outcome, ledger)
        return state_path(job.fetch_directory, split, shard, job.num_shards[split])


@contextlib.contextmanager
def fetch_ledger(job: Job, split: str, shard: int, plans: Sequence[Plan]) -> Iterator[FetchLedger]:
    """Gives the store's ledger of a shard, and writes it at the end, whatever that is.

    Raises:
      RunError: the store can't be written.
    """
    with writing_to(job.store):
        ledger = FetchLedger(job, split, shard, [plan.row for plan in plans if plan.row])
    sealed = False
    try:
        with beating(ledger.beat):
            yield ledger
        sealed = True
    finally:
        with writing_to(job.store):
            ledger.write(sealed)


def obtained(job: Job, plans: Sequence[Plan], ledger: FetchLedger, visits: Visits | None) -> Iterator[Plan]:
    """Yields the plans in their order, each with its file once that is in the store, or with why it is not.

    All videos of the shard are asked for at once. Those whose clips have a record are left alone, and so are those of
    which their site said that they have failed for good, unless the run is to try these again.

    Raises:
      RunError: visits can't go on.
    """
    if visits is None:
        yield from plans
        return
    absent: dict[str, Absence] = {}
    videos: dict[str, list[Clip]] = {}
    for plan in plans:
        row = plan.row
        if row is None or row.error or plan.file is not None or plan.has_record:
            continue
        known = ledger.rows.get(plan.key)
        no_file = known is not None and known.visited and known.source_bytes < 0
        if known and no_file and _failed_for_good(known.row) and not job.retry_permanent:
            absent[plan.key] = _absence(known)
        elif not YOUTUBE_ID_RE.fullmatch(row.video_id):
            error = ClipError("bad_annotation", f"{row.where}: {row.video_id!r} is not one of YouTube's ids")
            ledger.note(plan.key, error, None, tries=0)
            absent[plan.key] = _absence(ledger.rows[plan.key])
        else:
            videos.setdefault(row.video_id, []).append(row.clip)

    futures = {id_: visits.request(id_, clips, functools.partial(_note, ledger)) for id_, clips in videos.items()}
    waiting = {clip.clip_id for clips in videos.values() for clip in clips}
    for plan in plans:
        if plan.key in waiting and plan.row:
            result = _fetched(job, futures[plan.row.video_id])[plan.key].result
            if not isinstance(result, ClipError):
                yield replace(plan, file=StoredFile(result.uri, result.size))
            elif result.reason == "not_attempted":
                yield replace(plan, absence=Absence(result.reason, result.detail))
            else:
                yield replace(plan, absence=_absence(ledger.rows[plan.key]))
        else:
            visits.check()
            yield replace(plan, absence=absent.get(plan.key, plan.absence))


def _note(ledger: FetchLedger, key: str, fetched: Fetched) -> None:
    result = fetched.result
    known = ledger.rows.get(key)
    if isinstance(result, ClipError):
        if result.reason != "not_attempted":
            ledger.note(key, result, None, fetched.tries, fetched.tried_at, visited=True)
        elif known is None or known.row.status == "ok":  # what is known of a failure is better
            ledger.note(key, result, None, tries=0)
    else:
        ledger.note(key, result, StoredFile(result.uri, result.size), fetched.tries, fetched.tried_at, visited=True)


def _fetched(job: Job, future: Future[dict[str, Fetched]]) -> dict[str, Fetched]:
    try:
        with writing_to(job.store):
            return future.result()
    except PoolError as error:
        raise RunError(f"{job.store}: {error}") from error


def _failed_for_good(row: LedgerRow) -> bool:
    return row.status == "failed" and not row.transient and row.reason not in _MAY_BE_MENDED


def _absence(known: StateRow) -> Absence:
    row = known.row
    return Absence(row.reason, row.detail, row.attempts, row.attempted_at)


def _probe(job: Job, plan: Plan, ledger: FetchLedger) -> Task | None:
    """Returns the check of a file, or None where it was made already."""
    if plan.row is None or plan.row.error or plan.file is None:
        return None
    known = ledger.rows.get(plan.key)
    settled = known and (known.row.status == "ok" or (_failed_for_good(known.row) and not job.retry_permanent))
    if known and settled and known.source_bytes == plan.file.size:
        return None
    task = ProbeTask(job.path_of(plan.file), plan.row.clip, job.media)
    return Task(run_probe_task, task, _PROBE_CPU_S, _PROBE_WALL_S)


def _settle(plan: Plan, outcome: Any, ledger: FetchLedger) -> None:
    """Takes down what became of a clip, unless its visit has done that."""
    row, file, absence = plan.row, plan.file, plan.absence
    assert row
    known = ledger.rows.get(plan.key)
    if row.error:
        ledger.note(plan.key, ClipError("bad_annotation", row.error), None, tries=0)
    elif isinstance(outcome, ClipError) and outcome.reason == "not_attempted":
        ledger.leave(outcome.detail)
        if known is None or known.source_bytes != (file.size if file else -1):
            ledger.note(plan.key, outcome, file, tries=0)
    elif outcome is not None:
        ledger.note(plan.key, outcome, file)
    elif file is None and plan.has_record and plan.before:
        if known is None:  # its file was there when its record was made
            made = replace(plan.before.row, bytes=plan.before.source_bytes, position=-1, num_frames=0)
            ledger.keep(StateRow(made, source_bytes=plan.before.source_bytes))
    elif file is None and absence.reason == "not_attempted":
        ledger.leave(absence.detail)
        if known is None or known.row.status == "ok":
            ledger.note(plan.key, ClipError(absence.reason, absence.detail), None, tries=0)
    elif file is None and (known is None or known.row.reason != absence.reason):
        ledger.note(plan.key, ClipError(absence.reason, absence.detail), None)
