"""One record to one element, phase by phase: parse, sample, decode, resize, augment, flip, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_data import augment, geometry, sampling
from tf_data.decoding import decode_views, image_size
from tf_data.info import Info
from tf_data.model_input import blank, normalise
from tf_data.parsing import Boxes, ParsedClip, parse
from tf_data.randomness import AUGMENT, MIX_KEY, SEGMENTS, Draw, draw, more_uniforms, subkey
from tf_data.views import Views

_CHANNELS = {"rgb": 3, "flow": 2}


@dataclass(frozen=True, slots=True)
class Making:
    """How elements are made of records, the same for all of them.

    `extras` are of `parsing.EXTRAS`; `num_boxes` is how many boxes an element has room for. `flip_targets[label]` is
    the label of a mirrored clip, -1 where clips of that label are never mirrored; None where mirroring changes no
    label. `flip_on_host` is False where elements tell in `flip` whether the device is to mirror them. `tell_mask` adds
    `mask`, whether the element is real or repeats another; `tell_mix_key` adds what `batches.mix_batches` takes out.
    """

    seed: int
    views: Views
    info: Info
    extras: tuple[str, ...] = ()
    num_boxes: int = 0
    flip_targets: np.ndarray | None = None
    flip_on_host: bool = True
    tell_mask: bool = False
    tell_mix_key: bool = False


class _Time(NamedTuple):
    """When the views of a clip are."""

    frames: tf.Tensor  # int32 [num_clips, T], stored frames
    starts: tf.Tensor  # int32 [num_clips], the first frame of each window
    loops: tf.Tensor  # bool scalar, whether a window goes on with the clip's beginning
    mask: tf.Tensor | None  # bool [num_clips, T], False past the clip's last frame
    reverse: tf.Tensor | None  # bool scalar, whether time runs backwards


class _Place(NamedTuple):
    """Where the views of a clip are."""

    windows: tf.Tensor  # int32 [n, 4] of the stored frames
    size: tf.Tensor  # int32 [2], height and width of a view
    frame_size: tf.Tensor  # int32 [2], of the stored frames


def example(
    record: tf.Tensor,
    place: tf.Tensor,
    *,
    epoch_key: tf.Tensor,
    making: Making,
    clip_key: tf.Tensor | None = None,
    label: tf.Tensor | None = None,
    is_own_label: bool = False,
    real: tf.Tensor | bool = True,
) -> dict[str, tf.Tensor]:
    """Makes the element of one record.

    Args:
      record: string scalar, a serialised SequenceExample.
      place: string scalar for error messages, where it is from.
      epoch_key: int64 scalar.
      making: how.
      clip_key: int64 scalar; None takes a hash of the record's own id.
      label: int64 scalar; None takes the record's own.
      is_own_label: whether `label` must be the record's own, else it is one of another label space.
      real: bool scalar, for `mask`.

    Returns:
      The streams asked for, `label`, the extras, `frame_mask`, `flip` and boxes where asked for. With several views the
      streams, `frame_mask` and boxes have an axis for them in front, all crops of the first window first.
    """
    views, info = making.views, making.info
    # A data set of the job's has one rate; records of others may differ, and are told by their first one.
    told_by_first = not info.splits and info.features.get("image/frame_rate", {}).get("dtype") == "float32"
    clip = parse(
        record,
        place,
        views.streams,
        making.extras,
        boxes=making.num_boxes > 0,
        frame_rate=info.frame_rate if told_by_first else None,
    )
    drawn = draw(making.seed, epoch_key, clip.name_key if clip_key is None else clip_key)
    time = _when(clip.num_frames, views, drawn, info.frame_rate)
    label = clip.label if label is None else _told_by_index(label, clip.label, place) if is_own_label else label
    flip, label = _flip(label, making, drawn)
    element: dict[str, tf.Tensor] = {}
    where = None
    for stream in views.streams:
        if stream == "audio":
            element[stream] = _audio(clip, time, making)
            continue
        encoded: tf.Tensor = clip.flow if stream == "flow" else clip.frames
        frame_size = image_size(encoded[0], png=_is_png(stream, making))
        where = _where(frame_size, place, views, drawn, where)
        levels = _pictures(stream, encoded, time, where, making, drawn)
        if flip is not None and making.flip_on_host:
            mirror = geometry.flip_flow if stream == "flow" else geometry.flip_rgb
            levels = tf.cond(flip, lambda mirror=mirror, levels=levels: mirror(levels), lambda levels=levels: levels)
        element[stream] = _numbers(stream, levels, time, making)
    if views.dtype == "uint8" and where:
        # Also where nothing is left to be mirrored, so that training and evaluation have the same structure.
        element["flip"] = tf.constant(False) if flip is None or making.flip_on_host else flip
    if time.mask is not None:
        element["frame_mask"] = _per_view(tf.repeat(time.mask, views.num_crops, axis=0), views)
    if clip.boxes is not None:
        assert where  # loading has seen to it
        element |= _boxes(clip.boxes, time, where, flip, making)
    if making.tell_mask:
        element["mask"] = tf.convert_to_tensor(real)
    if making.tell_mix_key:
        element[MIX_KEY] = drawn.key
    return element | {"label": label} | clip.extras | _label_name(label, making)


def _told_by_index(label: tf.Tensor, own: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The index's label, which must be the record's: else the index is of other shards, and would mislabel clips."""
    told, stored = tf.strings.as_string(label), tf.strings.as_string(own)
    message = tf.strings.join(
        [place, ": the record has the label ", stored, ", the index says ", told, ": it is of other shards; run the "
         "job again to write it anew"]
    )  # fmt: skip
    with tf.control_dependencies([tf.debugging.Assert(label == own, [message])]):
        return tf.identity(label)


