"""Several augmentations, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

# (frames, seed) -> frames. `frames` is float32 [T, H, W, 3], levels from 0 to 255, and so is what is returned; `seed`
# is an integer tensor [2], from which everything random must be drawn by stateless ops.
Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def apply(augmentations: Sequence[Augmentation], frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Applies augmentations in their order, each with a seed of its own.

    Args:
      augmentations: this package's, or any function of the same signature.
      frames: float32 [T, H, W, 3], levels from 0 to 255.
      seed: int32 or int64 [2].

    Returns:
      Frames of the same shape, dtype and range.

    Raises:
      ValueError: an augmentation returned another shape or dtype.
    """
    for position, augmentation in enumerate(augmentations):
        shape = frames.shape
        result = augmentation(frames, tf.random.fold_in(seed, tf.constant(position, tf.int64), alg="philox"))
        if result.dtype != tf.float32 or not result.shape.is_compatible_with(shape):
            raise ValueError(
                f"augmentation {position}, {augmentation!r}, must return frames as it gets them, float32 {shape}, "
                f"but returned {result.dtype.name} {result.shape}"
            )
        frames = tf.ensure_shape(result, shape)
    return frames
