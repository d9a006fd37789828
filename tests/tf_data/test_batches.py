"""Batches: filled up, mixed, and in the form that `model.fit` takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tf_data import batches
from tf_data.randomness import MIX_KEY


def _elements(count: int, **more: Any) -> tf.data.Dataset:
    def element(number: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "rgb": tf.fill([2, 3, 3, 3], tf.cast(number, tf.uint8)),
            "label": number,
            "clip_id": tf.strings.as_string(number),
            **{key: value(number) for key, value in more.items()},
        }

    return tf.data.Dataset.range(count).map(element)


# -- Filling up ---------------------------------------------------------------------------------------------------


def test_a_last_batch_is_filled_up_with_copies_that_the_mask_tells() -> None:
    *_, last = batches.pad_batches(_elements(7).batch(4), 4).as_numpy_iterator()
    assert last["mask"].tolist() == [True, True, True, False]
    assert last["label"].tolist() == [4, 5, 6, 6]
    assert last["clip_id"].tolist() == [b"4", b"5", b"6", b"6"]
    assert last["rgb"][:, 0, 0, 0, 0].tolist() == [4, 5, 6, 6]


@pytest.mark.parametrize("count", [1, 4, 5, 8, 11])
def test_the_mask_marks_each_element_once(count: int) -> None:
    filled = list(batches.pad_batches(_elements(count).batch(4), 4).as_numpy_iterator())
    assert all(len(batch["label"]) == len(batch["mask"]) == 4 for batch in filled)
    real = [label for batch in filled for label in batch["label"][batch["mask"]]]
    assert real == list(range(count))


def test_a_mask_that_elements_bring_stays() -> None:
    ds = batches.pad_batches(_elements(3, mask=lambda number: number != 1).batch(4), 4)
    (batch,) = ds.as_numpy_iterator()
    assert batch["mask"].tolist() == [True, False, True, False]


def test_filled_batches_have_the_same_shape_before_any_is_read() -> None:
    spec = batches.pad_batches(_elements(7).batch(4), 4).element_spec
    assert {key: tuple(tensor.shape) for key, tensor in spec.items()} == {
        "rgb": (4, 2, 3, 3, 3),
        "label": (4,),
        "clip_id": (4,),
        "mask": (4,),
    }


# -- Mixing -------------------------------------------------------------------------------------------------------


def _with_key(count: int, first: int = 0) -> tf.data.Dataset:
    return _elements(count, **{MIX_KEY: lambda number: tf.stack([number + first, number])}).batch(2)


def _tell_how(batch: batches.Element, num_classes: int, key: tf.Tensor) -> batches.Element:
    """A way of mixing that says what it was given."""
    return batch | {"label": tf.one_hot(batch["label"], num_classes), "key": key}


def test_a_batch_is_mixed_by_the_function_that_is_given_without_the_elements_keys() -> None:
    (batch,) = batches.mix_batches(_with_key(2), _tell_how, 5).as_numpy_iterator()
    assert set(batch) == {"rgb", "label", "clip_id", "key"}
    np.testing.assert_array_equal(batch["label"], np.eye(5)[:2])


def test_each_batch_is_mixed_by_a_key_of_its_own_that_follows_from_its_first_element() -> None:
    def keys(ds: tf.data.Dataset) -> list[tuple[int, ...]]:
        return [tuple(batch["key"]) for batch in batches.mix_batches(ds, _tell_how, 8).as_numpy_iterator()]

    first = keys(_with_key(8))
    assert keys(_with_key(8)) == first
    assert len(set(first)) == 4
    assert not set(first) & set(keys(_with_key(8, first=100)))
    alone = keys(_with_key(8).unbatch().batch(1))
    assert alone[::2] == first


# -- For model.fit ------------------------------------------------------------------------------------------------

_RGB, _FLOW, _LABEL = tf.zeros([2, 3]), tf.ones([2, 3]), tf.constant([1, 2], tf.int64)
_MASK, _FLIP, _FRAME_MASK = tf.constant([True, False]), tf.constant([False, True]), tf.ones([2, 1], tf.bool)


def test_one_stream_is_a_tensor() -> None:
    element = {"rgb": _RGB, "label": _LABEL}
    inputs, label = batches.supervised(["rgb"])(element)
    assert inputs is _RGB
    assert label is _LABEL


@pytest.mark.parametrize(
    ("streams", "element", "keys"),
    [
        (["rgb", "flow"], {"rgb": _RGB, "flow": _FLOW}, {"rgb", "flow"}),
        (["rgb"], {"rgb": _RGB, "flip": _FLIP}, {"rgb", "flip"}),
        (["rgb"], {"rgb": _RGB, "frame_mask": _FRAME_MASK}, {"rgb", "frame_mask"}),
        (["rgb"], {"rgb": _RGB, "clip_id": _LABEL, "flip": _FLIP}, {"rgb", "flip"}),
    ],
)
def test_several_streams_and_what_a_model_needs_with_one_are_a_dictionary(
    streams: list[str], element: dict[str, tf.Tensor], keys: set[str]
) -> None:
    inputs, label = batches.supervised(streams)(element | {"label": _LABEL})
    assert set(inputs) == keys
    assert all(inputs[key] is element[key] for key in keys)
    assert label is _LABEL


def test_a_mask_becomes_weights() -> None:
    inputs, label, weight = batches.supervised(["rgb"])({"rgb": _RGB, "label": _LABEL, "mask": _MASK})
    assert inputs is _RGB
    assert label is _LABEL
    assert weight.dtype == tf.float32
    assert weight.numpy().tolist() == [1.0, 0.0]


def test_the_form_is_that_of_a_data_set_that_keras_takes() -> None:
    ds = batches.pad_batches(_elements(3).batch(2), 2).map(batches.supervised(["rgb"]))
    assert [spec.shape.as_list() for spec in ds.element_spec] == [[2, 2, 3, 3, 3], [2], [2]]
    weights = [weight.tolist() for _, _, weight in ds.as_numpy_iterator()]
    assert weights == [[1.0, 1.0], [1.0, 0.0]]
