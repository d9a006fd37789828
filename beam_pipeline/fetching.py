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

from beam_pipeline.annotations import Row, merge
from beam_pipeline.clips import REASONS, Clip, ClipError, utc_now
from beam_pipeline.job import Job, RunError, writing_to
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, asked_row, read_state, state_path, write_state
from beam_pipeline.media.process import run_probe_task
from beam_pipeline.media.task import ProbeTask
from beam_pipeline.pool import ChildPool, Pool, PoolError, Task
from beam_pipeline.shard_builder import STATE_INTERVAL_S, Plan
from beam_pipeline.sources.disk import check_free
from beam_pipeline.sources.process import run_visit
from beam_pipeline.sources.visits import Fetched, Visits
from beam_pipeline.sources.youtube import VIDEO_ID_RE, VisitTask
from beam_pipeline.store import NOT_FOUND, Absence, StoredFile, match_clips

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
        target_px=job.media.encode.shorter_side,
        with_audio=job.media.audio is not None,
        store=job.store,
        proxy=proxy,
        min_duration_s=job.media.encode.min_duration_s,
    )
    return Task(run_visit, task, _VISIT_CPU_S, job.source.visit_timeout_s)


class FetchLedger:
    """What became of a shard's clips when they were fetched or checked, by clip id; `write` makes it last."""

    def __init__(self, job: Job, split: str, shard: int, asked: int):
        num_shards = job.num_shards[split]
        self._job, self._split, self._shard = job, split, shard
        self._path = state_path(job.fetch_directory, split, shard, num_shards)
        before = read_state(self._path)
        self.rows = {state.row.clip_id: state for state in before.rows} if before else {}
        self._head = ShardState(split, shard, num_shards, False, 0, asked, ())
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    def note(self, row: Row, outcome: Any, file: StoredFile | None, tries: int = 1, tried_at: str = "") -> None:
        """Takes a clip's fate: what is known of its file, or the `ClipError` that says why there is none.

        May be called from several threads; the file on the disk follows within seconds.
        """
        state = self._state(row, outcome, file, tries, tried_at or utc_now())
        with self._lock:
            self.rows[row.key] = state
            if time.monotonic() - self._written_at > STATE_INTERVAL_S:
                self._write(sealed=False)

    def keep(self, state: StateRow) -> None:
        """Takes a row as it is."""
        with self._lock:
            self.rows[state.row.clip_id] = state

    def write(self, sealed: bool) -> None:
        """Puts what is known on the disk; `sealed`: every clip has been settled."""
        with self._lock:
            self._write(sealed)

    def _write(self, sealed: bool) -> None:
        rows = tuple(self.rows[key] for key in sorted(self.rows))
        size = sum(state.row.bytes for state in rows)
        write_state(self._path, replace(self._head, sealed=sealed, bytes=size, rows=rows))
        self._written_at = time.monotonic()

    def _state(self, row: Row, outcome: Any, file: StoredFile | None, tries: int, tried_at: str) -> StateRow:
        known = self.rows.get(row.key)
        ledger_row = replace(
            asked_row(self._job, self._split, self._shard, row),
            attempts=(known.row.attempts if known else 0) + tries,
            attempted_at=tried_at if tries else known.row.attempted_at if known else "",
            source_uri=self._job.path_of(file) if file else "",
        )
        if isinstance(outcome, ClipError):
            transient = REASONS[outcome.reason]
            failed = replace(
                ledger_row, status="failed", reason=outcome.reason, transient=transient, detail=outcome.detail
            )
            return StateRow(failed, source_bytes=file.size if file else -1)
        assert file
        ok = replace(
            ledger_row,
            duration_s=outcome.duration_s,
            width=outcome.width,
            height=outcome.height,
            bytes=file.size,
            has_audio=outcome.has_audio,
        )
        return StateRow(ok, source_bytes=file.size)


