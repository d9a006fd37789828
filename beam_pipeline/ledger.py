"""The ledger: one row for every clip that was asked for, whatever became of it.

While a data set is made, its rows are in `state/`, one JSON file a shard, which is also what a rerun goes on from; at
the end they are `clips-<split>.parquet`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from beam_pipeline import files
from beam_pipeline.annotations import Row
from beam_pipeline.clips import utc_now
from beam_pipeline.job import Job
from tf_data import contract

_REVISION = 1


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one clip. Two runs over the same clips differ in `attempts` and `attempted_at` alone."""

    clip_id: str
    video_id: str
    start_s: float
    end_s: float
    label: str
    label_index: int
    split: str
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""  # empty, or a class of `clips.REASONS`
    transient: bool = False  # whether another try may succeed
    detail: str = ""  # a line for people, the same for the same cause
    attempts: int = 0
    attempted_at: str = ""  # UTC, ISO 8601
    source_uri: str = ""  # within the store
    shard: int = -1
    position: int = -1  # of the record in its shard; -1: there is none
    num_frames: int = 0
    duration_s: float = 0.0  # of the footage found
    width: int = 0
    height: int = 0
    bytes: int = 0  # of the record
    short: bool = False
    damaged: bool = False
    rotated: bool = False
    has_audio: bool = False


@dataclass(frozen=True, slots=True)
class StateRow:
    """A ledger row, and what a rerun needs to know of it: where the record is, and what it was made from."""

    row: LedgerRow
    file: str = ""  # that holds the record, within the data set's folder: the shard, or a temporary in `state/`
    offset: int = -1  # of the record's framing in that file
    source_bytes: int = -1
    source_crc32c: int = -1  # -1: not known, so that the clip is tried again
    trimmed: str = ""
    visited: bool = False  # of a clip of the store: whether it is its site that said so
    # What the record says of its pictures, for the index; None: there is no record, or no flow in it, or it was made
    # by a version of this package that did not take it down.
    upscaled: bool | None = None
    repeated_frames: int | None = None
    mean_luma: float | None = None
    clipped_flow: float | None = None
    mean_flow_px: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A sign of life of a shard that is being made: by which run, on which machine, and two times, UTC in ISO 8601.

    `alive_at` is when its process wrote the state, `clip_at` when the last clip was done, or the shard begun.
    """

    run_id: str
    worker: str
    alive_at: str
    clip_at: str


def begin_work(run_id: str) -> Work:
    """Returns the first sign of life of a shard that this machine begins."""
    now = utc_now()
    return Work(run_id, socket.gethostname(), now, now)


@dataclass(frozen=True, slots=True)
class ShardState:
    """How far a shard is. Until it is `sealed`, rows may have their records in an earlier file of the shard.

    `unfinished` says why clips were left that may still succeed, where some were. `others` are rows of clips that the
    last run did not ask for, of which a store remembers what it knows. `work` is a sign of life; None: nobody is at it.
    """

    split: str
    shard: int
    num_shards: int
    sealed: bool
    bytes: int  # of the sealed shard
    asked: int  # clips of this shard, done or not
    rows: tuple[StateRow, ...]
    unfinished: str = ""
    others: tuple[StateRow, ...] = ()
    work: Work | None = None

    @property
    def reasons(self) -> Counter[str]:
        """How many rows have which reason; an empty one for those that are ok."""
        return Counter(state.row.reason for state in self.rows)


def asked_row(job: Job, split: str, shard: int, row: Row) -> LedgerRow:
    """Returns what a ledger says of a clip before anything became of it."""
    return LedgerRow(
        clip_id=row.key,
        video_id=row.video_id,
        start_s=row.start_us / 1e6,
        end_s=row.end_us / 1e6,
        label=row.label,
        label_index=contract.UNLABELLED if row.error else job.selections[split].label_index(row.label),
        split=split,
        shard=shard,
    )


_ROW_FIELDS = [f.name for f in dataclasses.fields(LedgerRow)]
_STATE_FIELDS = [f.name for f in dataclasses.fields(StateRow) if f.name != "row"]
_STATE_NAME_RE = re.compile(r"(?P<split>\w+)-(?P<shard>\d{5,})-of-(?P<shards>\d{5,})\.json")
_ROWS = ("rows", "others")
_ARROW = {"str": pa.string(), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
SCHEMA = pa.schema([(f.name, _ARROW.get(str(f.type), pa.string())) for f in dataclasses.fields(LedgerRow)])
"""The columns of `clips-<split>.parquet`."""


def state_path(directory: str, split: str, shard: int, num_shards: int) -> str:
    """Returns where a shard's state is."""
    return files.join(directory, contract.STATE_DIR, f"{split}-{shard:05d}-of-{num_shards:05d}.json")


