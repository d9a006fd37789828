"""Rotation, shear and translation of frames by a given amount.

All take and return float32 [T, H, W, 3] with levels from 0 to 255; every frame is moved alike, and what no pixel moves
to is `FILL`. Signs and centres are those of PIL's `Image.rotate` and `Image.transform`, with which timm's RandAugment
is made.
"""

from __future__ import annotations

import math

import tensorflow as tf

FILL = 128.0  # middle grey, what AutoAugment and all its descendants fill with


def rotate(frames: tf.Tensor, degrees: tf.Tensor | float) -> tf.Tensor:
    """Rotates about the centre, anticlockwise for positive angles; bilinear."""
    radians = tf.cast(degrees, tf.float32) * (math.pi / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    height, width = _size(frames)
    x, y = (width - 1) / 2, (height - 1) / 2
    return _project(frames, [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y])


def shear_x(frames: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Moves each row left by `factor` times its distance from the top; bilinear."""
    factor = tf.cast(factor, tf.float32)
    return _project(frames, [1.0, factor, factor / 2, 0.0, 1.0, 0.0])  # a row's distance is that of its middle


def shear_y(frames: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Moves each column up by `factor` times its distance from the left; bilinear."""
    factor = tf.cast(factor, tf.float32)
    return _project(frames, [1.0, 0.0, 0.0, factor, 1.0, factor / 2])


def translate_x(frames: tf.Tensor, fraction: tf.Tensor | float) -> tf.Tensor:
    """Moves frames left by a fraction of their width, from -1 to 1, rounded to whole pixels."""
    _, width = _size(frames)
    return _translate(frames, 0, tf.cast(tf.round(fraction * width), tf.int32))


def translate_y(frames: tf.Tensor, fraction: tf.Tensor | float) -> tf.Tensor:
    """Moves frames up by a fraction of their height, from -1 to 1, rounded to whole pixels."""
    height, _ = _size(frames)
    return _translate(frames, tf.cast(tf.round(fraction * height), tf.int32), 0)


def _translate(frames: tf.Tensor, up: tf.Tensor | int, left: tf.Tensor | int) -> tf.Tensor:
    # Whole pixels are copied, in a tenth of the time that it takes to interpolate.
    _, height, width, _ = tf.unstack(tf.shape(frames))
    above, below = tf.maximum(-up, 0), tf.maximum(up, 0)
    before, after = tf.maximum(-left, 0), tf.maximum(left, 0)
    kept = frames[:, below : height - above, after : width - before]
    return tf.pad(kept, [[0, 0], [above, below], [before, after], [0, 0]], constant_values=FILL)


def _size(frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    size = tf.cast(tf.shape(frames), tf.float32)
    return size[1], size[2]


def _project(frames: tf.Tensor, matrix: list[tf.Tensor | float]) -> tf.Tensor:
    """The pixel at (x, y) is what was at (m0 x + m1 y + m2, m3 x + m4 y + m5)."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=frames,
        transforms=tf.stack([*matrix, 0.0, 0.0])[tf.newaxis],
        output_shape=tf.shape(frames)[1:3],
        fill_value=FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.clip_by_value(moved, 0.0, 255.0)  # weights are rounded: of 255 alone it may make a little more
