"""The commands `run` and `fetch`: the job of a configuration, or no more of it than what fills the store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from beam_pipeline.annotations import AnnotationError
from beam_pipeline.beam_options import unknown_options
from beam_pipeline.config import ConfigError, load_config
from beam_pipeline.dataflow import NoSummary
from beam_pipeline.job import RunError
from beam_pipeline.run import run
from beam_pipeline.store import StoreError
from beam_pipeline.terminal import EXIT_FAILED, EXIT_USAGE, fail, nothing_asked


def main(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Runs the job and prints its summary; returns the exit status."""
    if nothing := nothing_asked("what is to be made?", arguments):
        return fail(unknown_options(beam_args, arguments.parser) or nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        if unknown := unknown_options([*config.beam_arguments, *beam_args], arguments.parser):
            return fail(unknown, EXIT_USAGE)
        summary = run(
            config,
            splits=arguments.split,
            limit=arguments.limit,
            overwrite=arguments.overwrite,
            fetch_only=arguments.fetch_only,
            retry_permanent=arguments.retry == "permanent",
            beam_args=beam_args,
        )
    except (ConfigError, AnnotationError, StoreError) as error:
        return fail(str(error), EXIT_USAGE)
    except RunError as error:
        return fail(str(error), EXIT_FAILED)
    except NoSummary as ended:
        print(ended, file=sys.stderr)
        return ended.exit_status
    print(summary.as_json() if arguments.json else summary.as_text())
    return summary.exit_status
