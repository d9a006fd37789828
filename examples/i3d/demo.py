"""`make train-demo`: a slim I3D learns to tell motions apart, from frames and from flow, and not from a single frame.

The clips are those of `make demo`, of which it makes more: what moves tells the ten classes apart, and no single frame
does.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded

from beam_pipeline.config import load_config
from beam_pipeline.demo.mini_kinetics import make_mini_kinetics
from beam_pipeline.run import run
from beam_pipeline.shipped import shipped
from examples.i3d import evaluate, train
from examples.i3d.events import read_curves
from examples.i3d.model import CHANNELS
from examples.i3d.pictures import draw_curves

# A flip turns these classes into each other, so that they train on twice as many clips.
_MIRRORED = {
    "drifting left": "drifting right",
    "racing left": "racing right",
    "turning clockwise": "turning counterclockwise",
}
_SLIM = (
    *("--width", "0.25", "--crop_size", "64", "--batch_size", "8", "--batch_norm_decay", "0.95", "--dropout", "0"),
    *("--learning_rate", "0.02", "--evaluate_every", "100", "--checkpoint_every", "200"),
    *(part for label, mirrored in _MIRRORED.items() for part in ("--flip_label", f"{label}={mirrored}")),
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A run of the demo: what it sees of a clip, and the share of held-out clips that it must, or must not, tell."""

    stream: str
    num_frames: int
    least: float = 0.0
    most: float = 1.0


# One frame has a tenth right by guessing; of some 120 clips more than a fifth would be no guess.
LESSONS: Mapping[str, Lesson] = {
    "rgb": Lesson("rgb", 16, least=0.9),
    "flow": Lesson("flow", 16, least=0.9),
    "one frame": Lesson("rgb", 1, most=0.2),
}


def make_records(folder: Path, clips_per_class: int) -> str:
    """Makes the films and runs the job on them, unless it is done; returns the data set's folder.

    Frames are small, since the films are simple and the training is to be short.

    Raises:
      ValueError: the job failed; its summary has been printed.
    """
    made = make_mini_kinetics(folder / "films", clips_per_class=clips_per_class)
    settings = [
        f"source.store={made.videos}",
        "encode.shorter_side=72",
        # At this size DIS hardly sees what turns, and nothing moves by as much as 3 pixels a frame.
        "flow={method: tvl1, bound_px: 5}",
        "audio=null",
        *(f"splits.{split}.annotations={path}" for split, path in made.annotations.items()),
    ]
    config = load_config(Path(str(shipped("demo.yaml"))), settings, data_dir=str(folder))
    summary = run(config)
    print(summary.as_text(), flush=True)
    if summary.exit_status:
        raise ValueError(f"{config.version_dir}: the job failed")
    return config.version_dir


def learn(name: str, data: str, folder: Path, steps: int) -> float:
    """Trains for a lesson and returns the share of held-out clips that the model tells."""
    lesson = LESSONS[name]
    stride = "2" if lesson.num_frames > 1 else "1"
    out = folder / "runs" / name.replace(" ", "_")
    arguments = ["--stream", lesson.stream, "--num_frames", str(lesson.num_frames), "--stride", stride]
    if status := train.main([data, "--out", str(out), "--steps", str(steps), *arguments, *_SLIM]):
        raise ValueError(f"{out}: training failed with status {status}")
    return read_curves(out / train.TENSORBOARD)["val/top1"][steps]


def main(argv: Sequence[str] | None = None) -> int:
    """Makes clips of motions, trains a slim I3D on their frames, their flow and on single frames, and draws how."""
    parser = argparse.ArgumentParser(prog="python -m examples.i3d.demo", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("train-demo"), help="where all goes (default: train-demo)")
    parser.add_argument("--clips_per_class", type=int, default=48, help="a quarter is held out (default: 48)")
    parser.add_argument("--steps", type=int, default=1200, help="of each training (default: 1200)")
    asked = parser.parse_args(argv)
    folder = asked.out.absolute()
    try:
        data = make_records(folder, asked.clips_per_class)
        before = _cpu_minutes()
        told = {name: learn(name, data, folder, asked.steps) for name in LESSONS}
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    minutes = _cpu_minutes() - before
    curves = {name: read_curves(folder / "runs" / name.replace(" ", "_") / train.TENSORBOARD) for name in LESSONS}
    draw_curves(
        folder / "curves.png",
        {name: (curve["train/loss"], curve["val/top1"]) for name, curve in curves.items()},
        chance=0.1,
        title="A slim I3D on motions: 16 frames, their flow, or one frame",
    )
    weights = [part for name in LESSONS if name in CHANNELS for part in ("--weights", str(folder / "runs" / name))]
    evaluate.main([data, *weights, "--confusion", str(folder / "confusion.png")])
    print(f"\nTaught in {minutes:.1f} CPU minutes; of the held-out clips are told right:")
    for name, share in told.items():
        print(f"  {name:<10} {share:6.1%}")
    print(f"Curves: {folder / 'curves.png'}; TensorBoard: tensorboard --logdir {folder / 'runs'}")
    return 0 if all(LESSONS[name].least <= share <= LESSONS[name].most for name, share in told.items()) else 1


def _cpu_minutes() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) / 60


if __name__ == "__main__":
    sys.exit(main())
