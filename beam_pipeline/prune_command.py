"""The command `prune`: frees the store of clips whose records are safe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from beam_pipeline.command_options import asked_config
from beam_pipeline.config import chosen_splits
from beam_pipeline.run import prune_store
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, tell


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Prunes a store and prints what was deleted and which shards are wrong; returns the exit status."""
    config = asked_config("which data set?", arguments)
    pruned = prune_store(config, chosen_splits(config, arguments.split))
    for problem in pruned.problems:
        tell(str(problem), sys.stderr)
    tell(pruned.as_text())
    return EXIT_FAILED if pruned.problems else EXIT_OK
