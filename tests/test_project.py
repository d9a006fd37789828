"""What holds the project together: packages are complete, imports run one way."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for name in ("beam_pipeline", "tf_data")
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert set(listed) == found | {f"beam_pipeline.configs{folder}" for folder in ("", ".labels", ".prices")}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("beam_pipeline.run", ["tensorflow", "av", "cv2", "tf_data.loading"]),
        ("beam_pipeline.media.encoding", ["tensorflow", "apache_beam", "tf_data.loading"]),
        ("beam_pipeline.viewing.flow_command", ["tensorflow", "tf_data.loading"]),
        ("beam_pipeline.inspecting.command", ["tensorflow", "tf_data.loading"]),
        ("beam_pipeline.cli", ["tensorflow", "apache_beam", "numpy"]),
    ],
)
def test_a_module_does_not_load(module: str, unwanted: list[str]) -> None:
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not set(unwanted) & set(done.stdout.split())
