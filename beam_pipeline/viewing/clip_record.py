"""A record as it is looked at: its images and sound as they are stored, and every key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from beam_pipeline.clips import ClipError
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.viewing.image_files import decode_image
from tf_data import contract

_FRAME_RATES = (0.01, 1000)  # of a record: others' may say anything
_SAMPLE_RATES = (1000, 384_000)


@dataclass(frozen=True, slots=True)
class Sound:
    """One channel of sound: float32 samples (num_samples,), the loudest within ±1, and how many there are a second."""

    samples: np.ndarray
    sample_rate: int

    @property
    def is_silent(self) -> bool:
        """Whether nothing is to be heard: what a record carries of a video without sound."""
        return not self.samples.any()


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One record, parsed; its images are decoded when they are asked for.

    Attributes:
      clip_id: `example/id`.
      label: the class's name; empty without one.
      frame_rate: frames a second.
      frames: images as they are stored, JPEG.
      flow: images of the flow from each frame to the next, JPEG or PNG; none where there is no flow.
      bound_px: what the lowest and the highest level of a flow image stand for; 0 without flow.
      sound: None where there is none.
      context: every key of the record's context, with its values.
      feature_lists: every other key, with the values of each step.
    """

    clip_id: str
    label: str
    frame_rate: Fraction
    frames: Sequence[bytes]
    flow: Sequence[bytes]
    bound_px: float
    sound: Sound | None
    context: dict[str, list]
    feature_lists: dict[str, list[list]]

    @property
    def duration_s(self) -> float:
        """How long the frames are shown."""
        return float(len(self.frames) / self.frame_rate)

    def picture(self, number: int) -> np.ndarray:
        """Returns a frame's pixels, uint8 RGB (height, width, 3); raises `ClipError` for one that is damaged."""
        try:
            return decode_image(self.frames[number])
        except ClipError as error:
            raise ClipError(error.reason, f"record {self.clip_id}: frame {number}: {error.detail}") from error


def parse_clip(record: bytes) -> ClipRecord:
    """Returns a record of a shard as it is looked at.

    Raises:
      ClipError: `unreadable` for bytes that are no sequence example; `unsupported` for one without frames, or whose
        frame rate, flow bound or sample rate can't be.
    """
    context, lists = _parsed(record)
    clip_id, label = (_text(context, key) for key in (contract.EXAMPLE_ID, contract.LABEL_STRING))
    frames, flow = (_images(lists, key) for key in (contract.IMAGE_ENCODED, contract.FLOW_ENCODED))
    if not frames:
        raise ClipError("unsupported", f"record {clip_id} has no {contract.IMAGE_ENCODED}")
    rate = _number(context, f"{contract.IMAGE_PREFIX}/frame_rate")
    _check(clip_id, f"{contract.IMAGE_PREFIX}/frame_rate", rate, *_FRAME_RATES)
    bound_px = _number(context, contract.FLOW_SATURATION) if flow else 0.0
    if flow:
        _check(clip_id, contract.FLOW_SATURATION, bound_px, 1e-6, 1e6)
    return ClipRecord(
        clip_id=clip_id,
        label=label,
        frame_rate=Fraction(rate).limit_denominator(1001),
        frames=frames,
        flow=flow,
        bound_px=bound_px,
        sound=_sound(clip_id, context, lists),
        context=context,
        feature_lists=lists,
    )


def id_of(record: bytes) -> str:
    """Returns `example/id` of a record; raises `ClipError` for bytes that are no sequence example."""
    return _text(_parsed(record)[0], contract.EXAMPLE_ID)


def _parsed(record: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        return parse_sequence_example(record)
    except DecodeError as error:
        raise ClipError("unreadable", f"is no shard of sequence examples, or damaged: {error}") from error


def _sound(clip_id: str, context: dict[str, Any], lists: dict[str, Any]) -> Sound | None:
    """Returns the first step's samples: all of a record of ours; of others' DMVR reads no more."""
    steps = lists.get(contract.AUDIO_FLOATS, [])
    if not steps or not steps[0]:
        return None
    rate = _number(context, contract.AUDIO_SAMPLE_RATE)
    _check(clip_id, contract.AUDIO_SAMPLE_RATE, rate, *_SAMPLE_RATES)
    samples = np.nan_to_num(np.asarray(steps[0], np.float32), posinf=1, neginf=-1)
    return Sound(samples, round(rate))


def _check(clip_id: str, key: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most or not math.isfinite(value):
        raise ClipError("unsupported", f"record {clip_id}: {key} must be {least:g} to {most:g}, got {value:g}")


def _text(context: dict[str, Any], key: str) -> str:
    return b"".join(value for value in context.get(key, [])[:1] if isinstance(value, bytes)).decode(errors="replace")


def _images(lists: dict[str, Any], key: str) -> list[bytes]:
    return [image for step in lists.get(key, []) for image in step[:1] if isinstance(image, bytes)]


def _number(context: dict[str, Any], key: str) -> float:
    values = context.get(key, [])
    return float(values[0]) if values and isinstance(values[0], int | float) else 0.0
