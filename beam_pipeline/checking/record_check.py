"""Whether one record is what its data set says of it: of bytes in memory, whose checksums are right already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from google.protobuf.message import DecodeError

from beam_pipeline.ledger import LedgerRow
from beam_pipeline.records import SequenceExample
from tf_data import contract

_KINDS = {"string": "bytes_list", "int64": "int64_list", "float32": "float_list"}
_MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
_FLAGS = ("short", "damaged", "has_audio")


@dataclass(frozen=True, slots=True)
class Described:
    """What a split's files say of all of its records.

    Attributes:
      name: of the data set.
      split: the split's name.
      features: dtype and shape of each key, as `info-<split>.json` has them; empty where there is none yet.
      labels: the label list; None where there is none yet.
    """

    name: str
    split: str
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None


def wrong_with(record: bytes, row: LedgerRow, described: Described) -> str:
    """Returns the first thing that a record and what is said of it differ in, or ''.

    Its id, label, times, length, size and flags are those of its row; the label's name is that of the label list; each
    described feature is there with its dtype and as many values as its shape has; a frame has one time, a pair of
    frames one flow; images begin as their format does.
    """
    try:
        example = SequenceExample.FromString(record)
    except DecodeError:
        return "is no SequenceExample"
    context, lists = example.context.feature, example.feature_lists.feature_list
    return (
        _wrong_identity(context, row, described)
        or _wrong_features(context, lists, described.features)
        or _wrong_lengths(context, lists, row)
        or _wrong_facts(context, row)
        or _wrong_images(context, lists)
    )


def _wrong_identity(context: Any, row: LedgerRow, described: Described) -> str:
    clip_ids = list(context[contract.EXAMPLE_ID].bytes_list.value)
    if clip_ids != [row.clip_id.encode()]:
        return f"is the record of {b' '.join(clip_ids).decode(errors='replace')!r}"
    labels = list(context[contract.LABEL_INDEX].int64_list.value)
    if labels != [row.label_index]:
        return f"has the label {labels}, expected [{row.label_index}]"
    name = row.label
    if described.labels is not None and row.label_index != contract.UNLABELLED:
        if not 0 <= row.label_index < len(described.labels):
            return f"has the label [{row.label_index}], of {len(described.labels)} in {contract.LABELS_FILE}"
        name = described.labels[row.label_index]
    expected = {
        contract.LABEL_STRING: name,
        contract.LABEL_TEXT: name,
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
    times_us = [value for step in lists[contract.IMAGE_TIMESTAMP].feature for value in step.int64_list.value]
    if any(later <= earlier for earlier, later in pairwise(times_us)):
        return f"has times in {contract.IMAGE_TIMESTAMP} that do not rise"
    if contract.AUDIO_FLOATS in lists:
        samples = sum(len(step.float_list.value) for step in lists[contract.AUDIO_FLOATS].feature)
        said = list(context[contract.AUDIO_NUM_SAMPLES].int64_list.value)
        if said != [samples]:
            return f"has {samples} samples of sound, and says {said}"
    return ""


def _wrong_facts(context: Any, row: LedgerRow) -> str:
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
    return ""


def _wrong_images(context: Any, lists: Any) -> str:
    for prefix, key in ((contract.IMAGE_PREFIX, contract.IMAGE_ENCODED), (contract.FLOW_PREFIX, contract.FLOW_ENCODED)):
        if key not in lists:
            continue
        name = b" ".join(context[f"{prefix}/format"].bytes_list.value).decode(errors="replace")
        if name not in _MAGIC:
            return f"has {prefix}/format {name!r}, expected {' or '.join(_MAGIC)}"
        for k, step in enumerate(lists[key].feature):
            if not all(image.startswith(_MAGIC[name]) for image in step.bytes_list.value):
                return f"has no {name} image in step {k} of {key}"
    return ""
