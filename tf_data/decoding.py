"""Encoded frames to pixels: only the frames and the blocks that the views show, each frame once."""

from __future__ import annotations

import tensorflow as tf

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"  # with which each PNG image begins
_PNG_SIZE = 16  # where width and height begin in a PNG image, each a big-endian int32 (ISO/IEC 15948, IHDR)


def image_size(encoded: tf.Tensor, *, png: bool) -> tf.Tensor:
    """Returns the height and width that the header of an image says, int32 [2].

    Args:
      encoded: string scalar.
      png: whether it is PNG, else JPEG.

    Raises:
      tf.errors.InvalidArgumentError: it is no JPEG, or too short for PNG.
    """
    if png:
        # Not by substr, whose errors hold the bytes of the image, which Python then fails to read as text.
        width_and_height = tf.reshape(tf.io.decode_raw(encoded, tf.uint8)[_PNG_SIZE : _PNG_SIZE + 8], [2, 4])
        return tf.reduce_sum(tf.cast(width_and_height, tf.int32) * [1 << 24, 1 << 16, 1 << 8, 1], axis=1)[::-1]
    return tf.io.extract_jpeg_shape(encoded)[:2]


def decode_views(
    encoded: tf.Tensor, frames: tf.Tensor, windows: tf.Tensor, *, channels: int, exact: bool, png: bool = False
) -> tf.Tensor:
    """Decodes the views of one clip: uint8 [num_clips · num_crops, n, height, width, channels].

    The pixels are those of decoding whole frames and cutting the windows out. One frame is decoded after another: the
    parallelism is that of clips, and more of it inside a clip costs a tenth more CPU.

    Args:
      encoded: string [T], the clip's frames, all of one size.
      frames: int32 [num_clips, n], which of them each window of time takes; num_clips is static.
      windows: int32 [num_crops, 4]: top, left, height and width of each crop, inside the frame and all of one size;
        num_crops is static.
      channels: how many of the three channels to keep.
      exact: with the exact inverse DCT; the fast one is up to 7 levels off, which flow can't afford.
      png: whether the frames are PNG, which is decoded whole, else JPEG.

    Returns:
      The views, all crops of the first window of time first.

    Raises:
      tf.errors.InvalidArgumentError: a frame is no such image, or ends early.
    """
    method = "INTEGER_ACCURATE" if exact else "INTEGER_FAST"
    num_clips, num_crops = frames.shape[0], windows.shape[0]
    height, width = windows[0, 2], windows[0, 3]
    tops, lefts = windows[:, 0], windows[:, 1]
    top, left = tf.reduce_min(tops), tf.reduce_min(lefts)
    bottom, right = tf.reduce_max(tops) + height, tf.reduce_max(lefts) + width
    frame_width = image_size(encoded[0], png=png)[1]
    if png:
        top, first, last = 0, 0, frame_width
    else:
        first, last = _columns_to_decode(left, right, frame_width)
    decoded_window = tf.stack([top, first, bottom - top, last - first])
    corners = list(zip(tf.unstack(tops - top), tf.unstack(lefts - first), strict=True))
    rows = tf.stack([-1, 3 * (last - first)])
    # Cut out as rows of bytes, which TensorFlow copies at once: of three dimensions it copies pixels, at 3 × the cost.
    cuts = [(tf.stack([y, 3 * x]), tf.stack([y + height, 3 * (x + width)])) for y, x in corners]

    def crops_of(image: tf.Tensor) -> tf.Tensor:
        """The crops of a frame, [num_crops, height, width · channels]."""
        if png:
            pixels = tf.io.decode_png(image, channels=3)
        else:
            pixels = tf.io.decode_and_crop_jpeg(image, decoded_window, channels=3, dct_method=method)
        # Here the frame is in the cache; to cut crops out of all frames together costs more.
        if channels == 3:
            return tf.stack([tf.strided_slice(tf.reshape(pixels, rows), begin, end) for begin, end in cuts])
        crops = [tf.slice(pixels, [y, x, 0], [height, width, channels]) for y, x in corners]
        return tf.reshape(tf.stack(crops), [num_crops, height, -1])

    once, places = tf.unique(tf.reshape(frames, [-1]))
    crops = tf.map_fn(
        crops_of,
        tf.gather(encoded, once),
        fn_output_signature=tf.TensorSpec([num_crops, None, None], tf.uint8),
        parallel_iterations=1,
    )
    crops = tf.reshape(crops, [-1, height, width, channels])
    places = tf.reshape(places, [num_clips, 1, -1]) * num_crops + tf.range(num_crops)[:, tf.newaxis]
    in_place = (num_crops == 1) & (tf.size(once) == tf.size(frames))  # nothing comes twice: nothing to copy
    crops = tf.cond(in_place, lambda: crops, lambda: tf.gather(crops, tf.reshape(places, [-1])))
    num_frames = frames.shape[1] or tf.shape(frames)[1]
    return tf.reshape(crops, [num_clips * num_crops, num_frames, height, width, channels])


def _columns_to_decode(left: tf.Tensor, right: tf.Tensor, frame_width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The columns from which [left, right) gets the pixels of the whole frame, at the least cost.

    Where chroma has half the columns, those of a pixel are interpolated between two, and at the edge of what is decoded
    one is missing: pixels are up to 14 levels off. So a column more is decoded on the left and, where `right` ends a
    pair, on the right; of fewer than three columns the decoder interpolates none.

    The decoder begins at a block of chroma, 16 columns, whatever it is asked for. Asked for another column, TensorFlow
    copies row by row what it decodes, which costs a fifth of the whole (benchmarks/reader.py): so it is asked for that.
    """
    first = tf.maximum(left - 1, 0) // 16 * 16
    last = tf.maximum(right + (1 - right % 2), 3)
    return first, tf.minimum(last, frame_width)
