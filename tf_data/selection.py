"""Which clips are read: the conditions of `where`, on whole columns of the index or on one record after another.

where={'label': ['abseiling', 'zumba'], 'mean_luma': lambda luma: luma > 20, 'source/codec': 'h264'}
        └── columns of the index: when the data set is made,    ┘                └── no column: as records come,
            so that its length is exact and hosts share evenly                       before anything is decoded
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tf_data import contract
from tf_data.checks import nearest
from tf_data.labels import finder

_QUALITY = contract.QUALITY_PREFIX
# Plain names: the feature that each stands for, and its type. A flag is stored as an int64 that is not 0.
_PLAIN = {
    "label": (contract.LABEL_INDEX, "int"),
    "clip_id": (contract.EXAMPLE_ID, "string"),
    "num_frames": (contract.IMAGE_ENCODED, "int"),  # how many there are
    "short": (f"{_QUALITY}/short", "flag"),
    "damaged": (f"{_QUALITY}/damaged", "flag"),
    "rotated": (f"{contract.SOURCE_PREFIX}/rotation", "flag"),
    "has_audio": (f"{_QUALITY}/has_audio", "flag"),
    "upscaled": (f"{_QUALITY}/upscaled", "flag"),
    "repeated_frames": (f"{_QUALITY}/repeated_frames", "int"),
    "mean_luma": (f"{_QUALITY}/mean_luma", "float"),
    "clipped_flow": (f"{_QUALITY}/clipped_flow", "float"),
    "mean_flow_px": (f"{_QUALITY}/mean_flow_px", "float"),
}
_OWN_MEANING = ("num_frames", "rotated")  # says less than the feature does, so the feature is no other name of it
_PLAIN_OF = {feature: name for name, (feature, _) in _PLAIN.items() if name not in _OWN_MEANING}
_KIND_OF_DTYPE = {"string": "string", "bytes": "string", "int64": "int", "float32": "float", "float": "float"}
_DTYPES = {
    "string": (tf.string, np.bytes_),
    "int": (tf.int64, np.int64),
    "float": (tf.float32, np.float32),
    "flag": (tf.int64, np.bool_),
}
_EXPECTED = {"string": "text", "int": "integers of 64 bits", "float": "numbers", "flag": "True or False"}
_HINT = "A condition is applied to a whole array or tensor at once: write &, | and ~ for and, or and not, and give a "


@dataclass(frozen=True, slots=True)
class Condition:
    """What one key of `where` allows: one of `values`, or what `predicate` is true for."""

    key: str  # as it was given
    name: str  # the plain name where there is one, else the key
    values: tuple[Any, ...] = ()
    predicate: Callable[[Any], Any] | None = None

    def __str__(self) -> str:
        if self.predicate:
            return f"{self.key!r} (a function)"
        told = ", ".join(map(repr, self.values[:3]))
        return f"{self.key!r}: {told}{f' … ({len(self.values)} values)' if len(self.values) > 3 else ''}"


def parse_where(where: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """Returns the conditions of `where`, in its order; all of them have to be met.

    Args:
      where: from a key to the value that is allowed, a collection of such values, or a function that is given a NumPy
        column of the index or a scalar tensor, and returns what is true of it. Keys are `label` (indices or names),
        `clip_id`, `num_frames`, `short`, `damaged`, `rotated`, `has_audio`, `upscaled`, `repeated_frames`,
        `mean_luma`, `clipped_flow` and `mean_flow_px`, and those of the records' context, such as `source/codec`.

    Raises:
      ValueError: it is no such mapping, or a key allows nothing.
    """
    if where is None:
        return ()
    if not isinstance(where, Mapping):
        raise ValueError(
            f"where must be a mapping from keys to what is allowed, such as {{'damaged': False}}, got {where!r}"
        )
    return tuple(_condition(key, allowed) for key, allowed in where.items())


def _condition(key: Any, allowed: Any) -> Condition:
    if not isinstance(key, str):
        raise ValueError(f"where: a key must be a string such as 'label' or 'source/codec', got {key!r}")
    name = _PLAIN_OF.get(key, key)
    if callable(allowed):
        return Condition(key, name, predicate=allowed)
    if allowed is None or isinstance(allowed, Mapping):
        raise ValueError(f"where: {key!r} must be a value, a collection of values or a function, got {allowed!r}")
    if isinstance(allowed, np.ndarray | np.generic):
        allowed = allowed.tolist()
    values = tuple(allowed) if isinstance(allowed, Iterable) and not isinstance(allowed, str | bytes) else (allowed,)
    if not values:
        raise ValueError(f"where: {key!r} allows no value at all, so that no clip could be read; leave the key out")
    return Condition(key, name, values)


def is_in_index(condition: Condition, columns: Iterable[str]) -> bool:
    """Whether a condition can be told from the columns of an index, which has keys of the clips' ids, not the ids."""
    if condition.name == "clip_id":
        return condition.predicate is None
    return condition.name in _PLAIN and condition.name in columns


