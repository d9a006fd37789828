"""`python -m beam_pipeline demo`: clips, the real job on them, a batch read back, and a picture."""

from __future__ import annotations

import argparse
import importlib.resources
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from beam_pipeline.config import load_config
from beam_pipeline.demo.mini_kinetics import make_mini_kinetics
from beam_pipeline.run import run
from beam_pipeline.shipped import shipped
from beam_pipeline.terminal import EXIT_FAILED, EXIT_OK, tell
from beam_pipeline.viewing.sheet_command import CLIPS_A_PAGE, Choice, write_sheets


def main(arguments: argparse.Namespace, _: Sequence[str]) -> int:
    """Does in one go what a user does step by step, saying each step; returns the exit status."""
    folder = Path(arguments.out).absolute()
    tell(f"1. A mini-Kinetics: short clips of moving shapes with sound, in {_from_here(folder)}")
    made = make_mini_kinetics(folder)

    print("2. The job: frames, optical flow and sound of every clip to TFRecords")
    settings = [
        f"source.store={made.videos}",
        *(f"splits.{split}.annotations={path}" for split, path in made.annotations.items()),
    ]
    with importlib.resources.as_file(shipped("demo.yaml")) as file:
        config = load_config(file, settings, data_dir=str(folder))
    summary = run(config)
    tell(summary.as_text())
    if summary.exit_status:
        return summary.exit_status

    print("\n3. A batch, as a model takes it: tf_data.load('demo', split='train', streams=('rgb', 'flow', 'audio'))")
    # In a process of its own: TensorFlow belongs to those who read. What it tells of the machine is not the point here.
    reading = [sys.executable, "-m", "tf_data", "demo", "--data_dir", str(folder), "--streams", "rgb,flow,audio"]
    read = subprocess.run(reading, check=False, capture_output=True, text=True)
    if read.returncode:
        tell(read.stderr, sys.stderr)
        return EXIT_FAILED
    print(read.stdout, end="")

    title = "What the records hold: frames, optical flow and sound"
    choice = Choice(splits=["train"], limit=CLIPS_A_PAGE)
    (picture,) = write_sheets(config.version_dir, folder / "contact_sheet.png", choice, title=title, overwrite=True)
    tell(f"\n4. A picture of what is in the records: {_from_here(picture)}")
    return EXIT_OK


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
