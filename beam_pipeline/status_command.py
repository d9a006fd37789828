"""The command `status`: what the files of runs say, for people or as rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.config import ConfigError, chosen_splits, load_config
from beam_pipeline.job import fetch_directory
from beam_pipeline.status import archives_of, as_text, read_status, write_csv
from beam_pipeline.terminal import EXIT_OK, EXIT_USAGE, fail, nothing_asked


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Prints how far a data set and its store are; returns the exit status."""
    if nothing := nothing_asked("which data set?", arguments):
        return fail(nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        splits = tuple(chosen_splits(config, arguments.split))
    except ConfigError as error:
        return fail(str(error), EXIT_USAGE)
    FileSystems.set_options(PipelineOptions(config.beam_arguments))
    in_store = fetch_directory(config.source.store, config.name)
    if arguments.csv:
        if write_csv((config.version_dir, in_store), splits, sys.stdout):
            return EXIT_OK
        return fail(f"no run has begun: nothing in {config.version_dir} and {in_store}", EXIT_USAGE)
    made, fetched = (read_status(directory, splits) for directory in (config.version_dir, in_store))
    if not made and not fetched:
        return fail(f"no run has begun: nothing in {config.version_dir} and {in_store}", EXIT_USAGE)
    store = config.source.store
    print(as_text(store, archives_of(store), fetched, made, arguments.classes))
    return EXIT_OK
