"""Which stored frames, flow frames and sound samples make up a view. Pure functions; all times come from the frames.

stored frames   0   1   2   3   4   5   6   7          T = 8, start 2, stride 2, num_frames 3
sampled                 ^       ^       ^              2, 4, 6
flow              0   1   2   3   4   5   6            flow i leads from frame i to frame i + 1: again 2, 4, 6
sound           |...|...|###|###|###|###|###|###|      the samples of [2, 8) / fps seconds
"""

from __future__ import annotations

import tensorflow as tf


def span(num_frames: int, stride: int) -> int:
    """Returns how many stored frames a window of `num_frames` reaches over, its first and last included."""
    return (num_frames - 1) * stride + 1


def random_start(num_stored: tf.Tensor, window: int, uniform: tf.Tensor) -> tf.Tensor:
    """Returns the first frame of a random window, int32 [1]; 0 where the clip is shorter than the window.

    Args:
      num_stored: int32 scalar, the frames of the clip.
      window: stored frames that the window reaches over.
      uniform: float32 scalar in [0, 1).
    """
    room = tf.maximum(num_stored - window, 0)
    return tf.expand_dims(random_offset(room, uniform), 0)


def random_offset(room: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns one of 0 … room, all equally likely, for `uniform` in [0, 1)."""
    offset = tf.cast(uniform * tf.cast(room + 1, tf.float32), tf.int32)
    return tf.minimum(offset, room)  # float32 may round the product up to room + 1


def even_starts(num_stored: tf.Tensor, window: int, num_clips: int) -> tf.Tensor:
    """Returns the first frames of `num_clips` windows, int32 [num_clips], from the clip's first frame to its last.

    One window is centred. Windows of clips that are too short for them all start at 0.

    Args:
      num_stored: int32 scalar, the frames of the clip.
      window: stored frames that the window lasts, `num_frames · stride`; DMVR and scenic place windows by this rule.
      num_clips: how many windows.
    """
    room = tf.maximum(num_stored - window, 0)
    if num_clips == 1:
        return tf.expand_dims(room // 2, 0)
    return room * tf.range(num_clips) // (num_clips - 1)


def frame_indices(starts: tf.Tensor, num_stored: tf.Tensor, num_frames: int, stride: int) -> tf.Tensor:
    """Returns the stored frames of each window, int32 [num_clips, num_frames]; past the last frame the clip loops."""
    steps = tf.range(num_frames) * stride
    return (starts[:, tf.newaxis] + steps[tf.newaxis, :]) % num_stored


def flow_indices(frames: tf.Tensor, num_flow: tf.Tensor) -> tf.Tensor:
    """Returns the flow frames that begin at the same instants as `frames`.

    Flow i is the motion from frame i to i + 1. The clip's last frame has no next one: there the flow before it, which
    leads to that frame, is held.
    """
    return tf.minimum(frames, num_flow - 1)


def num_audio_samples(num_frames: int, stride: int, frame_rate: float, sample_rate: float) -> int:
    """Returns how many samples last as long as a window: `num_frames · stride / frame_rate` seconds, rounded."""
    return round(num_frames * stride / frame_rate * sample_rate)


def audio_windows(
    samples: tf.Tensor, starts: tf.Tensor, num_stored: tf.Tensor, count: int, frame_rate: float, sample_rate: float
) -> tf.Tensor:
    """Returns the sound of each window, float32 [num_clips, count], looping when the frames do.

    Sound that ends before the frames is followed by silence, and sound past the last frame is left out, so that the
    second time round starts with the first frame again.

    Args:
      samples: float32 [L], the sound of the clip.
      starts: int32 [num_clips], first frame of each window.
      num_stored: int32 scalar, frames of the clip.
      count: samples in a window.
      frame_rate: stored frames a second.
      sample_rate: samples a second.
    """
    per_frame = sample_rate / frame_rate
    period = tf.cast(tf.round(tf.cast(num_stored, tf.float64) * per_frame), tf.int32)
    first = tf.cast(tf.round(tf.cast(starts, tf.float64) * per_frame), tf.int32)
    samples = samples[:period]
    samples = tf.pad(samples, [[0, period - tf.size(samples)]])
    return tf.gather(samples, (first[:, tf.newaxis] + tf.range(count)[tf.newaxis, :]) % period)
