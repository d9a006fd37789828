"""Which stored frames, flow frames and sound samples make up a view. Pure functions; all times come from the frames.

stored frames   0   1   2   3   4   5   6   7          T = 8, start 2, stride 2, num_frames 3
sampled                 ^       ^       ^              2, 4, 6
flow              0   1   2   3   4   5   6            flow i leads from frame i to frame i + 1: again 2, 4, 6
sound           |...|...|###|###|###|###|###|###|      the samples of [2, 8) / fps seconds

A window is a pattern of steps from its first frame (`Pattern`), put somewhere in the clip. Where the clip is too short
for it, `fill` says what stands in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_data.views import Views


@dataclass(frozen=True, slots=True)
class Pattern:
    """The stored frames of a window, counted from its first one: the stored frame that is shown at each instant."""

    offsets: np.ndarray  # int32 [num_strides, num_frames], a row for each stride that may be drawn
    num_lasting: np.ndarray  # int32 [num_strides], for how many stored frames the window lasts, rounded up

    @property
    def spans(self) -> np.ndarray:
        """How many stored frames a window reaches over, its first and last included: int32 [num_strides]."""
        return self.offsets[:, -1] + 1


def stored_steps(views: Views, frame_rate: float) -> list[float]:
    """Returns the stored frames from one sampled frame to the next, for each stride that may be drawn."""
    if views.fps:
        return [frame_rate / views.fps]
    return [float(stride) for stride in range(views.stride[0], views.stride[1] + 1)]


def window_pattern(views: Views, frame_rate: float) -> Pattern:
    """Returns the pattern of a window of `views.num_frames`.

    Args:
      views: their `num_frames`, and `stride` or `fps`.
      frame_rate: stored frames a second.
    """
    assert views.num_frames
    steps = stored_steps(views, frame_rate)
    offsets = np.stack([_offsets(step, views.num_frames) for step in steps])
    lasting = [math.ceil(views.num_frames * step - _ROUNDING) for step in steps]
    return Pattern(offsets, np.array(lasting, np.int32))


_ROUNDING = 1e-6  # of rates that are no binary fractions


def _offsets(step: float, count: int) -> np.ndarray:
    return np.floor(np.arange(count) * step + _ROUNDING).astype(np.int32)


def random_start(num_stored: tf.Tensor, window: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns the first frame of a random window, int32 [1]; 0 where the clip is shorter than the window.

    Args:
      num_stored: int32 scalar, the frames of the clip.
      window: int32 scalar, stored frames that the window reaches over.
      uniform: float32 scalar in [0, 1).
    """
    room = tf.maximum(num_stored - window, 0)
    return tf.expand_dims(random_offset(room, uniform), 0)


