"""JPEG frames to pixels: only the frames and the blocks that the views show, each frame once."""

from __future__ import annotations

import tensorflow as tf


def decode_views(encoded: tf.Tensor, frames: tf.Tensor, windows: tf.Tensor, *, channels: int, exact: bool) -> tf.Tensor:
    """Decodes the views of one clip: uint8 [num_clips · num_crops, n, height, width, channels].

    The pixels are those of decoding whole frames and cutting the windows out. One frame is decoded after another: the
    parallelism is that of clips, and more of it inside a clip costs a tenth more CPU.

    Args:
      encoded: string [T], the clip's JPEG frames, all of one size.
      frames: int32 [num_clips, n], which of them each window of time takes; num_clips is static.
      windows: int32 [num_crops, 4]: top, left, height and width of each crop, inside the frame and all of one size;
        num_crops is static.
      channels: how many of the three channels to keep.
      exact: with the exact inverse DCT; the fast one is up to 7 levels off, which flow can't afford.

    Returns:
      The views, all crops of the first window of time first.

    Raises:
      tf.errors.InvalidArgumentError: a frame is no JPEG, or ends early.
    """
    method = "INTEGER_ACCURATE" if exact else "INTEGER_FAST"
    num_clips, num_crops = frames.shape[0], windows.shape[0]
    height, width = windows[0, 2], windows[0, 3]
    tops, lefts = windows[:, 0], windows[:, 1]
    top, left = tf.reduce_min(tops), tf.reduce_min(lefts)
    bottom, right = tf.reduce_max(tops) + height, tf.reduce_max(lefts) + width
    # Where chroma is subsampled, a column at the edge of what is decoded lacks a neighbour to interpolate with, and is
    # up to 14 levels off: so one column more is decoded on both sides, and left out again. At the frame's own edge the
    # other side gets both: with fewer than three columns the decoder does not interpolate at all.
    first = tf.maximum(left - 1, 0)
    last = tf.minimum(first + right - left + 2, tf.io.extract_jpeg_shape(encoded[0])[1])
    decoded = tf.stack([top, first, bottom - top, last - first])

    def crops_of(jpeg: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_and_crop_jpeg(jpeg, decoded, channels=3, dct_method=method)
        crops = [
            pixels[y : y + height, x : x + width, :channels]
            for y, x in zip(tf.unstack(tops - top), tf.unstack(lefts - first), strict=True)
        ]
        return tf.stack(crops)

    once, place = tf.unique(tf.reshape(frames, [-1]))
    crops = tf.map_fn(
        crops_of,
        tf.gather(encoded, once),
        fn_output_signature=tf.TensorSpec([num_crops, None, None, channels], tf.uint8),
        parallel_iterations=1,
    )
    place = tf.reshape(place, [num_clips, 1, -1]) * num_crops + tf.range(num_crops)[:, tf.newaxis]
    views = tf.gather(tf.reshape(crops, [-1, height, width, channels]), place)
    return tf.reshape(views, [num_clips * num_crops, frames.shape[1] or -1, height, width, channels])
