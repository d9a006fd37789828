"""What `load` makes of its keywords together: batches that are filled up and mixed, hosts, filters, flips that know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tf_data
from tf_data.labels import flip_targets


@dataclass
class Shard:
    """As grain has it."""

    shard_index: int
    shard_count: int


def _load(data_dir: Path, **asked: Any) -> Any:
    values: dict[str, Any] = {"split": "train", "data_dir": data_dir, "seed": 0, "num_frames": 4, "crop_size": 16}
    return tf_data.load("fake", **(values | asked))


def _ids(batches: Any) -> list[str]:
    return [i.decode() for batch in batches for i in batch["clip_id"][batch.get("mask", slice(None))]]


def test_a_last_batch_is_filled_up_with_what_a_mask_tells(data_dir: Path) -> None:
    ds = _load(data_dir, batch_size=4, pad_remainder=True, extras=["clip_id"])
    batches = list(ds.as_numpy_iterator())
    assert len(ds) == len(batches) == 3
    assert [batch["mask"].tolist() for batch in batches] == [[True] * 4, [True] * 4, [True] * 3 + [False]]
    assert ds.element_spec["rgb"].shape == (4, 4, 16, 16, 3)
    assert len(set(_ids(batches))) == len(_ids(batches)) == 11
    np.testing.assert_array_equal(batches[2]["rgb"][3], batches[2]["rgb"][2])


@pytest.mark.parametrize("num_hosts", [2, 3, 4])
def test_hosts_that_fill_up_read_each_record_once_in_equal_steps(data_dir: Path, num_hosts: int) -> None:
    ids: list[str] = []
    steps = set()
    for host in range(num_hosts):
        ds = _load(data_dir, batch_size=2, pad_remainder=True, shard_options=Shard(host, num_hosts), extras=["clip_id"])
        batches = list(ds.as_numpy_iterator())
        steps.add(len(batches))
        ids += _ids(batches)
    assert len(steps) == 1
    assert len(ids) == len(set(ids)) == 11


def test_the_two_ways_to_say_which_host_this_is_are_the_same(data_dir: Path) -> None:
    one = _load(data_dir, shard_options=Shard(1, 3), extras=["clip_id"])
    other = _load(data_dir, input_context=tf.distribute.InputContext(3, 1), extras=["clip_id"])
    assert [e["clip_id"] for e in one.as_numpy_iterator()] == [e["clip_id"] for e in other.as_numpy_iterator()]
    with pytest.raises(ValueError, match="both say which host this is"):
        _load(data_dir, shard_options=Shard(1, 3), input_context=tf.distribute.InputContext(3, 1))
    with pytest.raises(ValueError, match=r"shard_index must be 0 to 2, got 3"):
        _load(data_dir, shard_options=Shard(3, 3))


def test_mixed_batches_are_the_same_again_and_others_in_the_next_epoch(data_dir: Path) -> None:
    def epochs() -> list[list[np.ndarray]]:
        ds = _load(data_dir, batch_size=4, mix=tf_data.Mix(), drop_remainder=True)
        return [[batch["rgb"] for batch in ds.as_numpy_iterator()] for _ in range(2)]

    first, again = epochs(), epochs()
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[1])


def test_mixed_labels_are_shares_of_classes(data_dir: Path) -> None:
    ds, info = _load(data_dir, batch_size=4, mix=tf_data.Mix(), with_info=True)
    assert ds.element_spec["label"].shape[1:] == (len(info.label_names),)
    labels = np.concatenate([batch["label"] for batch in ds.as_numpy_iterator()])
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    assert ((labels > 0).sum(axis=1) <= 2).all()
    assert ((labels > 0).sum(axis=1) == 2).any()


def test_levels_of_mixed_batches_need_no_flip_any_more(data_dir: Path) -> None:
    asked: dict[str, Any] = {"batch_size": 4, "mix": tf_data.Mix(), "flip_probability": 1.0}
    levels = next(_load(data_dir, dtype="uint8", **asked).as_numpy_iterator())
    assert not levels["flip"].any()
    numbers = next(_load(data_dir, **asked).as_numpy_iterator())
    made = tf_data.to_model_input(levels, "i3d")["rgb"].numpy()
    np.testing.assert_allclose(made, numbers["rgb"], rtol=0, atol=0.501 / 127.5)  # mixed levels are rounded


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_classes_that_know_left_from_right_are_renamed_or_spared(data_dir: Path, dtype: str) -> None:
    flips = {"class 0": "class 1", "class 2": None}
    asked: dict[str, Any] = {"extras": ["clip_id", "label_name"], "dtype": dtype, "flip_labels": flips}
    ds, info = _load(data_dir, flip_probability=1.0, with_info=True, **asked)
    plain = {e["clip_id"]: e for e in _load(data_dir, flip_probability=0.0, **asked).as_numpy_iterator()}
    targets = flip_targets(info.label_names, flips)
    for element in ds.as_numpy_iterator():
        own = plain[element["clip_id"]]
        spared = own["label"] == 2
        assert element["label"] == (2 if spared else targets[own["label"]])
        assert element["label_name"].decode() == info.label_names[element["label"]]
        if dtype == "uint8":
            assert element["flip"] == (not spared)
        else:
            shown = own["rgb"] if spared else own["rgb"][:, :, ::-1]
            np.testing.assert_array_equal(element["rgb"], shown)


def test_filters_of_the_index_leave_the_length_known(data_dir: Path) -> None:
    ds, info = _load(data_dir, where={"label": ["class 1", 3]}, with_info=True)
    labels = Counter(int(element["label"]) for element in ds.as_numpy_iterator())
    assert labels == {1: 3, 3: 2}
    assert len(ds) == info.num_examples == 5


def test_filters_of_the_records_are_looked_up_before_decoding(data_dir: Path) -> None:
    ds, info = _load(data_dir, where={"image/frame_rate": lambda rate: rate > 20}, with_info=True)
    assert ds.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert info.num_examples is None
    assert len(list(ds)) == 11
    assert not list(_load(data_dir, where={"image/frame_rate": 30.0}))
    with pytest.raises(ValueError, match="can't be told by the index, so hosts would take different numbers of steps"):
        _load(data_dir, where={"image/frame_rate": 25.0}, shard_options=Shard(0, 2))


def test_all_of_a_clip_comes_without_a_preset(data_dir: Path) -> None:
    ds = _load(data_dir, preset=None, num_frames=None, crop_size=None, streams=["rgb", "flow", "audio"])
    element = next(ds.as_numpy_iterator())
    assert (element["rgb"].shape, element["rgb"].dtype) == ((40, 32, 48, 3), np.uint8)
    assert element["flow"].shape == (40, 32, 48, 2)
    assert element["audio"].shape == (1600,)
    with pytest.raises(ValueError, match="elements differ in shape; pass batch_size=1 or None"):
        _load(data_dir, preset=None, num_frames=None, crop_size=None, batch_size=2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"mix": tf_data.Mix()}, "mix is about batches; pass batch_size"),
        ({"pad_remainder": True}, "pad_remainder is about batches; pass batch_size"),
        ({"batch_size": 2, "pad_remainder": True, "drop_remainder": True}, "pass one of them"),
        ({"batch_size": 2, "mix": tf_data.Mix(), "training": False}, "mix is for training"),
        ({"batch_size": 2, "mix": tf_data.Mix(), "short": "pad"}, "mix: short='pad' pads each clip for itself"),
        ({"batch_size": 2, "mix": tf_data.Mix(), "num_boxes": 2}, "num_boxes=2: mix puts two clips into one"),
        ({"num_boxes": 2, "as_supervised": True}, "num_boxes=2: as_supervised gives input and label alone"),
        ({"num_boxes": 2, "streams": "audio"}, "num_boxes=2: streams without rgb and flow have no place for boxes"),
        ({"num_boxes": 2, "augment": tf_data.RandAugment()}, r"num_boxes=2: RandAugment\(.*geometric=False"),
        ({"batch_size": 20, "drop_remainder": True}, "there are only 11 elements, so drop_remainder leaves nothing"),
        ({"flip_labels": {"class 0": None}, "training": False, "num_crops": 10}, "flip_labels: ten crops"),
        ({"read_config": {"prefetch": 1}}, "read_config must be a tf_data.ReadConfig, got"),
    ],
)
def test_what_does_not_go_together_is_refused(data_dir: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _load(data_dir, **asked)
