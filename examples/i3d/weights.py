"""Weights from checkpoints: DeepMind's of TensorFlow 1, by their variables' names, and those of `train.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sonnet as snt
import tensorflow as tf

from examples.i3d.model import CHANNELS, build_i3d
from examples.i3d.settings import FILE, Settings, read_settings

CHECKPOINTS = "checkpoints"  # the folder of them in a run's folder
_LOGITS = "Logits/Conv3d_0c_1x1/conv_3d/w"
_STEM = "Conv3d_1a_7x7/conv_3d/w"


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its weights; `settings` are those of the run that trained it, None for a published checkpoint."""

    stream: str
    num_classes: int
    model: snt.Module
    settings: Settings | None


def open_weights(path: str) -> Trained:
    """Builds the network that a run or a checkpoint is of, and loads its weights.

    Args:
      path: the folder of a run of `train.py`, whose latest checkpoint is taken; or the prefix of a TF1 checkpoint
        (`rgb_imagenet/model.ckpt`), which tells stream and number of classes by its shapes.

    Raises:
      ValueError: there is no such thing, or it is of another network.
    """
    if (Path(path) / FILE).is_file():
        return _open_run(Path(path))
    shapes = _shapes(path)
    stem, logits = (_find(suffix, shapes) for suffix in (_STEM, _LOGITS))
    if stem is None or logits is None:
        raise ValueError(f"{path}: has no variables {_STEM} and {_LOGITS}: it is no checkpoint of I3D")
    stream = {channels: stream for stream, channels in CHANNELS.items()}.get(shapes[stem][3])
    if stream is None:
        raise ValueError(f"{path}: {stem} takes {shapes[stem][3]} channels, expected 3 (RGB) or 2 (flow)")
    num_classes = shapes[logits][-1]
    model = build_i3d(stream, num_classes)
    load_tf1_weights(model, path)
    return Trained(stream, num_classes, model, None)


def _open_run(folder: Path) -> Trained:
    settings = read_settings(folder)
    latest = tf.train.latest_checkpoint(str(folder / CHECKPOINTS))
    if latest is None:
        raise ValueError(f"{folder / CHECKPOINTS}: has no checkpoint yet")
    num_classes = len(settings.label_names)
    model = build_i3d(settings.stream, num_classes, width=settings.width)
    tf.train.Checkpoint(model=model).restore(latest).assert_existing_objects_matched().expect_partial()
    return Trained(settings.stream, num_classes, model, settings)


def load_tf1_weights(model: snt.Module, prefix: str, *, skip_logits: bool = False) -> None:
    """Loads the variables of a network from a checkpoint in which they have DeepMind's names.

    The checkpoints of Kinetics-400 have all names in full (`RGB/inception_i3d/Conv3d_1a_7x7/…`), that of Kinetics-600
    without the first two parts, its values of a channel as [1, 1, 1, 1, C], and momenta besides, which are left aside.

    Args:
      model: of `build_i3d`.
      prefix: the checkpoint's path without `.index`.
      skip_logits: leaves the logits as they are, to train them for other classes.

    Raises:
      ValueError: the checkpoint can't be read, lacks a variable or has one of another shape; nothing has been changed.
    """
    reader_shapes = _shapes(prefix)
    values = {}
    for variable in model.variables:
        name = variable.name.removesuffix(":0")
        short = name.split("/", 2)[2]
        if skip_logits and short.startswith("Logits/"):
            continue
        found = next((key for key in (name, short) if key in reader_shapes), None)
        if found is None:
            raise ValueError(f"{prefix}: has no variable {name}, nor {short}: it is of another network or stream")
        shape = reader_shapes[found]
        if _without_ones(shape) != _without_ones(tuple(variable.shape)):
            hint = "; for other classes, leave the logits out" if short.startswith("Logits/") else ""
            raise ValueError(f"{prefix}: {found} is {shape}, expected {tuple(variable.shape)}{hint}")
        values[found] = variable
    reader = tf.train.load_checkpoint(prefix)
    try:
        loaded = [(variable, reader.get_tensor(name)) for name, variable in values.items()]
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ValueError(f"{prefix}: its values can't be read, is its .data file beside it? {error}") from error
    for variable, value in loaded:
        variable.assign(value.reshape(variable.shape))


def _shapes(prefix: str) -> dict[str, tuple[int, ...]]:
    try:
        found: Mapping[str, list[int]] = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{prefix}: is neither a run's folder, which has a {FILE}, nor the prefix of a checkpoint, "
            f"such as rgb_imagenet/model.ckpt: {error}"
        ) from error
    return {name: tuple(shape) for name, shape in found.items()}


def _find(suffix: str, names: Mapping[str, object]) -> str | None:
    return next((name for name in names if name == suffix or name.endswith(f"/{suffix}")), None)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)
