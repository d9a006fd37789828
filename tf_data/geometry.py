"""Where a view looks: windows of the stored frame, resized to the view's size, mirrored; boxes go along.

    stored frame H×W ─▶ window (top, left, height, width) ─▶ resized to (height, width) of the view ─▶ mirrored

Resizing the frame and then cropping it is cropping a window of the stored frame and resizing that: so only what a view
shows is decoded. Windows are whole pixels of the stored frame. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tf_data.randomness import RESIZED_CROP, Draw, more_uniforms
from tf_data.sampling import random_offset
from tf_data.views import Views

_CROP_ATTEMPTS = 10  # as many as torchvision's RandomResizedCrop makes


def random_window(frame_size: tf.Tensor, views: Views, drawn: Draw) -> tf.Tensor:
    """Returns the window of a training view, int32 [1, 4]: top, left, height, width.

    Args:
      frame_size: int32 [2], height and width of the stored frame.
      views: their crop, and what it is drawn from.
      drawn: the clip's randomness.
    """
    if views.crop_size is None:
        return whole_window(frame_size)
    if views.area_range:
        return _resized_crop(frame_size, views, drawn)[tf.newaxis]
    size = window_size(frame_size, views, drawn)
    corner = _random_corner(frame_size, size, drawn)
    return tf.concat([corner, size], axis=0)[tf.newaxis]


def _random_corner(frame_size: tf.Tensor, size: tf.Tensor, drawn: Draw) -> tf.Tensor:
    room = frame_size - size
    return tf.stack([random_offset(room[0], drawn.top), random_offset(room[1], drawn.left)])


def _resized_crop(frame_size: tf.Tensor, views: Views, drawn: Draw) -> tf.Tensor:
    """A window of drawn area and aspect, int32 [4]: the first of ten draws that fits into the frame.

    Szegedy et al., "Going Deeper with Convolutions", https://arxiv.org/abs/1409.4842, section 6; area uniform, aspect
    (width by height) log-uniform, as torchvision's `RandomResizedCrop` has it. Where none fits, the centre is taken, as
    large as the frame and the range of aspects allow.
    """
    uniforms = more_uniforms(drawn, RESIZED_CROP, [2, _CROP_ATTEMPTS])
    low, high = views.area_range or (1.0, 1.0)
    narrow, wide = views.aspect_range
    sides = tf.cast(frame_size, tf.float32)
    areas = (low + uniforms[0] * (high - low)) * sides[0] * sides[1]
    aspects = narrow * tf.pow(wide / narrow, uniforms[1])
    sizes = tf.cast(tf.round(tf.sqrt(tf.stack([areas / aspects, areas * aspects], axis=1))), tf.int32)
    fits = tf.reduce_all((sizes >= 1) & (sizes <= frame_size), axis=1)
    aspect = tf.clip_by_value(sides[1] / sides[0], narrow, wide)
    widest = tf.minimum(sides, tf.stack([sides[1] / aspect, sides[0] * aspect]))
    fallback = tf.maximum(tf.cast(tf.round(widest), tf.int32), 1)
    any_fits = tf.reduce_any(fits)
    size = tf.where(any_fits, sizes[tf.argmax(fits)], fallback)
    corner = tf.where(any_fits, _random_corner(frame_size, size, drawn), (frame_size - size) // 2)
    return tf.concat([corner, size], axis=0)


def fixed_windows(frame_size: tf.Tensor, views: Views) -> tf.Tensor:
    """Returns the windows of an evaluation view, int32 [n, 4] of one size.

    One is centred. Three are along the longer side: first end, centre, last end (SlowFast's evaluation,
    https://arxiv.org/abs/1812.03982, section 4). Ten crops have five windows, top left, top right, bottom left, bottom
    right, centre, and each also mirrored (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 4.1).
    """
    if views.crop_size is None:
        return whole_window(frame_size)
    size = window_size(frame_size, views, None)
    room = frame_size - size
    centre = room // 2
    if views.num_crops == 1:
        corners = centre[tf.newaxis]
    elif views.num_crops == 3:
        along = tf.where(frame_size[0] > frame_size[1], [1, 0], [0, 1])
        across = (1 - along) * centre
        corners = tf.stack([across, centre, across + along * room])
    else:
        corners = tf.concat([room * tf.constant([[0, 0], [0, 1], [1, 0], [1, 1]]), centre[tf.newaxis]], axis=0)
    return tf.concat([corners, tf.tile(size[tf.newaxis], [corners.shape[0], 1])], axis=1)


def whole_window(frame_size: tf.Tensor) -> tf.Tensor:
    """Returns the window that is the frame, int32 [1, 4]."""
    return tf.concat([[0, 0], frame_size], axis=0)[tf.newaxis]


def window_size(frame_size: tf.Tensor, views: Views, drawn: Draw | None) -> tf.Tensor:
    """Returns the height and width in the stored frame of what becomes a crop, int32 [2]; it may exceed the frame.

    Args:
      frame_size: int32 [2].
      views: `crop_size` is meant in frames whose shorter side is `shorter_side`, and whose height and width are then
        scaled by factors out of `scale_jitter` each.
      drawn: the clip's randomness; None for what is fixed.
    """
    assert views.crop_size
    if not views.is_resized:
        return tf.constant(views.crop_size)
    factors = tf.ones([2])
    if views.shorter_side:
        side = tf.cast(_drawn_side(views.shorter_side, drawn), tf.float32)
        factors *= side / tf.cast(tf.reduce_min(frame_size), tf.float32)
    if views.scale_jitter and drawn:
        low, high = views.scale_jitter
        factors *= low + tf.stack([drawn.height, drawn.width]) * (high - low)
    return tf.maximum(tf.cast(tf.round(tf.constant(views.crop_size, tf.float32) / factors), tf.int32), 1)


def _drawn_side(ends: tuple[int, int], drawn: Draw | None) -> tf.Tensor:
    return (
        tf.constant(ends[0]) if drawn is None else ends[0] + random_offset(tf.constant(ends[1] - ends[0]), drawn.side)
    )


def view_size(frame_size: tf.Tensor, views: Views, drawn: Draw | None) -> tf.Tensor:
    """Returns the height and width of a view, int32 [2]."""
    if views.crop_size:
        return tf.constant(views.crop_size)
    if not views.shorter_side:
        return frame_size
    side = _drawn_side(views.shorter_side, drawn)
    sides = tf.cast(frame_size, tf.float64) * tf.cast(side, tf.float64)
    return tf.cast(tf.round(sides / tf.cast(tf.reduce_min(frame_size), tf.float64)), tf.int32)


def resize(frames: tf.Tensor, size: tf.Tensor, *, is_flow: bool) -> tf.Tensor:
    """Resizes pixels, [..., height, width, c] in levels to float32 [..., *size, c] in levels; bilinear, antialiased.

    Flow is motion in pixels: x is multiplied by the ratio of the widths and y by that of the heights, about the level
    127.5 that stands for none. It may then leave 0 … 255.
    """
    before = tf.shape(frames)
    stacked = tf.reshape(frames, tf.concat([[-1], before[-3:]], axis=0))
    stacked = tf.ensure_shape(stacked, [None, *frames.shape[-3:]])
    resized = tf.image.resize(stacked, size, antialias=True)
    if is_flow:
        ratio = tf.cast(size / before[-3:-1], tf.float32)
        resized = by_channel(tf.multiply, resized - 127.5, ratio[::-1]) + 127.5
    return tf.reshape(resized, tf.concat([before[:-3], size, before[-1:]], axis=0))


def flip_rgb(frames: tf.Tensor) -> tf.Tensor:
    """Mirrors frames left to right: [..., height, width, 3]."""
    return _mirrored(frames)


def flip_flow(levels: tf.Tensor) -> tf.Tensor:
    """Mirrors flow left to right, [..., height, width, 2]: what moved right moves left, so x is negated.

    Levels l and 255 - l stand for opposite flow exactly.
    """
    mirrored = _mirrored(levels)
    if levels.dtype == tf.uint8:
        return by_channel(tf.bitwise.bitwise_xor, mirrored, tf.constant([255, 0], tf.uint8))
    return by_channel(tf.add, by_channel(tf.multiply, mirrored, tf.constant([-1.0, 1.0])), tf.constant([255.0, 0.0]))


def _mirrored(pixels: tf.Tensor) -> tf.Tensor:
    # As one tall picture: TensorFlow reverses an axis of three dimensions in a third of the time that four take.
    rows = tf.reshape(pixels, tf.concat([[-1], tf.shape(pixels)[-2:]], axis=0))
    return tf.ensure_shape(tf.reshape(tf.reverse(rows, [1]), tf.shape(pixels)), pixels.shape)


def by_channel(
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], pixels: tf.Tensor, values: tf.Tensor
) -> tf.Tensor:
    """Returns `function(pixels, values)` with one value a channel, row by row: [..., height, width, c] and [c].

    Broadcasting over two or three channels costs TensorFlow four times as much.
    """
    shape = tf.shape(pixels)
    rows = tf.reshape(pixels, [-1, shape[-2] * shape[-1]])
    return tf.ensure_shape(tf.reshape(function(rows, tf.tile(values, shape[-2:-1])), shape), pixels.shape)


def negate_flow(levels: tf.Tensor) -> tf.Tensor:
    """Returns the opposite flow, levels of any shape."""
    return 255 - levels


def move_boxes(boxes: tf.Tensor, window: tf.Tensor, frame_size: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Returns boxes as a view shows them, cut off at its edges: float32 [..., 4]; without area where it doesn't.

    Args:
      boxes: float32 [..., 4]: ymin, xmin, ymax, xmax in [0, 1] of the stored frame.
      window: int32 [4], what the view shows.
      frame_size: int32 [2].
      flip: bool scalar, whether it is mirrored.
    """
    sides = tf.cast(tf.tile(frame_size, [2]), tf.float32)
    corner, size = (tf.cast(tf.tile(part, [2]), tf.float32) for part in (window[:2], window[2:]))
    inside = tf.clip_by_value((boxes * sides - corner) / size, 0.0, 1.0)
    ymin, xmin, ymax, xmax = tf.unstack(inside, axis=-1)
    xmin, xmax = tf.where(flip, 1.0 - xmax, xmin), tf.where(flip, 1.0 - xmin, xmax)
    return tf.stack([ymin, xmin, ymax, xmax], axis=-1)