def _label_name(label: tf.Tensor, making: Making) -> dict[str, tf.Tensor]:
    """The name of the label that the element has, where names are asked for and known; else the record's stays."""
    names = making.info.label_names
    if "label_name" not in making.extras or not names:
        return {}
    return {"label_name": tf.gather([*names, ""], tf.where(label < 0, tf.constant(len(names), tf.int64), label))}


def _when(num_stored: tf.Tensor, views: Views, drawn: Draw, frame_rate: float) -> _Time:
    raw, starts = _frames_as_if_without_end(num_stored, views, drawn, frame_rate)
    mask = raw < num_stored if views.short == "pad" and views.sampling in ("window", "dense") else None
    frames = sampling.fill(raw, num_stored, views.short)
    loops = tf.reduce_max(raw) >= num_stored if views.short == "loop" else tf.constant(False)
    if not views.reverse_probability:
        return _Time(frames, starts, loops, mask, None)
    reverse = drawn.reverse < views.reverse_probability
    backwards = [part if part is None else tf.where(reverse, part[:, ::-1], part) for part in (frames, mask)]
    return _Time(backwards[0], starts, loops, backwards[1], reverse)


def _frames_as_if_without_end(
    num_stored: tf.Tensor, views: Views, drawn: Draw, frame_rate: float
) -> tuple[tf.Tensor, tf.Tensor]:
    if views.sampling == "all":
        frames = sampling.all_frames(num_stored, sampling.stored_steps(views, frame_rate)[0])
        return frames, frames[:, 0]
    assert views.num_frames
    if views.sampling == "segments":
        uniforms = more_uniforms(drawn, SEGMENTS, [views.num_frames]) if views.random else None
        frames = sampling.segment_frames(num_stored, views.num_frames, num_clips=views.num_clips, uniforms=uniforms)
        return frames, frames[:, 0]
    pattern = sampling.window_pattern(views, frame_rate)
    stride = sampling.random_offset(tf.constant(len(pattern.offsets) - 1), drawn.stride)
    if views.sampling == "dense":
        starts = sampling.dense_starts(num_stored, int(pattern.num_lasting[0]))
    elif views.random:
        starts = sampling.random_start(num_stored, tf.constant(pattern.spans)[stride], drawn.time)
    else:
        starts = sampling.even_starts(num_stored, int(pattern.num_lasting[0]), views.num_clips)
    return starts[:, tf.newaxis] + tf.constant(pattern.offsets)[stride], starts


def _where(frame_size: tf.Tensor, place: tf.Tensor, views: Views, drawn: Draw, known: _Place | None) -> _Place:
    """Where the views of a stream are; `known` is the place of another stream of the same clip."""
    if known:
        message = tf.strings.join([place, ": its rgb and flow frames differ in size; read them one by one"])
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(frame_size == known.frame_size), [message])]):
            return known._replace(windows=tf.identity(known.windows))
    random = drawn if views.random else None
    windows = geometry.random_window(frame_size, views, drawn) if random else geometry.fixed_windows(frame_size, views)
    stored, wanted = (
        tf.strings.reduce_join(tf.strings.as_string(size), separator="×") for size in (frame_size, windows[0, 2:])
    )
    message = tf.strings.join(
        [place, ": frames of ", stored, " pixels are smaller than the crop of ", wanted,
         "; pass a smaller crop_size, a shorter_side to which frames are resized, or on_error='skip'"]
    )  # fmt: skip
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(windows[0, 2:] <= frame_size), [message])]):
        windows = tf.identity(windows)
    return _Place(windows, geometry.view_size(frame_size, views, random), frame_size)