def fetch_shard(
    job: Job,
    split: str,
    shard: int,
    rows: Iterable[Row],
    stored: Iterable[StoredFile],
    pool: Pool,
    visits: Visits | None = None,
    absence: Absence = NOT_FOUND,
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
        ledger = FetchLedger(job, split, shard, len(plans))
        try:
            tasks = ((plan, _probe(job, plan, ledger)) for plan in obtained(job, plans, ledger, visits))
            for plan, outcome in pool.map(tasks):
                _settle(job, plan, outcome, ledger)
        except BaseException:
            ledger.write(sealed=False)
            raise
        ledger.write(sealed=True)
        return state_path(job.fetch_directory, split, shard, job.num_shards[split])


def obtained(job: Job, plans: Sequence[Plan], ledger: FetchLedger, visits: Visits | None) -> Iterator[Plan]:
    """Yields the plans in their order, each with its file once that is in the store, or with why it is not.

    All videos of the shard are asked for at once. Those whose clips have a record are left alone, and so are those that
    failed for good, unless the run is to try these again.
    """
    rows: dict[str, Row] = {}
    videos: dict[str, list[Clip]] = {}
    absent: dict[str, Absence] = {}
    for plan in plans:
        if visits is None or plan.row is None or plan.row.error or plan.file is not None or plan.has_record:
            continue
        known = ledger.rows.get(plan.key)
        if known and _failed_for_good(known.row) and not job.retry_permanent:
            absent[plan.key] = _absence(known)
        elif not VIDEO_ID_RE.fullmatch(plan.row.video_id):
            error = ClipError("bad_annotation", f"{plan.row.where}: {plan.row.video_id!r} is not one of YouTube's ids")
            ledger.note(plan.row, error, None, tries=0)
            absent[plan.key] = _absence(ledger.rows[plan.key])
        else:
            rows[plan.key] = plan.row
            videos.setdefault(plan.row.video_id, []).append(plan.row.clip)

    def tell(clip_id: str, fetched: Fetched) -> None:
        result, file = fetched.result, None
        if not isinstance(result, ClipError):
            file = StoredFile(result.uri, result.size)
        elif result.reason == "not_attempted" and clip_id in ledger.rows:
            return  # what is known is better
        ledger.note(rows[clip_id], result, file, fetched.tries, fetched.tried_at)

    futures: dict[str, Future] = {}
    if visits is not None:
        futures = {video_id: visits.request(video_id, clips, tell) for video_id, clips in videos.items()}
    for plan in plans:
        if plan.key not in rows:
            yield replace(plan, absence=absent.get(plan.key, plan.absence))
            continue
        fetched = _result(job, futures[rows[plan.key].video_id])[plan.key]
        if isinstance(fetched.result, ClipError):
            yield replace(plan, absence=_absence(ledger.rows[plan.key]))
        else:
            yield replace(plan, file=StoredFile(fetched.result.uri, fetched.result.size))


def _result(job: Job, future: Future[dict[str, Fetched]]) -> dict[str, Fetched]:
    try:
        with writing_to(job.store):
            return future.result()
    except PoolError as error:
        raise RunError(f"{job.store}: {error}") from error


def _failed_for_good(row: LedgerRow) -> bool:
    return row.status == "failed" and not row.transient and row.reason not in _MAY_BE_MENDED


def _absence(known: StateRow) -> Absence:
    row: LedgerRow = known.row
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


def _settle(job: Job, plan: Plan, outcome: Any, ledger: FetchLedger) -> None:
    row = plan.row
    assert row
    known = ledger.rows.get(plan.key)
    if row.error:
        ledger.note(row, ClipError("bad_annotation", row.error), None, tries=0)
    elif outcome is not None:
        stopped = isinstance(outcome, ClipError) and outcome.reason == "not_attempted"
        ledger.note(row, outcome, plan.file, tries=0 if stopped else 1)
    elif plan.file is None and plan.has_record and plan.before:
        if known is None:  # its file was there when its record was made
            made = replace(plan.before.row, bytes=plan.before.source_bytes, position=-1, num_frames=0)
            ledger.keep(StateRow(made, source_bytes=plan.before.source_bytes))
    elif plan.file is None and (known is None or plan.absence.reason not in (known.row.reason, "not_attempted")):
        absence = plan.absence
        ledger.note(row, ClipError(absence.reason, absence.detail), None, tries=int(absence.reason != "not_attempted"))
