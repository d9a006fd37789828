"""Data sets on an object store, through TensorFlow's own client of `gs://` and a store on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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

VERSION = "data/fake/1.0.0"
NUM_CLIPS, NUM_SHARDS = 11, 3
pytestmark = pytest.mark.filterwarnings("ignore:.*(in blocks of|no record index)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store with the data set `fake` 1.0.0 in gs://original/data."""
    root = tmp_path_factory.mktemp("buckets")
    write_split(root / "original" / VERSION, make_clips(NUM_CLIPS, num_frames=6), num_shards=NUM_SHARDS)
    with ObjectStore(root) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@dataclass(frozen=True)
class Bucket:
    """A bucket that no other test has: TensorFlow remembers what it was told of one."""

    server: ObjectStore
    name: str

    @property
    def url(self) -> str:
        return f"gs://{self.name}"

    @property
    def path(self) -> Path:
        return self.server.folder / self.name

    def shard(self, number: int) -> str:
        return f"{VERSION}/fake-train.tfrecord-{number:05d}-of-{NUM_SHARDS:05d}"


@pytest.fixture
def bucket(server: ObjectStore) -> Bucket:
    """A bucket with the data set `fake` 1.0.0 in its folder data/, of a server that has been asked for nothing."""
    server.faults, server.requests, server.at_least, server.most_at_once = [], [], 0, 0
    bucket = Bucket(server, f"bucket-{len(list(server.folder.iterdir()))}")
    shutil.copytree(server.folder / "original", bucket.path)
    return bucket


def load(data_dir: str, name: str = "fake", **keywords: Any) -> Any:
    values = {"split": "train", "seed": 0, "num_frames": 4, "crop_size": 16, "extras": ["clip_id"]}
    return tf_data.load(name, data_dir=data_dir, **(values | keywords))


def records_of(bucket: Bucket) -> Records:
    """The records in the order of the shards."""
    with np.load(bucket.path / VERSION / "index-train.npz") as columns:
        rows = np.lexsort((columns["offset"], columns["shard"]))
        shard, offset, length, clip_key = (columns[name][rows] for name in ("shard", "offset", "length", "clip_key"))
    paths = tuple(f"{bucket.url}/{bucket.shard(number)}" for number in range(NUM_SHARDS))
    return Records(paths, shard, offset, length, clip_key, label=np.full(len(rows), -1))


def read(bucket: Bucket, run_length: int = 1, **keywords: Any) -> tf.data.Dataset:
    """Reads the records in the order of the shards."""
    rows = tf.data.Dataset.range(NUM_CLIPS).map(lambda row: (row,))
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    options.experimental_symbolic_checkpoint = True
    ds = reading.read_records(rows, records_of(bucket), remote=True, run_length=run_length, **keywords)
    return ds.with_options(options)


def rows_of(ds: tf.data.Dataset) -> list[int]:
    return [int(row) for _, _, row in ds]


def test_elements_from_a_store_are_those_of_the_same_folder_on_disk(bucket: Bucket) -> None:
    runs = tf_data.ReadConfig(run_length=4)
    keywords = {"streams": ["rgb", "flow", "audio"], "num_epochs": 2, "read_config": runs}
    remote, local = load(f"{bucket.url}/data", **keywords), load(str(bucket.path / "data"), **keywords)
    assert len(remote) == len(local) == 2 * NUM_CLIPS
    for there, here in zip(remote.as_numpy_iterator(), local.as_numpy_iterator(), strict=True):
        for key in here:
            np.testing.assert_array_equal(there[key], here[key])


def test_reading_asks_the_store_for_records_and_for_nothing_else(bucket: Bucket) -> None:
    ds = load(f"{bucket.url}/data")
    bucket.server.requests.clear()
    assert len(list(ds)) == NUM_CLIPS
    assert len(bucket.server.requests) == len(bucket.server.asked("read", ".tfrecord-")) <= 2 * NUM_CLIPS


def test_what_load_asks_for_does_not_grow_with_the_number_of_shards(bucket: Bucket) -> None:
    write_split(bucket.path / "many/fake/1.0.0", make_clips(NUM_CLIPS, num_frames=6), num_shards=50)
    load(f"{bucket.url}/data")
    few = len(bucket.server.requests)
    load(f"{bucket.url}/many")
    assert len(bucket.server.requests) == 2 * few


