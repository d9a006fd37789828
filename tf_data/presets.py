"""Presets: how a model family looks at a clip, in training and in evaluation, as rows of numbers with their source."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

STREAMS = ("rgb", "flow", "audio")
DTYPES = ("float32", "bfloat16", "uint8")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a preset: `num_frames` frames, each `stride` stored frames after the last, cropped to `crop_size`.

    `crop_size` is (height, width) in pixels of the stored frames, or None for whole frames.
    """

    num_frames: int
    stride: int
    crop_size: tuple[int, int] | None
    flip_probability: float


@dataclass(frozen=True, slots=True)
class Preset:
    """A row for training (random window, crop and flip) and one for evaluation (centred, no flip)."""

    training: Row
    evaluation: Row


# i3d: Carreira and Zisserman, "Quo Vadis, Action Recognition?", https://arxiv.org/abs/1705.07750. Section 2.5: random
# 224×224 crops of frames whose smaller side is 256, a random start "among those early enough to guarantee a desired
# number of frames", flips applied to the whole clip; tested on the whole video with centre crops. Table 1: 64 frames
# in training, 250 (10 s) in testing. Shorter videos are looped.
PRESETS = {
    "i3d": Preset(
        training=Row(num_frames=64, stride=1, crop_size=(224, 224), flip_probability=0.5),
        evaluation=Row(num_frames=250, stride=1, crop_size=(224, 224), flip_probability=0.0),
    ),
}


@dataclass(frozen=True, slots=True)
class Views:
    """What is taken from each clip: which streams, when, where, and as what numbers."""

    streams: tuple[str, ...]
    training: bool
    num_frames: int
    stride: int
    crop_size: tuple[int, int] | None
    flip_probability: float
    num_clips: int
    num_crops: int
    dtype: str

    @property
    def is_single(self) -> bool:
        """Whether a clip gives one view, so that its tensors have no leading axis of views."""
        return self.num_clips == 1 and self.num_crops == 1


def choose_views(
    *,
    preset: str,
    training: bool,
    streams: Sequence[str],
    num_frames: int | None,
    stride: int | None,
    crop_size: int | tuple[int, int] | None,
    num_clips: int,
    num_crops: int,
    dtype: Any,
) -> Views:
    """Fills what is not asked for from the preset's row, and checks every value.

    Raises:
      ValueError: a value that is not allowed; the message names the keyword, the value and what is.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}{nearest(preset, PRESETS)}")
    row = PRESETS[preset].training if training else PRESETS[preset].evaluation
    if num_frames is not None:
        row = replace(row, num_frames=positive("num_frames", num_frames))
    if stride is not None:
        row = replace(row, stride=positive("stride", stride))
    if crop_size is not None:
        row = replace(row, crop_size=_height_and_width(crop_size))
    num_clips = positive("num_clips", num_clips)
    if num_crops not in (1, 3):
        raise ValueError(
            f"num_crops must be 1 (centre) or 3 (both ends and centre of the longer side), got {num_crops!r}"
        )
    if training and (num_clips, num_crops) != (1, 1):
        raise ValueError(
            f"num_clips={num_clips}, num_crops={num_crops}: several views of a clip are for evaluation; a training "
            "example is one random view. Pass training=False, or leave both at 1"
        )
    return Views(
        streams=_known_streams(streams),
        training=training,
        num_frames=row.num_frames,
        stride=row.stride,
        crop_size=row.crop_size,
        flip_probability=row.flip_probability,
        num_clips=num_clips,
        num_crops=num_crops,
        dtype=_dtype_name(dtype),
    )


def nearest(word: object, words: Iterable[str]) -> str:
    """Returns ` (did you mean 'flow'?)` for a misspelt word, or nothing where none of `words` is near."""
    near = difflib.get_close_matches(str(word), list(words), n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(repr(other) for other in near)}?)" if near else ""


def positive(keyword: str, value: Any) -> int:
    """Returns a keyword's value as an int of 1 or more.

    Raises:
      ValueError: it is not one.
    """
    try:
        number = operator.index(value)  # takes NumPy's integers too, and neither floats nor strings
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{keyword} must be an integer of 1 or more, got {value!r}")
    return number


def _height_and_width(crop_size: Any) -> tuple[int, int]:
    sides = crop_size if isinstance(crop_size, tuple | list) else (crop_size, crop_size)
    if len(sides) != 2:
        raise ValueError(f"crop_size must be one side in pixels or (height, width), got {crop_size!r}")
    return positive("crop_size", sides[0]), positive("crop_size", sides[1])


def _known_streams(streams: Any) -> tuple[str, ...]:
    names = (streams,) if isinstance(streams, str) else tuple(streams)
    for name in names:
        if name not in STREAMS:
            raise ValueError(f"streams: {name!r} is none of {', '.join(STREAMS)}{nearest(name, STREAMS)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"streams must name one or more of {', '.join(STREAMS)}, each once, got {streams!r}")
    return names


def _dtype_name(dtype: Any) -> str:
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return name
