"""What examples learn from in tests: films of the demo, of four motions, made into records by a run."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from beam_pipeline.demo.scenes import draw, make_scene
from beam_pipeline.viewing.films import write_film

ROOT = Path(__file__).parents[2]
MOTIONS = ["racing left", "racing right", "floating up", "sinking down"]
CLIPS = {"train": 24, "val": 8}


@pytest.fixture(scope="session")
def four_motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the data_dir of `motions`: 24 clips of a second to train on and 8 others; one frame tells no class."""
    folder = tmp_path_factory.mktemp("four_motions")
    settings = ["name=motions", f"source.store={folder}", "encode.shorter_side=48", "workers=1"]
    for number, (split, count) in enumerate(CLIPS.items()):
        rows = ["label,youtube_id,time_start,time_end"]
        for clip in range(count):
            scene = make_scene(MOTIONS[clip % 4], np.random.default_rng((number, clip)))
            pictures = (draw(scene, k / 25) for k in range(25))
            write_film(folder / f"{split}{clip:06d}_000000_000001.mp4", "mp4", pictures, Fraction(25))
            rows.append(f"{MOTIONS[clip % 4]},{split}{clip:06d},0,1")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
        settings += [f"splits.{split}.annotations={folder}/{split}.csv", f"splits.{split}.shards=1"]
    command = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(folder / "made")]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder / "made"
