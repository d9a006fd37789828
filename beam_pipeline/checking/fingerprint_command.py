"""The command `fingerprint`: the lines by which a paper names a data set, for people or as JSON."""

from __future__ import annotations

import argparse

from beam_pipeline.checking.fingerprinting import fingerprint
from beam_pipeline.command_options import reads_data_sets
from beam_pipeline.terminal import EXIT_OK, tell


@reads_data_sets
def main(arguments: argparse.Namespace) -> int:
    """Prints the fingerprint; returns the exit status."""
    found = fingerprint(arguments.folder, arguments.split)
    if arguments.json:
        print(found.as_json())
    else:
        tell(found.as_text())
    return EXIT_OK
