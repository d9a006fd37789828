"""Evaluates trained I3D on a split, or on one video file.

python -m examples.i3d.evaluate k400 --data_dir /data/tfrecords --weights runs/rgb --weights runs/flow
python -m examples.i3d.evaluate --video clip.mp4 --weights rgb_imagenet/model.ckpt
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded

import numpy as np
import tensorflow as tf

import tf_data
from beam_pipeline.clips import ClipError
from beam_pipeline.shipped import shipped
from examples.i3d.evaluation import logits_function, predictions, score
from examples.i3d.one_video import load_record, media_settings, record_of
from examples.i3d.pictures import draw_confusion
from examples.i3d.settings import Settings
from examples.i3d.weights import Trained, open_weights

_SHIPPED_LABELS = {400: "labels/k400.txt", 600: "labels/k600.txt"}  # in the order of the published checkpoints
_NUM_TOP = 20


def label_names_of(trained: Sequence[Trained], file: Path | None) -> tuple[str, ...]:
    """Returns the names of the classes that models tell apart: a file's, those of their runs, or Kinetics' own.

    Raises:
      ValueError: there are none, more or fewer than logits, or the models have different ones.
    """
    runs = [one.settings.label_names for one in trained if one.settings]
    num_classes = {one.num_classes for one in trained}
    if len(num_classes) > 1 or len(set(runs)) > 1:
        raise ValueError("--weights: the streams were trained for different classes, so their logits can't be added")
    (count,) = num_classes
    if file is not None:
        names = tuple(file.read_text(encoding="utf-8").splitlines())
    elif runs:
        names = runs[0]
    elif count in _SHIPPED_LABELS:
        names = tuple(shipped(_SHIPPED_LABELS[count]).read_text(encoding="utf-8").splitlines())
    else:
        raise ValueError(f"--weights: a checkpoint of {count} classes doesn't name them; give their names by --labels")
    if len(names) != count:
        raise ValueError(f"--labels: there are {len(names)} names, and the weights are of {count} classes")
    return names


def views_of(asked: argparse.Namespace, trained: Sequence[Trained]) -> dict[str, Any]:
    """Returns what `tf_data.load` is asked for: windows of the length trained on, or the whole clip.

    Raises:
      ValueError: the streams were trained on other views.
    """
    found = [one.settings or Settings("", "", one.stream, ()) for one in trained]
    if len({(one.stride, one.shorter_side, one.crop_size) for one in found}) > 1:
        raise ValueError(
            "--weights: the streams differ in stride, shorter_side or crop_size, so they see different things"
        )
    if asked.num_clips and not asked.num_frames and len({one.num_frames for one in found}) > 1:
        raise ValueError(
            "--weights: the streams were trained on windows of different lengths; give one by --num_frames"
        )
    first = found[0]
    window = {"num_frames": asked.num_frames or first.num_frames, "num_clips": asked.num_clips}
    return {
        "preset": "i3d",
        "streams": [one.stream for one in trained],
        "stride": first.stride,
        "shorter_side": first.shorter_side,
        "crop_size": first.crop_size,
        "num_crops": asked.num_crops,
        "dtype": "uint8",
        **(window if asked.num_clips else {"sampling": "all"}),
    }


def evaluate_split(asked: argparse.Namespace, trained: Sequence[Trained], views: dict[str, Any]) -> None:
    """Prints how often the labels of a split's clips are predicted, and draws the confusions where asked for."""
    names = label_names_of(trained, asked.labels)
    batch_size = asked.batch_size if asked.num_clips else 1  # whole clips differ in length
    source = {"split": asked.split, "data_dir": asked.data_dir, "training": False, "label_names": names}
    batches = cast("tf.data.Dataset", tf_data.load(asked.name, batch_size=batch_size, **source, **views))
    logits = logits_function({one.stream: one.model for one in trained})
    scores = score(predictions(logits, batches), len(names))
    streams = " + ".join(one.stream for one in trained)
    told = f"{streams}: top-1 {scores.top1:.1%}, top-5 {scores.top5:.1%} of {scores.num_clips} clips of {asked.split}"
    print(told)
    if asked.confusion:
        draw_confusion(asked.confusion, scores.confusion, names, told)
        print(asked.confusion)


def evaluate_video(asked: argparse.Namespace, trained: Sequence[Trained], views: dict[str, Any]) -> None:
    """Prints the likeliest classes of a video, as the sample of kinetics-i3d does."""
    names = label_names_of(trained, asked.labels)
    encodings = [(one.settings.encode, one.settings.flow_encode) for one in trained if one.settings]
    if any(one != encodings[0] for one in encodings):
        raise ValueError("--weights: the streams were trained on records that were encoded in different ways")
    media = media_settings(*(encodings[0] if encodings else (None, None)), with_flow="flow" in views["streams"])
    batch = load_record(record_of(asked.video, media, asked.start, asked.duration), **views)
    logits = logits_function({one.stream: one.model for one in trained})(batch).numpy()[0]
    probabilities = tf.nn.softmax(logits).numpy()
    print(f"Norm of logits: {np.linalg.norm(logits):f}\n\nTop classes and probabilities")
    for index in np.argsort(-logits, kind="stable")[:_NUM_TOP]:
        print(f"{probabilities[index]:.6g} {logits[index]:.6g} {names[index]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates trained I3D on a split of a data set, or on one video file."""
    parser = argparse.ArgumentParser(prog="python -m examples.i3d.evaluate", description=main.__doc__)
    add = parser.add_argument
    add("name", nargs="?", help="name[/config][:version] of a data set, or the folder of one")
    add("--video", type=Path, help="a video file instead of a data set")
    add("--weights", action="append", required=True, metavar="RUN",
        help="folder of a run, or prefix of a published checkpoint; twice for two streams")  # fmt: skip
    add("--labels", type=Path, help="names of the classes, one a line (default: the run's, or Kinetics')")
    views = parser.add_argument_group("views", "Without --num_clips, all of each clip.")
    views.add_argument("--num_clips", type=int, help="windows of a clip, evenly spaced")
    views.add_argument("--num_frames", type=int, help="of a window (default: as in training)")
    views.add_argument("--num_crops", type=int, default=1, help="1, 3 or 10 (default: 1)")
    split = parser.add_argument_group("a data set")
    split.add_argument("--data_dir", help="default: $KINETICS_DATA_DIR, else ~/kinetics_tfrecords")
    split.add_argument("--split", default="val", help="default: val")
    split.add_argument("--batch_size", type=int, default=6, help="clips at once, with --num_clips (default: 6)")
    split.add_argument("--confusion", type=Path, metavar="PNG", help="where a picture of what is confused goes")
    video = parser.add_argument_group("a video")
    video.add_argument("--start", type=float, metavar="SECONDS", help="where to begin (default: all of the file)")
    video.add_argument("--duration", type=float, default=10.0, metavar="SECONDS", help="with --start (default: 10)")
    asked = parser.parse_args(argv)
    if (asked.name is None) == (asked.video is None):
        parser.error("name a data set, or a video by --video")
    try:
        trained = [open_weights(path) for path in asked.weights]
        if len({one.stream for one in trained}) < len(trained):
            raise ValueError("--weights: both are of one stream; expected one of RGB and one of flow")
        chosen = views_of(asked, trained)
        if asked.video:
            evaluate_video(asked, trained, chosen)
        else:
            evaluate_split(asked, trained, chosen)
    except ClipError as error:
        print(f"{parser.prog}: {asked.video}: {error.reason}: {error.detail}", file=sys.stderr)
        return 1
    except (tf_data.DatasetNotFoundError, ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
