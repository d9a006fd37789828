"""One shard: what it asks for joined with what the store has, encoded, written whole, and accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from beam_pipeline import files
from beam_pipeline.annotations import Row, merge
from beam_pipeline.budgets import budget
from beam_pipeline.clips import REASONS, Clip, ClipError, utc_now
from beam_pipeline.errors import RunError
from beam_pipeline.fetching import fetch_ledger, obtained
from beam_pipeline.heartbeat import beating
from beam_pipeline.job import Job, writing_to
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, asked_row, read_state, state_path
from beam_pipeline.media.process import run_clip_task
from beam_pipeline.media.task import ClipTask, EncodedClip, FileError
from beam_pipeline.pool import Pool, Task
from beam_pipeline.shard_builder import Plan, ShardBuilder
from beam_pipeline.sources.visits import Visits
from beam_pipeline.store import NOT_FOUND, Absence, StoredFile, match_clips
from beam_pipeline.tfrecord import FRAMING_BYTES
from tf_data import contract

_UNKNOWN = -1
# Of a ledger row: what was asked for, and what was tried, whatever became of it.
_LASTING_COLUMNS = (
    *("clip_id", "video_id", "start_s", "end_s", "label", "label_index", "split"),
    *("attempts", "attempted_at", "source_uri", "shard"),
)


def make_shard(
    job: Job,
    split: str,
    shard: int,
    rows: Iterable[Row],
    stored: Iterable[StoredFile],
    pool: Pool,
    visits: Visits | None = None,
    absence: Absence = NOT_FOUND,
) -> str:
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
      visits: where clips come from that the store lacks, if from anywhere.
      absence: why a clip has no file, where nothing else is known.

    Returns:
      The path of the shard's state file.

    Raises:
      RunError: the output can't be written, or records would be lost that earlier runs wrote and nobody asks for now.
    """
    with writing_to(job.directory):
        path = state_path(job.directory, split, shard, job.num_shards[split])
        before = _before(job, split, shard, path)
        plans = [replace(plan, absence=absence) for plan in _plan(job, split, merge(rows), list(stored), before)]
        if visits is None:
            _build(job, split, shard, plans, plans, before, path, pool)
        else:
            with fetch_ledger(job, split, shard, plans) as ledger:
                _build(job, split, shard, plans, obtained(job, plans, ledger, visits), before, path, pool)
        return path


def _build(
    job: Job,
    split: str,
    shard: int,
    plans: list[Plan],
    plans_with_files: Iterable[Plan],
    before: ShardState | None,
    path: str,
    pool: Pool,
) -> None:
    maker = _Maker(job, split, shard)

    def remake(plan: Plan) -> tuple[StateRow, bytes | None]:
        ((_, outcome),) = pool.map([(plan, maker.task(plan, again=True))])
        return maker.settle(plan, outcome, record_is_lost=True)

    builder = ShardBuilder(job, split, shard, plans, before, path, remake)
    try:
        with beating(builder.beat):
            for plan, outcome in pool.map((plan, maker.task(plan)) for plan in plans_with_files):
                builder.add(plan, *maker.settle(plan, outcome))
                if why := _left_because(plan, outcome):
                    builder.leave(why)
            builder.seal()
    finally:
        builder.close()


def _before(job: Job, split: str, shard: int, path: str) -> ShardState | None:
    """Returns what earlier runs made of a shard; rows whose record is not there any more have no file."""
    before = read_state(path)
    name = contract.shard_file(job.name, split, shard, job.num_shards[split])
    sizes = {name: files.size(files.join(job.directory, name))}
    if before is None:
        if sizes[name]:
            raise RunError(
                f"{job.directory}: {name} is there, but its state {path} is gone or damaged, so that nobody knows what "
                "it holds. Bring the state back, have verify --mark make one from the ledger, or delete the shard, "
                "which is then made anew from the store"
            )
        return None

    def is_there(row: StateRow) -> bool:
        if not row.file:
            return False
        if row.file not in sizes:
            sizes[row.file] = files.size(files.join(job.directory, *row.file.split("/")))
        end = row.offset + row.row.bytes + FRAMING_BYTES
        return any(end <= (sizes[file] or 0) for file in (row.file, name))

    rows = (row if row.row.status != "ok" or is_there(row) else replace(row, file="") for row in before.rows)
    return replace(before, rows=tuple(rows))


def _plan(job: Job, split: str, wanted: list[Row], stored: list[StoredFile], before: ShardState | None) -> list[Plan]:
    earlier = {state.row.clip_id: state for state in before.rows} if before else {}
    asked = {row.key for row in wanted}
    unasked = {key: state for key, state in earlier.items() if key not in asked}
    clips = [row.clip for row in wanted if not row.error]
    if job.is_limited(split):  # the other clips of a video count, where an earlier run has seen them
        clips += [_clip(state.row) for state in unasked.values() if state.row.reason != "bad_annotation"]
    matched = match_clips(clips, stored, job.media.trimmed)
    there = {job.path_of(file) for file in stored}
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
    if relabelled := [plan.key for plan in plans if plan.file is None and plan.has_record and not _same_label(plan)]:
        raise RunError(
            f"{job.directory}: {len(relabelled)} clips of one shard, such as {relabelled[0]}, have another label than "
            "their records, and no file in the store to make them anew from. Bring back the files or the labels"
        )
    return plans


