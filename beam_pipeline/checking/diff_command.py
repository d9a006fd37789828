"""The command `diff`: what two data sets differ in, for people, as JSON or as rows."""

from __future__ import annotations

import argparse
import sys

from beam_pipeline.checking.diffing import diff
from beam_pipeline.command_options import reads_data_sets
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, tell


@reads_data_sets
def main(arguments: argparse.Namespace) -> int:
    """Prints the differences; returns the exit status."""
    found = diff(arguments.a, arguments.b, arguments.split, read_records=not arguments.ledgers)
    if arguments.csv:
        found.write_csv(sys.stdout)
    elif arguments.json:
        print(found.as_json())
    else:
        tell(found.as_text())
    return EXIT_OK if found.same else EXIT_FAILED