def _flip(label: tf.Tensor, making: Making, drawn: Draw) -> tuple[tf.Tensor | None, tf.Tensor]:
    """Whether the clip is mirrored, None for never, and its label then."""
    if not making.views.flip_probability:
        return None, label
    flip = drawn.flip < making.views.flip_probability
    if making.flip_targets is None:
        return flip, label
    target = tf.where(label >= 0, tf.gather(making.flip_targets, tf.maximum(label, 0)), label)
    flip &= (target >= 0) | (label < 0)
    return flip, tf.where(flip, target, label)


def _pictures(stream: str, encoded: tf.Tensor, time: _Time, where: _Place, making: Making, drawn: Draw) -> tf.Tensor:
    """The frames of all views in levels: [views, T, height, width, c], float32 where they have been changed."""
    views = making.views
    is_flow = stream == "flow"
    frames = time.frames
    if is_flow:
        frames = sampling.flow_indices(frames, tf.size(encoded), reverse=time.reverse)
    # A number of windows that only the clip tells is decoded as one long one, and folded afterwards.
    folded = frames if frames.shape[0] else tf.reshape(frames, [1, -1])
    png, channels = _is_png(stream, making), _CHANNELS[stream]
    levels = decode_views(encoded, folded, where.windows, channels=channels, exact=is_flow, png=png)
    if folded is not frames:
        levels = tf.reshape(levels, tf.concat([[-1], tf.shape(frames), tf.shape(levels)[2:]], axis=0))
        by_time = tf.transpose(levels, [1, 0, 2, 3, 4, 5])
        levels = tf.reshape(by_time, tf.concat([[-1], tf.shape(by_time)[2:]], axis=0))
    if views.is_resized:
        changed = tf.uint8 if views.dtype == "uint8" and (is_flow or not views.augment) else tf.float32
        same = tf.reduce_all(where.windows[0, 2:] == where.size)
        levels = tf.cond(
            same,
            lambda: _as_levels(levels, changed),
            lambda: _as_levels(geometry.resize(levels, where.size, is_flow=is_flow), changed),
        )
        levels = tf.ensure_shape(levels, [None, None, *(views.crop_size or (None, None)), _CHANNELS[stream]])
    if views.num_crops == 10:
        mirror = geometry.flip_flow if is_flow else geometry.flip_rgb
        five = tf.reshape(levels, tf.concat([[-1, 5], tf.shape(levels)[1:]], axis=0))
        levels = tf.reshape(tf.concat([five, mirror(five)], axis=1), tf.concat([[-1], tf.shape(levels)[1:]], axis=0))
    if is_flow and time.reverse is not None:
        levels = tf.where(time.reverse, geometry.negate_flow(levels), levels)
    if not is_flow and views.augment:
        clip = tf.ensure_shape(levels[0], [views.num_frames, *(views.crop_size or (None, None)), 3])
        levels = augment.apply(views.augment, tf.cast(clip, tf.float32), subkey(drawn, AUGMENT))[tf.newaxis]
    return levels


def _is_png(stream: str, making: Making) -> bool:
    return stream == "flow" and making.info.flow is not None and making.info.flow.storage == "png"


