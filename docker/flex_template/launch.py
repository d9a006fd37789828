"""What a Flex Template starts: `python -m beam_pipeline run`, whose options are the template's parameters.

A parameter is given once: several files of `config`, names of `split` and `KEY=VALUE` of `settings` stand in one,
separated and quoted as in a shell. All others are passed on as they are.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from beam_pipeline.cli import main

_LISTS = {"config": "config", "split": "split", "settings": "set"}  # a parameter, and the option for each of its values


def arguments(parameters: Sequence[str]) -> list[str]:
    """Returns the command line for a template's parameters, `--name=value` each."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for name in _LISTS:
        parser.add_argument(f"--{name}", type=shlex.split, default=[])
    lists, others = parser.parse_known_args(list(parameters))
    several = (f"--{option}={value}" for name, option in _LISTS.items() for value in getattr(lists, name))
    return ["run", *several, *others]


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
