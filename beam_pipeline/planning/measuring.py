"""A sample of clips, encoded where and as a run would encode them, and what each part of that took."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from beam_pipeline.budgets import budget
from beam_pipeline.clips import ClipError
from beam_pipeline.job import Job
from beam_pipeline.media.process import prepare_decoder
from beam_pipeline.media.task import ClipTask
from beam_pipeline.planning.census import Candidate
from beam_pipeline.planning.measured_clip import MeasuredClip, measure_clip
from beam_pipeline.pool import ChildPool, Task


def measure_sample(
    job: Job, candidates: Sequence[Candidate], store_options: dict[str, Any] | None
) -> tuple[MeasuredClip, ...]:
    """Encodes clips in decoding processes, as many at a time as a run on this machine has.

    Args:
      job: how they are to be encoded.
      candidates: which.
      store_options: Beam's pipeline options for a remote store; None for a local one.

    Raises:
      PoolError: processes can't be started.
    """
    pool = ChildPool(
        job.workers, job.limits.memory_mib, functools.partial(prepare_decoder, store_options, job.media.flow)
    )
    try:
        return tuple(outcome for _, outcome in _outcomes(job, candidates, pool))
    finally:
        pool.close()


def _outcomes(job: Job, candidates: Sequence[Candidate], pool: ChildPool) -> list[tuple[Candidate, MeasuredClip]]:
    tasks = [(candidate, _task(job, candidate)) for candidate in candidates]
    return [(candidate, _measured(job, candidate, outcome)) for candidate, outcome in pool.map(tasks)]


def _task(job: Job, candidate: Candidate) -> Task:
    clip, file = candidate.clip, candidate.file
    clip_task = ClipTask(
        clip=clip,
        label_index=job.selections[candidate.split].label_index(clip.label),
        split=candidate.split,
        dataset_name=job.name,
        path=job.path_of(file),
        uri=file.uri,
        size=file.size,
        known_crc32c=None,
        settings=job.media,
    )
    cpu_s, wall_s = budget(clip, job.media, job.limits)
    return Task(measure_clip, clip_task, 3 * cpu_s, 3 * wall_s)  # it is encoded up to three times


def _measured(job: Job, candidate: Candidate, outcome: MeasuredClip | ClipError) -> MeasuredClip:
    budget_s, _ = budget(candidate.clip, job.media, job.limits)
    if isinstance(outcome, ClipError):
        spent_s = budget_s if outcome.reason == "timeout" else 0.0
        outcome = MeasuredClip(frames_s=spent_s, wall_s=spent_s, reason=outcome.reason, detail=outcome.detail)
    return replace(outcome, budget_s=budget_s)
