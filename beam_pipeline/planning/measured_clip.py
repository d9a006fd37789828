"""What one clip takes, measured in a decoding process: nothing here loads Beam."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from beam_pipeline.clips import ClipError
from beam_pipeline.media.process import run_clip_task
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.media.task import ClipTask


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
