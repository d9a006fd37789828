"""The numbers that a model takes: normalisation on the host, or together with the flip on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tf_data import geometry
from tf_data.presets import Preset, find_preset
from tf_data.views import Views


def normalise(
    levels: tf.Tensor, stream: str, views: Views, bound_px: float | None = None, *, on_host: bool = True
) -> tf.Tensor:
    """Turns levels 0 … 255 into what a model takes: float32 of the same shape.

    RGB becomes (level / 255 - mean) / std, with `i3d`'s of 0.5 that is [-1, 1]. Flow becomes (level - 127.5) / 127.5,
    in units of the bound that its levels stand for, or with `bound_px` pixels.

    Args:
      levels: [..., 3] of rgb or [..., 2] of flow.
      stream: `rgb` or `flow`.
      views: their `mean` and `std`.
      bound_px: the flow's bound, to have it in pixels; None for units of the bound.
      on_host: takes an operation that GPUs don't have, and that spares CPUs half of the work.
    """
    if stream == "flow":
        bound = bound_px or 1.0
        return _between(levels, -bound, bound, on_host)
    if len(set(views.mean)) == len(set(views.std)) == 1:
        mean, std = views.mean[0], views.std[0]
        return _between(levels, -mean / std, (1 - mean) / std, on_host)
    mean, std = tf.constant(views.mean), tf.constant(views.std)
    centred = geometry.by_channel(tf.subtract, _between(levels, 0.0, 1.0, on_host), mean)
    return geometry.by_channel(tf.divide, centred, std)


def _between(levels: tf.Tensor, low: float, high: float, on_host: bool) -> tf.Tensor:
    """Levels 0 … 255 to `low` … `high`: float32, exact at the ends."""
    if on_host and levels.dtype == tf.uint8:
        # One pass over the frames, in less than half the time of a cast and arithmetic.
        return tf.quantization.dequantize(tf.bitcast(levels, tf.quint8), low, high, mode="MIN_COMBINED")
    half = (high - low) / 2
    return (tf.cast(levels, tf.float32) - 127.5) / (127.5 / half) + (low + half)


def to_model_input(
    batch: Any, preset: str | Preset | None, *, dtype: Any = "float32", bound_px: float | None = None
) -> Any:
    """Does on the device what `load(..., dtype='uint8')` leaves to it: flips and normalises.

    What comes out is what `load` gives with `dtype='float32'`; where views are resized or augmented, but for the
    rounding to levels, and flow that is enlarged beyond its bound is cut off there. Call it inside the jitted training
    step, or map it over the data set where the device is the host.

    Args:
      batch: an element or batch of `load`: a dictionary with `rgb` uint8 [..., T, H, W, 3] or `flow` uint8
        [..., T, H, W, 2] or both, and where there are any `flip`, bool [...], and `frame_mask`, bool [..., T]; the rest
        is passed through. Or a tensor of one of the two streams.
      preset: the one that `load` was called with.
      dtype: of the result.
      bound_px: `info.flow.bound_px`, to have flow in pixels; None for [-1, 1].

    Returns:
      The dictionary without `flip`, or the tensor.

    Raises:
      ValueError: there is neither of the streams, or one isn't uint8.
    """
    views = find_preset(preset).training
    if not isinstance(batch, Mapping):
        stream = "flow" if batch.shape[-1] == 2 else "rgb"
        return to_model_input({stream: batch}, preset, dtype=dtype, bound_px=bound_px)[stream]
    streams = [stream for stream in ("rgb", "flow") if stream in batch]
    if not streams:
        raise ValueError(f"batch must have 'rgb' or 'flow', got {', '.join(map(repr, batch)) or 'nothing'}")
    flip, mask = batch.get("flip"), batch.get("frame_mask")
    result = {key: value for key, value in batch.items() if key != "flip"}
    for stream in streams:
        levels = tf.convert_to_tensor(batch[stream])
        if levels.dtype != tf.uint8:
            raise ValueError(
                f"batch[{stream!r}] must be uint8, got {levels.dtype.name}: load with dtype='uint8' leaves the rest "
                "to this function, with others it is done already"
            )
        if flip is not None:
            mirror = geometry.flip_flow if stream == "flow" else geometry.flip_rgb
            chosen = tf.reshape(
                flip, tf.concat([tf.shape(flip), tf.ones([tf.rank(levels) - tf.rank(flip)], tf.int32)], 0)
            )
            levels = tf.where(chosen, mirror(levels), levels)
        values = normalise(levels, stream, views, bound_px, on_host=False)
        result[stream] = tf.cast(blank(values, mask), dtype)
    return result


def blank(values: tf.Tensor, frame_mask: tf.Tensor | None) -> tf.Tensor:
    """Returns `values` [..., T, H, W, c] with zeros in the frames for which `frame_mask` [..., T] is False."""
    if frame_mask is None:
        return values
    return values * tf.cast(frame_mask, values.dtype)[..., tf.newaxis, tf.newaxis, tf.newaxis]
