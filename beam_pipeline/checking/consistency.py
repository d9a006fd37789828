"""Whether what lies beside the shards agrees with them: ledger, index, metadata, label list.

A run writes all of these anew from its states, so that running again mends each of them.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipeline import files
from beam_pipeline.checking.made_with import info_of, media_made_with
from beam_pipeline.checking.shard_check import Problem
from beam_pipeline.finalize import add_to_index, empty_index, index_arrays
from beam_pipeline.labels import written_labels
from beam_pipeline.ledger import SCHEMA, LedgerRow, StateRow
from tf_data import contract

RUN_AGAIN = "run again, which writes it anew"
# What zipfile and NumPy raise of a file that is damaged anywhere, RuntimeError where a bit says that it is encrypted.
_NO_INDEX = (
    *(ValueError, OSError, EOFError, KeyError, TypeError, RuntimeError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


@dataclass(frozen=True, slots=True)
class FoundShard:
    """What there is of one shard.

    Attributes:
      problems: what is wrong.
      clips: by reason; '' for those that have a record.
      bytes: of the shard.
      frame_sizes: records by width x height.
      labels: records by index and name of their label.
    """

    problems: list[Problem]
    clips: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    frame_sizes: Counter[str] = field(default_factory=Counter)
    labels: Counter[tuple[int, str]] = field(default_factory=Counter)


class Ledger:
    """A split's ledger, shard by shard.

    Raises:
      ValueError: it is not there or damaged; the message says which.
    """

    def __init__(self, directory: str, split: str, num_shards: int):
        with _content(directory, contract.ledger_file(split), damage=(pa.ArrowException, OSError)) as content:
            self._table = pq.read_table(pa.BufferReader(content))
            self._table.validate(full=True)
        if not self._table.schema.equals(SCHEMA):
            raise ValueError("has other columns than a ledger")
        if any(column.null_count for column in self._table.columns):
            raise ValueError("is damaged: it lacks values")
        self._ends = _ends(self._table["shard"].to_numpy(), num_shards)

    def rows(self, shard: int) -> list[LedgerRow]:
        """Returns the rows of a shard."""
        begin, end = self._ends[shard : shard + 2]
        return [LedgerRow(**row) for row in self._table.slice(begin, end - begin).to_pylist()]


class Index:
    """A split's index, shard by shard.

    Raises:
      ValueError: it is not there or damaged; the message says which.
    """

    def __init__(self, directory: str, split: str, num_shards: int):
        with (
            _content(directory, contract.index_file(split), damage=_NO_INDEX) as content,
            np.load(io.BytesIO(content), allow_pickle=False) as arrays,
        ):
            self._columns = {name: arrays[name] for name in arrays.files}
        known = contract.INDEX_COLUMNS | contract.INDEX_QUALITY_COLUMNS
        for name, column in self._columns.items():
            if name in known and (column.dtype != known[name] or column.ndim != 1):
                raise ValueError(
                    f"has {name} as {column.dtype} in {column.ndim} dimensions, expected {known[name]} in 1"
                )
        if missing := contract.INDEX_COLUMNS.keys() - self._columns.keys():
            raise ValueError(f"has no column {min(missing)}")
        if len({len(column) for name, column in self._columns.items() if name in known}) != 1:
            raise ValueError("has columns of different lengths")
        self._ends = _ends(self._columns["shard"], num_shards)

    def columns(self, shard: int) -> dict[str, np.ndarray]:
        """Returns the rows of a shard, column by column."""
        begin, end = self._ends[shard : shard + 2]
        return {name: column[begin:end] for name, column in self._columns.items()}


def wrong_ledger(there: Sequence[LedgerRow], states: Sequence[StateRow], split: str, shard: int) -> Iterator[Problem]:
    """Yields where a ledger says other things of a shard's clips than its state."""
    file = contract.ledger_file(split)
    said, known = {row.clip_id: row for row in there}, {state.row.clip_id: state.row for state in states}
    if len(said) != len(there):
        yield Problem(file, f"has clips of shard {shard} twice: {RUN_AGAIN}")
    for clip_id in dict.fromkeys([*said, *known]):
        if clip_id not in said or clip_id not in known:
            yield Problem(file, f"{'is missing' if clip_id in known else 'is in no shard'}: {RUN_AGAIN}", clip_id)
        elif said[clip_id] != known[clip_id]:
            name, (has, expected) = _difference(said[clip_id], known[clip_id])
            yield Problem(file, f"has {name} {has!r}, expected {expected!r}: {RUN_AGAIN}", clip_id)


