"""Small files of JSON that a run keeps beside its output."""

from __future__ import annotations

import json
from typing import Any

from beam_pipeline import files


def read_object(path: str) -> dict[str, Any] | None:
    """Returns the object in a JSON file, or None where there is none that can be read."""
    try:
        values = json.loads(files.read_whole(path) or b"")
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