def parse_state_name(name: str) -> tuple[str, int, int] | None:
    """Returns (split, shard, number of shards) of a state's file name, None for any other file."""
    match = _STATE_NAME_RE.fullmatch(name)
    return (match["split"], int(match["shard"]), int(match["shards"])) if match else None


def write_state(path: str, state: ShardState) -> None:
    """Writes a shard's state: a head that says how far it is, and the rows as lists of values under their columns."""
    head = {
        "revision": _REVISION,
        **{f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name not in (*_ROWS, "work")},
        "work": dataclasses.asdict(state.work) if state.work else None,
        "reasons": dict(sorted(state.reasons.items())),
        "columns": _ROW_FIELDS + _STATE_FIELDS,
    }
    head_text = json.dumps(head, ensure_ascii=False)
    rows, others = (
        ",\n".join(json.dumps(_values(row), ensure_ascii=False, separators=(",", ":")) for row in rows)
        for rows in (state.rows, state.others)
    )
    others_text = f', "others": [\n{others}\n]' if others else ""
    files.write_whole(path, f'{head_text[:-1]}, "rows": [\n{rows}\n]{others_text}}}\n'.encode())


def _values(row: StateRow) -> list[Any]:
    return [getattr(row.row, name) for name in _ROW_FIELDS] + [getattr(row, name) for name in _STATE_FIELDS]


def read_state(path: str) -> ShardState | None:
    """Returns a shard's state, or None where there is none that can be used."""
    values = _read(path)
    if values is None:
        return None
    split_at = len(_ROW_FIELDS)
    kept = {f.name: values[f.name] for f in dataclasses.fields(ShardState) if f.name not in _ROWS and f.name in values}
    try:
        rows, others = (
            tuple(StateRow(LedgerRow(*row[:split_at]), *row[split_at:]) for row in values.get(name, ()))
            for name in _ROWS
        )
        kept["work"] = Work(**kept["work"]) if kept.get("work") else None
        return ShardState(**kept, rows=rows, others=others)
    except TypeError:  # a bit that turned a comma into a point makes other JSON
        return None


def read_state_rows(path: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Returns a shard's state as plain values, faster than `read_state`: its head, and its rows by column."""
    values = _read(path)
    if values is None:
        return None
    columns, rows = values["columns"], values.pop("rows", ())
    return values, [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]


def read_state_columns(path: str) -> tuple[dict[str, Any], dict[str, Sequence[Any]]] | None:
    """Returns what `read_state_rows` returns, with the rows as columns: no mapping is made of each."""
    values = _read(path)
    if values is None:
        return None
    columns, rows = values["columns"], values.pop("rows", ())
    by_column = zip(*(row for row in rows if len(row) == len(columns)), strict=True)
    return values, dict(zip(columns, by_column, strict=False)) or dict.fromkeys(columns, ())


def read_state_head(path: str) -> dict[str, Any] | None:
    """Returns a shard's state without its rows, of which nothing is read; None where there is none."""
    try:
        with files.open_for_reading(path) as file:
            head = json.loads(file.readline().removesuffix(b"[\n") + b"[]}")
    except (FileNotFoundError, ValueError):
        return None
    return head if isinstance(head, dict) else None


def _read(path: str) -> dict[str, Any] | None:
    content = files.read_whole(path)
    if content is None:
        return None
    try:
        values: dict[str, Any] = json.loads(content)
    except ValueError:
        return None
    columns = values.get("columns", []) if isinstance(values, dict) else []
    known = (_ROW_FIELDS + _STATE_FIELDS)[: len(columns)]  # what is added later comes last, and has a default
    if values.get("revision") != _REVISION or columns != known or len(columns) < len(_ROW_FIELDS):
        return None
    return values


def read_progress(path: str) -> tuple[int, Counter[str]] | None:
    """Returns (clips asked for, rows by reason) of a shard from the head of its state, without reading the rows."""
    head = read_state_head(path)
    return (head["asked"], Counter(head["reasons"])) if head else None


def table(rows: list[LedgerRow]) -> pa.Table:
    """Returns ledger rows as a table of `SCHEMA`."""
    return pa.table({name: [getattr(row, name) for row in rows] for name in _ROW_FIELDS}, schema=SCHEMA)
