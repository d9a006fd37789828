"""Beam's options on a command line: which of them nobody knows, and commands that need them to reach a data set."""

from __future__ import annotations

import argparse
import difflib
import functools
from collections.abc import Callable, Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from beam_pipeline.data_set import DataSetError
from beam_pipeline.engines import LOCAL_RUNNERS
from beam_pipeline.terminal import EXIT_FAILED, EXIT_USAGE, fail
from beam_pipeline.tfrecord import CorruptRecordError


def unknown_options(arguments: Sequence[str]) -> str | None:
    """Says which options nobody knows; some runners have options of their own, and so have Dataflow's launchers."""
    options = PipelineOptions(list(arguments))
    runner = options.view_as(StandardOptions).runner
    submits = runner == "DataflowRunner" and not options.view_as(GoogleCloudOptions).template_location
    if runner not in LOCAL_RUNNERS and not submits:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    classes = [PipelineOptions]
    for cls in classes:
        classes += cls.__subclasses__()
        cls._add_argparse_args(parser)
    unknown = [word for word in parser.parse_known_args(list(arguments))[1] if word]
    if not unknown:
        return None
    ours = ["--config", "--split", "--data_dir", "--set", "--limit", "--overwrite", "--retry", "--json"]
    near = difflib.get_close_matches(unknown[0].partition("=")[0], ours, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; run --help lists ours, all others are Beam's"
    return f"unknown option {unknown[0]}{hint}"


def reads_data_sets(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace, Sequence[str]], int]:
    """Gives a command that reads data sets Beam's options, which may be needed to reach them, and tells its errors."""

    @functools.wraps(command)
    def with_beam_options(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
        if unknown := unknown_options(beam_args):
            return fail(unknown, EXIT_USAGE)
        FileSystems.set_options(PipelineOptions(list(beam_args)))
        try:
            return command(arguments)
        except DataSetError as error:
            return fail(str(error), EXIT_USAGE)
        except CorruptRecordError as error:
            return fail(f"{error}; verify tells what is broken", EXIT_FAILED)

    return with_beam_options
