"""The command `status`: what the files of runs say, for people or as rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.command_options import asked_config
from beam_pipeline.config import chosen_splits
from beam_pipeline.errors import RequestError
from beam_pipeline.job import fetch_directory
from beam_pipeline.status import archives_of, as_text, read_status, write_csv
from beam_pipeline.terminal import EXIT_OK, tell


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Prints how far a data set and its store are; returns the exit status."""
    config = asked_config("which data set?", arguments)
    splits = tuple(chosen_splits(config, arguments.split))
    FileSystems.set_options(PipelineOptions(config.beam_arguments))
    in_store = fetch_directory(config.source.store, config.name)
    nothing = f"no run has begun: nothing in {config.version_dir} and {in_store}"
    if arguments.csv:
        if not write_csv((config.version_dir, in_store), splits, sys.stdout):
            raise RequestError(nothing)
        return EXIT_OK
    made, fetched = (read_status(directory, splits) for directory in (config.version_dir, in_store))
    if not made and not fetched:
        raise RequestError(nothing)
    store = config.source.store
    tell(as_text(store, archives_of(store), fetched, made, arguments.classes))
    return EXIT_OK
