"""Trains a stream of I3D on records: `python -m examples.i3d.train k400 --data_dir /data/tfrecords --out runs/rgb`.

Stopped, by whatever it was, the same command goes on from the latest checkpoint: the losses are those that they would
have been.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded

import sonnet as snt
import tensorflow as tf

import tf_data
from examples.i3d.evaluation import Scores, logits_function, predictions, score
from examples.i3d.model import CHANNELS, build_i3d
from examples.i3d.replicas import choose_precision, devices, share_out, step_function
from examples.i3d.settings import SCHEDULES, Settings, learning_rate_at, write_settings
from examples.i3d.weights import CHECKPOINTS, load_tf1_weights

TENSORBOARD = "tensorboard"  # the folder of event files in a run's folder


@dataclass(frozen=True, slots=True)
class Cadence:
    """After how many steps each time something is written down."""

    log: int = 10
    checkpoint: int = 1000
    evaluate: int = 1000


def train(settings: Settings, out: Path, data_dir: str | None, val_split: str, cadence: Cadence) -> Scores:
    """Trains until the last step, from the latest checkpoint in `out` where there is one; returns how `val_split` went.

    Raises:
      ValueError: settings that are not allowed, or not those of the run in `out`.
    """
    strategy = snt.distribute.Replicator(devices()[: settings.num_replicas])
    tf.random.set_seed(settings.seed)
    batches = load(
        settings,
        data_dir,
        settings.split,
        training=True,
        flip_probability=settings.flip_probability,
        flip_labels=settings.flip_labels or None,
        num_epochs=None,
        seed=settings.seed,
    )
    validation = load(settings, data_dir, val_split, training=False)
    write_settings(out, settings)
    iterator = iter(batches)
    with strategy.scope():
        model = build_i3d(
            settings.stream,
            len(settings.label_names),
            width=settings.width,
            batch_norm_decay=settings.batch_norm_decay,
        )
        learning_rate = tf.Variable(0.0, trainable=False)
        optimizer = snt.optimizers.Momentum(learning_rate, settings.momentum)
        parameters = model.trainable_variables
        # The optimizer makes its variables at its first update, and they must be there to be restored.
        nothing = [tf.zeros_like(parameter) for parameter in parameters]
        tf.function(lambda: strategy.run(optimizer.apply, (nothing, parameters)))()
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, iterator=iterator, step=step)
    manager = tf.train.CheckpointManager(checkpoint, str(out / CHECKPOINTS), max_to_keep=2)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
        print(f"going on after step {step.numpy()}, from {manager.latest_checkpoint}", flush=True)
    elif settings.initial:
        load_tf1_weights(model, settings.initial, skip_logits=True)

    take_step = step_function(strategy, model, optimizer, settings)
    logits = logits_function({settings.stream: model}, settings.precision)
    writer = tf.summary.create_file_writer(str(out / TENSORBOARD))
    scores = None
    clips_a_step = settings.batch_size * settings.num_replicas
    since, steps_since = time.perf_counter(), 0
    for number in range(int(step.numpy()) + 1, settings.steps + 1):
        rate = learning_rate_at(number - 1, settings)
        learning_rate.assign(rate)
        loss, accuracy = take_step(share_out(next(iterator), strategy), tf.identity(step))
        step.assign(number)
        steps_since += 1
        is_last = number == settings.steps
        if number % cadence.log == 0 or is_last:
            values = {"train/loss": float(loss), "train/top1": float(accuracy), "train/learning_rate": rate}
            clips_a_second = steps_since * clips_a_step / (time.perf_counter() - since)
            _write(writer, number, values | {"train/clips_per_second": clips_a_second})
            print(f"step {number}: loss {float(loss):.4f}, {clips_a_second:.1f} clips a second", flush=True)
            since, steps_since = time.perf_counter(), 0
        if number % cadence.evaluate == 0 or is_last:
            scores = score(predictions(logits, validation), len(settings.label_names))
            _write(writer, number, {"val/top1": scores.top1, "val/top5": scores.top5})
            print(f"step {number}: top-1 {scores.top1:.1%} of {scores.num_clips} clips of {val_split}", flush=True)
            since, steps_since = time.perf_counter(), 0
        if number % cadence.checkpoint == 0 or is_last:
            writer.flush()  # what is told before a checkpoint is not told again after it
            manager.save(number)
    return scores or score(predictions(logits, validation), len(settings.label_names))


def load(settings: Settings, data_dir: str | None, split: str, **more: Any) -> Any:
    """Loads a split as a run sees it, in levels: what the device is to flip and normalise is a quarter of the bytes.

    Args:
      settings: of the run.
      data_dir: the folder of data sets, as `tf_data.load` takes it.
      split: likewise.
      **more: of its other keywords.
    """
    return tf_data.load(
        settings.name,
        split=split,
        data_dir=data_dir,
        preset="i3d",
        streams=[settings.stream],
        num_frames=settings.num_frames,
        stride=settings.stride,
        shorter_side=settings.shorter_side,
        crop_size=settings.crop_size,
        batch_size=settings.batch_size * settings.num_replicas,
        dtype="uint8",
        **more,
    )


def _write(writer: tf.summary.SummaryWriter, step: int, values: dict[str, float]) -> None:
    with writer.as_default(step):
        for name, value in values.items():
            tf.summary.scalar(name, value)


def _flip_label(text: str) -> tuple[str, str | None]:
    label, separator, mirrored = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(
            f"must be LABEL=MIRRORED, or LABEL= to leave its clips unflipped, got {text!r}"
        )
    return label, mirrored or None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.i3d.train", description=main.__doc__)
    add = parser.add_argument
    default = {one.name: one.default for one in dataclasses.fields(Settings)}
    add("name", help="name[/config][:version] of a data set, or the folder of one")
    add("--data_dir", help="default: $KINETICS_DATA_DIR, else ~/kinetics_tfrecords")
    add("--out", type=Path, required=True, help="folder of the run: checkpoints, events for TensorBoard, run.json")
    add("--stream", choices=tuple(CHANNELS), default="rgb")
    add("--split", default="train", help="that is trained on (default: train)")
    add("--val_split", default="val", help="that is evaluated (default: val)")
    add("--steps", type=int, help="default: the published 115000 for RGB, 155000 for flow; the schedule is stretched")
    for name, what in {
        "learning_rate": "the schedule's largest; the published one is that of 64 replicas",
        "batch_size": "clips a replica",
        "num_frames": "of a clip",
        "stride": "from one frame to the next",
        "crop_size": "pixels",
        "flip_probability": "of mirroring a clip",
        "momentum": "of the gradient descent",
        "weight_decay": "of the convolutions' weights",
        "dropout": "share of the features before the logits",
        "width": "factor of all layers' channels",
        "batch_norm_decay": "of the moving averages",
        "seed": "of all that is random",
    }.items():
        add(f"--{name}", type=type(default[name]), default=default[name], help=f"{what} (default: {default[name]})")
    add("--shorter_side", type=int, help="pixels to which frames are resized first (default: as they are)")
    add("--flip_label", type=_flip_label, action="append", default=[], metavar="LABEL=MIRRORED", dest="flip_labels",
        help="a class that a flip turns into another, and the other into it; repeatable")  # fmt: skip
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="auto: bfloat16 on GPUs that have it")  # fmt: skip
    add("--initial", metavar="CHECKPOINT", help="a published checkpoint to begin with; its logits are left out")
    add("--replicas", type=int, help="devices that train together (default: all GPUs, or the CPU)")
    for name in ("log", "checkpoint", "evaluate"):
        number = getattr(Cadence(), name)
        add(f"--{name}_every", type=int, default=number, metavar="STEPS", help=f"default: {number}")
    add("--deterministic", action="store_true", help="the same losses to the last bit, at some cost")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Trains a stream of I3D on the records of a data set; the same command again goes on where it was stopped."""
    parser = _parser()
    asked = vars(parser.parse_args(argv))
    out, data_dir, val_split = asked["out"], asked["data_dir"], asked["val_split"]
    cadence = Cadence(*(asked[f"{name}_every"] for name in ("log", "checkpoint", "evaluate")))
    found = devices()
    num_replicas = len(found) if asked["replicas"] is None else asked["replicas"]
    if num_replicas > len(found):
        parser.error(f"--replicas {num_replicas}: there are {len(found)} devices: {', '.join(found)}")
    if asked["deterministic"]:
        tf.config.experimental.enable_op_determinism()
    try:
        _, info = tf_data.load(asked["name"], split=asked["split"], data_dir=data_dir, preset=None, with_info=True)
        values = {one.name: asked[one.name] for one in dataclasses.fields(Settings) if one.name in asked} | {
            "label_names": info.label_names,
            "encode": info.configuration.get("encode"),
            "flow_encode": info.configuration.get("flow"),
            "flip_labels": dict(asked["flip_labels"]),
            "steps": asked["steps"] or SCHEDULES[asked["stream"]][-1][0],
            "num_replicas": num_replicas,
            "precision": choose_precision(asked["precision"]),
        }
        settings = Settings(**values)
        scores = train(settings, out, data_dir, val_split, cadence)
    except (tf_data.DatasetNotFoundError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{out}: top-1 {scores.top1:.1%}, top-5 {scores.top5:.1%} of {scores.num_clips} clips of {val_split}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
