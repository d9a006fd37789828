"""`tf.train.SequenceExample` without TensorFlow: message types of our own, and the bytes they serialise to.

The message types repeat the field numbers of tensorflow/core/example/{example,feature}.proto under a package name of
our own, so that they live beside TensorFlow's in one process: the wire carries no names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Value = bytes | str | int | float | np.ndarray | Sequence


def _message_types() -> Mapping[str, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    package = "kinetics_tfrecords"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}/example.proto", package=package, syntax="proto3")

    def add(message: str, name: str, number: int, type_: int, repeated: bool = False, type_name: str = "") -> None:
        file_message = next((m for m in file.message_type if m.name == message), None) or file.message_type.add(
            name=message
        )
        label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        added = file_message.field.add(name=name, number=number, type=type_, label=label)
        if type_name:
            added.type_name = f".{package}.{type_name}"

    def add_map(message: str, name: str, number: int, value_type: str) -> None:
        entry = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        add(message, name, number, field.TYPE_MESSAGE, True, f"{message}.{entry}")
        owner = next(m for m in file.message_type if m.name == message)
        nested = owner.nested_type.add(name=entry, options=descriptor_pb2.MessageOptions(map_entry=True))
        nested.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
        nested.field.add(
            name="value",
            number=2,
            type=field.TYPE_MESSAGE,
            label=field.LABEL_OPTIONAL,
            type_name=f".{package}.{value_type}",
        )

    add("BytesList", "value", 1, field.TYPE_BYTES, repeated=True)
    add("FloatList", "value", 1, field.TYPE_FLOAT, repeated=True)
    add("Int64List", "value", 1, field.TYPE_INT64, repeated=True)
    for number, kind in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        type_name = "".join(part.capitalize() for part in kind.split("_"))
        add("Feature", kind, number, field.TYPE_MESSAGE, type_name=type_name)
    feature = next(m for m in file.message_type if m.name == "Feature")
    feature.oneof_decl.add(name="kind")
    for member in feature.field:
        member.oneof_index = 0
    add_map("Features", "feature", 1, "Feature")
    add("FeatureList", "feature", 1, field.TYPE_MESSAGE, True, "Feature")
    add_map("FeatureLists", "feature_list", 1, "FeatureList")
    add("SequenceExample", "context", 1, field.TYPE_MESSAGE, type_name="Features")
    add("SequenceExample", "feature_lists", 2, field.TYPE_MESSAGE, type_name="FeatureLists")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_MESSAGES = _message_types()
SequenceExample = _MESSAGES["kinetics_tfrecords.SequenceExample"]
_FeatureMessage = _MESSAGES["kinetics_tfrecords.Feature"]


def sequence_example(context: Mapping[str, Value], feature_lists: Mapping[str, Iterable[Value]]) -> bytes:
    """Serialises one record, deterministically.

    Args:
      context: a value a key: bytes or str, int (int64), float (float32), or a sequence of one of these.
      feature_lists: for each key its steps, one Feature a step, of the same kinds. A float32 array is one Feature.

    Returns:
      The bytes of a `tf.train.SequenceExample`, its maps sorted by key.
    """
    example = SequenceExample()
    for key, value in context.items():
        _set(example.context.feature[key], value)
    # The lists hold megabytes of images. Their framing is put together by hand, so that these are copied once, when all
    # parts are joined: by way of messages it is three times, a fifteenth of what a 340×256 clip costs.
    entries: list[bytes] = []
    for key in sorted(feature_lists):
        steps = [part for step in feature_lists[key] for part in _delimited(_FEATURE, _feature(step))]
        entry = [*_delimited(_KEY, [key.encode()]), *_delimited(_VALUE, steps)]
        entries += _delimited(_FEATURE_LIST, entry)
    lists = _delimited(_FEATURE_LISTS, entries) if entries else []
    return b"".join([example.SerializeToString(deterministic=True), *lists])


# Tags of length-delimited fields: field number << 3 | 2.
_FEATURE_LISTS = b"\x12"  # SequenceExample.feature_lists = 2
_FEATURE_LIST = b"\x0a"  # FeatureLists.feature_list = 1, a map, whose entries have key = 1 and value = 2
_KEY, _VALUE = b"\x0a", b"\x12"
_FEATURE = b"\x0a"  # FeatureList.feature = 1
_BYTES_LIST = b"\x0a"  # Feature.bytes_list = 1
_BYTES_VALUE = b"\x0a"  # BytesList.value = 1


def _delimited(tag: bytes, parts: list[bytes]) -> list[bytes]:
    """Returns the parts of a field whose content are `parts`, none of them copied."""
    return [tag + _varint(sum(map(len, parts))), *parts]


def _feature(value: Value) -> list[bytes]:
    """Returns the parts of a Feature; a lone `bytes`, which may be large, as it is."""
    if isinstance(value, bytes):
        return _delimited(_BYTES_LIST, _delimited(_BYTES_VALUE, [value]))
    feature = _FeatureMessage()
    _set(feature, value)
    return [feature.SerializeToString(deterministic=True)]


def parse_sequence_example(record: bytes) -> tuple[dict[str, list], dict[str, list[list]]]:
    """Returns (context, feature lists) of a record as plain lists; raises `DecodeError` for bytes that are none."""
    example = SequenceExample.FromString(record)
    context = {key: _get(feature) for key, feature in example.context.feature.items()}
    lists = {key: [_get(f) for f in steps.feature] for key, steps in example.feature_lists.feature_list.items()}
    return context, lists


def _get(feature: Any) -> list:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _set(feature: Any, value: Value) -> None:
    if isinstance(value, np.ndarray):
        if value.dtype != np.float32:
            raise TypeError(f"an array feature must be float32, got {value.dtype}")
        # Half a million samples one by one cost 20 ms; as one packed field they are parsed in one copy.
        packed = value.astype("<f4").tobytes()
        feature.float_list.MergeFromString(b"\x0a" + _varint(len(packed)) + packed)
        return
    values: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    first = values[0]
    if isinstance(first, bytes | str):
        feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
    elif isinstance(first, float | np.floating):
        feature.float_list.value.extend(values)
    else:
        feature.int64_list.value.extend(int(v) for v in values)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
