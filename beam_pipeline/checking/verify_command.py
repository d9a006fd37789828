"""The command `verify`: which data sets are meant, that no run is at work on them, and what reads their shards."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_pipeline import dataflow, engines, files
from beam_pipeline.checking import verify_graph
from beam_pipeline.checking.consistency import FoundShard
from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.marking import mark
from beam_pipeline.checking.opened_split import OpenedSplit
from beam_pipeline.checking.verify_process import prepare_verifier
from beam_pipeline.checking.verifying import Verified, pool_reader, verify
from beam_pipeline.command_options import asked_config, check_options
from beam_pipeline.config import chosen_splits
from beam_pipeline.data_set import data_sets_in
from beam_pipeline.dataflow import JobFailed
from beam_pipeline.errors import RequestError, RunError
from beam_pipeline.job import writing_to
from beam_pipeline.locks import not_written, written_by_one
from beam_pipeline.media.process import use_store_options
from beam_pipeline.pool import ChildPool
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, tell
from tf_data import contract


def main(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Prints what is found of each data set; returns the exit status."""
    folders, splits = arguments.folders, arguments.split
    if folders:
        check_options(beam_args, arguments.parser)
        if arguments.config or arguments.settings or arguments.data_dir:
            raise RequestError("what is to be verified? Give folders of data sets or a configuration, not both")
    else:
        question = "what is to be verified? Name folders of data sets, or a configuration."
        config = asked_config(question, arguments, beam_args)
        folders, splits = [config.version_dir], splits and chosen_splits(config, splits)
        of_config = [word for word in config.beam_arguments if not word.startswith("--runner=")]  # a run's
        beam_args = [*of_config, *beam_args]
    right = True
    how = {"frames": arguments.frames, "report": arguments.report}
    for verified in verify_data_sets(folders, splits, arguments.mark, beam_args, **how):
        if arguments.json:
            print(verified.as_json())
        else:
            tell(verified.as_text())
        right = right and not verified.problems
    return EXIT_OK if right else EXIT_FAILED


def verify_data_sets(
    folders: Sequence[str],
    splits: Sequence[str],
    marking: bool,
    beam_args: Sequence[str] = (),
    *,
    frames: Frames = "sample",
    report: str | None = None,
) -> Iterator[Verified]:
    """Yields what is found of each data set in some folders, one after another, each read with all cores.

    Args:
      folders: of data sets or, on this machine, above them.
      splits: those to verify; none: all.
      marking: have the next run make anew what is broken.
      beam_args: pipeline options of Beam's, for folders that are remote; with a `runner` its workers read the shards.
      frames: which images are decoded.
      report: a file for what a runner's workers find; it needs one.

    Raises:
      RequestError: there is no data set, or not such a split of it, or the workers can't reach it.
      RunError: a run is at work there, the job failed, or what is broken can't be marked.
      NoSummary: the job was left to Dataflow, or cancelled there.
    """
    options = PipelineOptions(list(beam_args))
    runner = options.view_as(StandardOptions).runner
    splits = [contract.canonical_split(split) for split in splits]
    if not all(map(files.is_local, [*folders, report or ""])):
        use_store_options(options.get_all_options(drop_default=True))
    directories = [found for folder in folders for found in data_sets_in(folder)]
    _check_request(directories, runner, report)
    for directory in directories:
        state_dir = files.join(directory, contract.STATE_DIR)
        with written_by_one(state_dir, "data_dir") if marking else not_written(state_dir):
            if runner in engines.LOCAL_RUNNERS:
                verified = _verify_here(directory, splits, options.get_all_options(drop_default=True), frames)
            else:
                assert report
                read = functools.partial(_read_by_workers, directory, options, report)
                verified = verify(directory, splits, read, frames)
            with writing_to(directory):
                yield mark(verified) if marking else verified


def _check_request(directories: Sequence[str], runner: str | None, report: str | None) -> None:
    if runner in engines.LOCAL_RUNNERS:
        if report:
            raise RequestError("--report is for the workers of a --runner; --json tells it here")
        return
    if not report or len(directories) > 1:
        raise RequestError(f"--runner={runner} needs --report FILE, where its workers can write, and one data set")
    if runner == "DataflowRunner" and (local := [path for path in (*directories, report) if files.is_local(path)]):
        raise RequestError(f"{local[0]}: is on this machine, where Dataflow's workers can't reach it: put it on gs://")
    try:
        if files.size(report) is not None:
            verify_graph.read_report(report)
    except ValueError as error:
        raise RequestError(f"--report: would take the place of {error}; name another file") from error


def _verify_here(directory: str, splits: Sequence[str], options: dict[str, Any], frames: Frames) -> Verified:
    prepare = functools.partial(prepare_verifier, None if files.is_local(directory) else options)
    pool = ChildPool(len(os.sched_getaffinity(0)), None, prepare)
    try:
        return verify(directory, splits, pool_reader(pool), frames)
    finally:
        pool.close()


def _read_by_workers(
    directory: str, options: PipelineOptions, report: str, splits: Sequence[OpenedSplit], frames: Frames
) -> Iterator[tuple[str, FoundShard]]:
    shards = [(split.described.split, number) for split in splits for number in range(split.num_shards)]
    pipeline = engines.new_pipeline(options)
    files.delete(report)  # an earlier one would be taken for this one's
    try:
        verify_graph.build(pipeline, directory, shards, frames, report)
        (dataflow if dataflow.is_asked(pipeline) else engines).run(pipeline)
        return verify_graph.in_order(splits, verify_graph.read_report(report))
    except (JobFailed, ValueError) as error:
        raise RunError(str(error)) from error
