"""What is taken from each clip: `Views`, a row of checked values that every phase of reading takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tf_data.checks import nearest, number, one_of, pair, positive, probability, range_of, rate, share_span, span

STREAMS = ("rgb", "flow", "audio")
DTYPES = ("float32", "bfloat16", "uint8")
SAMPLINGS = ("window", "dense", "segments", "all")
_SINGLE_SAMPLINGS = ("window", "segments", "all")  # one view of a clip, where one window is asked for
SHORT = ("loop", "hold", "pad")
NUM_CROPS = (1, 3, 10)
FLOW_UNITS = ("bound", "pixels")


@dataclass(frozen=True, slots=True)
class Views:
    """What is taken from each clip: when, where, and as what numbers.

    `load` describes each value under the keyword of the same name; here `stride` and `shorter_side` are always ranges
    and `crop_size` is (height, width). RGB comes as (level / 255 - `mean`) / `std`; flow isn't subject to these two.
    `random` draws windows, crops and all else that is random; without it they are centred and evenly spaced. It and
    `streams` are `load`'s to say, whatever a preset's row has.
    """

    random: bool = False
    streams: tuple[str, ...] = ("rgb",)

    sampling: str = "window"
    num_frames: int | None = None  # None for `sampling="all"` alone
    stride: tuple[int, int] = (1, 1)
    fps: float | None = None
    num_clips: int = 1
    short: str = "loop"
    reverse_probability: float = 0.0

    shorter_side: tuple[int, int] | None = None
    scale_jitter: tuple[float, float] | None = None
    area_range: tuple[float, float] | None = None
    aspect_range: tuple[float, float] = (1.0, 1.0)
    crop_size: tuple[int, int] | None = None
    num_crops: int = 1
    flip_probability: float = 0.0

    augment: tuple[Callable[..., Any], ...] = ()

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    dtype: str = "float32"
    flow_units: str = "bound"

    @property
    def is_single(self) -> bool:
        """Whether a clip gives one view, so that its tensors have no leading axis of views."""
        return self.num_clips == 1 and self.num_crops == 1 and self.sampling != "dense"

    @property
    def is_resized(self) -> bool:
        """Whether what a view shows may have another size in the stored frames."""
        return bool(self.shorter_side or self.scale_jitter or self.area_range)

    @property
    def varies_in_shape(self) -> bool:
        """Whether clips give tensors of different shapes, so that they can't be put into one batch."""
        least, most = self.shorter_side or (0, 0)
        return self.sampling in ("all", "dense") or (least != most and not self.crop_size)


def choose_views(row: Views, *, random: bool, streams: Sequence[str], **asked: Any) -> Views:
    """Puts what is asked for into a preset's row, and checks every value and what can't go together.

    A value that is asked for takes the place of the row's own way of saying the same: `fps` that of `stride`, or a crop
    of drawn size that of a drawn size of the frame, and the other way round.

    Args:
      row: the preset's; one's own may have single values where it has pairs, as `load` takes them.
      random: True for training.
      streams: of `STREAMS`.
      **asked: values of `Views`' fields as `load` takes them, None for the row's own.

    Raises:
      ValueError: a value that is not allowed; the message names the keyword, the value and what is.
    """
    row = replace(row, **_checked({keyword: getattr(row, keyword) for keyword in _CHECKS}))
    values = _checked(asked)
    if values.get("sampling") == "segments":
        values = {"stride": _UNSET.stride, "fps": None} | values
    for keywords, others in _ALTERNATIVES:
        if values.keys() & keywords:
            values = {other: getattr(_UNSET, other) for other in others} | values
    if row.sampling == "all" and "num_frames" in values:
        values.setdefault("sampling", "window")
    if values.get("sampling") == "all":
        values.setdefault("num_frames", None)
    views = replace(row, random=random, streams=_known_streams(streams), **values)
    _check_together(views)
    return views


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {keyword: _CHECKS[keyword](keyword, value) for keyword, value in values.items() if value is not None}


def _augmentations(keyword: str, value: Any) -> tuple[Callable[..., Any], ...]:
    functions = tuple(value) if isinstance(value, list | tuple) else (value,)
    for function in functions:
        if not callable(function) or isinstance(function, type):
            raise ValueError(
                f"{keyword} must be functions of (frames, seed) such as tf_data.RandAugment(), got {function!r}"
            )
    return functions