def _as_levels(values: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Levels in another type, rounded where it is uint8."""
    if values.dtype == dtype:
        return values
    return tf.saturate_cast(tf.round(values), dtype) if dtype == tf.uint8 else tf.cast(values, dtype)


def _numbers(stream: str, levels: tf.Tensor, time: _Time, making: Making) -> tf.Tensor:
    """Levels to what a model takes, in the shape that an element has."""
    views, flow = making.views, making.info.flow
    levels = _per_view(levels, views)
    height, width = views.crop_size or (None, None)
    levels = tf.ensure_shape(levels, [*_leading(views), views.num_frames, height, width, _CHANNELS[stream]])
    if views.dtype == "uint8":
        return _as_levels(levels, tf.uint8)
    bound_px = flow.bound_px if flow and views.flow_units == "pixels" else None
    # Computed in float32: bfloat16 has 8 bits, and would round twice.
    values = normalise(levels, stream, views, bound_px)
    if time.mask is not None:
        values = blank(values, _per_view(tf.repeat(time.mask, views.num_crops, axis=0), views))
    return tf.cast(values, views.dtype)


def _audio(clip: ParsedClip, time: _Time, making: Making) -> tf.Tensor:
    views, info = making.views, making.info
    sample_rate = info.audio_sample_rate
    assert sample_rate  # loading has seen to it
    count = None
    if views.num_frames:
        step = sampling.stored_steps(views, info.frame_rate)[0]
        count = sampling.num_audio_samples(views.num_frames, step, info.frame_rate, sample_rate)
    sound = sampling.audio_windows(
        clip.audio, time.starts, clip.num_frames, count, info.frame_rate, sample_rate, loops=time.loops
    )
    if time.reverse is not None:
        sound = tf.where(time.reverse, sound[:, ::-1], sound)
    sound = _per_view(tf.repeat(sound, views.num_crops, axis=0), views)
    return tf.ensure_shape(sound, [*_leading(views), count])


def _boxes(boxes: Boxes, time: _Time, where: _Place, flip: tf.Tensor | None, making: Making) -> dict[str, tf.Tensor]:
    """The boxes that the views show, each view's in the coordinates of what it shows, those before empty rows."""
    views, room = making.views, making.num_boxes
    never = tf.constant(False)
    mirrored = [never] * where.windows.shape[0] if flip is None else [flip]
    windows = tf.unstack(where.windows)
    if views.num_crops == 10:
        windows, mirrored = windows * 2, [never] * 5 + [~never] * 5
    corners = tf.stack(
        [
            geometry.move_boxes(boxes.corners, window, where.frame_size, mirror)
            for window, mirror in zip(windows, mirrored, strict=True)
        ]
    )  # [crops, n, 4]
    nearest, in_time = _nearest_frames(boxes.time_us, time, making.info.frame_rate)  # [clips, n]
    num_clips, num_crops = tf.shape(time.frames)[0], len(windows)
    corners = tf.tile(corners, [num_clips, 1, 1])
    seen = tf.reduce_all(corners[..., 2:] > corners[..., :2], axis=-1) & tf.repeat(in_time, num_crops, axis=0)
    first = tf.argsort(tf.cast(~seen, tf.int32), axis=-1, stable=True)[:, :room]
    parts = {
        "boxes": (tf.where(seen[..., tf.newaxis], corners, 0.0), 0.0),
        "box_label": (tf.where(seen, boxes.label, -1), -1),
        "box_frame": (tf.where(seen, tf.repeat(nearest, num_crops, axis=0), 0), 0),
    }
    filled = {}
    for key, (values, empty) in parts.items():
        values = tf.gather(values, first, batch_dims=1)
        padding = [[0, 0], [0, room - tf.shape(values)[1]], *[[0, 0]] * (values.shape.rank - 2)]
        padded = tf.pad(values, padding, constant_values=tf.cast(empty, values.dtype))
        shape = [*_leading(views), room, *([4] if key == "boxes" else [])]
        filled[key] = tf.ensure_shape(_per_view(padded, views), shape)
    return filled


def _nearest_frames(times_us: tf.Tensor, time: _Time, frame_rate: float) -> tuple[tf.Tensor, tf.Tensor]:
    """For instants [n] the nearest frame of each window, int32 [clips, n], and whether the window shows them, bool.

    A frame stands for the time up to the next one of its window, and the last one for as long as others do.
    """
    shown_us = tf.cast(time.frames, tf.float64) * (1e6 / frame_rate)
    steps_us = tf.abs(shown_us[:, 1:] - shown_us[:, :-1])
    longest_us = tf.reduce_max(tf.pad(steps_us, [[0, 0], [0, 1]], constant_values=1e6 / frame_rate), axis=1)
    since_us = tf.cast(times_us, tf.float64)[tf.newaxis, :, tf.newaxis] - shown_us[:, tf.newaxis, :]
    real = tf.ones_like(time.frames, tf.bool) if time.mask is None else time.mask
    distance_us = tf.where(real[:, tf.newaxis, :], tf.abs(since_us), np.inf)
    nearest = tf.argmin(distance_us, axis=-1, output_type=tf.int32)
    # Times are rounded to microseconds.
    shown = (since_us > -1) & (since_us < longest_us[:, tf.newaxis, tf.newaxis] - 1)
    return nearest, tf.reduce_any(shown, axis=-1)


def _leading(views: Views) -> Sequence[int | None]:
    """The shape of the axis of views, nothing where there is none."""
    if views.is_single:
        return []
    return [None if views.sampling == "dense" else views.num_clips * views.num_crops]


def _per_view(values: tf.Tensor, views: Views) -> tf.Tensor:
    return values[0] if views.is_single else values