def random_offset(room: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns one of 0 … room, all equally likely, for `uniform` in [0, 1) and a room below 2²⁴."""
    return tf.cast(uniform * tf.cast(room + 1, tf.float32), tf.int32)


def even_starts(num_stored: tf.Tensor, window: int, num_clips: int) -> tf.Tensor:
    """Returns the first frames of `num_clips` windows, int32 [num_clips], from the clip's first frame to its last.

    One window is centred. Windows of clips that are too short for them all start at 0.

    Args:
      num_stored: int32 scalar, the frames of the clip.
      window: stored frames that the window lasts; DMVR and scenic place windows by this rule.
      num_clips: how many windows.
    """
    room = tf.maximum(num_stored - window, 0)
    if num_clips == 1:
        return tf.expand_dims(room // 2, 0)
    return room * tf.range(num_clips) // (num_clips - 1)


def dense_starts(num_stored: tf.Tensor, window: int) -> tf.Tensor:
    """Returns the first frames of windows that follow each other over the whole clip, int32 [n], n as it needs.

    The last one is moved back to end with the clip, so that it shares frames with the one before it.

    Args:
      num_stored: int32 scalar, the frames of the clip.
      window: stored frames that a window lasts.
    """
    count = tf.maximum(-(-num_stored // window), 1)
    return tf.minimum(tf.range(count) * window, tf.maximum(num_stored - window, 0))


def all_frames(num_stored: tf.Tensor, step: float) -> tf.Tensor:
    """Returns the frames of the whole clip, one every `step` stored frames: int32 [1, n]."""
    count = tf.cast(tf.math.ceil(tf.cast(num_stored, tf.float64) / step - _ROUNDING), tf.int32)
    instants = tf.cast(tf.range(tf.maximum(count, 1)), tf.float64) * step
    return tf.cast(tf.floor(instants + _ROUNDING), tf.int32)[tf.newaxis]


def segment_frames(
    num_stored: tf.Tensor, num_frames: int, *, num_clips: int = 1, uniforms: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns one frame of each of `num_frames` equal segments of the clip: int32 [num_clips, num_frames].

    Temporal Segment Networks, https://arxiv.org/abs/1608.00859, section 3.1. A clip of fewer frames repeats some.

    Args:
      num_stored: int32 scalar, the frames of the clip.
      num_frames: how many segments.
      num_clips: of evaluation: clip i takes the frame at (2 i + 1) / (2 num_clips) of each segment, so that one
        takes the middles.
      uniforms: float32 [num_frames] in [0, 1), to draw one clip's frames by; None for evaluation.
    """
    bounds = tf.range(num_frames + 1) * num_stored // num_frames
    first = bounds[:-1]
    length = bounds[1:] - first
    if uniforms is not None:
        return (first + random_offset(tf.maximum(length - 1, 0), uniforms))[tf.newaxis]
    places = (2 * tf.range(num_clips) + 1)[:, tf.newaxis]
    return tf.minimum(first + places * length // (2 * num_clips), num_stored - 1)


def fill(frames: tf.Tensor, num_stored: tf.Tensor, short: str) -> tf.Tensor:
    """Returns `frames` with those past the clip's last one replaced by stored ones, int32 of the same shape.

    Args:
      frames: int32, frames of windows as if the clip had no end.
      num_stored: int32 scalar, the frames of the clip.
      short: `loop` begins again with the first frame; `hold` and `pad` repeat the last one.
    """
    return frames % num_stored if short == "loop" else tf.minimum(frames, num_stored - 1)


def flow_indices(frames: tf.Tensor, num_flow: tf.Tensor, *, reverse: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the flow frames that begin at the same instants as `frames`.

    Flow i is the motion from frame i to i + 1. The clip's last frame has no next one: there the flow before it, which
    leads to that frame, is held. In a reversed clip frame i is followed by i - 1, and the motion is that of flow i - 1,
    negated; the first frame has none before it, and flow 0 is held.

    Args:
      frames: int32, stored frames.
      num_flow: int32 scalar, flow frames of the clip.
      reverse: bool scalar, whether time runs backwards; None for no.
    """
    if reverse is not None:
        frames = tf.maximum(frames - tf.cast(reverse, tf.int32), 0)
    return tf.minimum(frames, num_flow - 1)


def num_audio_samples(num_frames: int, step: float, frame_rate: float, sample_rate: float) -> int:
    """Returns how many samples last as long as a window: `num_frames · step / frame_rate` seconds, rounded."""
    return round(num_frames * step / frame_rate * sample_rate)


def audio_windows(
    samples: tf.Tensor,
    starts: tf.Tensor,
    num_stored: tf.Tensor,
    count: int | None,
    frame_rate: float,
    sample_rate: float,
    *,
    loops: tf.Tensor | bool,
) -> tf.Tensor:
    """Returns the sound of each window, float32 [num_clips, count].

    Sound that ends before the frames is followed by silence, and sound past the last frame is left out. Where frames
    loop, so does the sound, beginning again with the first frame; else silence follows.

    Args:
      samples: float32 [L], the sound of the clip.
      starts: int32 [num_clips], first frame of each window.
      num_stored: int32 scalar, frames of the clip.
      count: samples in a window; None for as many as the clip's frames last.
      frame_rate: stored frames a second.
      sample_rate: samples a second.
      loops: bool scalar, whether the frames do.
    """
    per_frame = sample_rate / frame_rate
    period = tf.cast(tf.round(tf.cast(num_stored, tf.float64) * per_frame), tf.int32)
    first = tf.cast(tf.round(tf.cast(starts, tf.float64) * per_frame), tf.int32)
    samples = samples[:period]
    samples = tf.pad(samples, [[0, period - tf.size(samples)]])
    places = first[:, tf.newaxis] + tf.range(period if count is None else count)[tf.newaxis, :]
    sound = tf.gather(samples, places % period)
    return tf.where((places < period) | loops, sound, 0.0)
