"""What a data set says of itself: `Info`, read from the metadata that the job leaves beside the shards."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tf_data import contract
from tf_data.decoding import PNG_SIGNATURE
from tf_data.selection import features_of


@dataclass(frozen=True, slots=True)
class FlowInfo:
    """How the optical flow was made and stored: -1 and 1 in a float element stand for -`bound_px` and `bound_px`.

    `quality` is None and the others are `unknown` or empty where nothing says; `storage` is then told by the images.
    """

    method: str
    bound_px: float
    storage: str
    quality: int | None
    rounding: str = "unknown"
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the method


@dataclass(frozen=True, slots=True)
class SplitInfo:
    """One split: its records, and what became of the clips that were asked for."""

    name: str
    num_clips: int
    num_asked: int
    num_failed: Mapping[str, int]  # by reason
    num_bytes: int
    shard_lengths: tuple[int, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Info:
    """A version of a data set, and what of it was loaded.

    `label_names[i]` is the name of label i. `num_examples` is what one epoch of the loaded split holds before hosts
    share it, None where it isn't known; `seed` is the one in use, also where it was drawn.
    """

    name: str
    config: str | None
    version: str
    folder: str
    label_names: tuple[str, ...]
    frame_rate: float
    features: Mapping[str, Mapping[str, Any]]  # key of a record: its dtype and shape
    flow: FlowInfo | None
    audio_sample_rate: float | None
    splits: Mapping[str, SplitInfo]
    configuration: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, Any] = field(default_factory=dict)
    num_examples: int | None = None
    seed: int | None = None

    @property
    def title(self) -> str:
        """`name[/config]:version`, as `load` takes it."""
        config = f"/{self.config}" if self.config else ""
        return f"{self.name}{config}:{self.version}" if self.version else self.name

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that its records hold."""
        return ("rgb", *(["flow"] if self.flow else []), *(["audio"] if self.audio_sample_rate else []))


def split_names(files: Iterable[str]) -> tuple[str, ...]:
    """Returns the splits that have metadata, by the names of the files of a version."""
    pattern = re.escape(contract.info_file("\0")).replace("\0", r"(\w+)")
    matches = (re.fullmatch(pattern, file) for file in files)
    return tuple(sorted(match[1] for match in matches if match))


def read_info(folder: str, split: str, files: Collection[str] | None = None) -> Info:
    """Reads the metadata of a version, `split`'s in full and the counts of all its splits.

    Args:
      folder: the version's.
      split: one with metadata.
      files: the names in the folder, where they have been listed already.

    Raises:
      ValueError: a metadata file is damaged or has no value that is needed; the message names file and key.
    """
    files = tf.io.gfile.listdir(folder) if files is None else files
    metadata = {name: _read_metadata(folder, name) for name in split_names(files)}
    path = _metadata_path(folder, split)
    own = metadata[split]
    try:
        return Info(
            name=own["name"],
            config=own.get("config"),
            version=own["version"],
            folder=folder,
            label_names=_read_labels(folder) if contract.LABELS_FILE in files else (),
            frame_rate=float(own["frame_rate"]),
            features=own.get("features", {}),
            flow=_flow_info(own.get("flow")),
            audio_sample_rate=float(own["audio"]["sample_rate"]) if own.get("audio") else None,
            splits={name: _split_info(name, values) for name, values in metadata.items()},
            configuration=own.get("configuration", {}),
            tools=own.get("tools", {}),
        )
    except KeyError as error:
        raise ValueError(f"{path}: has no key {error}; run the job again to write it anew") from error


def probe_record(path: str, folder: str) -> Info:
    """Describes records that have no metadata by the first one of a shard.

    Raises:
      ValueError: the shard can't be read or is empty, or its first record is no SequenceExample of a clip.
    """
    try:
        record = next(tf.data.TFRecordDataset(path).take(1).as_numpy_iterator())
        example = tf.train.SequenceExample.FromString(record)
    except StopIteration:
        raise ValueError(f"{path}: has no record in it; give the shards that have") from None
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: its first record can't be read: {error}") from error
    except Exception as error:  # protobuf's own error, whose module depends on its version
        raise ValueError(f"{path}: its first record is no tf.train.SequenceExample: {error}") from error
    context, lists = example.context.feature, example.feature_lists.feature_list

    def number(key: str, default: float) -> float:
        values = context[key].float_list.value or context[key].int64_list.value if key in context else ()
        return float(values[0]) if values else default

    def text(key: str, default: str) -> str:
        values = context[key].bytes_list.value if key in context else ()
        return values[0].decode(errors="replace") if values else default

    flow = audio = None
    if contract.FLOW_ENCODED in lists:
        images = [image for step in lists[contract.FLOW_ENCODED].feature[:1] for image in step.bytes_list.value]
        is_png = any(image.startswith(PNG_SIGNATURE) for image in images)
        flow = FlowInfo(
            method=text(contract.FLOW_METHOD, "unknown"),
            bound_px=number(contract.FLOW_SATURATION, 20.0),
            storage="png" if is_png else "unknown",
            quality=None,
            rounding=text(contract.FLOW_ROUNDING, "unknown"),
            parameters=_json_object(text(contract.FLOW_PARAMETERS, "")),
        )
    if contract.AUDIO_FLOATS in lists:
        audio = number(contract.AUDIO_SAMPLE_RATE, 48_000.0)
    return Info(
        name=posixpath.basename(folder.rstrip("/")),
        config=None,
        version="",
        folder=folder,
        label_names=(),
        frame_rate=number(f"{contract.IMAGE_PREFIX}/frame_rate", 25.0),
        features=features_of(example),
        flow=flow,
        audio_sample_rate=audio,
        splits={},
    )


def _json_object(text: str) -> Mapping[str, Any]:
    """What a text of a record says; nothing where it is no JSON object, for it is of others' making."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _metadata_path(folder: str, split: str) -> str:
    return posixpath.join(folder, contract.info_file(split))


def _read_metadata(folder: str, split: str) -> Mapping[str, Any]:
    path = _metadata_path(folder, split)
    try:
        with tf.io.gfile.GFile(path) as file:
            values = json.load(file)
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(f"{path}: can't be read as JSON ({error}); run the job again to write it anew") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must be a JSON object, got {type(values).__name__}; run the job again")
    return values


def _read_labels(folder: str) -> tuple[str, ...]:
    path = posixpath.join(folder, contract.LABELS_FILE)
    with tf.io.gfile.GFile(path) as file:
        return tuple(line.removesuffix("\n") for line in file)


def _flow_info(values: Mapping[str, Any] | None) -> FlowInfo | None:
    if not values:
        return None
    return FlowInfo(
        values.get("method", ""),
        float(values["bound_px"]),
        values.get("storage", ""),
        values.get("quality"),
        values.get("rounding", "nearest"),
        values.get("parameters", {}),
    )


def _split_info(name: str, values: Mapping[str, Any]) -> SplitInfo:
    lengths: Sequence[int] = values["shard_lengths"]
    return SplitInfo(
        name=name,
        num_clips=int(values["num_clips"]),
        num_asked=int(values.get("num_asked", values["num_clips"])),
        num_failed=dict(values.get("num_failed", {})),
        num_bytes=int(values.get("bytes", 0)),
        shard_lengths=tuple(lengths),
        complete=bool(values["complete"]),
    )