def _difference(row: LedgerRow, other: LedgerRow) -> tuple[str, tuple[Any, Any]]:
    pairs = ((f.name, (getattr(row, f.name), getattr(other, f.name))) for f in fields(LedgerRow))
    return next((name, pair) for name, pair in pairs if pair[0] != pair[1])


def wrong_index(there: Mapping[str, np.ndarray], states: Sequence[StateRow], split: str, shard: int) -> list[Problem]:
    """Returns the first place in which an index says other things of a shard's records than its state."""
    file, records = contract.index_file(split), [state for state in states if state.row.status == "ok"]
    if len(there["shard"]) != len(records):
        what = f"has {len(there['shard'])} records of shard {shard}, expected {len(records)}"
        return [Problem(file, f"{what}: {RUN_AGAIN}")]
    columns = empty_index()
    add_to_index(columns, records)
    for name, expected in index_arrays(columns).items():
        if name not in there:
            continue  # of a split in which it is not known of every record
        if different := np.flatnonzero(there[name] != expected).tolist():
            place = different[0]
            what = f"has {name} {there[name][place]}, expected {expected[place]}"
            return [Problem(file, f"{what}: {RUN_AGAIN}", records[place].row.clip_id)]
    return []


def wrong_labels(
    content: bytes | None,
    info: Mapping[str, Any] | None,
    settings: Mapping[str, Any] | None,
    of_records: Mapping[tuple[int, str], int],
) -> Iterator[Problem]:
    """Yields what is wrong with the label list: by the labels of records, and by what a run has written down of it.

    Args:
      content: of the list; None where there is none.
      info: the split's metadata.
      settings: how its shards were made.
      of_records: how many records have which label: its index and its name.
    """
    file = contract.LABELS_FILE
    if content is None:
        yield Problem(file, f"is not there: {RUN_AGAIN}")
        return
    labels = written_labels(content)
    expected = info["labels"] if info and "labels" in info else len(labels)
    digest = hashlib.blake2b(content.removesuffix(b"\n")).hexdigest()[:32]
    for (index, name), count in sorted(of_records.items()):
        found = repr(labels[index]) if 0 <= index < len(labels) else "nothing"
        if index != contract.UNLABELLED and found != repr(name):
            what = f"has {found} for label {index}, which is {name!r} in {count:,} records: {RUN_AGAIN}"
            yield Problem(file, what)
            return
    if len(labels) != expected:
        yield Problem(file, f"has {len(labels)} names, expected {expected}: {RUN_AGAIN}")
    elif settings and settings.get("labels", {}).get("blake2b", digest) != digest:
        yield Problem(file, f"has other names than those that shards were made with: {RUN_AGAIN}")
    elif content and not content.endswith(b"\n"):
        yield Problem(file, f"does not end with a line feed: {RUN_AGAIN}")
    elif not _is_utf8(content):
        yield Problem(file, f"is not UTF-8: {RUN_AGAIN}")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def wrong_info(
    info: Mapping[str, Any] | None, settings: Mapping[str, Any] | None, split: str, found: Sequence[FoundShard]
) -> Iterator[Problem]:
    """Yields where a split's metadata says other things than its shards, and than what they were made with.

    Args:
      info: the metadata; None where there is none.
      settings: how the shards were made; None where there is no such file.
      split: the split's name.
      found: what there is of each shard.
    """
    file = contract.info_file(split)
    if info is None:
        yield Problem(file, f"is not there or damaged: {RUN_AGAIN}")
        return
    clips = sum((each.clips for each in found), Counter[str]())
    expected = {
        "split": split,
        "num_shards": len(found),
        "shard_lengths": [each.clips[""] for each in found],
        "bytes": sum(each.bytes for each in found),
        "num_asked": clips.total(),
        "num_clips": clips[""],
        "num_failed": {reason: count for reason, count in sorted(clips.items()) if reason},
        "frame_sizes": dict(sum((each.frame_sizes for each in found), Counter[str]())),
    }
    configuration = info.get("configuration")
    if not isinstance(configuration, dict) or "encode" not in configuration:
        yield Problem(file, f"does not say with which configuration it was made: {RUN_AGAIN}")
        configuration = {}
    expected |= {key: configuration[key] for key in ("name", "config", "version") if key in configuration}
    if settings is not None:
        expected |= {"name": settings.get("name"), "labels": settings.get("labels", {}).get("count")}
        for key in ("encode", "flow", "audio"):
            if configuration and configuration.get(key) != settings.get(key):
                yield Problem(file, f"has other configuration.{key} than shards were made with: {RUN_AGAIN}")
    media = media_made_with(settings, info)
    expected |= info_of(media) if media else {}
    if media is None and settings is None and configuration:
        yield Problem(file, f"has a configuration that can't be: {RUN_AGAIN}")
    if info.get("complete") not in (True, False) or (info["complete"] and info.get("unfinished")):
        yield Problem(
            file, f"has complete {info.get('complete')}, and unfinished {info.get('unfinished')}: {RUN_AGAIN}"
        )
    if not isinstance(info.get("labels"), int):
        yield Problem(file, f"does not say how many labels there are: {RUN_AGAIN}")
    for key, value in expected.items():
        if info.get(key) != value:
            if isinstance(value, list):
                yield Problem(file, f"has other {key} than the shards have: {RUN_AGAIN}")
            elif key == "features":
                yield Problem(file, f"has other features than records have that are made so: {RUN_AGAIN}")
            else:
                yield Problem(file, f"has {key} {info.get(key)}, expected {value}: {RUN_AGAIN}")


