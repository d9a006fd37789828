"""Whether one record is what its data set says of it: of bytes in memory, whose checksums are right already.

What this package wrote is looked at where it lies (`record_layout`); a record that differs in anything is parsed, to
find the words for it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any

from google.protobuf.message import DecodeError

from beam_pipeline.checking.image_check import MAGIC, Frames, chosen_steps, wrong_with_image
from beam_pipeline.checking.record_layout import Place, UnusualLayout, images_of, layout_of, samples_in
from beam_pipeline.ledger import LedgerRow
from beam_pipeline.records import SequenceExample, sequence_example
from tf_data import contract

_KINDS = {"string": "bytes_list", "int64": "int64_list", "float32": "float_list"}
_FLAGS = ("short", "damaged", "has_audio")
_STREAMS = {contract.IMAGE_ENCODED: contract.IMAGE_PREFIX, contract.FLOW_ENCODED: contract.FLOW_PREFIX}
_LISTS = frozenset({*_STREAMS, contract.IMAGE_TIMESTAMP, contract.FLOW_TIMESTAMP, contract.AUDIO_FLOATS})


@dataclass(frozen=True, slots=True)
class Described:
    """What a split's files say of all of its records.

    Attributes:
      name: of the data set.
      split: the split's name.
      features: dtype and shape of each key; empty where nothing says so.
      fps: frames a second; None where nothing says so.
      facts: what the context of each record has under a key, of how it was made.
    """

    name: str
    split: str
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fps: Fraction | None = None
    facts: Mapping[str, bytes | float] = field(default_factory=dict)


def wrong_with(record: bytes, row: LedgerRow, described: Described, frames: Frames = "none") -> str:
    """Returns the first thing that a record and what is said of it differ in, or ''.

    Its id, label, times, length, size and flags are those of its row, and how it was made is what is said of all; each
    described feature is there with its dtype and as many values as its shape has; frames and flow are at their times, a
    flow for each pair of frames; sound is as long as the footage; images begin as their format does, and those that
    `frames` says decode to their size.
    """
    try:
        layout = layout_of(record)
        example = SequenceExample.FromString(record[: layout.context_end])
        images = _images_as_written(record, layout.lists, example.context.feature, row, described)
    except (DecodeError, UnusualLayout):
        images = None
    if images is not None:
        context = example.context.feature
        of_context = {key: feature for key, feature in described.features.items() if not feature["shape"]}
        wrong = _wrong_identity(context, row, described) or _wrong_features(context, {}, of_context)
        wrong = wrong or _wrong_durations(context, row, described.fps) or _wrong_facts(context, row, described)
        return wrong or _wrong_pictures(record, images, context, row, frames)
    try:
        example = SequenceExample.FromString(record)
    except DecodeError:
        return "is no SequenceExample"
    context, lists = example.context.feature, example.feature_lists.feature_list
    return (
        _wrong_identity(context, row, described)
        or _wrong_features(context, lists, described.features)
        or _wrong_lengths(context, lists, row)
        or _wrong_times(lists, row, described.fps)
        or _wrong_durations(context, row, described.fps)
        or _wrong_facts(context, row, described)
        or _wrong_images(context, lists)
        or _wrong_parsed_pictures(lists, context, row, frames)
    )


def _images_as_written(
    record: bytes, lists: Mapping[str, Place], context: Any, row: LedgerRow, described: Described
) -> dict[str, list[Place]]:
    """Returns where the images of each stream are, of a record whose lists are those that a run writes.

    Raises:
      UnusualLayout: they are not, or nothing says at what times the frames are.
    """
    expected = {key for key, feature in described.features.items() if feature["shape"]}
    if described.fps is None or not expected <= lists.keys() <= _LISTS or contract.IMAGE_ENCODED not in lists:
        raise UnusualLayout
    images = {}
    for key, steps in ((contract.IMAGE_ENCODED, row.num_frames), (contract.FLOW_ENCODED, row.num_frames - 1)):
        times = lists.get(f"{_STREAMS[key]}/timestamp")
        if (key in lists) != (times is not None):
            raise UnusualLayout
        if times is None:
            continue
        images[key] = images_of(record, lists[key], MAGIC.get(_format(context, _STREAMS[key]), b"?"))
        if len(images[key]) != steps or record[slice(*times)] != _times_as_written(steps, described.fps):
            raise UnusualLayout
    if contract.AUDIO_FLOATS in lists:
        samples = samples_in(record, lists[contract.AUDIO_FLOATS])
        if [samples] != list(context[contract.AUDIO_NUM_SAMPLES].int64_list.value):
            raise UnusualLayout
    return images


@functools.lru_cache(maxsize=1024)
def _times_as_written(steps: int, fps: Fraction) -> bytes:
    """Returns the bytes of a list of times, as `records` writes them."""
    record = sequence_example({"": 0}, {"": _times_us(steps, fps)})
    return record[slice(*layout_of(record).lists[""])]


def _times_us(steps: int, fps: Fraction) -> list[int]:
    interval_us = 1_000_000 / fps
    return [round(k * interval_us) for k in range(steps)]


def _format(context: Any, prefix: str) -> str:
    return b" ".join(context[f"{prefix}/format"].bytes_list.value).decode(errors="replace")


def _wrong_identity(context: Any, row: LedgerRow, described: Described) -> str:
    clip_ids = list(context[contract.EXAMPLE_ID].bytes_list.value)
    if clip_ids != [row.clip_id.encode()]:
        return f"is the record of {b' '.join(clip_ids).decode(errors='replace')!r}"
    labels = list(context[contract.LABEL_INDEX].int64_list.value)
    if labels != [row.label_index]:
        return f"has the label {labels}, expected [{row.label_index}]"
    expected = {
        contract.LABEL_STRING: row.label,
        contract.LABEL_TEXT: row.label,
        contract.DATASET_NAME: described.name,
        contract.SPLIT: described.split,
        contract.MEDIA_ID: row.video_id,
    }
    for key, text in expected.items():
        if (values := list(context[key].bytes_list.value)) != [text.encode()]:
            return f"has {key} {b' '.join(values).decode(errors='replace')!r}, expected {text!r}"
    return ""


def _wrong_features(context: Any, lists: Any, features: Mapping[str, Mapping[str, Any]]) -> str:
    for key, feature in features.items():
        dtype, shape = feature["dtype"], feature["shape"]
        kind, of_clip = _KINDS[dtype], not shape
        if key not in (context if of_clip else lists):
            return f"has no {key}"
        steps = [context[key]] if of_clip else lists[key].feature
        if len(shape) == 2 and len(steps) != shape[0]:
            return f"has {len(steps)} steps of {key}, expected {shape[0]}"
        for step in steps:
            if step.WhichOneof("kind") != kind:
                return f"has no {dtype} in {key}"
            if len(shape) < 2 and len(getattr(step, kind).value) != 1:
                return f"has {len(getattr(step, kind).value)} values in a step of {key}, expected 1"
    return ""


def _wrong_lengths(context: Any, lists: Any, row: LedgerRow) -> str:
    frames = row.num_frames
    for key, steps in (
        (contract.IMAGE_ENCODED, frames),
        (contract.IMAGE_TIMESTAMP, frames),
        (contract.FLOW_ENCODED, frames - 1),
        (contract.FLOW_TIMESTAMP, frames - 1),
    ):
        found = len(lists[key].feature) if key in lists else 0
        if found != steps and (key in lists or key.startswith(contract.IMAGE_PREFIX)):
            what = "frames" if key == contract.IMAGE_ENCODED else f"steps of {key}"
            return f"has {found} {what}, expected {steps}"
    if contract.AUDIO_FLOATS in lists:
        samples = sum(len(step.float_list.value) for step in lists[contract.AUDIO_FLOATS].feature)
        said = list(context[contract.AUDIO_NUM_SAMPLES].int64_list.value)
        if said != [samples]:
            return f"has {samples} samples of sound, and says {said}"
    return ""


def _wrong_times(lists: Any, row: LedgerRow, fps: Fraction | None) -> str:
    for key, steps in ((contract.IMAGE_TIMESTAMP, row.num_frames), (contract.FLOW_TIMESTAMP, row.num_frames - 1)):
        if key not in lists:
            continue
        found = list(chain.from_iterable(step.int64_list.value for step in lists[key].feature))
        expected = _times_us(steps, fps) if fps else sorted(set(found))
        for k, (time_us, expected_us) in enumerate(zip(found, expected, strict=False)):
            if time_us != expected_us:
                return f"has step {k} of {key} at {time_us} µs, expected {expected_us}"
        if len(found) != len(expected):
            return f"has {len(found)} times in {key}, expected {len(expected)}"
    return ""


def _wrong_durations(context: Any, row: LedgerRow, fps: Fraction | None) -> str:
    if fps and abs(row.num_frames - row.duration_s * fps) > 1:
        return f"has {row.num_frames} frames at {float(fps):g} a second, for {row.duration_s:g} s of footage"
    if contract.AUDIO_NUM_SAMPLES not in context or contract.AUDIO_SAMPLE_RATE not in context:
        return ""
    rates, counts = context[contract.AUDIO_SAMPLE_RATE].float_list.value, context[contract.AUDIO_NUM_SAMPLES]
    for rate, samples in zip(rates, counts.int64_list.value, strict=False):
        if abs(samples - row.duration_s * rate) > 1:
            return f"has {samples} samples of sound at {rate:g} a second, for {row.duration_s:g} s of footage"
    return ""


def _wrong_facts(context: Any, row: LedgerRow, described: Described) -> str:
    expected = {
        contract.CLIP_START: round(row.start_s * 1e6),
        contract.CLIP_END: round(row.end_s * 1e6),
        f"{contract.IMAGE_PREFIX}/height": row.height,
        f"{contract.IMAGE_PREFIX}/width": row.width,
        **{f"{contract.QUALITY_PREFIX}/{flag}": int(getattr(row, flag)) for flag in _FLAGS},
    }
    for key, number in expected.items():
        if (values := list(context[key].int64_list.value)) != [number]:
            return f"has {key} {values}, expected [{number}]"
    for key, fact in described.facts.items():
        found = list(getattr(context[key], "bytes_list" if isinstance(fact, bytes) else "float_list").value)
        if found != [fact]:
            texts = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in (*found, fact)]
            return f"has {key} {texts[:-1]}, expected {texts[-1:]}"
    return ""


def _wrong_images(context: Any, lists: Any) -> str:
    for key, prefix in _STREAMS.items():
        if key not in lists:
            continue
        name = _format(context, prefix)
        if name not in MAGIC:
            return f"has {prefix}/format {name!r}, expected {' or '.join(MAGIC)}"
        for k, step in enumerate(lists[key].feature):
            if not all(image.startswith(MAGIC[name]) for image in step.bytes_list.value):
                return f"has no {name} image in step {k} of {key}"
    return ""


def _wrong_pictures(
    record: bytes, images: Mapping[str, list[Place]], context: Any, row: LedgerRow, frames: Frames
) -> str:
    for key, places in images.items():
        for k in chosen_steps(row.clip_id, len(places), frames):
            image_format = _format(context, _STREAMS[key])
            if wrong := wrong_with_image(record, places[k], image_format, row.height, row.width):
                return f"has an image in step {k} of {key} that {wrong}"
    return ""


def _wrong_parsed_pictures(lists: Any, context: Any, row: LedgerRow, frames: Frames) -> str:
    """Looks at the images of a record that is laid out otherwise, put one behind another."""
    images: dict[str, list[Place]] = {}
    content = bytearray()
    for key in (key for key in _STREAMS if key in lists):
        for step in lists[key].feature:
            begin = len(content)
            content += b"".join(step.bytes_list.value)
            images.setdefault(key, []).append((begin, len(content)))
    return _wrong_pictures(bytes(content), images, context, row, frames)
