"""Where a view looks, and its numbers: crop windows, decoding inside them, flips, normalisation. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tf_data.sampling import random_offset


class Draw(NamedTuple):
    """All that is random about one view of one clip, drawn once and handed to every stream: scalars in [0, 1)."""

    time: tf.Tensor
    top: tf.Tensor
    left: tf.Tensor
    flip: tf.Tensor


def draw(seed: int, epoch_key: tf.Tensor, clip_key: tf.Tensor) -> Draw:
    """Draws the randomness of a clip in an epoch: a function of these three numbers and of nothing else.

    Args:
      seed: the data set's seed.
      epoch_key: int64 scalar, see `order.epoch_keys`.
      clip_key: int64 scalar, the clip's.
    """
    pair = tf.random.fold_in(tf.stack([tf.constant(seed, tf.int64), clip_key]), epoch_key, alg="philox")
    return Draw(*tf.unstack(tf.random.stateless_uniform([4], pair, alg="philox")))


def random_window(frame_size: tf.Tensor, crop_size: tuple[int, int], drawn: Draw) -> tf.Tensor:
    """Returns a random crop window, int32 [1, 4]: top, left, height, width.

    Args:
      frame_size: int32 [2], height and width, neither less than the crop's.
      crop_size: height and width.
      drawn: the clip's randomness.
    """
    room = frame_size - tf.constant(crop_size)
    return tf.stack([[random_offset(room[0], drawn.top), random_offset(room[1], drawn.left), *crop_size]])


def fixed_windows(frame_size: tf.Tensor, crop_size: tuple[int, int], num_crops: int) -> tf.Tensor:
    """Returns one centred window, or three along the longer side (first end, centre, last end): int32 [num_crops, 4].

    Three crops are those of SlowFast's evaluation, https://arxiv.org/abs/1812.03982, section 4.
    """
    room = frame_size - tf.constant(crop_size)
    centre = room // 2
    if num_crops == 1:
        corners = centre[tf.newaxis]
    else:
        along = tf.where(frame_size[0] > frame_size[1], [1, 0], [0, 1])
        across = (1 - along) * centre
        corners = tf.stack([across, centre, across + along * room])
    return tf.concat([corners, tf.tile(tf.constant([crop_size]), [num_crops, 1])], axis=1)


def whole_window(frame_size: tf.Tensor) -> tf.Tensor:
    """Returns the window that is the frame, int32 [1, 4]."""
    return tf.concat([[0, 0], frame_size], axis=0)[tf.newaxis]


def decode(encoded: tf.Tensor, window: tf.Tensor, *, channels: int, exact: bool) -> tf.Tensor:
    """Decodes JPEG frames inside one crop window: uint8 [n, height, width, channels].

    Only the blocks under the window are decoded, and the pixels are those of the whole frame. One frame after another:
    the parallelism is that of clips, and more of it inside a clip costs a tenth more CPU.

    Args:
      encoded: string [n].
      window: int32 [4]: top, left, height, width.
      channels: how many of the three channels to keep.
      exact: with the exact inverse DCT; the fast one is up to 7 levels off, which flow can't afford.
    """
    method = "INTEGER_ACCURATE" if exact else "INTEGER_FAST"
    top, left, height, width = tf.unstack(window)
    # Where chroma is subsampled, the columns at the edges of what is decoded lack a neighbour to interpolate with, and
    # are up to 14 levels off: so decode two columns more on both sides, and leave them out.
    frame_width = tf.io.extract_jpeg_shape(encoded[0])[1]
    first, last = tf.maximum(left - 2, 0), tf.minimum(left + width + 2, frame_width)
    wider = tf.stack([top, first, height, last - first])
    inside = slice(left - first, left - first + width)
    frames = tf.map_fn(
        lambda jpeg: tf.io.decode_and_crop_jpeg(jpeg, wider, channels=3, dct_method=method)[:, inside, :channels],
        encoded,
        fn_output_signature=tf.TensorSpec([None, None, channels], tf.uint8),
        parallel_iterations=1,
    )
    return tf.ensure_shape(frames, [None, None, None, channels])


def flip_rgb(frames: tf.Tensor) -> tf.Tensor:
    """Mirrors frames left to right: [n, height, width, 3]."""
    return tf.reverse(frames, [2])


def flip_flow(levels: tf.Tensor) -> tf.Tensor:
    """Mirrors flow left to right, uint8 [n, height, width, 2]: what moved right moves left, so x is negated.

    Levels l and 255 - l stand for opposite flow exactly.
    """
    mirrored = tf.reverse(levels, [2])
    return tf.bitwise.bitwise_xor(mirrored, tf.constant([255, 0], tf.uint8))


def normalise(levels: tf.Tensor, dtype: str) -> tf.Tensor:
    """Turns levels 0 … 255 into [-1, 1] by `level / 127.5 - 1`; `uint8` leaves them.

    For flow the result is in units of the bound that its levels stand for: times `info.flow.bound_px` it is pixels.
    """
    if dtype == "uint8":
        return levels
    # Computed in float32: bfloat16 has 8 bits, and would round twice.
    return tf.cast(tf.cast(levels, tf.float32) / 127.5 - 1.0, dtype)
