"""Batches for loops of other frameworks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tf_data
from tf_data.numpy_batches import as_numpy


def _data_set() -> tf.data.Dataset:
    def element(number: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "rgb": tf.fill([2, 4, 4, 3], tf.cast(number, tf.uint8)),
            "flow": tf.fill([2, 4, 4, 2], tf.cast(number, tf.float32)),
            "half": tf.fill([3], tf.cast(number, tf.bfloat16)),
            "label": number,
            "flip": number % 2 == 0,
            "clip_id": tf.strings.join(["clip ", tf.strings.as_string(number)]),
        }

    return tf.data.Dataset.range(6).map(element).batch(4)


def test_batches_are_numpy_arrays_of_the_data_sets_structure() -> None:
    first, last = as_numpy(_data_set())
    assert {key: (type(value), value.dtype.name, value.shape) for key, value in first.items()} == {
        "rgb": (np.ndarray, "uint8", (4, 2, 4, 4, 3)),
        "flow": (np.ndarray, "float32", (4, 2, 4, 4, 2)),
        "half": (np.ndarray, "bfloat16", (4, 3)),
        "label": (np.ndarray, "int64", (4,)),
        "flip": (np.ndarray, "bool", (4,)),
        "clip_id": (np.ndarray, "object", (4,)),
    }
    assert last["label"].tolist() == [4, 5]
    assert last["clip_id"].tolist() == [b"clip 4", b"clip 5"]
    assert last["flip"].tolist() == [True, False]
    assert last["half"].astype(np.float32).tolist() == [[4.0] * 3, [5.0] * 3]


def test_batches_may_be_pairs() -> None:
    ds = _data_set().map(lambda batch: (batch["rgb"], batch["label"]))
    ((rgb, label), _) = as_numpy(ds)
    assert rgb.shape == (4, 2, 4, 4, 3)
    assert label.tolist() == [0, 1, 2, 3]


def test_single_elements_have_labels_without_axes() -> None:
    labels = [element["label"] for element in as_numpy(_data_set().unbatch())]
    assert all(isinstance(label, np.ndarray | np.integer) and label.shape == () for label in labels)
    assert [int(label) for label in labels] == [0, 1, 2, 3, 4, 5]


def _address(array: Any) -> int:
    return np.asarray(array).__array_interface__["data"][0]


def test_numbers_are_the_readers_own_memory() -> None:
    same = tf.data.Dataset.from_tensors(np.arange(1000, dtype=np.float32)).repeat(2)
    first, second = as_numpy(same)
    assert _address(first) == _address(second)


def test_the_readers_own_memory_is_not_written_into() -> None:
    batch = next(as_numpy(_data_set()))
    with pytest.raises(ValueError, match="read-only"):
        batch["rgb"][:] = 0


def test_a_batch_outlives_the_iterator() -> None:
    iterator = as_numpy(_data_set())
    first = next(iterator)
    kept = {key: value.copy() for key, value in first.items()}
    list(iterator)
    del iterator
    for key, value in kept.items():
        np.testing.assert_array_equal(first[key], value)


def test_with_dlpack_numbers_are_taken_over_without_a_copy() -> None:
    batch = next(as_numpy(_data_set(), dlpack=True))
    for key in ("rgb", "flow", "label", "flip"):
        once, again = np.from_dlpack(batch[key]), np.from_dlpack(batch[key])
        assert once.shape[0] == 4
        assert _address(once) == _address(again)
    assert np.from_dlpack(batch["rgb"])[:, 0, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert hasattr(batch["half"], "__dlpack__")


def test_with_dlpack_strings_are_numpy_arrays_all_the_same() -> None:
    batch = next(as_numpy(_data_set(), dlpack=True))
    assert isinstance(batch["clip_id"], np.ndarray)
    assert batch["clip_id"].tolist() == [b"clip 0", b"clip 1", b"clip 2", b"clip 3"]


# -- Keeping one's place ------------------------------------------------------------------------------------------

_PIPELINE = """
import json, sys
import tensorflow as tf
from tf_data.numpy_batches import as_numpy

def pipeline():
    ds = tf.data.Dataset.range(60).map(lambda number: number * 3 % 60, num_parallel_calls=4)
    return as_numpy(ds.repeat(2).batch(4).prefetch(2))
"""
_REST = "numbers = pipeline(); numbers.restore(sys.argv[1]); print(json.dumps([b.tolist() for b in numbers]))"


def test_a_new_process_goes_on_exactly_where_the_place_was_saved(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(_PIPELINE, names)
    iterator = names["pipeline"]()
    for _ in range(7):
        next(iterator)
    place = iterator.save(tmp_path / "place")
    expected = [batch.tolist() for batch in iterator]
    assert len(expected) == 23
    done = subprocess.run([sys.executable, "-c", _PIPELINE + _REST, place], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected


def test_a_place_can_be_gone_back_to_more_than_once(tmp_path: Path) -> None:
    iterator = as_numpy(tf.data.Dataset.range(10))
    next(iterator)
    place = iterator.save(tmp_path / "place")
    first = [int(number) for number in iterator]
    iterator.restore(place)
    assert [int(number) for number in iterator] == first == list(range(1, 10))


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(tf.errors.NotFoundError):
        as_numpy(tf.data.Dataset.range(3)).restore(tmp_path / "nowhere")


def test_iterating_once_more_is_the_next_epoch(data_dir: Path) -> None:
    def load() -> tf.data.Dataset:
        return tf_data.load(
            "fake", split="train", data_dir=data_dir, seed=0, num_frames=2, crop_size=16, extras=["clip_id"]
        )

    batches = tf_data.as_numpy(load())
    assert len(batches) == 11
    epochs = [[element["clip_id"] for element in batches] for _ in range(3)]
    ds = load()
    assert epochs == [[element["clip_id"] for element in ds.as_numpy_iterator()] for _ in range(3)]
    assert epochs[0] != epochs[1]


def test_an_iterator_that_has_not_come_to_its_end_goes_on(data_dir: Path) -> None:
    batches = tf_data.as_numpy(
        tf_data.load("fake", split="train", data_dir=data_dir, seed=0, num_frames=2, crop_size=16)
    )
    next(batches)
    assert sum(1 for _ in batches) == 10
