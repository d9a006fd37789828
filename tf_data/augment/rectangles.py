"""Rectangles of frames: pasting into one."""

from __future__ import annotations

import tensorflow as tf


def paste(frames: tf.Tensor, patch: tf.Tensor, top: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    """Returns frames in which `patch` covers a rectangle, the same in all.

    Args:
      frames: [..., H, W, C].
      patch: [..., h, w, C], of the same dtype and number of frames; h or w may be 0.
      top: int32 scalar, where the patch begins, at most H - h.
      left: int32 scalar, at most W - w.
    """
    bottom, right = top + tf.shape(patch)[-3], left + tf.shape(patch)[-2]
    beside = frames[..., top:bottom, :, :]
    middle = tf.concat([beside[..., :left, :], patch, beside[..., right:, :]], axis=-2)
    pasted = tf.concat([frames[..., :top, :, :], middle, frames[..., bottom:, :, :]], axis=-3)
    return tf.ensure_shape(pasted, frames.shape)
