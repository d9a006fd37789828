"""The graph of the job, and nothing else: one line from units to finished splits, the same on every runner.

    units ─▶ Read ─▶ group by shard ─▶ MakeShard ─▶ group by split ─▶ Finalize
    annotation files    a join:          encode, write    info, index, ledger
    the store           row + file       one shard

What crosses a group is rows and file names, never pixels. One element type, one sink, no side inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from beam_pipeline import files
from beam_pipeline.annotations import Row, selected_rows
from beam_pipeline.clips import shard_of
from beam_pipeline.finalize import finalize
from beam_pipeline.job import Job
from beam_pipeline.media.memory import reuse_freed_memory
from beam_pipeline.media.process import prepare_decoder
from beam_pipeline.pool import DecodePool
from beam_pipeline.shards import make_shard
from beam_pipeline.store import StoredFile, list_store, video_ids

Unit = tuple[str, str, str, int]  # what to read (annotations, store, shards), split, path, position or count
ShardKey = tuple[str, int]  # split, shard
# A Row, a StoredFile, or nothing as the tuple of its fields: what Beam's own coder packs best.
Fields = tuple


def build(root: beam.Pipeline, job: Job) -> beam.PCollection:
    """Adds the whole job to a pipeline."""
    return (
        root
        | "Units" >> beam.Create(units(job), reshuffle=True)
        | "Read" >> beam.FlatMap(read_unit, job).with_output_types(tuple[ShardKey, Fields])
        | "By shard" >> beam.GroupByKey()
        | "Make shard" >> beam.ParDo(MakeShard(job, root.options)).with_output_types(tuple[str, str])
        | "By split" >> beam.GroupByKey()
        | "Finalize" >> beam.MapTuple(lambda split, states: finalize(job, split, states))
    )


def units(job: Job) -> list[Unit]:
    """Returns what is to be read: every annotation file, the store, and for each split that all its shards be made."""
    lists = [
        ("annotations", split, path, order)
        for split, paths in job.annotations.items()
        for order, path in enumerate(paths)
    ]
    return [*lists, ("store", "", job.store, 0), *(("shards", split, "", n) for split, n in job.num_shards.items())]


def read_unit(unit: Unit, job: Job) -> Iterator[tuple[ShardKey, Fields]]:
    """Yields the rows of an annotation file or the files of the store, each with the shard that it may belong to."""
    kind, split, path, number = unit
    if kind == "annotations":
        for row in selected_rows(path, job.selections[split], number):
            video_id = row.key if row.error else row.video_id
            yield (split, shard_of(video_id, job.num_shards[split])), _row_fields(row)
    elif kind == "store":
        for file in list_store(path):
            for split, num_shards in job.num_shards.items():
                for shard in {shard_of(video_id, num_shards) for video_id in video_ids(file)}:
                    yield (split, shard), (file.uri, file.size)
    else:
        for shard in range(number):
            yield (split, shard), ()


def _row_fields(row: Row) -> Fields:
    return tuple(getattr(row, name) for name in Row.__slots__)


class MakeShard(beam.DoFn):
    """Makes each shard it is given with a pool of decoding processes that its worker process has one of."""

    def __init__(self, job: Job, options: PipelineOptions):
        self._job = job
        store_options = None if files.is_local(job.store) else options.get_all_options(drop_default=True)
        self._prepare = functools.partial(prepare_decoder, store_options)
        self._shared = Shared()

    def setup(self) -> None:
        """Starts the pool, or takes the one that this process has."""
        reuse_freed_memory()  # records come and go here, too
        self._pool = self._shared.acquire(
            lambda: DecodePool(self._job.workers, self._job.limits.memory_mib, self._prepare)
        )

    def process(self, element: tuple[ShardKey, Iterable[Fields]]) -> Iterator[tuple[str, str]]:
        """Makes one shard; yields its split and the path of its state."""
        (split, shard), values = element
        rows, stored = [], []
        for fields in values:
            if len(fields) == 2:
                stored.append(StoredFile(*fields))
            elif fields:
                rows.append(Row(*fields))
        yield split, make_shard(self._job, split, shard, rows, stored, self._pool)

    def teardown(self) -> None:
        """Lets go of the pool, which ends with the last that holds it."""
        del self._pool
