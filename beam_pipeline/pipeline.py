"""The graph of the job, and nothing else: one line from units to finished splits, the same on every runner.

    units ─▶ Read ─▶ group by shard ─▶ MakeShards ─▶ group by split ─▶ Finalize
    annotation files    a join:          fetch, encode,  info, index, ledger
    the store           row + file       write shards
    archives

What crosses a group is rows and file names, never pixels. One element type, one sink, no side inputs. Archives are
read into the store before the join, since any member may belong to any shard; videos are visited behind it, so that the
first shard is done as soon as its own clips are there. `fetch` is the same graph, whose shards are filled, not written.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from beam_pipeline import files
from beam_pipeline.annotations import Row, selected_rows
from beam_pipeline.clips import REASONS, shard_of
from beam_pipeline.code_digest import check_same_code
from beam_pipeline.fetching import fetch_shard, visiting
from beam_pipeline.finalize import finalize
from beam_pipeline.job import Job
from beam_pipeline.media.memory import reuse_freed_memory
from beam_pipeline.media.process import prepare_decoder
from beam_pipeline.pool import ChildPool
from beam_pipeline.shards import make_shard
from beam_pipeline.sources.process import prepare_visits
from beam_pipeline.sources.visits import Visits
from beam_pipeline.store import (
    IN_NO_ARCHIVE,
    NO_FOLDER,
    NOT_FOUND,
    Absence,
    StoredFile,
    list_frame_folders,
    list_store,
    video_ids,
)
from beam_pipeline.store_guard import GuardedPool
from beam_pipeline.unpacking import archive_to_store

Unit = tuple[str, str, str, int]  # what to read (annotations, store, archive, shard), split, path, position or number
Lane = tuple[str, int]  # shards that are made one after another (`Job.lane_of`)
# Split and shard, and the fields of a Row, a StoredFile, an Absence or nothing: what Beam's own coder packs best.
Element = tuple[str, int, tuple]


def build(root: beam.Pipeline, job: Job) -> beam.PCollection:
    """Adds the whole job to a pipeline."""
    return (
        root
        | "Units" >> beam.Create(units(job), reshuffle=True)
        | "Read" >> beam.FlatMap(read_unit, job).with_output_types(tuple[Lane, Element])
        | "By shard" >> beam.GroupByKey()
        | "Make shards" >> beam.ParDo(MakeShards(job, root.options)).with_output_types(tuple[str, str])
        | "By split" >> beam.GroupByKey()
        | "Finalize" >> beam.MapTuple(functools.partial(finalize, job))
    )


def units(job: Job) -> list[Unit]:
    """Returns what is to be read: annotation files, archives, the store, and of each shard that it be made.

    Dask has no more tasks at a time than there are units.
    """
    return [
        *(
            ("annotations", split, path, order)
            for split, paths in job.annotations.items()
            for order, path in enumerate(paths)
        ),
        *(("archive", archive.split, archive.url, place) for place, archive in enumerate(job.archives)),
        ("store", "", job.store, 0),
        *(("shard", split, "", shard) for split, count in job.num_shards.items() for shard in range(count)),
    ]


def read_unit(unit: Unit, job: Job) -> Iterator[tuple[Lane, Element]]:
    """Yields rows, files of the store and failures of archives, each with the shard that they may belong to."""
    check_same_code(job.code)
    for split, shard, fields in _read(unit, job):
        yield job.lane_of(split, shard), (split, shard, fields)


def _read(unit: Unit, job: Job) -> Iterator[Element]:
    kind, split, path, number = unit
    if kind == "annotations":
        for row in selected_rows(path, job.selections[split], number):
            video_id = row.key if row.error else row.video_id
            yield split, shard_of(video_id, job.num_shards[split]), ("row", *_values(row))
    elif kind == "store":
        frames = job.source.kind == "frames"
        for file in list_frame_folders(path) if frames else list_store(path, may_be_empty=job.source.fills_store):
            yield from _places(file, job)
    elif kind == "archive":
        for found in archive_to_store(job, job.archives[number]):
            if isinstance(found, StoredFile):
                yield from _places(found, job)
            else:
                for each in (split,) if split else job.num_shards:
                    yield from ((each, shard, ("absence", *_values(found))) for shard in range(job.num_shards[each]))
    else:
        yield split, number, ()


def _places(file: StoredFile, job: Job) -> Iterator[Element]:
    """Yields a file for each shard that its name may speak of."""
    for split, num_shards in job.num_shards.items():
        for shard in {shard_of(video_id, num_shards) for video_id in video_ids(file)}:
            yield split, shard, ("file", *_values(file))


def _succeeded(making: Future[str]) -> bool:
    return making.exception() is None


def _severity(absence: Absence) -> tuple[bool, bool, bool, str]:
    """Orders reasons why a clip may be missing: what may still come, then what was there, then what never was."""
    reason = absence.reason
    return reason != "not_attempted", not REASONS[reason], reason == "not_found", absence.detail


def _values(value: Row | StoredFile | Absence) -> tuple:
    return tuple(getattr(value, name) for name in value.__slots__)


class MakeShards(beam.DoFn):
    """Makes the shards of each lane it is given with child processes that its worker process has one pool of."""

    def __init__(self, job: Job, options: PipelineOptions):
        self._job = job
        remote = not files.is_local(job.store)
        store_options = options.get_all_options(drop_default=True) if remote else None
        self._prepare_decoder = functools.partial(prepare_decoder, store_options, job.media.flow)
        self._prepare_visits = functools.partial(prepare_visits, store_options)
        self._decoders = Shared()
        self._visitors = Shared()

    def setup(self) -> None:
        """Starts the pools, or takes those that this process has."""
        check_same_code(self._job.code)
        reuse_freed_memory()  # records come and go here, too
        job = self._job
        decoders = self._decoders.acquire(lambda: ChildPool(job.workers, job.limits.memory_mib, self._prepare_decoder))
        self._pool = GuardedPool(decoders, job.store)
        self._visitors_pool = None
        if job.source.kind == "youtube":  # no memory limit: V8, which runs YouTube's scripts, reserves terabytes
            self._visitors_pool = self._visitors.acquire(
                lambda: ChildPool(job.source.visits_at_a_time, None, self._prepare_visits)
            )

    def process(self, element: tuple[Lane, Iterable[Element]]) -> Iterable[tuple[str, str]]:
        """Makes the shards of a lane in turn; returns the split and the path of the state of each."""
        splits = list(self._job.num_shards)
        shards: dict[tuple[int, int], list[tuple]] = {}
        for split, shard, fields in element[1]:
            shards.setdefault((splits.index(split), shard), []).append(fields)
        # While a shard waits to try a video once more, those of the next one are visited.
        at_a_time = 2 if self._visitors_pool else 1
        with ThreadPoolExecutor(at_a_time) as threads, visiting(self._job, self._visitors_pool) as visits:
            makings = {
                threads.submit(self._make, splits[place], shard, shards.pop((place, shard)), visits): splits[place]
                for place, shard in sorted(shards)
            }
            done, left = wait(makings, return_when=FIRST_EXCEPTION)
            for making in left:
                making.cancel()
            return [(makings[making], making.result()) for making in sorted(done, key=_succeeded)]

    def _make(self, split: str, shard: int, found: list[tuple], visits: Visits | None) -> str:
        rows = [Row(*fields[1:]) for fields in found if fields and fields[0] == "row"]
        stored = [StoredFile(*fields[1:]) for fields in found if fields and fields[0] == "file"]
        absences = [Absence(*fields[1:]) for fields in found if fields and fields[0] == "absence"]
        unknown = {"archive": IN_NO_ARCHIVE, "frames": NO_FOLDER}.get(self._job.source.kind, NOT_FOUND)
        absence = min(absences, key=_severity, default=unknown)
        make = fetch_shard if self._job.fetch_only else make_shard
        return make(self._job, split, shard, rows, stored, self._pool, visits, absence)

    def teardown(self) -> None:
        """Lets go of the pools, which end with the last that holds them."""
        del self._pool, self._visitors_pool
