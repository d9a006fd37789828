"""An archive into the store, before anything is made of it: its members may belong to any shard."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from beam_pipeline.annotations import Selection, selected_rows
from beam_pipeline.job import Job, writing_to
from beam_pipeline.ledger import read_state, state_path
from beam_pipeline.sources.archives import Archive, fetch_archive
from beam_pipeline.store import Absence, StoredFile


def archive_to_store(job: Job, archive: Archive) -> Iterator[StoredFile | Absence]:
    """Yields the clips of an archive as they come into the store, and why those may be missing that do not.

    Raises:
      RunError: the store can't be written.
    """
    splits = (archive.split,) if archive.split else tuple(job.num_shards)
    wanted = frozenset().union(*(_asked(job.run_id, job.annotations[split], job.selections[split]) for split in splits))
    made = frozenset().union(
        *(_with_records(job.run_id, job.directory, split, job.num_shards[split]) for split in splits)
    )
    with writing_to(job.store):
        for found in fetch_archive(archive, job.store, wanted, made, job.source.min_free_gib, job.retry_permanent):
            yield found if isinstance(found, StoredFile) else Absence(found.reason, found.detail)


@functools.lru_cache(maxsize=8)  # for all archives of a split
def _asked(_run_id: str, paths: tuple[str, ...], selection: Selection) -> frozenset[str]:
    return frozenset(
        row.key for order, path in enumerate(paths) for row in selected_rows(path, selection, order) if not row.error
    )


@functools.lru_cache(maxsize=8)
def _with_records(_run_id: str, directory: str, split: str, num_shards: int) -> frozenset[str]:
    """Returns the clips that earlier runs made records of, whose files may have gone since."""
    states = (read_state(state_path(directory, split, shard, num_shards)) for shard in range(num_shards))
    return frozenset(row.row.clip_id for state in states if state for row in state.rows if row.row.status == "ok")
