"""The clips of a data set and where their records are, by its ledger; of one that is still being made, by its states.

No shard is read to find a record in it, nor is an index needed: the ledger has the sizes of all records in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_pipeline import files
from beam_pipeline.errors import RequestError
from beam_pipeline.json_files import read_object
from beam_pipeline.ledger import (
    SCHEMA,
    parse_state_name,
    read_state_columns,
    read_state_head,
)
from beam_pipeline.progress import PLAN_FILE
from beam_pipeline.tfrecord import FRAMING_BYTES
from tf_data import contract

_PLACE = {"file": pa.string(), "offset": pa.int64()}
# What only a state says of a record's pictures.
_QUALITIES = {"upscaled": pa.bool_(), "mean_luma": pa.float64(), "mean_flow_px": pa.float64()}
_AT_A_TIME = 16  # files of a store, where each takes its time
_MAX_SHARDS = 1_000_000  # what says otherwise is damaged, and would be looked for forever
_LARGEST = 1 << 40  # bytes, frames, seconds …: more is damage, and would overflow where it is summed up
_LIMITS = {
    **dict.fromkeys(("start_s", "end_s"), (-_LARGEST, _LARGEST)),
    **dict.fromkeys(("label_index", "shard", "position"), (-1, _LARGEST)),
    **dict.fromkeys(("attempts", "num_frames", "duration_s", "width", "height", "bytes"), (0, _LARGEST)),
}
_INFO_TYPES: dict[str, Any] = {
    **dict.fromkeys(("configuration", "encode", "features"), dict),
    **dict.fromkeys(("flow", "audio"), (dict, NoneType)),
    **{"config": (str, NoneType), "version": str, "frame_rate": (int, float), "num_asked": int, "complete": bool},
}
_STATE_SCHEMA = pa.schema([*SCHEMA, *(pa.field(name, kind) for name, kind in (_PLACE | _QUALITIES).items())])
_SETTINGS_RE = re.compile(r"settings-(?P<split>\w+)\.json")
_INFO_RE = re.compile(r"info-(?P<split>\w+)\.json")


class DataSetError(RequestError):
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
        `file` and `offset`, where the record's framing begins; an empty name and -1 for a clip that has none; and
        `upscaled`, `mean_luma` and `mean_flow_px`, null where they are not known: of a finished split they are in the
        index.
      is_finished: whether all that the last run asked for is done; else a job is at work, or was stopped.
    """

    directory: str
    name: str
    split: str
    num_shards: int
    clips: pa.Table
    is_finished: bool = True


def open_data_set(folder: str, splits: Sequence[str] = ()) -> list[Split]:
    """Reads what there is of a data set's splits.

    Args:
      folder: of a version of a data set, on any file system; or, on this machine, one above it that holds no other.
      splits: only these; none: all.

    Raises:
      DataSetError: there is no data set or there are several, a split is not there, or its ledger is damaged.
    """
    directories = data_sets_in(folder)
    if len(directories) > 1:
        raise DataSetError(f"{folder}: there are several data sets, name one of {', '.join(directories)}")
    (directory,) = directories
    there = splits_in(directory)
    wanted = [contract.canonical_split(split) for split in splits] or there
    if missing := [split for split in wanted if split not in there]:
        raise DataSetError(f"{directory}: there is no split {missing[0]}, only {', '.join(there)}")
    return [_open_split(directory, split) for split in dict.fromkeys(wanted)]


def data_sets_in(folder: str) -> list[str]:
    """Returns the versions of data sets in a folder or, on this machine, below it.

    Raises:
      DataSetError: there is none.
    """
    found = _versions_in(folder, depth=3)  # <data_dir>/<name>/<config>/<version>
    if not found:
        raise DataSetError(
            f"{folder}: there is no data set, which would have {contract.info_file('<split>')} or state/"
        )
    return found


def _versions_in(folder: str, depth: int) -> list[str]:
    if splits_in(folder):
        return [folder]
    if not depth or not files.is_local(folder) or not Path(folder).is_dir():
        return []
    below = sorted(str(path) for path in Path(folder).iterdir() if path.is_dir())
    return [found for path in below for found in _versions_in(path, depth - 1)]


def splits_in(directory: str) -> list[str]:
    """Returns the splits of which a run, or a copy of what it made, left anything."""
    state_dir = files.join(directory, contract.STATE_DIR)
    patterns = ((directory, _INFO_RE), (state_dir, _SETTINGS_RE))
    matches = (pattern.fullmatch(file) for folder, pattern in patterns for file in files.names(folder))
    return sorted({match["split"] for match in matches if match})


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


def _open_split(directory: str, split: str) -> Split:
    settings = read_object(files.join(directory, contract.STATE_DIR, f"settings-{split}.json"))
    info = read_object(files.join(directory, contract.info_file(split)))
    path = files.join(directory, contract.info_file(split))
    known = name_and_shards(settings or info or {})
    if known is None:
        raise DataSetError(f"{path}: is damaged; run again to write it anew")
    _check_info(info or {}, path)
    name, num_shards = known
    states = _states(directory, split, num_shards)
    ledger = _by_ledger(directory, name, split, num_shards)
    if ledger is not None and not _are_ahead(states, planned(directory, split), len(ledger)):
        return Split(directory, name, split, num_shards, ledger, info is not None and "num_asked" in info)
    return Split(directory, name, split, num_shards, _by_states(states), is_finished=False)