def test_files_beside_the_records_are_read_once_each(bucket: Bucket) -> None:
    load(f"{bucket.url}/data")
    names = [Path(request.name).name for request in bucket.server.asked("read")]
    assert sorted(names) == ["index-train.npz", "info-train.json", "labels.txt"]


def test_neighbours_are_read_in_one_request(bucket: Bucket) -> None:
    assert len(list(read(bucket, run_length=NUM_CLIPS))) == NUM_CLIPS
    assert len(bucket.server.asked("read")) == NUM_SHARDS


def test_as_many_reads_are_under_way_as_are_asked_for(bucket: Bucket) -> None:
    bucket.server.at_least = 8  # the store answers none before
    assert len(list(read(bucket, reads_in_flight=8))) == NUM_CLIPS
    assert bucket.server.most_at_once == 8


@pytest.mark.parametrize("fault", [503, 429, -1, -1000])
def test_a_store_that_fails_for_a_moment_is_asked_again(bucket: Bucket, fault: int) -> None:
    bucket.server.faults = [fault]
    assert rows_of(read(bucket)) == list(range(NUM_CLIPS))
    assert bucket.server.faults == []


@pytest.mark.parametrize("run_length", [1, 4])
def test_a_missing_shard_is_named_and_skipped_on_request(bucket: Bucket, run_length: int) -> None:
    (bucket.path / bucket.shard(1)).unlink()
    message = f"{bucket.url}/{bucket.shard(1)}: no intact record of [0-9]+ bytes at offset [0-9]+"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        rows_of(read(bucket, run_length))
    assert rows_of(read(bucket, run_length, skip=True)) == [0, 1, 2, 3, 8, 9, 10]


@pytest.mark.parametrize("run_length", [1, 4])
def test_a_shard_that_is_cut_off_costs_what_is_cut(bucket: Bucket, run_length: int) -> None:
    shard = bucket.path / bucket.shard(1)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{bucket.url}/{bucket.shard(1)}: no intact record"):
        rows_of(read(bucket, run_length))
    assert rows_of(read(bucket, run_length, skip=True)) == [row for row in range(NUM_CLIPS) if row != 7]


@pytest.mark.parametrize("position", [0, 4, 10])
def test_a_checkpoint_taken_with_reads_under_way_goes_on_exactly(bucket: Bucket, position: int) -> None:
    ds = iter(read(bucket))
    for _ in range(position):
        next(ds)
    path = tf.train.Checkpoint(ds=ds).write(str(bucket.path / "checkpoint"))
    restored = iter(read(bucket))
    tf.train.Checkpoint(ds=restored).read(path).assert_consumed()
    assert rows_of(restored) == list(range(position, NUM_CLIPS))


def test_shards_without_an_index_are_read_from_a_glob(bucket: Bucket) -> None:
    ds = load("", f"{bucket.url}/{VERSION}/*-train.tfrecord-*")
    ids = sorted(element["clip_id"].decode() for element in ds.as_numpy_iterator())
    assert ids == [clip.clip_id for clip in make_clips(NUM_CLIPS)]


_READ_ONCE = """
import sys, tf_data
one = tf_data.ReadConfig(run_length=1)
ds = tf_data.load("fake", split="train", data_dir=sys.argv[1], num_frames=4, crop_size=16, read_config=one)
assert sum(1 for _ in ds) == 11
"""


def test_without_blocks_no_byte_is_read_beside_the_records(bucket: Bucket) -> None:
    """TensorFlow reads the setting when it is imported, so in a process of its own."""
    environment = os.environ | {"GCS_READ_CACHE_BLOCK_SIZE_MB": "0"}
    command = [sys.executable, "-c", _READ_ONCE, f"{bucket.url}/data"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    reads = bucket.server.asked("read", ".tfrecord-")
    seeks = [read for read in reads if read.size == 1]  # TensorFlow seeks by reading the byte before
    records = records_of(bucket)
    assert len(reads) - len(seeks) == NUM_CLIPS
    assert sum(read.size for read in reads) - len(seeks) == int(np.sum(records.length + reading.FRAMING_BYTES))
