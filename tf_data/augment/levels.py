"""Changes of the levels of frames at a given strength; no pixel moves.

All take and return float32 [T, H, W, 3] with levels from 0 to 255, and do to each frame what PIL's `ImageEnhance` and
`ImageOps` of the same names do (https://pillow.readthedocs.io), without rounding. What is measured in the frames (mean,
extremes, histogram) is measured in each frame by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, PIL's "L"
_NUM_LEVELS = 256


def adjust_brightness(frames: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Multiplies all levels: 0 gives black, 1 the frames themselves."""
    return _clip(frames * factor)


def adjust_contrast(frames: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Multiplies the distance of all levels from the frame's mean luma: 0 gives a grey frame, 1 the frames."""
    mean = tf.reduce_sum(_reduced(frames, tf.reduce_mean) * tf.constant(LUMA), axis=1, keepdims=True)  # [T, 1]
    flat = tf.reshape(frames, [tf.shape(frames)[0], -1])
    return tf.reshape(_clip(flat * factor + mean * (1.0 - factor)), tf.shape(frames))


def adjust_saturation(frames: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Multiplies the distance of each pixel from its luma: 0 gives grey frames, 1 the frames themselves."""
    to_luma = tf.constant(np.outer(LUMA, [1, 1, 1]), tf.float32)
    return _clip(_mix_channels(frames, tf.eye(3) * factor + to_luma * (1.0 - factor)))


def adjust_hue(frames: tf.Tensor, turn: tf.Tensor | float) -> tf.Tensor:
    """Turns the hue (of HSV) of all pixels by `turn` of the circle, from -1 to 1."""
    return tf.image.adjust_hue(frames, turn)


def greyscale(frames: tf.Tensor) -> tf.Tensor:
    """Gives all three channels the luma."""
    return adjust_saturation(frames, 0.0)


def adjust_sharpness(frames: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Multiplies the distance of each pixel from the smoothed frame: 0 smooths, 1 gives the frames, 2 sharpens.

    Smoothing weighs a pixel 5, its eight neighbours 1. The pixels at the edge of a frame stay as they are.
    """
    smooth = np.ones([3, 3, 3, 1]) / 13
    smooth[1, 1] = 5 / 13
    itself = np.zeros([3, 3, 3, 1])
    itself[1, 1] = 1
    kernel = tf.constant(itself, tf.float32) * factor + tf.constant(smooth, tf.float32) * (1.0 - factor)
    inside = _clip(tf.nn.depthwise_conv2d(frames, kernel, [1, 1, 1, 1], "VALID"))
    rows = tf.concat([frames[:, 1:-1, :1], inside, frames[:, 1:-1, -1:]], axis=2)
    return tf.concat([frames[:, :1], rows, frames[:, -1:]], axis=1)


def auto_contrast(frames: tf.Tensor) -> tf.Tensor:
    """Stretches the levels of each channel of a frame, so that its darkest is 0 and its lightest 255."""
    low, high = _reduced(frames, tf.reduce_min), _reduced(frames, tf.reduce_max)
    flat = high <= low
    low = tf.where(flat, 0.0, low)
    scale = tf.where(flat, 1.0, tf.math.divide_no_nan(255.0, high - low))
    return _clip(_per_channel(frames, lambda rows, low, scale: (rows - low) * scale, low, scale))


def equalise(frames: tf.Tensor) -> tf.Tensor:
    """Spreads the levels of each channel of a frame, so that all become about as frequent (histogram equalisation).

    Levels are rounded to whole ones.
    """
    shape = tf.shape(frames)
    num_frames = shape[0]
    num_bins = num_frames * 3 * _NUM_LEVELS
    first_bin = tf.reshape(tf.range(num_frames * 3) * _NUM_LEVELS, [num_frames, 3])
    bins = _per_channel(tf.cast(frames + 0.5, tf.int32), lambda rows, first: rows + first, first_bin)
    counts = tf.raw_ops.DenseBincount(
        input=tf.reshape(bins, [-1]), size=num_bins, weights=tf.zeros([0], tf.int32), binary_output=False
    )
    counts = tf.reshape(counts, [-1, _NUM_LEVELS])
    below = tf.cumsum(counts, axis=1, exclusive=True)
    # PIL's table: the pixels below the lightest level there is, shared out among 255 steps.
    step = tf.reduce_max(tf.where(counts > 0, below, 0), axis=1, keepdims=True) // 255
    table = tf.where(step > 0, tf.minimum((below + step // 2) // tf.maximum(step, 1), 255), tf.range(_NUM_LEVELS))
    table = tf.cast(tf.reshape(table, [num_bins]), tf.float32)
    return tf.reshape(tf.gather_nd(table, tf.reshape(bins, [-1, 1])), shape)  # in half the time of tf.gather


def invert(frames: tf.Tensor) -> tf.Tensor:
    """Turns level l into 255 - l."""
    return 255.0 - frames


def posterise(frames: tf.Tensor, bits: tf.Tensor | int) -> tf.Tensor:
    """Keeps the highest `bits` of the eight bits of each level."""
    step = 2.0 ** (8.0 - tf.cast(bits, tf.float32))
    return tf.floor(frames * (1.0 / step)) * step


def solarise(frames: tf.Tensor, threshold: tf.Tensor | float) -> tf.Tensor:
    """Inverts the levels that are `threshold` or more."""
    light = tf.cast(frames >= threshold, tf.float32)
    return frames + light * (255.0 - 2.0 * frames)


def solarise_add(frames: tf.Tensor, addition: tf.Tensor | float, threshold: float = 128.0) -> tf.Tensor:
    """Adds to the levels below `threshold`."""
    dark = tf.cast(frames < threshold, tf.float32)
    return _clip(frames + dark * addition)


def _clip(levels: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(levels, 0.0, 255.0)


def _mix_channels(frames: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.matmul(tf.reshape(frames, [-1, 3]), matrix), tf.shape(frames))


# TensorFlow is slow with an inner axis of three: these work on rows of W · 3, in a third of the time.


def _reduced(frames: tf.Tensor, reduce: Callable[..., tf.Tensor]) -> tf.Tensor:
    """Returns one number for each frame and channel, [T, 3]."""
    return reduce(reduce(frames, axis=1), axis=1)


def _per_channel(frames: tf.Tensor, function: Callable[..., tf.Tensor], *values: tf.Tensor) -> tf.Tensor:
    """Calls `function(rows, *values)`, the values being given for each frame and channel, [T, 3]."""
    num_frames, height, width, _ = tf.unstack(tf.shape(frames))
    rows = tf.reshape(frames, [num_frames, height, width * 3])
    tiled = [tf.tile(value, [1, width])[:, tf.newaxis] for value in values]
    return tf.reshape(function(rows, *tiled), tf.shape(frames))
