"""Data sets on an object store, through TensorFlow's own client of `gs://` and a store on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tf_data
from tests.object_store import ObjectStore
from tests.tf_data.conftest import make_clips, write_split
from tf_data import reading
from tf_data.index import Records

FOLDER = "bucket/data/fake/1.0.0"
NUM_CLIPS, NUM_SHARDS = 11, 3
pytestmark = pytest.mark.filterwarnings("ignore:.*(in blocks of|no record index)")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A store with the data set `fake` 1.0.0 in gs://bucket/data."""
    write_split(tmp_path / FOLDER, make_clips(NUM_CLIPS, num_frames=6), num_shards=NUM_SHARDS)
    with ObjectStore(tmp_path) as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


def load(data_dir: str, name: str = "fake", **keywords: Any) -> Any:
    values = {"split": "train", "seed": 0, "num_frames": 4, "crop_size": 16, "extras": ["clip_id"]}
    return tf_data.load(name, data_dir=data_dir, **(values | keywords))


def ids(ds: tf.data.Dataset) -> list[str]:
    return [element["clip_id"].decode() for element in ds.as_numpy_iterator()]


def records_of(store: ObjectStore) -> Records:
    """The records in the order of the shards."""
    with np.load(store.folder / FOLDER / "index-train.npz") as columns:
        rows = np.lexsort((columns["offset"], columns["shard"]))
        shard, offset, length, clip_key = (columns[name][rows] for name in ("shard", "offset", "length", "clip_key"))
    paths = tuple(f"gs://{FOLDER}/fake-train.tfrecord-{k:05d}-of-{NUM_SHARDS:05d}" for k in range(NUM_SHARDS))
    return Records(paths, shard, offset, length, clip_key, label=np.full(len(rows), -1))


def in_runs(store: ObjectStore, run_length: int, **keywords: Any) -> tf.data.Dataset:
    """Reads the records of the store in the order of the shards."""
    rows = tf.data.Dataset.range(NUM_CLIPS).map(lambda row: (row,))
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    ds = reading.read_records(rows, records_of(store), remote=True, run_length=run_length, **keywords)
    return ds.with_options(options)


def test_elements_from_a_store_are_those_of_the_same_folder_on_disk(store: ObjectStore) -> None:
    keywords = {"streams": ["rgb", "flow", "audio"], "num_epochs": 2}
    remote, local = load("gs://bucket/data", **keywords), load(str(store.folder / "bucket/data"), **keywords)
    assert len(remote) == len(local) == 2 * NUM_CLIPS
    for there, here in zip(remote.as_numpy_iterator(), local.as_numpy_iterator(), strict=True):
        for key in here:
            np.testing.assert_array_equal(there[key], here[key])


def test_reading_asks_the_store_for_records_and_for_nothing_else(store: ObjectStore) -> None:
    ds = load("gs://bucket/data")
    store.requests.clear()
    ids(ds)
    assert len(store.requests) == len(store.asked("read", ".tfrecord-")) <= 2 * NUM_CLIPS


def test_what_load_asks_for_does_not_grow_with_the_number_of_shards(store: ObjectStore) -> None:
    write_split(store.folder / "bucket/many/fake/1.0.0", make_clips(NUM_CLIPS, num_frames=6), num_shards=50)
    load("gs://bucket/data")
    few = len(store.requests)
    load("gs://bucket/many")
    assert len(store.requests) == 2 * few


def test_neighbours_are_read_in_one_request(store: ObjectStore) -> None:
    ds = in_runs(store, run_length=NUM_CLIPS)
    assert len(list(ds)) == NUM_CLIPS
    assert len(store.asked("read")) == NUM_SHARDS


def test_as_many_reads_are_under_way_as_are_asked_for(store: ObjectStore) -> None:
    store.at_least = 8  # the store answers none before
    assert len(list(in_runs(store, run_length=1, reads_in_flight=8))) == NUM_CLIPS
    assert store.most_at_once == 8


@pytest.mark.parametrize("fault", [503, 429, -1, -1000])
def test_a_store_that_fails_for_a_moment_is_asked_again(store: ObjectStore, fault: int) -> None:
    ds = load("gs://bucket/data", training=False)
    store.faults = [fault]
    assert ids(ds) == ids(load(str(store.folder / "bucket/data"), training=False))
    assert store.faults == []


def test_a_missing_shard_is_named_and_skipped_on_request(store: ObjectStore) -> None:
    shard = store.folder / FOLDER / "fake-train.tfrecord-00001-of-00003"
    shard.unlink()
    message = f"gs://{FOLDER}/{shard.name}: no intact record of [0-9]+ bytes at offset [0-9]+"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ids(load("gs://bucket/data"))
    left = [clip.clip_id for number, clip in enumerate(make_clips(NUM_CLIPS)) if number % NUM_SHARDS != 1]
    assert sorted(ids(load("gs://bucket/data", on_error="skip"))) == left


@pytest.mark.parametrize("run_length", [1, 4])
def test_a_shard_that_is_cut_off_costs_what_is_cut(store: ObjectStore, run_length: int) -> None:
    shard = store.folder / FOLDER / "fake-train.tfrecord-00001-of-00003"
    shard.write_bytes(shard.read_bytes()[:-100])
    ds = in_runs(store, run_length)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"gs://{FOLDER}/{shard.name}: no intact record"):
        list(ds)
    assert len(list(ds.ignore_errors())) == NUM_CLIPS - 1


@pytest.mark.parametrize("position", [0, 4, 10])
def test_a_checkpoint_taken_with_reads_under_way_goes_on_exactly(store: ObjectStore, position: int) -> None:
    expected = ids(load("gs://bucket/data"))
    ds = iter(load("gs://bucket/data"))
    for _ in range(position):
        next(ds)
    path = tf.train.Checkpoint(ds=ds).write(str(store.folder / "checkpoint"))
    restored = iter(load("gs://bucket/data"))
    tf.train.Checkpoint(ds=restored).read(path).assert_consumed()
    assert [element["clip_id"].numpy().decode() for element in restored] == expected[position:]


def test_shards_without_an_index_are_read_from_a_glob(store: ObjectStore) -> None:
    glob = f"gs://{FOLDER}/*-train.tfrecord-*"
    assert sorted(ids(load("", glob))) == [clip.clip_id for clip in make_clips(NUM_CLIPS)]


_READ_ONCE = """
import tf_data
ds = tf_data.load("fake", split="train", data_dir="gs://bucket/data", seed=0, num_frames=4, crop_size=16)
assert sum(1 for _ in ds) == 11
"""


def test_without_blocks_no_byte_is_read_beside_the_records(store: ObjectStore) -> None:
    """TensorFlow reads the setting when it is imported, so in a process of its own."""
    environment = os.environ | {"GCS_READ_CACHE_BLOCK_SIZE_MB": "0"}
    subprocess.run([sys.executable, "-c", _READ_ONCE], env=environment, check=True, capture_output=True)
    reads = store.asked("read", ".tfrecord-")
    seeks = [read for read in reads if read.size == 1]  # TensorFlow seeks by reading the byte before
    records = records_of(store)
    assert len(reads) - len(seeks) == NUM_CLIPS
    assert sum(read.size for read in reads) - len(seeks) == int(np.sum(records.length + reading.FRAMING_BYTES))
