"""A data set of few small clips, for a model that is slim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tf_data.conftest import make_clips, write_split

ROOT = Path(__file__).parents[3]
STEPS = 8
_SLIM = ("--width", "0.1", "--num_frames", "8", "--crop_size", "32", "--batch_norm_decay", "0.5")
_CADENCE = ("--log_every", "1", "--checkpoint_every", "2", "--evaluate_every", "4")


def command(data_dir: Path, out: Path) -> list[str]:
    """Trains on flow, on two devices with a clip each."""
    return [
        *(sys.executable, "-m", "tests.examples.i3d.two_cpus", "fake", "--data_dir", str(data_dir), "--out", str(out)),
        *(*_SLIM, *_CADENCE, "--batch_size", "1", "--steps", str(STEPS), "--deterministic", "--stream", "flow"),
    ]


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with `fake` 1.0.0: 8 clips of four classes to train on, 4 to validate."""
    root = tmp_path_factory.mktemp("small")
    clips = make_clips(12, num_frames=12, height=40, width=48)
    write_split(root / "fake" / "1.0.0", clips[:8])
    write_split(root / "fake" / "1.0.0", clips[8:], split="val", num_shards=1)
    return root


@pytest.fixture(scope="session")
def trained(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that came to its end undisturbed."""
    out = tmp_path_factory.mktemp("runs") / "flow"
    subprocess.run(command(small_data, out), cwd=ROOT, check=True, capture_output=True)
    return out
