"""Where the records are: the index that the job leaves beside the shards, one row a record."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_data import contract
from tf_data.splits import SplitPart

_COLUMNS = ("shard", "offset", "length", "clip_key")  # those that reading needs


@dataclass(frozen=True, slots=True)
class Records:
    """The records to read, a row each: which of `paths`, where in it, how long, and the clip's key."""

    paths: tuple[str, ...]
    path: np.ndarray  # int32, index into `paths`
    offset: np.ndarray  # int64, where the record's framing begins
    length: np.ndarray  # int64, bytes of its payload
    clip_key: np.ndarray  # int64

    def __len__(self) -> int:
        return len(self.path)


def index_path(folder: str, split: str) -> str:
    """Returns the path of a split's index."""
    return posixpath.join(folder, contract.index_file(split))


def read_records(folder: str, name: str, part: SplitPart, num_shards: int) -> Records:
    """Reads the index of a split and takes the slice that `part` asks for.

    Raises:
      ValueError: the index is damaged or of another form, or the slice is not in it.
    """
    path = index_path(folder, part.split)
    try:
        with tf.io.gfile.GFile(path, "rb") as file, np.load(file, allow_pickle=False) as columns:
            shard, offset, length, clip_key = (columns[column] for column in _COLUMNS)
    except (KeyError, ValueError, OSError, EOFError, tf.errors.OpError) as error:
        raise ValueError(
            f"{path}: not a record index with the columns {', '.join(_COLUMNS)} ({error}); run the job again to "
            "write it anew"
        ) from error
    rows = part.rows(len(shard))
    if len(shard) and not 0 <= shard.min() <= shard.max() < num_shards:
        raise ValueError(f"{path}: names shard {shard.max()}, expected 0 to {num_shards - 1}; run the job again")
    paths = tuple(
        posixpath.join(folder, contract.shard_file(name, part.split, number, num_shards))
        for number in range(num_shards)
    )
    return Records(
        paths,
        shard[rows].astype(np.int32),
        offset[rows].astype(np.int64),
        length[rows].astype(np.int64),
        clip_key[rows].astype(np.int64),
    )


def join(parts: Sequence[Records]) -> Records:
    """Returns the records of several splits, one after the other."""
    before = np.cumsum([0, *(len(part.paths) for part in parts)])
    return Records(
        tuple(path for part in parts for path in part.paths),
        np.concatenate([part.path + first for part, first in zip(parts, before, strict=False)]).astype(np.int32),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.length for part in parts]),
        np.concatenate([part.clip_key for part in parts]),
    )
