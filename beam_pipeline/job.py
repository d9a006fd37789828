"""What all shards of a run have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from beam_pipeline import files
from beam_pipeline.annotations import Selection
from beam_pipeline.config import Limits
from beam_pipeline.errors import RunError
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.object_stores import is_of_store
from beam_pipeline.sources.archives import Archive
from beam_pipeline.sources.settings import Source
from beam_pipeline.store import FETCH_DIR, StoredFile


@contextlib.contextmanager
def writing_to(directory: str) -> Iterator[None]:
    """Makes errors of the output's disk or store errors of the run."""
    try:
        yield
    except Exception as error:
        if not is_of_store(error):
            raise
        why = error.strerror if isinstance(error, OSError) and error.strerror and not error.filename else error
        raise RunError(
            f"{directory}: can't be written: {why}. Nothing that was made is lost: mend it and run again"
        ) from error


def fetch_directory(store: str, name: str) -> str:
    """Returns where a store keeps what became of a data set's clips, of whatever version; laid out as an output."""
    return files.join(store, FETCH_DIR, "clips", name)


@dataclass(frozen=True)
class Job:
    """A run of the job. Small, and sent to every worker."""

    run_id: str
    name: str
    directory: str  # of this version of the data set
    source: Source
    media: MediaSettings
    limits: Limits
    workers: int  # decoding processes a worker machine
    annotations: dict[str, tuple[str, ...]]  # files a split
    num_shards: dict[str, int]  # a split
    selections: dict[str, Selection]  # a split
    configuration: dict[str, Any]  # all of it, as it stands in `info-<split>.json`
    archives: tuple[Archive, ...] = ()  # to be read into the store before shards are made
    fetch_only: bool = False  # fill the store and check what is in it; make no records
    retry_permanent: bool = False  # try again what failed for good, too
    code: str = ""  # `code_digest` of the machine that started the run

    @property
    def store(self) -> str:
        """The folder of the clips' files."""
        return self.source.store

    @property
    def fetch_directory(self) -> str:
        """Where the store keeps what became of this data set's clips when they were fetched."""
        return fetch_directory(self.store, self.name)

    @property
    def progress_directory(self) -> str:
        """Where this run keeps how far it is, and leaves its ledger."""
        return self.fetch_directory if self.fetch_only else self.directory

    def path_of(self, file: StoredFile) -> str:
        """Returns where a file of the store is."""
        return files.join(self.store, *file.uri.split("/"))

    def lane_of(self, split: str, shard: int) -> tuple[str, int]:
        """Returns the group in which a shard is made, one after another with the others of that group.

        Where videos are visited there are `source.lanes` groups, each with its share of the rate, so that the whole
        job keeps it however many machines it is spread over; else every shard is a group of its own.
        """
        return ("lane", shard % self.source.lanes) if self.source.kind == "youtube" else (split, shard)

    def is_limited(self, split: str) -> bool:
        """Whether only a part of the clips of a split is asked for (`--limit`).

        A limit above what there is leaves nothing out.
        """
        return self.selections[split].limit_key is not None
