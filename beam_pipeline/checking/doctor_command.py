"""The command `doctor`: what looks wrong with a data set, for people or as JSON."""

from __future__ import annotations

import argparse

from beam_pipeline.checking.doctor import diagnose
from beam_pipeline.command_options import reads_data_sets
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, tell


@reads_data_sets
def main(arguments: argparse.Namespace) -> int:
    """Prints a diagnosis; returns the exit status."""
    diagnosis = diagnose(arguments.folder, arguments.split, arguments.sample)
    if arguments.json:
        print(diagnosis.as_json())
    else:
        tell(diagnosis.as_text())
    return EXIT_FAILED if diagnosis.suspicions else EXIT_OK
