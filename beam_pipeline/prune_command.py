"""The command `prune`: frees the store of clips whose records are safe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from beam_pipeline.config import ConfigError, chosen_splits, load_config
from beam_pipeline.job import RunError
from beam_pipeline.run import prune_store
from beam_pipeline.store import StoreError
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, EXIT_USAGE, fail, nothing_asked


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Prunes a store and prints what was deleted and which shards are wrong; returns the exit status."""
    if nothing := nothing_asked("which data set?", arguments):
        return fail(nothing, EXIT_USAGE)
    try:
        config = load_config(arguments.config, arguments.settings, arguments.data_dir)
        pruned = prune_store(config, chosen_splits(config, arguments.split))
    except (ConfigError, StoreError) as error:
        return fail(str(error), EXIT_USAGE)
    except RunError as error:
        return fail(str(error), EXIT_FAILED)
    for problem in pruned.problems:
        print(problem, file=sys.stderr)
    print(pruned.as_text())
    return EXIT_FAILED if pruned.problems else EXIT_OK
