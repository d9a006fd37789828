"""The clips of a data set and where their records are, by its ledger; of one that is still being made, by its states.

No shard is read to find a record in it, nor is an index needed: the ledger has the sizes of all records in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_pipeline import files
from beam_pipeline.checking.verifying import VerifyError, data_sets_in, splits_in
from beam_pipeline.clips import ClipError
from beam_pipeline.json_files import read_object
from beam_pipeline.ledger import SCHEMA, parse_state_name, read_state_rows, state_path
from beam_pipeline.tfrecord import FRAMING_BYTES, CorruptRecordError, read_record_at
from beam_pipeline.viewing.clip_record import ClipRecord, parse_clip
from tf_data import contract

_PLACE = {"file": pa.string(), "offset": pa.int64()}
# What only a state says of a record's pictures: of a finished split they are in the index.
_QUALITIES = {"upscaled": pa.bool_(), "mean_luma": pa.float64(), "mean_flow_px": pa.float64()}
_STATE_SCHEMA = pa.schema([*SCHEMA, *(pa.field(name, kind) for name, kind in (_PLACE | _QUALITIES).items())])


class DataSetError(Exception):
    """What was to be looked at is no data set, or what it says of itself is damaged."""


@dataclass(frozen=True, slots=True)
class Split:
    """A split of a data set.

    Attributes:
      directory: of the data set's version.
      name: of the data set.
      split: the split's name.
      num_shards: how many shards it has, or will have.
      clips: a row for every clip that was asked for and that something became of: the columns of `ledger.SCHEMA`, and
        `file` and `offset`, where the record's framing begins; an empty name and -1 for a clip that has none. Of a job
        that is at work also `upscaled`, `mean_luma` and `mean_flow_px`, null where they are not known.
    """

    directory: str
    name: str
    split: str
    num_shards: int
    clips: pa.Table


def open_data_set(folder: str, splits: Sequence[str] = ()) -> list[Split]:
    """Reads what there is of a data set's splits.

    Args:
      folder: of a version of a data set, on any file system; or, on this machine, one above it that holds no other.
      splits: only these; none: all.

    Raises:
      DataSetError: there is no data set or there are several, a split is not there, or its ledger is damaged.
    """
    try:
        directories = data_sets_in(folder)
    except VerifyError as error:
        raise DataSetError(str(error)) from error
    if len(directories) > 1:
        raise DataSetError(f"{folder}: there are several data sets, name one of {', '.join(directories)}")
    (directory,) = directories
    there = splits_in(directory)
    wanted = [contract.canonical_split(split) for split in splits] or there
    if missing := [split for split in wanted if split not in there]:
        raise DataSetError(f"{directory}: there is no split {missing[0]}, only {', '.join(there)}")
    return [_open_split(directory, split) for split in dict.fromkeys(wanted)]


def find_clip(splits: Iterable[Split], clip_id: str) -> tuple[Split, dict[str, Any]]:
    """Returns a clip's split and its row; raises `DataSetError` where no split has that clip."""
    splits = list(splits)
    for split in splits:
        found = split.clips.filter(pc.equal(split.clips["clip_id"], clip_id))
        if found.num_rows:
            return split, found.slice(0, 1).to_pylist()[0]
    few = [clip_id for split in splits for clip_id in split.clips["clip_id"].slice(0, 3).to_pylist()][:3]
    there = f"there are {', '.join(few)}, …" if few else "there is none yet"
    names = ", ".join(split.split for split in splits)
    raise DataSetError(f"{splits[0].directory} ({names}): no clip has the id {clip_id}; {there}")


def read_clip(split: Split, row: Mapping[str, Any]) -> ClipRecord:
    """Reads one record by its place.

    Args:
      split: of the clip.
      row: of `split.clips`, as a mapping.

    Raises:
      ClipError: the clip failed, for which the row has its reason and detail; or `unreadable`: its record is damaged
        or not where the ledger says.
      OSError: the shard can't be read.
    """
    if row["status"] != "ok":
        raise ClipError(row["reason"], f"clip {row['clip_id']} has no record: {row['reason']}: {row['detail']}")
    try:
        return _read_at(split.directory, row)
    except (CorruptRecordError, FileNotFoundError) as error:
        moved = _place_by_state(split, row)  # of a job that has gone on since
        with suppress(CorruptRecordError, FileNotFoundError):
            if moved:
                return _read_at(split.directory, moved)
        hint = f"python -m beam_pipeline verify {split.directory} tells what is broken"
        raise ClipError("unreadable", f"clip {row['clip_id']}: {error}; {hint}") from error