def _clip(row: LedgerRow) -> Clip:
    return Clip(row.video_id, round(row.start_s * 1e6), round(row.end_s * 1e6))


def _same_label(plan: Plan) -> bool:
    return plan.before is None or plan.row is None or plan.before.row.label == plan.row.label


def _left_because(plan: Plan, outcome: Any) -> str:
    """Returns why a clip was left that may still succeed; '' where it was not."""
    if isinstance(outcome, ClipError):
        return outcome.detail if outcome.reason == "not_attempted" else ""
    is_absent = plan.file is None and plan.row is not None and not plan.row.error and not plan.has_record
    return plan.absence.detail if is_absent and plan.absence.reason == "not_attempted" else ""


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
            and not plan.record_is_lost
            and not before.row.transient
            and not (job.retry_permanent and before.row.status == "failed")
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
            path=job.path_of(file),
            uri=file.uri,
            size=file.size,
            known_crc32c=before.source_crc32c if before and same_request else None,
            settings=job.media,
        )
        return Task(run_clip_task, clip_task, *budget(row.clip, job.media, job.limits))

    def settle(self, plan: Plan, outcome: Any, record_is_lost: bool = False) -> tuple[StateRow, bytes | None]:
        """Returns the row of the ledger, and the record if it is a new one: an `ok` without one keeps what there is.

        `record_is_lost`: the bytes that an earlier run wrote turned out to be damaged, even if its row knows of none.
        """
        row, file = plan.row, plan.file
        record_is_lost = record_is_lost or plan.record_is_lost
        before = None if record_is_lost else plan.before
        if row is None:
            return before or self._lost(plan), None
        if row.error:
            return self._failed(plan, "bad_annotation", row.error, tried=False), None
        if file is None:
            if before and plan.has_record:
                return before, None  # its file has gone, its record stays
            if record_is_lost and plan.absence.reason == "not_found":
                return self._lost(plan), None
            return self._absent(plan, before), None
        if isinstance(outcome, EncodedClip):
            if outcome.record is None and before:
                return before, None
            return self._encoded(plan, file, outcome)
        assert isinstance(outcome, ClipError)
        if before and (outcome.reason == "not_attempted" or (plan.has_record and _same_label(plan))):
            return before, None  # what we have is better than what came of another try
        if outcome.reason == "not_attempted":
            return self._failed(plan, outcome.reason, outcome.detail, tried=False), None
        crc32c = outcome.crc32c if isinstance(outcome, FileError) else _UNKNOWN
        failed = self._failed(plan, outcome.reason, outcome.detail)
        return replace(failed, source_bytes=file.size, source_crc32c=crc32c, trimmed=self._job.media.trimmed), None

    def _absent(self, plan: Plan, before: StateRow | None) -> StateRow:
        absence, tried = plan.absence, plan.absence.reason != "not_attempted"
        if before and not tried:
            return before
        failed = self._failed(plan, absence.reason, absence.detail, tried)
        if not absence.attempts:
            return failed
        return replace(failed, row=replace(failed.row, attempts=absence.attempts, attempted_at=absence.attempted_at))

    def _lost(self, plan: Plan) -> StateRow:
        assert plan.before
        known = {name: getattr(plan.before.row, name) for name in _LASTING_COLUMNS}
        why = "its file is no longer in the store" if plan.row else "this run does not ask for it (--limit)"
        detail = f"its record was damaged on the disk, and {why}"
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
        quality = {name: getattr(clip, name) for name in contract.INDEX_QUALITY_COLUMNS}
        trimmed = self._job.media.trimmed
        made_from = StateRow(row, source_bytes=file.size, source_crc32c=clip.crc32c, trimmed=trimmed, **quality)
        return made_from, clip.record

    def _failed(self, plan: Plan, reason: str, detail: str, tried: bool = True) -> StateRow:
        row = self._row(plan, tried)
        return StateRow(replace(row, status="failed", reason=reason, transient=REASONS[reason], detail=detail))

    def _row(self, plan: Plan, tried: bool) -> LedgerRow:
        row = plan.row
        assert row
        earlier = plan.before.row if plan.before else None
        return replace(
            asked_row(self._job, self._split, self._shard, row),
            attempts=(earlier.attempts if earlier else 0) + tried,
            attempted_at=utc_now() if tried else earlier.attempted_at if earlier else "",
            source_uri=self._job.path_of(plan.file) if plan.file else "",
        )