def select(
    columns: Mapping[str, np.ndarray], conditions: Sequence[Condition], label_names: Sequence[str], what: str
) -> np.ndarray:
    """Returns the rows of an index that meet all conditions, in order: int64.

    Args:
      columns: of the index, by name.
      conditions: each of them `is_in_index`.
      label_names: what the labels in the column are called.
      what: the data set and split, for error messages.

    Raises:
      ValueError: a value has another type than its column, a label is none, a function can't be applied, or no record
        is left; the message names the condition.
    """
    rows = np.arange(len(columns["clip_key"]))
    for number, condition in enumerate(conditions):
        left = rows[_matching(condition, columns, label_names)[rows]]
        if not len(left) and len(rows):
            before = ", ".join(map(str, conditions[:number]))
            raise ValueError(
                f"where: no record of {what} is left: none of the {len(rows)} "
                f"{f'that meet {before}' if before else 'that there are'} meets {condition}"
            )
        rows = left
    return rows


def _matching(condition: Condition, columns: Mapping[str, np.ndarray], label_names: Sequence[str]) -> np.ndarray:
    if condition.name == "clip_id":
        ids = (value.decode() for value in _typed(condition, "string"))
        return np.isin(columns["clip_key"], np.array([contract.clip_key(clip_id) for clip_id in ids], np.int64))
    column = columns[condition.name]
    if condition.predicate is None:
        if condition.name == "label":
            return np.isin(column, _label_indices(condition, label_names))
        return np.isin(column, _typed(condition, _PLAIN[condition.name][1]))
    try:
        met = np.asarray(condition.predicate(column))
    except Exception as error:
        raise ValueError(
            f"where: the function of {condition.key!r} can't be applied to the index's column, {column.dtype} "
            f"[{len(column)}]: {error}. {_HINT}collection of values as it is"
        ) from error
    if met.dtype != np.bool_ or met.shape != column.shape:
        raise ValueError(
            f"where: the function of {condition.key!r} must return a bool for each of the {len(column)} records, got "
            f"{met.dtype} {list(met.shape)}"
        )
    return met


def _label_indices(condition: Condition, label_names: Sequence[str]) -> np.ndarray:
    find = finder(label_names)

    def index_of(value: Any) -> int:
        if isinstance(value, str | bytes):
            name = value if isinstance(value, str) else value.decode()
            if (index := find(name)) is None:
                among = f"none of the {len(label_names)} label names{nearest(name, label_names)}"
                none = "no index: the data set has no list of label names, so give indices"
                raise ValueError(f"where: {condition.key!r}: {name!r} is {among if label_names else none}")
            return index
        (index,) = _typed(Condition(condition.key, condition.name, (value,)), "int")
        if label_names and not contract.UNLABELLED <= index < len(label_names):
            raise ValueError(
                f"where: {condition.key!r}: {index} is no label; they are 0 to {len(label_names) - 1}, and "
                f"{contract.UNLABELLED} for clips without one"
            )
        return int(index)

    return np.array([index_of(value) for value in condition.values], np.int64)


def _typed(condition: Condition, kind: str) -> np.ndarray:
    """The values of a condition as an array of the type that they are compared with; text as UTF-8."""
    accepted: dict[str, Any] = {"string": (str, bytes), "int": int, "float": (int, float), "flag": (bool, int)}
    values = [value.item() if isinstance(value, np.generic) else value for value in condition.values]
    for value in values:
        is_wrong_bool = isinstance(value, bool) and kind != "flag"
        is_no_flag = kind == "flag" and value not in (0, 1)
        is_too_large = kind == "int" and isinstance(value, int) and not -(2**63) <= value < 2**63
        if not isinstance(value, accepted[kind]) or is_wrong_bool or is_no_flag or is_too_large:
            raise ValueError(f"where: {condition.key!r} is compared with {_EXPECTED[kind]}, got {value!r}")
    if kind == "string":
        return np.array([value.encode() if isinstance(value, str) else value for value in values], object)
    return np.array(values, _DTYPES[kind][1])


# -- On records ---------------------------------------------------------------------------------------------------