def _known_streams(streams: Any) -> tuple[str, ...]:
    names = (streams,) if isinstance(streams, str) else tuple(streams)
    for name in names:
        if name not in STREAMS:
            raise ValueError(f"streams: {name!r} is none of {', '.join(STREAMS)}{nearest(name, STREAMS)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"streams must name one or more of {', '.join(STREAMS)}, each once, got {streams!r}")
    return names


def _three(keyword: str, value: Any) -> tuple[float, float, float]:
    values = tuple(value) if isinstance(value, tuple | list) else ()
    if len(values) != 3:
        raise ValueError(f"{keyword} must be three numbers, of red, green and blue, got {value!r}")
    least = 0.0 if keyword == "mean" else 1e-6
    red, green, blue = (number(keyword, one, least) for one in values)
    return red, green, blue


def _dtype_name(keyword: str, dtype: Any) -> str:
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
    return one_of(DTYPES)(keyword, name)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "sampling": one_of(SAMPLINGS),
    "num_frames": positive,
    "stride": range_of("one stride or (low, high)", positive),
    "fps": rate,
    "num_clips": positive,
    "short": one_of(SHORT),
    "reverse_probability": probability,
    "shorter_side": range_of("one side in pixels or (low, high)", positive),
    "scale_jitter": span,
    "area_range": share_span,
    "aspect_range": span,
    "crop_size": pair("one side in pixels or (height, width)", positive),
    "num_crops": one_of(NUM_CROPS),
    "flip_probability": probability,
    "augment": _augmentations,
    "mean": _three,
    "std": _three,
    "dtype": _dtype_name,
    "flow_units": one_of(FLOW_UNITS),
}
_UNSET = Views()
# Asking for one of the former unsets a preset's latter.
_ALTERNATIVES: tuple[tuple[set[str], set[str]], ...] = (
    ({"fps"}, {"stride"}),
    ({"stride"}, {"fps"}),
    ({"area_range"}, {"shorter_side", "scale_jitter"}),
    ({"shorter_side", "scale_jitter"}, {"area_range", "aspect_range"}),
)


def _check_together(views: Views) -> None:
    if views.random:
        many = {"num_clips": views.num_clips, "num_crops": views.num_crops, "sampling": views.sampling}
        told = [f"{keyword}={value!r}" for keyword, value in many.items() if value not in (1, *_SINGLE_SAMPLINGS)]
        if told:
            raise ValueError(
                f"{', '.join(told)}: several views of a clip are for evaluation; a training example is one random "
                "view. Pass training=False, or leave them out"
            )
    if views.num_clips > 1 and views.varies_in_shape:
        raise ValueError(f"num_clips={views.num_clips}: sampling={views.sampling!r} takes the whole clip; drop one")
    if not views.random:
        drawn = {
            "reverse_probability": views.reverse_probability,
            "flip_probability": views.flip_probability,
            "scale_jitter": views.scale_jitter,
            "area_range": views.area_range,
            "augment": views.augment,
        }
        for keyword, value in drawn.items():
            if value:
                raise ValueError(f"{keyword}={value!r} is random, for training; pass training=True, or leave it out")
        for keyword in ("stride", "shorter_side"):
            if (ends := getattr(views, keyword)) and ends[0] != ends[1]:
                raise ValueError(f"{keyword}={ends!r}: a range is drawn from in training; pass one value")
    if (views.area_range or views.num_crops > 1 or views.scale_jitter) and not views.crop_size:
        raise ValueError("crop_size must be given where crops are taken or drawn, got None; pass a side in pixels")
    if views.area_range and (views.shorter_side or views.scale_jitter):
        raise ValueError(
            f"area_range={views.area_range!r} draws the crop's size in the stored frame; it doesn't go with "
            "shorter_side and scale_jitter, which size the frame; drop one"
        )
    if views.shorter_side and views.crop_size:
        least = views.shorter_side[0] * (views.scale_jitter or (1, 1))[0]
        if least < min(views.crop_size):
            raise ValueError(
                f"crop_size={views.crop_size!r} doesn't fit into frames whose shorter side is {least:g}; pass a larger "
                "shorter_side or a smaller crop_size"
            )
    if "audio" in views.streams:
        if views.sampling == "segments":
            raise ValueError("streams: sound has no segments; take it with sampling='window', or leave it out")
        if views.stride[0] != views.stride[1]:
            raise ValueError(f"stride={views.stride!r}: a drawn stride gives sound no fixed length; pass one value")
    if views.sampling == "segments" and (views.fps or views.stride != (1, 1)):
        raise ValueError(
            f"sampling='segments' spreads num_frames over the whole clip, without stride={views.stride!r} or "
            f"fps={views.fps}; drop them"
        )
    if views.aspect_range != _UNSET.aspect_range and not views.area_range:
        raise ValueError(f"aspect_range={views.aspect_range!r} is that of a crop of drawn area; pass area_range, too")
    if views.sampling == "all" and views.stride[0] != views.stride[1]:
        raise ValueError(f"stride={views.stride!r}: sampling='all' takes one stride for the whole clip; pass one value")
    if "flow" in views.streams and views.dtype == "uint8" and views.flow_units == "pixels":
        raise ValueError(
            "flow_units='pixels': dtype='uint8' gives levels; pass bound_px=info.flow.bound_px to to_model_input"
        )
    if views.fps and views.stride != (1, 1):
        raise ValueError(f"fps={views.fps} and stride={views.stride!r} are two ways of saying the same; drop one")
    if (views.sampling == "all") != (views.num_frames is None):
        raise ValueError(f"num_frames={views.num_frames}: sampling='all' takes every frame; drop one of the two")
    moving = [function for function in views.augment if getattr(function, "geometric", False)]
    if moving and "flow" in views.streams:
        raise ValueError(
            f"augment: {moving[0]!r} moves what is in RGB, and flow would stay behind; pass geometric=False to it"
        )