def _read_at(directory: str, row: Mapping[str, Any]) -> ClipRecord:
    path = files.join(directory, row["file"])
    with files.open_for_reading(path) as file:
        clip = parse_clip(read_record_at(file, row["offset"], row["bytes"], path))
    if clip.clip_id != row["clip_id"]:
        raise CorruptRecordError(f"{path}: at offset {row['offset']} is the record of {clip.clip_id}")
    return clip


def _open_split(directory: str, split: str) -> Split:
    settings = read_object(files.join(directory, contract.STATE_DIR, f"settings-{split}.json"))
    known = read_object(files.join(directory, contract.info_file(split))) or settings or {}
    name, num_shards = known.get("name"), known.get("num_shards", known.get("shards"))
    if not isinstance(name, str) or not isinstance(num_shards, int) or contract.parse_shard_file(name) or "/" in name:
        raise DataSetError(
            f"{files.join(directory, contract.info_file(split))}: is damaged; run again to write it anew"
        )
    clips = _by_ledger(directory, name, split, num_shards)
    if clips is None:
        clips = _by_states(directory, split)
    return Split(directory, name, split, num_shards, clips)


def _by_ledger(directory: str, name: str, split: str, num_shards: int) -> pa.Table | None:
    path = files.join(directory, contract.ledger_file(split))
    content = files.read_whole(path)
    if content is None:
        return None
    try:
        clips = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataSetError(f"{path}: is damaged: {error}; run again, which writes it anew") from error
    if not clips.schema.equals(SCHEMA):
        raise DataSetError(f"{path}: has other columns than a ledger")
    shards, positions, sizes = (clips[column].to_numpy() for column in ("shard", "position", "bytes"))
    if len(shards) and not -1 <= shards.min() <= shards.max() < num_shards:
        raise DataSetError(f"{path}: has rows that are of none of the {num_shards} shards; run again to write it anew")
    offsets = _offsets(shards, positions, sizes)
    shard_files = pa.array([contract.shard_file(name, split, shard, num_shards) for shard in range(num_shards)] + [""])
    of_row = pa.array(np.where(offsets < 0, num_shards, shards))
    return clips.append_column("file", shard_files.take(of_row)).append_column("offset", pa.array(offsets))


def _offsets(shards: np.ndarray, positions: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns where records' framings begin, int64, -1 for rows without one: behind all that come before in the shard.

    Args:
      shards: of each row.
      positions: of the records in their shards, without gaps; -1 for a row without one.
      sizes: bytes of the records.
    """
    offsets = np.full(len(shards), -1, np.int64)
    rows = np.flatnonzero((positions >= 0) & (shards >= 0))
    rows = rows[np.lexsort((positions[rows], shards[rows]))]
    if len(rows):
        framed = sizes[rows].astype(np.int64) + FRAMING_BYTES
        begins = np.cumsum(framed) - framed
        is_first = np.diff(shards[rows], prepend=-1) != 0
        offsets[rows] = begins - begins[is_first][np.cumsum(is_first) - 1]
    return offsets


def _by_states(directory: str, split: str) -> pa.Table:
    state_dir = files.join(directory, contract.STATE_DIR)
    rows: list[dict[str, Any]] = []
    for name in files.names(state_dir):
        parsed = parse_state_name(name)
        if parsed and parsed[0] == split and (read := read_state_rows(files.join(state_dir, name))):
            rows += read[1]
    return pa.Table.from_pylist([{name: row.get(name) for name in _STATE_SCHEMA.names} for row in rows], _STATE_SCHEMA)


def _place_by_state(split: Split, row: Mapping[str, Any]) -> dict[str, Any] | None:
    _, rows = read_state_rows(state_path(split.directory, split.split, row["shard"], split.num_shards)) or ({}, [])
    return next((known for known in rows if known["clip_id"] == row["clip_id"] and known.get("file")), None)
