"""Where the records are: the index that the job leaves beside the shards, one row a record."""

from __future__ import annotations

import io
import posixpath
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_data import contract
from tf_data.info import Info
from tf_data.labels import label_map
from tf_data.selection import Condition, is_in_index, select
from tf_data.splits import SplitPart

_NEEDED = ("shard", "offset", "length", "clip_key", "label")  # other columns are read where a condition is about them


@dataclass(frozen=True, slots=True)
class Records:
    """The records to read, a row each: which of `paths`, where in it, how long, and the clip's key and label."""

    paths: tuple[str, ...]
    path: np.ndarray  # int32, index into `paths`
    offset: np.ndarray  # int64, where the record's framing begins
    length: np.ndarray  # int64, bytes of its payload
    clip_key: np.ndarray  # int64
    label: np.ndarray  # int64, in the label space that the clips are read in; -1 without one

    def __len__(self) -> int:
        return len(self.path)


def index_path(folder: str, split: str) -> str:
    """Returns the path of a split's index."""
    return posixpath.join(folder, contract.index_file(split))


def read_records(
    info: Info,
    parts: Sequence[SplitPart],
    *,
    conditions: Sequence[Condition] = (),
    label_names: Sequence[str] | None = None,
) -> tuple[Records, tuple[Condition, ...]]:
    """Returns the records of a version that are asked for.

    The slices are taken first, of the index as it is; what is left of them is what has a label in `label_names` or no
    label at all, and meets the conditions. Clips whose class is not in `label_names` are told in a warning.

    Args:
      info: the version.
      parts: splits, or slices of them, whose records come one part after the other.
      conditions: all of them are to be met; a label in them is one of `label_names`.
      label_names: the label space to read in (`labels.shared_names`); None for the version's own.

    Returns:
      (records, conditions that the index can't tell, for `selection.record_filter`).

    Raises:
      ValueError: an index is damaged or of another form, a slice is not in it, a condition does not fit it, or nothing
        is left; the message names the part or the condition.
    """
    tables = [_read_part(info, part, [condition.name for condition in conditions]) for part in parts]
    columns = {
        name: np.concatenate([table[name] for table in tables])
        for name in tables[0]
        if all(name in table for table in tables)
    }
    first = np.cumsum([0, *(_num_shards(info, part) for part in parts)])
    path = np.concatenate([table["shard"] + start for table, start in zip(tables, first, strict=False)])
    what = f"{info.title} {'+'.join(map(str, parts))}"
    own = columns["label"]
    if label_names is not None and tuple(label_names) != info.label_names:
        shared = label_map(info.label_names, label_names)
        columns["label"] = np.where(own < 0, own, np.append(shared, contract.UNLABELLED)[own])
    has_label = (own < 0) | (columns["label"] >= 0)
    if not has_label.all():
        _tell_left_out(info, own[~has_label], len(own), what)
    columns, path = {name: column[has_label] for name, column in columns.items()}, path[has_label]
    told = tuple(condition for condition in conditions if is_in_index(condition, columns))
    rows = select(columns, told, info.label_names if label_names is None else label_names, what)
    return (
        Records(
            tuple(path for part in parts for path in _shard_paths(info, part)),
            path[rows].astype(np.int32),
            columns["offset"][rows],
            columns["length"][rows],
            columns["clip_key"][rows],
            columns["label"][rows],
        ),
        tuple(condition for condition in conditions if not is_in_index(condition, columns)),
    )


def join(parts: Sequence[Records]) -> Records:
    """Returns the records of several data sets, one after the other."""
    before = np.cumsum([0, *(len(part.paths) for part in parts)])
    return Records(
        tuple(path for part in parts for path in part.paths),
        np.concatenate([part.path + first for part, first in zip(parts, before, strict=False)]).astype(np.int32),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.length for part in parts]),
        np.concatenate([part.clip_key for part in parts]),
        np.concatenate([part.label for part in parts]),
    )


def _num_shards(info: Info, part: SplitPart) -> int:
    return len(info.splits[part.split].shard_lengths)


def _shard_paths(info: Info, part: SplitPart) -> list[str]:
    num_shards = _num_shards(info, part)
    names = (contract.shard_file(info.name, part.split, shard, num_shards) for shard in range(num_shards))
    return [posixpath.join(info.folder, name) for name in names]


def _read_part(info: Info, part: SplitPart, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the columns of a split's index that are needed, and those of the wanted that it has, and slices them."""
    path = index_path(info.folder, part.split)
    dtypes = contract.INDEX_COLUMNS | contract.INDEX_QUALITY_COLUMNS
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = io.BytesIO(file.read())  # at once: from a store, each seek of NumPy would be a request
        with np.load(content, allow_pickle=False) as index:
            names = [*_NEEDED, *(name for name in dict.fromkeys(wanted) if name in index.files and name in dtypes)]
            columns = {name: index[name].astype(dtypes[name]) for name in dict.fromkeys(names)}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, tf.errors.OpError) as error:
        raise ValueError(
            f"{path}: not a record index with the columns {', '.join(_NEEDED)} ({error}); run the job again to write "
            "it anew"
        ) from error
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(f"{path}: its columns differ in length; run the job again to write it anew")
    _check_range(path, "shard", columns["shard"], 0, _num_shards(info, part))
    _check_range(path, "offset", columns["offset"], 0, 2**62)
    _check_range(path, "length", columns["length"], 1, 2**31)
    if info.label_names:
        _check_range(path, "label", columns["label"], contract.UNLABELLED, len(info.label_names))
    rows = part.rows(len(columns["shard"]))
    return {name: column[rows] for name, column in columns.items()}


def _check_range(path: str, name: str, column: np.ndarray, least: int, end: int) -> None:
    if len(column) and not least <= column.min() <= column.max() < end:
        wrong = column.max() if column.max() >= end else column.min()
        raise ValueError(
            f"{path}: names {name} {wrong}, expected {least} to {end - 1}: it is of another version or damaged; run "
            "the job again to write it anew"
        )


def _tell_left_out(info: Info, labels: np.ndarray, num_records: int, what: str) -> None:
    counts = Counter(labels.tolist())
    names = [info.label_names[label] for label, _ in counts.most_common()]
    told = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    left_out = f"{len(labels)} of the {num_records} clips of {what} are of {len(names)} classes that label_names lacks"
    if len(labels) == num_records:
        raise ValueError(f"label_names: all {left_out} ({told}); give names as they are in {contract.LABELS_FILE}")
    warnings.warn(f"{left_out}, and are left out: {told}", stacklevel=5)
