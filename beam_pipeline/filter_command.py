"""The command `filter`: an annotation list of some classes, and how many clips of each there are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_pipeline import files
from beam_pipeline.errors import RequestError
from beam_pipeline.filtering import filter_annotations
from beam_pipeline.terminal import EXIT_OK, tell


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Filters a list and prints what was kept; returns the exit status."""
    replaced = files.size(arguments.annotations_out) is not None
    try:
        counts = filter_annotations(arguments.class_list, arguments.annotations_in, arguments.annotations_out)
    except ValueError as error:
        raise RequestError(str(error)) from error
    for name, kept in sorted(counts.kept_by_class.items()):
        tell(f"{kept:>9,} {name}")
    instead = ", in place of what was there" if replaced else ""
    tell(f"{counts.kept:>9,} of {counts.rows:,} rows kept, in {arguments.annotations_out}{instead}")
    if counts.unreadable:
        tell(f"{counts.unreadable:>9,} rows left out whose label can't be read")
    return EXIT_OK
