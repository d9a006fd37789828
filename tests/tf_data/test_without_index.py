"""Shards of others, with the same keys and no index: a folder or a glob."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tf_data
from tests.tf_data.conftest import LEVELS_PER_FRAME, FakeClip, flow_picture, jpeg, make_clips, record
from tf_data import contract

pytestmark = pytest.mark.filterwarnings("ignore:.*no record index")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards of 3 clips to train on and one of 2 to validate, named as MediaPipe's script names them."""
    folder = tmp_path_factory.mktemp("others")
    clips = make_clips(14, num_frames=10, drop=("quality/short", "quality/damaged", "source/rotation"))
    shards = [("train", k, 4, clips[3 * k : 3 * k + 3]) for k in range(4)] + [("validate", 0, 1, clips[12:])]
    for split, number, count, mine in shards:
        with tf.io.TFRecordWriter(str(folder / f"kinetics_{split}-{number:05d}-of-{count:05d}")) as writer:
            for clip in mine:
                writer.write(record(clip))
    return folder


def _load(path: object, **keywords: Any) -> Any:
    values = {"split": "train", "seed": 0, "num_frames": 4, "crop_size": 16, "extras": ["clip_id"]}
    return tf_data.load(str(path), **(values | keywords))


def _shard(path: Path, *clips: FakeClip) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for clip in clips:
            writer.write(record(clip))
    return path


def test_a_record_of_another_frame_rate_than_the_first_is_named(tmp_path: Path) -> None:
    path = _shard(tmp_path / "train.tfrecord", FakeClip("a"), FakeClip("b", flags={"image/frame_rate": 10.0}))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"record 1: image/frame_rate is 10.*first record 25"):
        list(_load(path, shuffle_files=False))
    (kept,) = _load(path, shuffle_files=False, on_error="skip")
    assert kept["clip_id"].numpy() == b"a"


def test_flow_of_another_size_than_the_frames_is_an_error(tmp_path: Path) -> None:
    flow = tuple(jpeg(flow_picture(k, 64, 96)) for k in range(39))
    path = _shard(tmp_path / "train.tfrecord", FakeClip("a", flow=flow))
    with pytest.raises(tf.errors.InvalidArgumentError, match="rgb and flow frames differ in size"):
        list(_load(path, streams=["rgb", "flow"]))
    assert next(iter(_load(path, streams="flow")))["flow"].shape == (4, 16, 16, 2)


def _ids(ds: tf.data.Dataset) -> list[str]:
    return [element["clip_id"].decode()[5:11] for element in ds.as_numpy_iterator()]


def test_a_folder_is_read_by_the_splits_in_its_file_names(folder: Path) -> None:
    assert _ids(_load(folder, split="train", training=False)) == [f"{k:06d}" for k in range(12)]
    assert _ids(_load(folder, split="val")) == ["000012", "000013"]


def test_a_glob_is_read_whole(folder: Path) -> None:
    assert _ids(_load(folder / "*-0000[01]-of-00004", training=False)) == [f"{k:06d}" for k in range(6)]


def test_it_says_what_is_lost(folder: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"no record index, so 4 shards .* What is lost: shuffling .* len\(\) is unknown"
    ):
        ds = _load(folder)
    assert ds.cardinality() == tf.data.UNKNOWN_CARDINALITY


def test_all_streams_are_read_with_the_rates_that_the_records_state(folder: Path) -> None:
    ds, info = _load(folder, streams=["rgb", "flow", "audio"], dtype="uint8", training=False, with_info=True)
    element = next(ds.as_numpy_iterator())
    assert np.rint(element["rgb"][:, 0, 0, 0] / LEVELS_PER_FRAME).tolist() == [3, 4, 5, 6]
    assert np.rint(element["flow"][:, 0, 0, 0] / LEVELS_PER_FRAME).tolist() == [3, 4, 5, 6]
    assert element["audio"].tolist() == list(range(120, 280))
    assert (info.frame_rate, info.flow.bound_px, info.audio_sample_rate) == (25.0, 20.0, 1000.0)


def test_epochs_are_complete_shuffled_and_different(folder: Path) -> None:
    ids = _ids(_load(folder, num_epochs=2))
    assert sorted(ids[:12]) == sorted(ids[12:]) == [f"{k:06d}" for k in range(12)]
    assert ids[:12] != ids[12:] and ids[:12] != sorted(ids[:12])


def test_a_seed_gives_the_same_pixels(folder: Path) -> None:
    read = []
    for global_seed in (1, 2):  # has no say
        tf.random.set_seed(global_seed)
        read.append([e["rgb"].tobytes() for e in _load(folder).as_numpy_iterator()])
    first, second = read
    assert first == second
    assert first != [e["rgb"].tobytes() for e in _load(folder, seed=1).as_numpy_iterator()]


@pytest.mark.parametrize("num_hosts", [2, 5])
def test_hosts_share_out_the_records(folder: Path, num_hosts: int) -> None:
    hosts = [
        _ids(_load(folder, input_context=tf.distribute.InputContext(num_hosts, host))) for host in range(num_hosts)
    ]
    assert sorted(clip_id for host in hosts for clip_id in host) == [f"{k:06d}" for k in range(12)]


def test_slices_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"split train\[:10%\]: .* has no record index, so only whole splits"):
        _load(folder, split="train[:10%]")


def test_a_split_that_no_file_name_has_is_refused(folder: Path) -> None:
    with pytest.raises(tf_data.DatasetNotFoundError, match=r"no shard of the split 'test' .* give a glob"):
        _load(folder, split="test")


def test_a_stream_that_the_records_have_not_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rgb_only.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(record(FakeClip("a", num_frames=4, drop=(contract.FLOW_ENCODED, contract.AUDIO_FLOATS))))
    with pytest.raises(ValueError, match=r"'flow' is asked for, but .*rgb_only\.tfrecord has no flow; it has rgb"):
        _load(path, streams=["flow"])


def test_what_is_no_record_of_a_clip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.tfrecord"
    path.write_text("this is no TFRecord file")
    with pytest.raises(ValueError, match=r"text\.tfrecord: its first record can't be read"):
        _load(path)


def test_damage_costs_the_rest_of_its_shard_and_no_other_when_skipping(folder: Path, tmp_path: Path) -> None:
    for shard in folder.glob("*train*"):
        (tmp_path / shard.name).write_bytes(shard.read_bytes())
    path = tmp_path / "kinetics_train-00001-of-00004"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    ids = _ids(_load(tmp_path, on_error="skip", training=False))
    assert ids == [f"{k:06d}" for k in (0, 1, 2, 3, 6, 7, 8, 9, 10, 11)]
    with pytest.raises(tf.errors.DataLossError):
        _ids(_load(tmp_path, training=False))


def test_a_shard_that_cannot_be_opened_is_refused_at_once_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "train.tfrecord-00000-of-00001").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"train\.tfrecord-00000-of-00001: can't be opened"):
        _load(tmp_path, on_error="skip")
