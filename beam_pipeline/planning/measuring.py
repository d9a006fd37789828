"""A sample of clips, encoded where and as a run would encode them, and what each part of that took."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from beam_pipeline.budgets import budget
from beam_pipeline.clips import ClipError
from beam_pipeline.job import Job
from beam_pipeline.media.process import prepare_decoder, run_clip_task
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.media.task import ClipTask
from beam_pipeline.planning.census import Candidate
from beam_pipeline.pool import ChildPool, Task


@dataclass(frozen=True, slots=True)
class MeasuredClip:
    """What one clip took.

    Attributes:
      frames_s: processor seconds of reading the file, of its frames, and of the record.
      flow_s: of optical flow.
      audio_s: of sound.
      wall_s: seconds by the clock for all of it at once, with whatever else the machine was doing.
      bytes: of the record; 0 where it failed.
      flow_bytes: of these, of flow.
      audio_bytes: of these, of sound.
      upscaled: whether its frames are enlarged.
      has_audio: whether it has a track of sound.
      budget_s: processor seconds that a run would let it take.
      reason: empty, or why it would fail, as in a ledger.
      detail: the same for people.
    """

    frames_s: float = 0.0
    flow_s: float = 0.0
    audio_s: float = 0.0
    wall_s: float = 0.0
    bytes: int = 0
    flow_bytes: int = 0
    audio_bytes: int = 0
    upscaled: bool = False
    has_audio: bool = False
    budget_s: float = 0.0
    reason: str = ""
    detail: str = ""

    @property
    def cpu_s(self) -> float:
        """Processor seconds in all."""
        return self.frames_s + self.flow_s + self.audio_s


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


def measure_clip(task: ClipTask) -> MeasuredClip:
    """Encodes one clip in this process, and again without flow and without sound, which leaves what these take.

    A clip that fails is one that a run pays for, too: its fate is returned, not raised.
    """
    settings = task.settings
    started_s, started_wall_s = time.process_time(), time.perf_counter()
    try:
        whole = run_clip_task(task)
        whole_s, wall_s = time.process_time() - started_s, time.perf_counter() - started_wall_s
        assert whole.record is not None
        without_flow = _part(task, replace(settings, flow=None)) if settings.flow else (whole_s, len(whole.record))
        without_both = _part(task, replace(settings, flow=None, audio=None)) if settings.audio else without_flow
    except ClipError as error:
        spent_s = time.process_time() - started_s
        wall_s = time.perf_counter() - started_wall_s
        return MeasuredClip(frames_s=spent_s, wall_s=wall_s, reason=error.reason, detail=error.detail)
    return MeasuredClip(
        frames_s=without_both[0],
        flow_s=max(0.0, whole_s - without_flow[0]),
        audio_s=max(0.0, without_flow[0] - without_both[0]),
        wall_s=wall_s,
        bytes=len(whole.record),
        flow_bytes=len(whole.record) - without_flow[1],
        audio_bytes=without_flow[1] - without_both[1],
        upscaled=whole.upscaled,
        has_audio=whole.has_audio,
    )


def _part(task: ClipTask, settings: MediaSettings) -> tuple[float, int]:
    """Returns the processor seconds and the bytes of a clip's record with settings that ask for less."""
    started_s = time.process_time()
    encoded = run_clip_task(replace(task, settings=settings))
    assert encoded.record is not None
    return time.process_time() - started_s, len(encoded.record)
