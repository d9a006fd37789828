"""The files of configs/: a package of its own where the project is installed, a neighbour of ours in a checkout."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path


def shipped(*parts: str) -> Traversable:
    """Returns a file of configs/, which may not be there; `importlib.resources.as_file` gives it a path."""
    try:
        found: Traversable = importlib.resources.files("beam_pipeline.configs")
    except ModuleNotFoundError:
        found = Path(__file__).resolve().parents[1] / "configs"
    for part in parts:
        found = found.joinpath(part)
    return found
