"""The rows of the index: slices, then labels, then conditions; and an index that is not what it should be."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tf_data.conftest import FakeClip, make_clips
from tf_data import contract
from tf_data.index import Records, join, read_records
from tf_data.info import Info, read_info
from tf_data.selection import Condition, parse_where
from tf_data.splits import parse_split

CLIPS = make_clips(10)  # labels 0, 1, 2, 3, 0, 1, …


def ids_of(records: Records, clips: Sequence[FakeClip] = CLIPS) -> list[int]:
    """Which of the clips are read, in order."""
    number = {contract.clip_key(clip.clip_id): number for number, clip in enumerate(clips)}
    return [number[key] for key in records.clip_key.tolist()]


def info_of(data_dir: Path, split: str = "train") -> Info:
    return read_info(str(data_dir / "fake" / "1.0.0"), split)


def read(
    data_dir: Path, split: str = "train", where: Mapping[str, Any] | None = None, **keywords: Any
) -> tuple[Records, tuple[Condition, ...]]:
    parts = parse_split(split)
    return read_records(info_of(data_dir, parts[0].split), parts, conditions=parse_where(where), **keywords)


def rewrite(data_dir: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    path = data_dir / "fake" / "1.0.0" / contract.index_file("train")
    with np.load(path) as index:
        columns = dict(index)
    change(columns)
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    path.write_bytes(buffer.getvalue())


def drop(*names: str) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda columns: [columns.pop(name) for name in names] and None


@pytest.fixture
def data_dir(make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(CLIPS, num_shards=1)


def test_rows_say_where_the_records_are_and_what_they_are_labelled(data_dir: Path) -> None:
    records, rest = read(data_dir)
    assert ids_of(records) == list(range(10))
    assert rest == ()
    assert records.label.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    (path,) = records.paths
    content = Path(path).read_bytes()
    for clip, offset, length in zip(CLIPS, records.offset, records.length, strict=True):
        assert clip.clip_id.encode() in content[offset : offset + length]


def test_the_slice_is_taken_before_the_conditions(data_dir: Path) -> None:
    assert ids_of(read(data_dir, "train[4:]", {"label": [0, 1]})[0]) == [4, 5, 8, 9]
    assert ids_of(read(data_dir, "train[:50%]", {"label": [0, 1]})[0]) == [0, 1, 4]


def test_parts_come_one_after_the_other(data_dir: Path, make_dataset: Callable[..., Path]) -> None:
    val = make_clips(14)[10:]
    make_dataset(val, split="val", num_shards=2)
    records, _ = read(data_dir, "train[8:]+val+train[:1]", {"label": [0, 2]})
    assert ids_of(records, [*CLIPS, *val]) == [8, 10, 12, 0]
    names = [records.paths[path].split("/")[-1] for path in records.path]
    assert [name.split(".")[0] for name in names] == ["fake-train", "fake-val", "fake-val", "fake-train"]


def test_a_part_may_be_empty_if_another_is_not(data_dir: Path, make_dataset: Callable[..., Path]) -> None:
    make_dataset(make_clips(4, num_frames=7), split="val", num_shards=1)
    assert ids_of(read(data_dir, "val+train", {"num_frames": 40})[0]) == list(range(10))


def test_where_no_record_is_left_the_condition_is_named(data_dir: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"no record of fake:1.0.0 train\[:4\] is left: none of the 1 that meet 'label': 1 meets 'damaged': True",
    ):
        read(data_dir, "train[:4]", {"label": 1, "damaged": True})


def test_labels_become_those_of_the_label_space(data_dir: Path) -> None:
    names = ["another", "class 3", "class 0", "class 2", "CLASS 1"]
    assert read(data_dir, label_names=names)[0].label.tolist() == [2, 4, 3, 1, 2, 4, 3, 1, 2, 4]


def test_a_condition_is_on_the_labels_that_elements_have(data_dir: Path) -> None:
    names = ["another", "class 3", "class 0", "class 2", "class 1"]
    for label in (1, "class 3", lambda label: label == 1):
        assert ids_of(read(data_dir, where={"label": label}, label_names=names)[0]) == [3, 7]


def test_clips_of_other_classes_are_left_out_and_counted(data_dir: Path) -> None:
    with pytest.warns(
        UserWarning,
        match=r"4 of the 10 clips of fake:1.0.0 train are of 2 classes that label_names lacks, and are left out: "
        r"class 2, class 3",
    ):
        records, _ = read(data_dir, label_names=["class 1", "class 0"])
    assert ids_of(records) == [0, 1, 4, 5, 8, 9]
    assert records.label.tolist() == [1, 0, 1, 0, 1, 0]


def test_a_label_space_that_has_none_of_the_classes_is_an_error(data_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"all 10 of the 10 clips .* \(class 0, class 1, class 2, class 3\)"):
        read(data_dir, label_names=["abseiling"])


def test_clips_without_a_label_stay_without_one(make_dataset: Callable[..., Path]) -> None:
    clips = [*make_clips(3), FakeClip("unlabelled_000000_000010", label=-1)]
    data_dir = make_dataset(clips, num_shards=1)
    with pytest.warns(UserWarning, match="1 of the 4 clips"):
        records, _ = read(data_dir, label_names=["class 2", "class 1"])
    assert ids_of(records, clips) == [1, 2, 3]
    assert records.label.tolist() == [1, 0, -1]
    assert ids_of(read(data_dir, where={"label": -1})[0], clips) == [3]


def test_nothing_is_told_where_every_class_has_a_place(data_dir: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(data_dir, label_names=[f"class {label}" for label in range(9)])


# -- Which conditions the index can tell ----------------------------------------------------------------------------


def test_quality_is_told_from_the_index_where_it_has_the_column(make_dataset: Callable[..., Path]) -> None:
    clips = [FakeClip(f"v{n}_000000_000010", flags={"quality/mean_luma": float(n)}) for n in range(6)]
    data_dir = make_dataset(clips, num_shards=1)
    where = {"mean_luma": lambda luma: luma > 3}
    records, rest = read(data_dir, where=where)
    assert (ids_of(records, clips), rest) == ([4, 5], ())


@pytest.mark.parametrize("key", ["mean_luma", "quality/mean_luma"])
def test_without_the_column_the_condition_is_left_for_the_records(make_dataset: Callable[..., Path], key: str) -> None:
    clips = [FakeClip(f"v{n}_000000_000010", flags={"quality/mean_luma": float(n)}) for n in range(6)]
    data_dir = make_dataset(clips, num_shards=1)
    rewrite(data_dir, drop("mean_luma"))
    records, rest = read(data_dir, where={key: lambda luma: luma > 3, "label": 0})
    assert ids_of(records, clips) == list(range(6))
    assert [condition.key for condition in rest] == [key]


def test_a_column_that_one_of_the_splits_lacks_is_used_of_none(make_dataset: Callable[..., Path]) -> None:
    clips = [FakeClip(f"v{n}_000000_000010", flags={"quality/mean_luma": float(n)}) for n in range(4)]
    make_dataset(clips[:2], split="val", num_shards=1)
    data_dir = make_dataset(clips[2:], num_shards=1)
    rewrite(data_dir, drop("mean_luma"))
    records, rest = read(data_dir, "val+train", {"mean_luma": 1.0})
    assert ids_of(records, clips) == [0, 1, 2, 3]
    assert [condition.key for condition in rest] == ["mean_luma"]


def test_other_keys_are_left_for_the_records(data_dir: Path) -> None:
    records, rest = read(data_dir, where={"source/rotation": 90, "clip_id": lambda clip_id: clip_id != ""})
    assert len(records) == 10
    assert [condition.key for condition in rest] == ["source/rotation", "clip_id"]


# -- An index that is not what it should be -------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["shard", "offset", "length", "clip_key", "label"])
def test_an_index_without_a_column_that_reading_needs_is_an_error(data_dir: Path, column: str) -> None:
    rewrite(data_dir, drop(column))
    with pytest.raises(ValueError, match=rf"index-train.npz: not a record index .*{column}.* run the job again"):
        read(data_dir)


def test_a_cut_off_index_is_an_error(data_dir: Path) -> None:
    path = data_dir / "fake" / "1.0.0" / contract.index_file("train")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"index-train.npz: not a record index"):
        read(data_dir)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("shard", 1, "names shard 1, expected 0 to 0"),
        ("shard", -1, "names shard -1, expected 0 to 0"),
        ("label", 4, "names label 4, expected -1 to 3"),
        ("label", -2, "names label -2, expected -1 to 3"),
    ],
)
def test_an_index_of_another_version_is_an_error(data_dir: Path, column: str, value: int, message: str) -> None:
    rewrite(data_dir, lambda columns: columns[column].__setitem__(5, value))
    with pytest.raises(ValueError, match=f"index-train.npz: {message}"):
        read(data_dir)


def test_columns_of_different_lengths_are_an_error(data_dir: Path) -> None:
    rewrite(data_dir, lambda columns: columns.update(label=columns["label"][:-1]))
    with pytest.raises(ValueError, match=r"index-train.npz: its columns differ in length"):
        read(data_dir)


def test_joined_records_keep_their_shards(data_dir: Path) -> None:
    one, other = read(data_dir, "train[:2]")[0], read(data_dir, "train[2:]")[0]
    both = join([one, other])
    assert ids_of(both) == list(range(10))
    assert both.paths == one.paths + other.paths
    assert both.path.tolist() == [0] * 2 + [1] * 8
    assert both.label.tolist() == read(data_dir)[0].label.tolist()
