"""Elements of single records, made without a data set around them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tests.tf_data.conftest import FPS, SAMPLE_RATE, FakeClip, record
from tf_data.examples import Making, example
from tf_data.info import FlowInfo, Info
from tf_data.presets import Preset, find_preset
from tf_data.views import choose_views

BOUND_PX = 20.0
INFO = Info(
    name="fake",
    config=None,
    version="1.0.0",
    folder="/data/fake/1.0.0",
    label_names=("climbing", "turning left", "turning right", "writing"),
    frame_rate=float(FPS),
    features={},
    flow=FlowInfo("tvl1", BOUND_PX, "jpeg444", 95),
    audio_sample_rate=float(SAMPLE_RATE),
    splits={},
)
_MAKING = ("num_boxes", "flip_targets", "tell_mask", "tell_mix_key", "extras", "seed", "info")


@functools.cache
def clip_record(num_frames: int, height: int = 32, width: int = 48) -> bytes:
    """The record of a clip whose pixels say where they are from."""
    return record(FakeClip("clip", num_frames=num_frames, height=height, width=width))


def make(preset: str | Preset | None, training: bool, **asked: Any) -> Making:
    """What `load` hands to `example` for these keywords."""
    how = {key: asked.pop(key) for key in _MAKING if key in asked}
    asked.setdefault("streams", ("rgb",))
    row = find_preset(preset)
    views = choose_views(row.training if training else row.evaluation, random=training, **asked)
    return Making(**({"seed": 0, "info": INFO} | how), views=views, flip_on_host=views.dtype != "uint8")


def element(
    clip: bytes,
    preset: str | Preset | None = "i3d",
    *,
    training: bool = True,
    epoch: int = 0,
    clip_key: int = 1,
    real: bool = True,
    **asked: Any,
) -> dict[str, Any]:
    """Makes one element in NumPy arrays; `asked` are keywords of `choose_views` and values of `Making`."""
    made = example(
        tf.constant(clip),
        tf.constant("shard 0, record 0"),
        epoch_key=tf.constant(epoch, tf.int64),
        clip_key=tf.constant(clip_key, tf.int64),
        making=make(preset, training, **asked),
        real=real,
    )
    return {key: tensor.numpy() for key, tensor in made.items()}


def epochs(
    clip: bytes, count: int, preset: str | Preset | None = "i3d", *, training: bool = True, **asked: Any
) -> tf.data.Dataset:
    """The same clip in `count` epochs, as a data set makes it: within a graph."""
    making = make(preset, training, **asked)

    def made(epoch: tf.Tensor, same: tf.Tensor) -> dict[str, tf.Tensor]:
        place, key = tf.constant("shard 0, record 0"), tf.constant(1, tf.int64)
        return example(same, place, epoch_key=epoch, clip_key=key, making=making)

    # The record comes as data: of a constant TensorFlow would infer shapes that it can't know.
    return tf.data.Dataset.zip((tf.data.Dataset.range(count), tf.data.Dataset.from_tensors(clip).repeat())).map(made)


def levels_of(numbers: np.ndarray) -> np.ndarray:
    """Levels 0 … 255 of numbers in [-1, 1]."""
    return numbers.astype(np.float32) * 127.5 + 127.5
