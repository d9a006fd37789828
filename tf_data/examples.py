"""One record to one element, phase by phase: parse, sample, decode, crop, flip, normalise."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tf_data import sampling, views
from tf_data.info import Info
from tf_data.parsing import ParsedClip, parse
from tf_data.presets import Views

_CHANNELS = {"rgb": 3, "flow": 2}


def example(
    record: tf.Tensor,
    place: tf.Tensor,
    *,
    epoch_key: tf.Tensor,
    clip_key: tf.Tensor | None,
    seed: int,
    wanted: Views,
    info: Info,
    extras: Sequence[str],
) -> dict[str, tf.Tensor]:
    """Makes the element of one record.

    Args:
      record: string scalar, a serialised SequenceExample.
      place: string scalar for error messages, where it is from.
      epoch_key: int64 scalar.
      clip_key: int64 scalar; None takes a hash of the record's own id.
      seed: the data set's seed.
      wanted: what to take of the clip.
      info: gives the rates of frames and samples.
      extras: which of `parsing.EXTRAS` to add.

    Returns:
      The streams of `wanted`, `label` and the extras; with several views each stream has an axis for them in front,
      all crops of the first window first.
    """
    clip = parse(record, place, wanted.streams, extras)
    drawn = views.draw(seed, epoch_key, clip.name_key if clip_key is None else clip_key)
    starts = _starts(clip.num_frames, wanted, drawn)
    frames = sampling.frame_indices(starts, clip.num_frames, wanted.num_frames, wanted.stride)
    flip = drawn.flip < wanted.flip_probability
    element = {}
    for stream in wanted.streams:
        if stream == "audio":
            element[stream] = _audio(clip, starts, wanted, info)
        else:
            element[stream] = _pictures(stream, clip, frames, drawn, flip, place, wanted)
    return element | {"label": clip.label} | clip.extras


def _starts(num_stored: tf.Tensor, wanted: Views, drawn: views.Draw) -> tf.Tensor:
    if wanted.training:
        window = sampling.span(wanted.num_frames, wanted.stride)
        return sampling.random_start(num_stored, window, drawn.time)
    return sampling.even_starts(num_stored, wanted.num_frames * wanted.stride, wanted.num_clips)


def _pictures(
    stream: str,
    clip: ParsedClip,
    frames: tf.Tensor,
    drawn: views.Draw,
    flip: tf.Tensor,
    place: tf.Tensor,
    wanted: Views,
) -> tf.Tensor:
    is_flow = stream == "flow"
    encoded: tf.Tensor = clip.flow if is_flow else clip.frames
    indices = sampling.flow_indices(frames, tf.size(encoded)) if is_flow else frames
    windows = _crop_windows(encoded[0], drawn, place, wanted)
    per_view = [
        views.decode(jpegs, window, channels=_CHANNELS[stream], exact=is_flow)
        for jpegs in tf.unstack(tf.gather(encoded, indices))
        for window in tf.unstack(windows, num=wanted.num_crops)
    ]
    if wanted.flip_probability:
        mirror = views.flip_flow if is_flow else views.flip_rgb
        per_view = [tf.cond(flip, lambda view=view: mirror(view), lambda view=view: view) for view in per_view]
    height, width = wanted.crop_size or (None, None)
    levels = per_view[0] if wanted.is_single else tf.stack(per_view)
    shape = [] if wanted.is_single else [len(per_view)]
    levels = tf.ensure_shape(levels, [*shape, wanted.num_frames, height, width, _CHANNELS[stream]])
    return views.normalise(levels, wanted.dtype)


def _crop_windows(first: tf.Tensor, drawn: views.Draw, place: tf.Tensor, wanted: Views) -> tf.Tensor:
    frame_size = tf.io.extract_jpeg_shape(first)[:2]
    if wanted.crop_size is None:
        return views.whole_window(frame_size)
    height, width = wanted.crop_size
    size_text = tf.strings.reduce_join(tf.strings.as_string(frame_size), separator="×")
    message = tf.strings.join(
        [place, ": frames of ", size_text, f" pixels are smaller than the crop of {height}×{width}; pass a smaller "
         "crop_size, or on_error='skip'"]
    )  # fmt: skip
    fits = tf.reduce_all(frame_size >= tf.constant(wanted.crop_size))
    with tf.control_dependencies([tf.debugging.Assert(fits, [message])]):
        frame_size = tf.identity(frame_size)
    if wanted.training:
        return views.random_window(frame_size, wanted.crop_size, drawn)
    return views.fixed_windows(frame_size, wanted.crop_size, wanted.num_crops)


def _audio(clip: ParsedClip, starts: tf.Tensor, wanted: Views, info: Info) -> tf.Tensor:
    sample_rate = info.audio_sample_rate
    assert sample_rate  # loading has seen to it
    count = sampling.num_audio_samples(wanted.num_frames, wanted.stride, info.frame_rate, sample_rate)
    sound = sampling.audio_windows(clip.audio, starts, clip.num_frames, count, info.frame_rate, sample_rate)
    if wanted.is_single:
        return tf.ensure_shape(sound[0], [count])
    return tf.ensure_shape(tf.repeat(sound, wanted.num_crops, axis=0), [wanted.num_clips * wanted.num_crops, count])
