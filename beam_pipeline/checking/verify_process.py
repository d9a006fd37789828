"""The door of a process that verifies: what it calls at its start, before it imports what verifying needs."""

from __future__ import annotations

import logging
from typing import Any

from beam_pipeline.media.process import use_store_options


def prepare_verifier(store_options: dict[str, Any] | None = None) -> None:
    """Makes a process ready for reading shards; Beam, which is imported with the first, warns of nothing.

    Args:
      store_options: Beam's pipeline options, without which its file systems can't open a remote data set.
    """
    logging.basicConfig(level=logging.ERROR, force=True)
    use_store_options(store_options)