def record_filter(
    conditions: Sequence[Condition], features: Mapping[str, Mapping[str, Any]]
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns a function that tells whether a record meets all conditions, by the few features that they need.

    Args:
      conditions: one or more, those that an index could not tell. A label is an index here or, where all are text, the
        name in the record itself, just as it is written there.
      features: dtype and shape of each feature of the records, as `Info.features` and `features_of` have them.

    Returns:
      A function of (record, place), string scalars, to a bool scalar. In a graph it raises
      `tf.errors.InvalidArgumentError` where a record is none, lacks a key or has another type under it; the message
      names place and key.

    Raises:
      ValueError: the records have no such key, or one with many values; or a value or function does not fit it.
    """
    tests = [_test(condition, features) for condition in conditions]
    # As ragged features, whose number of values is checked here: the parser's own error would not name the place.
    context = {feature: tf.io.RaggedFeature(dtype) for feature, dtype, _ in tests if dtype}
    lists = {feature: tf.io.FixedLenSequenceFeature([], tf.string) for feature, dtype, _ in tests if not dtype}

    @tf.autograph.experimental.do_not_convert
    def is_met(record: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        values, sequences = tf.io.parse_single_sequence_example(
            record, context_features=context, sequence_features=lists, example_name=place
        )
        values = {feature: _single(value, feature, place) for feature, value in values.items()}
        values |= {feature: tf.size(sequence, tf.int64) for feature, sequence in sequences.items()}
        return tf.reduce_all([test(values[feature]) for feature, _, test in tests])

    return is_met


def _single(values: tf.Tensor, feature: str, place: tf.Tensor) -> tf.Tensor:
    problem = f": {feature} has no value or several, and where= is about a single one; leave it out, or pass "
    message = tf.strings.join([place, problem, "on_error='skip'"])
    with tf.control_dependencies([tf.debugging.Assert(tf.size(values) == 1, [message])]):
        return tf.reshape(values, [])


def features_of(example: tf.train.SequenceExample) -> dict[str, dict[str, Any]]:
    """Returns dtype and shape of the features in a record's context, for records that have no metadata."""
    dtypes = {"bytes_list": "string", "int64_list": "int64", "float_list": "float32"}
    described = {}
    for key, feature in example.context.feature.items():
        kind = feature.WhichOneof("kind")
        if kind:
            shape = [] if len(getattr(feature, kind).value) == 1 else [None]
            described[key] = {"dtype": dtypes[kind], "shape": shape}
    return described


def _test(
    condition: Condition, features: Mapping[str, Mapping[str, Any]]
) -> tuple[str, tf.DType | None, Callable[[tf.Tensor], tf.Tensor]]:
    """The feature that a condition is about, its dtype (None for the length of a list), and the test of its value."""
    feature, kind = _PLAIN.get(condition.name, (condition.name, ""))
    if condition.name == "label" and all(isinstance(value, str | bytes) for value in condition.values or (0,)):
        feature, kind = contract.LABEL_STRING, "string"
    if condition.name != "num_frames":
        _check_feature(condition, feature, features)
        kind = kind or _KIND_OF_DTYPE[features[feature]["dtype"]]
    dtype = None if condition.name == "num_frames" else _DTYPES[kind][0]
    allowed = None if condition.predicate else tf.constant(_typed(condition, kind))

    def test(value: tf.Tensor) -> tf.Tensor:
        value = value != 0 if kind == "flag" else value
        return tf.reduce_any(value == allowed) if allowed is not None else _applied(condition, value)

    return feature, dtype, test


def _check_feature(condition: Condition, feature: str, features: Mapping[str, Mapping[str, Any]]) -> None:
    in_context = sorted(key for key, value in features.items() if not value.get("shape"))
    if feature in in_context:
        return
    if feature in features:
        raise ValueError(f"where: {condition.key!r} has many values in a record; a condition is about a single one")
    raise ValueError(
        f"where: the records have no {condition.key!r}{nearest(condition.key, [*_PLAIN, *in_context])}; keys are "
        f"{', '.join(_PLAIN)} and those of their context: {', '.join(in_context) or 'none that is known'}. Metadata "
        "that the job wrote long ago lacks some of them: run it again to write it anew"
    )


def _applied(condition: Condition, value: tf.Tensor) -> tf.Tensor:
    assert condition.predicate
    try:
        met = tf.convert_to_tensor(condition.predicate(value))
    except Exception as error:
        raise ValueError(
            f"where: the function of {condition.key!r}, which is in no index, can't be applied to a {value.dtype.name} "
            f"tensor: {error}. {_HINT}collection of values as it is, and use TensorFlow's functions on tensors"
        ) from error
    if met.dtype != tf.bool or met.shape.rank != 0:
        raise ValueError(
            f"where: the function of {condition.key!r} must return a bool scalar for a scalar, got {met.dtype.name} "
            f"{met.shape}"
        )
    return met
