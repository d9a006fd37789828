"""The files of configs/: a neighbour of ours in a checkout, a package of its own where the project is installed."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path


def shipped(*parts: str) -> Traversable:
    """Returns a file of configs/, which may not be there; `importlib.resources.as_file` gives it a path."""
    folder: Traversable = Path(__file__).resolve().parents[1] / "configs"
    if not folder.is_dir():
        folder = importlib.resources.files("beam_pipeline.configs")
    return folder.joinpath(*parts)
