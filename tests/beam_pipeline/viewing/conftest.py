"""A data set that a real run made of a few films with sound: two classes, two splits, a clip that failed."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from beam_pipeline.viewing.clip_record import Sound
from beam_pipeline.viewing.films import write_film
from tests.beam_pipeline.clips_on_disk import write_list
from tests.beam_pipeline.viewing.moving import grey_frames

ROOT = Path(__file__).parents[3]
RIGHT = ["-nRSDT1Q2m1_000000_000001", "righttttttt_000002_000003"]
DOWN = ["downnnnnnnn_000000_000001"]
MISSING = "missing1234_000004_000005"
SILENT = "silent12345_000000_000001"  # of the split val


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the version; its files are not to be changed."""
    folder = tmp_path_factory.mktemp("looked_at")
    tone = np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000).astype(np.float32) / 2
    for clip_ids, step in ((RIGHT, (3, 0)), ([*DOWN, SILENT], (0, 2))):
        pictures = [np.repeat(grey[..., np.newaxis], 3, axis=2) for grey in grey_frames(25, step)]
        for clip_id in clip_ids:
            sound = None if clip_id == SILENT else Sound(tone, 16_000)
            write_film(folder / f"{clip_id}.mp4", "mp4", pictures, Fraction(25), sound)
    write_list(folder / "right.csv", [*RIGHT, MISSING], "to the right")
    write_list(folder / "down.csv", DOWN, "downwards")
    write_list(folder / "val.csv", [SILENT], "downwards", "val")
    settings = [
        "name=looked",
        f"splits.train.annotations=[{folder}/right.csv, {folder}/down.csv]",
        f"splits.val.annotations={folder}/val.csv",
        *("splits.train.shards=2", "splits.val.shards=1", f"source.store={folder}", "workers=1"),
        *("encode.shorter_side=48", "flow.method=dis", "audio.sample_rate=16000"),
    ]
    command = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(folder / "made")]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder / "made" / "looked" / "1.0.0"
