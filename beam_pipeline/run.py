"""A run from start to end: what is checked before the graph, what surrounds it, and what is told after it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_pipeline import dataflow, engines, files
from beam_pipeline.annotations import AnnotationError, Scan, Selection, scan
from beam_pipeline.code_digest import code_digest
from beam_pipeline.config import Config, ConfigError, chosen_splits
from beam_pipeline.dataflow import JobFailed
from beam_pipeline.downloads import DownloadError, cached
from beam_pipeline.errors import NoSummary, RunError
from beam_pipeline.fetching import reshard
from beam_pipeline.fingerprint import settle_settings
from beam_pipeline.job import Job, writing_to
from beam_pipeline.labels import check_classes, read_class_list, read_label_list, shipped_labels
from beam_pipeline.ledger import read_state
from beam_pipeline.locks import LOCK_FILE, read_by_many, written_by_one
from beam_pipeline.pipeline import build
from beam_pipeline.pool import PoolError, close_pools, stopping
from beam_pipeline.progress import write_plan
from beam_pipeline.progress_display import progress_display
from beam_pipeline.pruning import Pruned, prune
from beam_pipeline.sources.archive_record import read_record
from beam_pipeline.sources.archives import Archive
from beam_pipeline.sources.disk import check_free
from beam_pipeline.sources.lists import archive_urls
from beam_pipeline.sources.settings import Source, YouTube
from beam_pipeline.sources.youtube_options import check_js_runtime
from beam_pipeline.store import FETCH_DIR, StoreError, check_store
from beam_pipeline.summary import SplitSummary, Summary
from beam_pipeline.web import is_url, without_secrets
from tf_data import contract

_PARTIAL_RE = re.compile(r"(?P<state>.+)\.[0-9a-f]{12}(-[0-9a-f]{8})?\.(ledger\.)?partial")
_OUR_ERRORS = (RunError, PoolError, AnnotationError, StoreError)  # by their names, as a traceback has them
# How they come back from a graph: raised again with an addition, or as the text of a traceback from another process.
_WHERE_RE = re.compile(r" \[while running .*", re.DOTALL)
_IN_TRACEBACK_RE = re.compile(rf"^\S*(?:{'|'.join(e.__name__ for e in _OUR_ERRORS)}): (?P<message>.*)", re.MULTILINE)


def run(
    config: Config,
    *,
    splits: Sequence[str] = (),
    limit: int | None = None,
    overwrite: bool = False,
    fetch_only: bool = False,
    retry_permanent: bool = False,
    beam_args: Sequence[str] = (),
) -> Summary:
    """Makes the data set that a configuration describes, or goes on with it where an earlier run stopped.

    Args:
      config: the configuration.
      splits: the splits to make; none: all.
      limit: only so many clips of each split, the first by a hash of their ids.
      overwrite: discard what is there of these splits, whatever it was made with.
      fetch_only: fill the store and check what is in it; make nothing of it.
      retry_permanent: try again what failed for good, too.
      beam_args: pipeline options of Beam's, which win over the configuration's; without a `runner` the job runs on this
        machine.

    Raises:
      ConfigError, AnnotationError, StoreError: what is asked for can't be done; nothing was changed.
      RunError: the run failed; what was made is kept, and running again goes on from there.
      NoSummary: the job was left to Dataflow, or cancelled there.
    """
    started = time.monotonic()
    options = PipelineOptions([*config.beam_arguments, *beam_args])
    options.view_as(SetupOptions).save_main_session = False  # nothing lives in __main__
    local = options.view_as(StandardOptions).runner in engines.LOCAL_RUNNERS
    chosen = chosen_splits(config, splits)
    pipeline = engines.new_pipeline(options, FnApiRunner() if local else None)
    if fetch_only and not config.source.fills_store:
        kind = config.source.kind
        raise ConfigError(f"source.kind {kind}: there is nothing to fetch; run makes the records of what is there")
    job, scans = survey(config, chosen, limit, cores=len(os.sched_getaffinity(0)) if local else 1)
    # On one machine lanes would take turns, each at its part of the rate.
    source = dataclasses.replace(job.source, lanes=1) if local else job.source
    job = dataclasses.replace(job, source=source, fetch_only=fetch_only, retry_permanent=retry_permanent)
    if dataflow.is_asked(pipeline):
        dataflow.prepare(pipeline, job)
    with contextlib.ExitStack() as locks:
        if job.source.fills_store:
            locks.enter_context(written_by_one(files.join(job.store, FETCH_DIR), "source.store"))
            with writing_to(job.store):
                check_free(job.store, job.source.min_free_gib)
                _remove_unfinished(job)
                reshard(job)
        locks.enter_context(read_by_many(job.store))
        if not fetch_only:
            locks.enter_context(written_by_one(files.join(job.directory, contract.STATE_DIR), "data_dir"))
            with writing_to(job.directory):
                settle_settings(job, overwrite)
                labels = "".join(f"{name}\n" for name in job.selections[chosen[0]].label_list)
                files.write_whole(files.join(job.directory, contract.LABELS_FILE), labels.encode())
                _remove_temporaries(job.directory)
        asked = {split: found.asked for split, found in scans.items()}
        with writing_to(job.progress_directory):
            beyond = {split: found.beyond_limit for split, found in scans.items()}
            write_plan(job.progress_directory, job, asked, beyond)
            if job.source.kind == "youtube" and not fetch_only:  # which clips the store has already, nobody has counted
                write_plan(job.fetch_directory, job, dict.fromkeys(asked))
        with _stop_on_signals(), progress_display(job, asked):
            _execute(job, pipeline)
            stopped = stopping.is_set()
        with writing_to(job.progress_directory):
            _remove_temporaries(job.progress_directory)
    return Summary(
        name=config.name,
        directory=job.store if fetch_only else job.directory,
        splits=tuple(_split_summary(job, split, scans[split]) for split in chosen),
        seconds=time.monotonic() - started,
        stopped=stopped,
        limited=any(_lacks_of_limit(job, split, scans[split]) for split in chosen),
        source=job.source.kind,
        fetched=fetch_only,
        failed_archives=_failed_archives(job),
    )


def prune_store(config: Config, splits: Sequence[str]) -> Pruned:
    """Runs `pruning.prune` for a configuration's data set and store, while no run is at work in either.

    Raises:
      ConfigError: there is no data set, or the store is one of frame folders.
      StoreError: there is no store.
      RunError: a run is at work there, or a file can't be read or deleted.
    """
    FileSystems.set_options(PipelineOptions(config.beam_arguments))
    check_store(config.source.store)
    if config.source.kind == "frames":
        raise ConfigError("source.kind frames: only files are pruned; a folder of frames is yours to delete")
    if not files.read_whole(files.join(config.version_dir, contract.LABELS_FILE)):
        raise ConfigError(f"{config.version_dir}: there is no data set; is data_dir the right one?")
    num_shards = {split: config.splits[split].shards for split in config.splits}
    with (
        written_by_one(files.join(config.source.store, FETCH_DIR), "source.store"),
        written_by_one(files.join(config.version_dir, contract.STATE_DIR), "data_dir"),
        read_by_many(config.source.store, exclude=True),
        writing_to(config.source.store),
    ):
        return prune(config.version_dir, config.name, config.source.store, num_shards, splits)


def survey(config: Config, chosen: Sequence[str], limit: int | None, cores: int) -> tuple[Job, dict[str, Scan]]:
    """Looks at everything that is asked for before anything runs: the store, the label list, every annotation file.

    Args:
      config: the configuration.
      chosen: the splits to be made.
      limit: as `run`.
      cores: how many decoding processes `workers: auto` means. On one machine all its cores, elsewhere one: engines
        start a worker process a core.

    Raises:
      ConfigError, AnnotationError, StoreError: as `run`.
      RunError: lists of the web can't be kept in `data_dir`.
    """
    if not config.source.fills_store:
        check_store(config.source.store)
    if config.source.kind == "youtube":
        try:
            check_js_runtime(config.source.youtube)
        except ValueError as error:
            raise ConfigError(f"source.youtube: {error}") from error
    try:
        labels = read_label_list(config.labels) if config.labels else shipped_labels(config.name)
        classes = frozenset(read_class_list(config.classes)) if config.classes is not None else None
    except ValueError as error:
        raise ConfigError(str(error)) from error
    # Without a label list its names are those of all splits, so that an index means the same whichever are made now.
    surveyed = chosen if labels is not None else list(config.splits)
    downloads = files.join(config.data_dir, "downloads")
    try:
        with writing_to(downloads):
            annotations = {split: _at_hand(config.splits[split].annotations, downloads) for split in surveyed}
            archives = _archives(config.source, chosen, downloads)
    except DownloadError as error:
        raise ConfigError(str(error)) from error
    scans = {split: scan(annotations[split], split, labels, classes, limit) for split in surveyed}
    if labels is None:
        labels = tuple(sorted({name for found in scans.values() for name in found.label_names}))
    try:
        check_classes(sorted(classes or ()), labels)
    except ValueError as error:
        raise ConfigError(f"classes: {error}") from error
    job = Job(
        run_id=uuid.uuid4().hex[:12],
        name=config.name,
        directory=config.version_dir,
        source=config.source,
        media=config.media,
        limits=config.limits,
        workers=cores if config.workers == "auto" else config.workers,
        annotations={split: annotations[split] for split in chosen},
        num_shards={split: config.splits[split].shards for split in chosen},
        selections={
            split: Selection(split, labels, classes, config.relabel, scans[split].limit_key) for split in chosen
        },
        configuration=_plain(config),
        archives=archives,
        code=code_digest(),
    )
    return job, {split: scans[split] for split in chosen}


def _at_hand(paths: Sequence[str], downloads: str) -> tuple[str, ...]:
    """Returns where files can be read: those of the web are downloaded once."""
    return tuple(cached(path, downloads) if is_url(path) else path for path in paths)


def _archives(source: Source, chosen: Sequence[str], downloads: str) -> tuple[Archive, ...]:
    """Returns the archives to read: those of the chosen splits, and the corrected copies of any."""
    if source.kind != "archive":
        return ()
    splits: dict[str, str] = {}
    for split in chosen:
        for url in archive_urls(source.archives[split], downloads):
            splits[url] = "" if url in splits else split  # one of several splits is read once, for all of them
    corrected = (Archive(url, "", True) for url in archive_urls(source.replacements, downloads))
    return (*corrected, *(Archive(url, split, False) for url, split in splits.items()))


def _failed_archives(job: Job) -> dict[str, str]:
    records = [read_record(job.store, archive.url) for archive in job.archives]
    return {record.url: record.detail for record in records if record and record.state == "failed"}


def _plain(config: Config) -> dict[str, Any]:
    """Returns a configuration as JSON holds it, without what may be a secret: it stands beside the records.

    `beam` says where it ran, and may hold keys of a store.
    """
    source, youtube = config.source, config.source.youtube
    source = dataclasses.replace(
        source,
        archives={split: _shown(paths) for split, paths in source.archives.items()},
        replacements=_shown(source.replacements),
        youtube=YouTube(format=youtube.format, player_clients=youtube.player_clients),
    )
    splits = {
        name: dataclasses.replace(split, annotations=_shown(split.annotations)) for name, split in config.splits.items()
    }
    values = dataclasses.asdict(dataclasses.replace(config, source=source, splits=splits))
    del values["beam"]
    return json.loads(json.dumps(values, default=lambda v: str(v) if isinstance(v, Fraction) else v))


def _shown(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(without_secrets(path) if is_url(path) else path for path in paths)


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[None]:
    """SIGINT and SIGTERM end the run early and in order; a second one kills it, whatever its threads are at."""

    def stop(_number: int, _frame: object) -> None:
        stopping.set()
        for number in before:
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        stopping.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def _execute(job: Job, pipeline: beam.Pipeline) -> None:
    try:
        build(pipeline, job)
        if dataflow.is_asked(pipeline):
            dataflow.run(pipeline)
        else:
            engines.run(pipeline)
    except NoSummary:
        raise
    except PoolError as error:
        if stopping.is_set():  # a batch system that stops a run tells its children too, which then can't start
            raise KeyboardInterrupt from error
        raise RunError(_WHERE_RE.sub("", str(error))) from error
    except _OUR_ERRORS as error:
        raise RunError(_WHERE_RE.sub("", str(error))) from error
    except Exception as error:
        if quoted := _IN_TRACEBACK_RE.search(str(error)):
            raise RunError(_WHERE_RE.sub("", quoted["message"])) from error
        if isinstance(error, JobFailed):
            raise RunError(str(error)) from error
        raise
    finally:
        close_pools()


def _remove_temporaries(directory: str) -> None:
    """Deletes what killed runs left, but for files that hold records from which a run can go on, of any split."""
    state_dir = files.join(directory, contract.STATE_DIR)
    for folder in (directory, state_dir):
        for name in list(files.names(folder)):
            match = _PARTIAL_RE.fullmatch(name)
            if match:
                state = read_state(files.join(state_dir, f"{match['state']}.json"))
                if state and any(row.file.endswith(name) for row in state.rows):
                    continue
            if match or files.is_temporary(name):
                files.delete(files.join(folder, name))


def _remove_unfinished(job: Job) -> None:
    """Deletes the files of clips that killed runs had not finished: what lies right in the store's own folder."""
    folder = files.join(job.store, FETCH_DIR)
    for name in list(files.names(folder)):
        if name != LOCK_FILE:
            files.delete(files.join(folder, name))
    if files.is_local(folder):
        for path in Path(folder).glob("visit-*"):
            shutil.rmtree(path)


def _lacks_of_limit(job: Job, split: str, found: Scan) -> bool:
    """Whether a limit left clips out that no earlier run had made either."""
    if not job.is_limited(split):
        return False
    info = _info(job, split)
    return not info.get("complete") or info["num_asked"] < found.asked + found.beyond_limit


def _info(job: Job, split: str) -> dict[str, Any]:
    return json.loads(files.read_whole(files.join(job.progress_directory, contract.info_file(split))) or b"{}")


def _split_summary(job: Job, split: str, found: Scan) -> SplitSummary:
    info = _info(job, split)
    return SplitSummary(
        split=split,
        asked=info["num_asked"],
        written=info["num_clips"],
        failed=info["num_failed"],
        shards=info["num_shards"],
        bytes=info["bytes"],
        unfinished=info["unfinished"],
        left_out={
            "of another split": found.other_split,
            "of a class not kept": found.other_class,
            "beyond the limit": found.beyond_limit,
            "duplicates": found.duplicates,
        },
    )
