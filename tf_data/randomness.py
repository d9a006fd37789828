"""What is random about a clip, drawn once from (seed, epoch, clip) and handed to every phase and stream."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

RESIZED_CROP, SEGMENTS, MIX, AUGMENT = 1, 2, 3, 4  # the purposes of `subkey`
MIX_KEY = "mix_key"  # of an element, int64 [2]: that of the first one seeds how its batch is mixed; no batch keeps it


class Draw(NamedTuple):
    """All that is random about one view of one clip, drawn once and handed to every stream.

    `key` seeds what needs more numbers; the others are float32 scalars in [0, 1).
    """

    key: tf.Tensor  # int64 [2]
    time: tf.Tensor
    stride: tf.Tensor
    reverse: tf.Tensor
    top: tf.Tensor
    left: tf.Tensor
    side: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    flip: tf.Tensor


def draw(seed: int, epoch_key: tf.Tensor, clip_key: tf.Tensor) -> Draw:
    """Draws the randomness of a clip in an epoch: a function of these three numbers and of nothing else.

    Args:
      seed: the data set's seed.
      epoch_key: int64 scalar, see `order.epoch_keys`.
      clip_key: int64 scalar, the clip's.
    """
    key = tf.random.fold_in(tf.stack([tf.constant(seed, tf.int64), clip_key]), epoch_key, alg="philox")
    return Draw(key, *tf.unstack(tf.random.stateless_uniform([len(Draw._fields) - 1], key, alg="philox")))


def more_uniforms(drawn: Draw, purpose: int, shape: list[int]) -> tf.Tensor:
    """Draws float32 `shape` in [0, 1) for one more purpose, each of which has a number of its own."""
    return tf.random.stateless_uniform(shape, subkey(drawn, purpose), alg="philox")


def subkey(drawn: Draw, purpose: int) -> tf.Tensor:
    """Returns a key of its own for one more purpose, int64 [2]."""
    return tf.random.fold_in(drawn.key, tf.constant(purpose, tf.int64), alg="philox")