def name_and_shards(known: Mapping[str, Any]) -> tuple[str, int] | None:
    """Returns a data set's name and a split's number of shards by its metadata or settings; None if they can't be."""
    name, num_shards = known.get("name"), known.get("shards", known.get("num_shards"))
    if not isinstance(name, str) or "/" in name or contract.parse_shard_file(name):
        return None
    if type(num_shards) is not int or not 0 < num_shards <= _MAX_SHARDS:  # nor is `true` a number
        return None
    return name, num_shards


def _check_info(info: Mapping[str, Any], path: str) -> None:
    """Raises `DataSetError` where metadata has values of other types than readers of it take for granted."""
    within = {f"configuration.{key}": value for key, value in _object(info.get("configuration")).items()}
    for name, value in (*info.items(), *within.items()):
        kinds = _INFO_TYPES.get(name.removeprefix("configuration."))
        if kinds and not isinstance(value, kinds):
            raise DataSetError(f"{path}: {name} can't be {value!r:.50}; run again to write it anew")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# -- By the ledger -----------------------------------------------------------------------------------------------------


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
    _check_clips(clips, path)
    shards, positions, sizes = (clips[column].to_numpy() for column in ("shard", "position", "bytes"))
    if len(shards) and shards.max() >= num_shards:
        raise DataSetError(f"{path}: has rows that are of none of the {num_shards} shards; run again to write it anew")
    offsets = _offsets(shards, positions, sizes)
    there, of_row = np.unique(np.where(offsets < 0, -1, shards), return_inverse=True)
    shard_files = [contract.shard_file(name, split, int(shard), num_shards) if shard >= 0 else "" for shard in there]
    clips = clips.append_column("file", pa.array(shard_files, pa.string()).take(pa.array(of_row)))
    clips = clips.append_column("offset", pa.array(offsets))
    for column, kind in _QUALITIES.items():
        clips = clips.append_column(column, pa.nulls(len(clips), kind))
    return clips


def _check_clips(clips: pa.Table, path: str) -> None:
    """Raises `DataSetError` where rows hold what no run writes, of which sums and times can't be made."""

    def damaged(what: str) -> DataSetError:
        return DataSetError(f"{path}: is damaged: {what}; run again, which writes it anew")

    for column in SCHEMA.names:
        if clips[column].null_count:
            raise damaged(f"{column} is missing in {clips[column].null_count} rows")
    for column, (least, most) in _LIMITS.items():
        values = clips[column].to_numpy()
        if len(values) and not least <= values.min() <= values.max() <= most:
            wrong = values[~((values >= least) & (values <= most))][0]
            raise damaged(f"{column} can't be {wrong}")
    for column, is_right in (("status", ("ok", "failed").__contains__), ("attempted_at", _is_time)):
        if wrong := [value for value in clips[column].unique().to_pylist() if not is_right(value)]:
            raise damaged(f"{column} can't be {wrong[0]!r:.50}")


def _is_time(text: str) -> bool:
    try:
        return not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


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


# -- By states ---------------------------------------------------------------------------------------------------------


def _states(directory: str, split: str, num_shards: int) -> list[str]:
    """Returns where the states of a split's shards are, as far as there are some."""
    state_dir = files.join(directory, contract.STATE_DIR)
    parsed = ((name, parse_state_name(name)) for name in files.names(state_dir))
    return [files.join(state_dir, name) for name, of in parsed if of and (of[0], of[2]) == (split, num_shards)]


def planned(directory: str, split: str) -> int:
    """Returns how many clips of a split the last run asks for; 0 where nobody wrote that down."""
    plan = _object(read_object(files.join(directory, contract.STATE_DIR, PLAN_FILE)))
    asked = _object(_object(plan.get("splits")).get(split)).get("asked")
    return asked if type(asked) is int else 0


def _are_ahead(states: Sequence[str], asked: int, rows: int) -> bool:
    """Whether a job has gone on since it wrote a ledger of that many rows, or is about to."""
    if not states:
        return False  # they were left behind when the data set was copied
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        heads = [head for head in threads.map(read_state_head, states) if head]
    if not all(head.get("sealed") and not head.get("work") for head in heads):
        return True
    return max(asked, sum(head.get("asked") or 0 for head in heads)) > rows


def _by_states(states: Sequence[str]) -> pa.Table:
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        return pa.concat_tables([_STATE_SCHEMA.empty_table(), *threads.map(_read_state, states)])


def _read_state(path: str) -> pa.Table:
    """Returns a state's rows as a table of `_STATE_SCHEMA`."""
    _, columns = read_state_columns(path) or ({}, {})
    if not columns:
        return _STATE_SCHEMA.empty_table()
    count = len(columns["clip_id"])
    try:
        arrays = [pa.array(columns.get(field.name, [None] * count), field.type) for field in _STATE_SCHEMA]
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise DataSetError(f"{path}: is damaged: {error}; run again to make its shard anew") from error
    clips = pa.table(arrays, schema=_STATE_SCHEMA)
    _check_clips(clips, path)
    return clips