def strangers(directory: str, num_shards: Mapping[tuple[str, str], int]) -> Iterator[Problem]:
    """Yields files that go by the name of a shard, and are none: readers would take them.

    Args:
      directory: of the version of the data set.
      num_shards: of each split, by the data set's name and the split's.
    """
    prefixes = tuple(f"{name}-{split}.tfrecord" for name, split in num_shards)
    for file in files.names(directory):
        parsed = contract.parse_shard_file(file)
        if not parsed:
            if file.startswith(prefixes):
                yield Problem(file, "is no shard, and readers that look for all files of such names take it: delete it")
        elif (count := num_shards.get(parsed[:2])) is None:
            yield Problem(file, "is a shard of a split or a data set that is not here: delete it")
        elif parsed[3] != count or parsed[2] >= count:
            yield Problem(file, f"is none of the {count} shards of {parsed[1]}: delete it")


@contextmanager
def _content(directory: str, file: str, damage: tuple[type[Exception], ...]) -> Iterator[bytes]:
    """Gives what is in a file to a block that reads it, and says what it raises of a damaged one in a `ValueError`."""
    content = files.read_whole(files.join(directory, file))
    if content is None:
        raise ValueError("is not there")
    try:
        yield content
    except damage as error:
        raise ValueError(f"is damaged: {' '.join(str(error).split())[:120]}") from error


def _ends(shards: np.ndarray, num_shards: int) -> list[int]:
    """Returns where the rows of each shard begin, and the last end."""
    if len(shards) and (np.any(np.diff(shards) < 0) or shards[0] < 0 or shards[-1] >= num_shards):
        raise ValueError(f"has rows that are not in the order of the {num_shards} shards")
    return np.searchsorted(shards, np.arange(num_shards + 1)).tolist()
