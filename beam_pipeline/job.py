"""What all shards of a run have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from beam_pipeline.annotations import Selection
from beam_pipeline.config import Limits
from beam_pipeline.media.settings import MediaSettings


class RunError(Exception):
    """What is wrong with the run and not with a clip: it stops the job, and the message says what to do."""


# Whose exceptions are no OSErrors.
_STORES = ("apache_beam.io.", "google.", "botocore.", "azure.")


@contextlib.contextmanager
def writing_to(directory: str) -> Iterator[None]:
    """Makes errors of the output's disk or store errors of the run."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith(_STORES):
            raise
        raise RunError(
            f"{directory}: can't be written: {error}. Nothing that was made is lost: mend it and run again"
        ) from error


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
        """Whether only a part of the clips of some split is asked for (`--limit`)."""
        return any(map(self.is_limited, self.selections))

    def is_limited(self, split: str) -> bool:
        """Whether only a part of the clips of a split is asked for; a limit above what there is leaves nothing out."""
        return self.selections[split].limit_key is not None
