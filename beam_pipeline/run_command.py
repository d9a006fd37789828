"""The commands `run` and `fetch`: the job of a configuration, or no more of it than what fills the store."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_pipeline.command_options import asked_config
from beam_pipeline.run import run
from beam_pipeline.terminal import tell


def main(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Runs the job and prints its summary; returns the exit status."""
    summary = run(
        asked_config("what is to be made?", arguments, beam_args),
        splits=arguments.split,
        limit=arguments.limit,
        overwrite=arguments.overwrite,
        fetch_only=arguments.fetch_only,
        retry_permanent=arguments.retry == "permanent",
        beam_args=beam_args,
    )
    if arguments.json:
        print(summary.as_json())
    else:
        tell(summary.as_text())
    return summary.exit_status
