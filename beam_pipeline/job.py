"""What all shards of a run have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beam_pipeline.annotations import Selection
from beam_pipeline.config import Limits
from beam_pipeline.media.settings import MediaSettings


class RunError(Exception):
    """What is wrong with the run and not with a clip: it stops the job, and the message says what to do."""


@dataclass(frozen=True)
class Job:
    """A run of the job. Small, and sent to every worker."""

    run_id: str
    name: str
    directory: str  # of this version of the data set
    store: str
    media: MediaSettings
    limits: Limits
    workers: int  # decoding processes a worker machine
    annotations: dict[str, tuple[str, ...]]  # files a split
    num_shards: dict[str, int]  # a split
    selections: dict[str, Selection]  # a split
    configuration: dict[str, Any]  # all of it, as it stands in `info-<split>.json`

    @property
    def limited(self) -> bool:
        """Whether only a part of the clips is asked for (`--limit`)."""
        return any(selection.limit_key is not None for selection in self.selections.values())
