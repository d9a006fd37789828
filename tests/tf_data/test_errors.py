"""Bad keywords are refused before reading; bad records are named when they are met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tf_data
from tests.tf_data.conftest import FakeClip, make_clips
from tf_data import contract


def _load(data_dir: Path, **keywords: Any) -> Any:
    values = {"split": "train", "data_dir": data_dir, "seed": 0, "num_frames": 4, "crop_size": 16}
    return tf_data.load("fake", **(values | {"extras": ["clip_id"]} | keywords))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"streams": ["rbg"]}, r"streams: 'rbg' is none of rgb, flow, audio \(did you mean 'rgb'\?\)"),
        ({"streams": []}, r"streams must name one or more of rgb, flow, audio"),
        ({"streams": ["rgb", "rgb"]}, r"each once, got \['rgb', 'rgb'\]"),
        ({"preset": "i3"}, r"preset must be one of i3d, movinet, .* got 'i3' \(did you mean 'i3d'\?\)"),
        ({"num_frames": 0}, r"num_frames must be an integer of 1 or more, got 0"),
        ({"stride": 1.5}, r"stride must be an integer of 1 or more, got 1\.5"),
        ({"crop_size": (1, 2, 3)}, r"crop_size must be one side in pixels or \(height, width\), got \(1, 2, 3\)"),
        (
            {"crop_size": 64},
            r"crop_size: 64×64 is larger than the frames .* side is 32 pixels; pass a smaller crop_size",
        ),
        ({"num_crops": 2}, r"num_crops must be one of 1, 3, 10, got 2"),
        ({"num_clips": 10}, r"several views of a clip are for evaluation.*training=False"),
        ({"dtype": "float16"}, r"dtype must be one of float32, bfloat16, uint8, got 'float16'"),
        ({"batch_size": 0}, r"batch_size must be an integer of 1 or more, got 0"),
        ({"num_epochs": -1}, r"num_epochs must be an integer of 1 or more, got -1"),
        ({"seed": -1}, r"seed must be None or an integer from 0 to \d+, got -1"),
        ({"seed": "a"}, r"seed must be None or an integer .* got 'a'"),
        ({"extras": ["clipid"]}, r"extras: 'clipid' is none of .*\(did you mean 'clip_id'\?\)"),
        ({"as_supervised": True}, r"as_supervised gives input and label alone"),
        ({"on_error": "ignore"}, r"on_error must be one of raise, skip, got 'ignore'"),
        ({"split": "train[1]"}, r"'train\[1\]' is not understood"),
        (
            {"seed": None, "input_context": tf.distribute.InputContext(2, 0)},
            r"seed must be given where hosts share records",
        ),
    ],
)
def test_a_bad_keyword_is_named_with_its_value_and_what_is_allowed(
    data_dir: Path, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _load(data_dir, **keywords)


@pytest.mark.parametrize("stream", ["flow", "audio"])
def test_a_stream_that_the_data_set_has_not_is_refused_at_once(make_dataset: Callable[..., Path], stream: str) -> None:
    data_dir = make_dataset(make_clips(1, num_frames=4), streams=["rgb"])
    with pytest.raises(
        ValueError, match=rf"'{stream}' is asked for, but fake:1\.0\.0 train has no {stream}; it has rgb"
    ):
        _load(data_dir, streams=["rgb", stream])


def _ids(ds: tf.data.Dataset) -> list[str]:
    return [element["clip_id"].decode() for element in ds.as_numpy_iterator()]


def _spoil(data_dir: Path, at: float) -> str:
    """Flips a byte of the only shard; returns the shard's name."""
    shard = next(data_dir.glob("fake/1.0.0/*.tfrecord-*"))
    content = bytearray(shard.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    shard.write_bytes(content)
    return shard.name


def test_a_damaged_record_is_named(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset(make_clips(3, num_frames=4), num_shards=1)
    shard = _spoil(data_dir, 0.5)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"{shard}: no intact record of \d+ bytes at offset [1-9]"
    ):
        _ids(_load(data_dir))


def test_a_damaged_record_is_skipped_on_request_and_no_other(make_dataset: Callable[..., Path]) -> None:
    clips = make_clips(3, num_frames=4)
    data_dir = make_dataset(clips, num_shards=1)
    _spoil(data_dir, 0.5)
    assert _ids(_load(data_dir, on_error="skip", training=False)) == [clips[0].clip_id, clips[2].clip_id]


def test_a_shard_that_is_cut_off_costs_what_is_cut(make_dataset: Callable[..., Path]) -> None:
    clips = make_clips(3, num_frames=4)
    data_dir = make_dataset(clips, num_shards=1)
    shard = next(data_dir.glob("fake/1.0.0/*.tfrecord-*"))
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size - 100])
    assert _ids(_load(data_dir, on_error="skip", training=False)) == [clip.clip_id for clip in clips[:2]]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{shard.name}: no intact record"):
        _ids(_load(data_dir, training=False))


def test_a_missing_shard_is_named(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset(make_clips(2, num_frames=4), num_shards=2)
    shard = sorted(data_dir.glob("fake/1.0.0/*.tfrecord-*"))[1]
    shard.unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{shard.name}.*the shard is missing"):
        _ids(_load(data_dir))


def test_a_record_without_flow_is_named_with_the_key(make_dataset: Callable[..., Path]) -> None:
    clips = [FakeClip("whole", num_frames=6), FakeClip("without", num_frames=6, drop=(contract.FLOW_ENCODED,))]
    data_dir = make_dataset(clips)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"train\.tfrecord-00001-of-00002 at offset 0 \(without\): FORWARD_FLOW/image/encoded is missing or empty",
    ):
        _ids(_load(data_dir, streams=["rgb", "flow"]))
    assert _ids(_load(data_dir, streams=["rgb", "flow"], on_error="skip")) == ["whole"]


def test_a_record_without_frames_is_named_with_the_key(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("without", num_frames=6, drop=(contract.IMAGE_ENCODED,))])
    for streams in (["rgb"], ["audio"]):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\(without\): image/encoded is missing or empty"):
            _ids(_load(data_dir, streams=streams))


def test_a_key_of_another_type_is_named(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("a", num_frames=4, flags={contract.LABEL_INDEX: "nine"})])  # type: ignore[dict-item]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"tfrecord-00000-of-00002 at offset 0.*clip/label/index"):
        _ids(_load(data_dir))


def test_an_index_of_other_shards_is_told_by_its_labels(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset(make_clips(4))
    path = data_dir / "fake" / "1.0.0" / contract.index_file("train")
    with np.load(path) as file:
        columns = dict(file)
    np.savez(path, **columns | {"label": columns["label"][::-1]})
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"at offset 0: the record has the label 0, the index says 3"
    ):
        list(_load(data_dir, shuffle_files=False))


def test_a_key_of_the_context_with_several_values_is_named(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("a", flags={contract.LABEL_INDEX: [1, 2]})])  # type: ignore[dict-item]
    message = r"tfrecord-00000-of-00002 at offset 0: clip/label/index has 2 values, expected one"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(_load(data_dir))


def test_frames_smaller_than_the_crop_are_named(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("wide", num_frames=4), FakeClip("tiny", num_frames=4, height=16, width=24)])
    message = r"frames of 16×24 pixels are smaller than the crop of 20×20; pass a smaller crop_size"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _ids(_load(data_dir, crop_size=20))
    assert _ids(_load(data_dir, crop_size=20, on_error="skip")) == ["wide"]
