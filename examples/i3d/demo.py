"""`make train-demo`: a slim I3D learns to tell motions apart, from frames and from flow, and not from a single frame.

The clips are those of `make demo`, of which it makes more: what moves tells the ten classes apart, and no single frame
does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded

from beam_pipeline.demo.mini_kinetics import make_mini_kinetics
from examples.i3d import evaluate, train
from examples.i3d.evaluation import logits_function, predictions, score
from examples.i3d.events import read_curves
from examples.i3d.model import CHANNELS
from examples.i3d.pictures import draw_curves
from examples.i3d.weights import open_weights

# A flip turns these classes into each other, so that they train on twice as many clips.
_MIRRORED = {
    "drifting left": "drifting right",
    "racing left": "racing right",
    "turning clockwise": "turning counterclockwise",
}
_SLIM = (
    *("--width", "0.25", "--shorter_side", "88", "--crop_size", "80", "--dropout", "0", "--batch_norm_decay", "0.9"),
    *("--evaluate_every", "50", "--checkpoint_every", "100"),
    *(part for label, mirrored in _MIRRORED.items() for part in ("--flip_label", f"{label}={mirrored}")),
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A run of the demo: what it sees of a clip, and the share of held-out clips that it must, or must not, tell."""

    stream: str
    num_frames: int
    batch_size: int
    learning_rate: float
    steps: int
    least: float = 0.0
    most: float = 1.0


# One frame has a tenth right by guessing; of some 120 clips more than a fifth would be no guess.
LESSONS: Mapping[str, Lesson] = {
    "rgb": Lesson("rgb", num_frames=16, batch_size=16, learning_rate=0.03, steps=850, least=0.9),
    "flow": Lesson("flow", num_frames=8, batch_size=32, learning_rate=0.05, steps=450, least=0.9),
    "one frame": Lesson("rgb", num_frames=1, batch_size=32, learning_rate=0.05, steps=150, most=0.2),
}


def make_records(folder: Path, clips_per_class: int) -> str:
    """Makes the films and runs the job on them, unless it is done; returns the data set's folder.

    Raises:
      ValueError: the job failed, and has said why.
    """
    print(f"1. Films of ten motions, {clips_per_class} of each, in {folder / 'films'}: a minute or more", flush=True)
    made = make_mini_kinetics(folder / "films", clips_per_class=clips_per_class)
    settings = [
        f"source.store={made.videos}",
        "encode.shorter_side=144",  # the films' own: of frames half as high, no flow shows what turns
        "flow.bound_px=8",
        "audio=null",
        *(f"splits.{split}.annotations={path}" for split, path in made.annotations.items()),
    ]
    print("2. The job: frames and optical flow of every clip to TFRecords", flush=True)
    # In a process of its own: the job's children would load what this one has loaded, TensorFlow with it.
    job = [sys.executable, "-m", "beam_pipeline", "run", "--config", "configs/demo.yaml", "--data_dir", str(folder)]
    if subprocess.run([*job, *(part for one in settings for part in ("--set", one))]).returncode:
        raise ValueError(f"{folder}: the job failed")
    return str(folder / "demo" / "1.0.0")


def learn(name: str, data: str, folder: Path, steps: int | None) -> dict[str, dict[int, float]]:
    """Trains for a lesson, for other than its steps where asked to, and returns the run's curves."""
    lesson = LESSONS[name]
    out = _run(name, folder)
    values = {key: getattr(lesson, key) for key in ("stream", "num_frames", "batch_size", "learning_rate")}
    values["steps"] = steps or lesson.steps
    arguments = [part for key, value in values.items() for part in (f"--{key}", str(value))]
    if status := train.main([data, "--out", str(out), *arguments, *_SLIM]):
        raise ValueError(f"{out}: training failed with status {status}")
    return read_curves(out / train.TENSORBOARD)


def held_out(name: str, folder: Path) -> float:
    """Returns the share of the held-out clips that a lesson's model tells by five windows of each."""
    trained = open_weights(str(_run(name, folder)))
    assert trained.settings
    clips = train.load(trained.settings, None, "val", training=False, num_clips=5)
    logits = logits_function({trained.stream: trained.model})
    return score(predictions(logits, clips), trained.num_classes).top1


def _run(name: str, folder: Path) -> Path:
    return folder / "runs" / name.replace(" ", "_")


def main(argv: Sequence[str] | None = None) -> int:
    """Makes clips of motions, trains a slim I3D on their frames, their flow and on single frames, and draws how."""
    parser = argparse.ArgumentParser(prog="python -m examples.i3d.demo", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("train-demo"), help="where all goes (default: train-demo)")
    parser.add_argument("--clips_per_class", type=int, default=48, help="a quarter is held out (default: 48)")
    lessons = ", ".join(str(lesson.steps) for lesson in LESSONS.values())
    parser.add_argument("--steps", type=int, help=f"of each training (default: {lessons})")
    asked = parser.parse_args(argv)
    folder = asked.out.absolute()
    try:
        data = make_records(folder, asked.clips_per_class)
        before = _cpu_minutes()
        print(f"3. {len(LESSONS)} trainings: {', '.join(LESSONS)}; a quarter of an hour of two cores", flush=True)
        curves = {name: learn(name, data, folder, asked.steps) for name in LESSONS}
        print("4. How much of the held-out clips each of them tells", flush=True)
        told = {name: held_out(name, folder) for name in LESSONS}
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    minutes = _cpu_minutes() - before
    draw_curves(
        folder / "curves.png",
        {name: (curve["train/loss"], curve["val/top1"]) for name, curve in curves.items()},
        chance=0.1,
        title="A slim I3D on motions: 16 frames, the flow of 8, or one frame",
    )
    weights = [part for name in LESSONS if name in CHANNELS for part in ("--weights", str(_run(name, folder)))]
    windows = ["--num_clips", "5", "--num_frames", "16"]
    evaluate.main([data, *weights, *windows, "--confusion", str(folder / "confusion.png")])
    print(f"\nTaught in {minutes:.1f} CPU minutes. Of the held-out clips are told right, by five windows of each:")
    for name, share in told.items():
        print(f"  {name:<10} {share:6.1%}")
    print(f"Curves: {folder / 'curves.png'}; TensorBoard: tensorboard --logdir {folder / 'runs'}")
    return 0 if all(LESSONS[name].least <= share <= LESSONS[name].most for name, share in told.items()) else 1


def _cpu_minutes() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) / 60


if __name__ == "__main__":
    sys.exit(main())
