"""What runs on two engines have to agree in: everything but times and attempts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_TIMES = ("attempts", "attempted_at")


def outcome(data_dir: Path) -> dict[str, Any]:
    """Returns what a run of the demo left, by file: digests, and the content of what holds times or its own place."""
    folder = data_dir / "demo" / "1.0.0"
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            found[path.name] = [{key: value for key, value in row.items() if key not in _TIMES} for row in rows]
        elif path.name.startswith("info-"):
            info = json.loads(path.read_text())
            del info["configuration"]["data_dir"], info["configuration"]["workers"]
            found[path.name] = info
        elif path.is_file():
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def leftovers(data_dir: Path) -> list[str]:
    """Returns the files that a run should have deleted before its end."""
    return [path.name for path in data_dir.rglob("*") if path.name.endswith((".partial", ".tmp"))]
