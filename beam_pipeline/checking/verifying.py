"""Whether a data set is whole and right: every byte of every shard, and all that its files say of each other.

It is read in child processes, a shard at a time. What is broken can be marked, so that the next run makes it anew.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beam_pipeline import files
from beam_pipeline.checking.consistency import (
    RUN_AGAIN,
    FoundShard,
    Index,
    Ledger,
    strangers,
    wrong_index,
    wrong_info,
    wrong_labels,
    wrong_ledger,
)
from beam_pipeline.checking.record_check import Described
from beam_pipeline.checking.shard_check import Problem, verify_records, verify_shard
from beam_pipeline.checking.state_rescue import rescued_state
from beam_pipeline.clips import ClipError
from beam_pipeline.json_files import read_object
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, read_state, state_path, write_state
from beam_pipeline.pool import Pool, Task
from beam_pipeline.summary import plural, size_text
from beam_pipeline.tfrecord import FRAMING_BYTES
from tf_data import contract

_SHARD_CPU_S, _SHARD_WALL_S = 24 * 3600.0, 7 * 24 * 3600.0  # nothing hangs here; a store may be slow
_SHOWN = 20  # problems of one file
_STATE_IS_GONE = "its state is gone or damaged: bring it back, or have another made from the ledger by --mark"
_ALL_IS_GONE = "its state and the ledger are gone or damaged: bring one back, or delete the shard to have it made anew"
_SETTINGS_RE = re.compile(r"settings-(?P<split>\w+)\.json")
_INFO_RE = re.compile(r"info-(?P<split>\w+)\.json")


class VerifyError(Exception):
    """What was to be verified is no data set."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` read of a data set, and what is wrong with it.

    `complete` is whether all that its annotations ask for has been tried; a part is no problem. `marked` says how many
    shards were, for the next run.
    """

    directory: str
    name: str
    splits: tuple[str, ...]
    shards: int
    records: int
    bytes: int
    complete: bool
    problems: tuple[Problem, ...]
    marked: int = 0

    def as_json(self) -> str:
        """Returns all of it as one JSON object on one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    def as_text(self) -> str:
        """Returns it for people; of one file no more than twenty problems."""
        lines, told = [], Counter[str]()
        for problem in self.problems:
            told[problem.file] += 1
            if told[problem.file] <= _SHOWN:
                lines.append(str(problem))
        lines += [f"{file}: and {count - _SHOWN:,} more" for file, count in told.items() if count > _SHOWN]
        what = f"{plural(self.shards, 'shard')}, {plural(self.records, 'record')}, {size_text(self.bytes)} read"
        right = f"{plural(len(self.problems), 'problem')} in {plural(len(told), 'file')}" if told else "all is right"
        part = "" if self.complete else ", though only a part was asked for, or done"
        lines.append(f"{self.name} in {self.directory} ({', '.join(self.splits)}): {what}; {right}{part}")
        if self.marked:
            lines.append(f"  {plural(self.marked, 'shard')} marked: run again, which makes anew what is broken in them")
        elif any(contract.parse_shard_file(file) for file in told):
            lines.append("  verify --mark has the next run make anew what is broken in shards, and keep the rest")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Claims:
    """What is said of one shard by all but its state; None where there is no such file."""

    directory: str
    described: Described
    shard: int
    num_shards: int
    has_states: bool  # a copy of a data set may have left state/ behind
    ledger: list[LedgerRow] | None
    index: dict[str, np.ndarray] | None

    @property
    def file(self) -> str:
        """The shard's file name."""
        return contract.shard_file(self.described.name, self.described.split, self.shard, self.num_shards)


def data_sets_in(folder: str) -> list[str]:
    """Returns the versions of data sets in a folder or, on this machine, below it.

    Raises:
      VerifyError: there is none.
    """
    found = _versions_in(folder, depth=3)  # <data_dir>/<name>/<config>/<version>
    if not found:
        raise VerifyError(f"{folder}: there is no data set, which would have {contract.info_file('<split>')} or state/")
    return found


def _versions_in(folder: str, depth: int) -> list[str]:
    if splits_in(folder):
        return [folder]
    if not depth or not files.is_local(folder) or not Path(folder).is_dir():
        return []
    below = sorted(str(path) for path in Path(folder).iterdir() if path.is_dir())
    return [found for path in below for found in _versions_in(path, depth - 1)]


def verify(directory: str, splits: Sequence[str], pool: Pool) -> Verified:
    """Reads a whole version of a data set and compares all of its files with each other.

    Args:
      directory: of the version.
      splits: those to verify; none: all.
      pool: where shards are read.

    Raises:
      VerifyError: a split is not there.
      PoolError: child processes can't work.
    """
    there = splits_in(directory)
    for split in splits:
        if split not in there:
            raise VerifyError(f"{directory}: there is no split {split}, only {', '.join(there)}")
    chosen = [split for split in there if not splits or split in splits]
    parts = [_verify_split(directory, split, pool) for split in chosen]
    return Verified(
        directory=directory,
        name=parts[0].name,
        splits=tuple(chosen),
        shards=sum(part.shards for part in parts),
        records=sum(part.records for part in parts),
        bytes=sum(part.bytes for part in parts),
        complete=all(part.complete for part in parts),
        problems=tuple(problem for part in parts for problem in part.problems),
    )


def mark(verified: Verified) -> Verified:
    """Has the next run make anew what is broken: the shard counts as unfinished, its broken records as lost.

    Records that are right are kept, also those of clips that have gone from the store. Where a shard's state is gone or
    damaged, and all else of the shard is right, there is a new one, from the ledger.

    Raises:
      OSError: a state can't be written.
    """
    problems: dict[str, list[Problem]] = {}
    for problem in verified.problems:
        problems.setdefault(problem.file, []).append(problem)
    marked = 0
    for file, of_shard in problems.items():
        if not (parsed := contract.parse_shard_file(file)):
            continue
        path = state_path(verified.directory, *parsed[1:])
        state = read_state(path)
        if state is None:
            state = _rescued(verified, of_shard, *parsed[1:])
        elif state.sealed:
            broken = {problem.clip_id for problem in of_shard}
            rows = (replace(row, file="") if row.row.clip_id in broken else row for row in state.rows)
            state = replace(state, sealed=False, rows=tuple(rows))
        else:
            continue
        if state:
            write_state(path, state)
            marked += 1
    return replace(verified, marked=marked)


def _rescued(verified: Verified, problems: list[Problem], split: str, shard: int, num_shards: int) -> ShardState | None:
    settings = read_object(_settings_path(verified.directory, split))
    trimmed = (settings or {}).get("source", {}).get("trimmed")
    if trimmed is None or [problem.what for problem in problems] != [_STATE_IS_GONE]:
        return None
    described = describe(verified.directory, verified.name, split)
    rows = Ledger(verified.directory, split, num_shards).rows(shard)  # which have just been read
    return rescued_state(verified.directory, described, shard, num_shards, rows, trimmed)


def _settings_path(directory: str, split: str) -> str:
    return files.join(directory, contract.STATE_DIR, f"settings-{split}.json")


def describe(directory: str, name: str, split: str) -> Described:
    """Returns what a split's metadata and label list say of its records, as far as they are there."""
    info = read_object(files.join(directory, contract.info_file(split))) or {}
    labels = files.read_whole(files.join(directory, contract.LABELS_FILE))
    names = None if labels is None else tuple(labels.decode(errors="replace").splitlines())
    return Described(name, split, info.get("features", {}), names)


def splits_in(directory: str) -> list[str]:
    """Returns the splits of which a run, or a copy of what it made, left anything."""
    state_dir = files.join(directory, contract.STATE_DIR)
    patterns = ((directory, _INFO_RE), (state_dir, _SETTINGS_RE))
    matches = (pattern.fullmatch(file) for folder, pattern in patterns for file in files.names(folder))
    return sorted({match["split"] for match in matches if match})


def _verify_split(directory: str, split: str, pool: Pool) -> Verified:
    settings = read_object(_settings_path(directory, split))
    info = read_object(files.join(directory, contract.info_file(split)))
    known = settings or info or {}
    name, num_shards = known.get("name"), known.get("shards", known.get("num_shards"))
    if not isinstance(name, str) or not isinstance(num_shards, int):
        problem = Problem(contract.info_file(split), "is damaged, and without state/ nobody knows what there should be")
        return Verified(directory, "?", (split,), 0, 0, 0, False, (problem,))
    described = describe(directory, name, split)
    problems: list[Problem] = []
    if settings is None and files.size(_settings_path(directory, split)) is not None:
        name_there = f"{contract.STATE_DIR}/settings-{split}.json"
        problems.append(Problem(name_there, "is damaged: bring it back, or make all anew with --overwrite"))
    ledger = index = None
    try:
        ledger = Ledger(directory, split, num_shards)
    except ValueError as error:
        problems.append(Problem(contract.ledger_file(split), f"{error}: {RUN_AGAIN}"))
    try:
        index = Index(directory, split, num_shards)
    except ValueError as error:
        problems.append(Problem(contract.index_file(split), f"{error}: {RUN_AGAIN}"))
    all_claims = (
        _Claims(
            directory,
            described,
            shard,
            num_shards,
            settings is not None,
            ledger.rows(shard) if ledger else None,
            index.columns(shard) if index else None,
        )
        for shard in range(num_shards)
    )
    tasks = ((claims, Task(_verify_claims, claims, _SHARD_CPU_S, _SHARD_WALL_S)) for claims in all_claims)
    found = [_unread(claims, each) if isinstance(each, ClipError) else each for claims, each in pool.map(tasks)]
    problems += [problem for each in found for problem in each.problems]
    problems += strangers(directory, name, split, num_shards)
    problems += wrong_labels(described.labels, info, settings)
    problems += wrong_info(info, split, found)
    return Verified(
        directory=directory,
        name=name,
        splits=(split,),
        shards=num_shards,
        records=sum(each.clips[""] for each in found),
        bytes=sum(each.bytes for each in found),
        complete=bool(info and info.get("complete")),
        problems=tuple(problems),
    )


def _verify_claims(claims: _Claims) -> FoundShard:
    """Reads one shard: what a child process does."""
    described = claims.described
    path = state_path(claims.directory, described.split, claims.shard, claims.num_shards)
    try:
        state = read_state(path) if claims.has_states else None
        if state is None:
            return _verify_by_ledger(claims)
        problems = verify_shard(claims.directory, state, described)
    except OSError as error:
        return FoundShard([Problem(claims.file, f"can't be read: {error.strerror or error}")])
    if state.sealed and claims.ledger is not None:
        problems += wrong_ledger(claims.ledger, state.rows, described.split, claims.shard)
    if state.sealed and claims.index is not None:
        problems += wrong_index(claims.index, state.rows, described.split, claims.shard)
    return _found(problems, [row.row for row in state.rows], state.bytes)


def _verify_by_ledger(claims: _Claims) -> FoundShard:
    """Reads a shard whose state is not there: what should be in it is in the ledger, which has no offsets."""
    problems = []
    if claims.has_states:
        problems.append(Problem(claims.file, _ALL_IS_GONE if claims.ledger is None else _STATE_IS_GONE))
    if claims.ledger is None:
        return FoundShard(problems)
    made = sorted((row for row in claims.ledger if row.status == "ok"), key=lambda row: row.position)
    states, size = [], 0
    for row in made:
        states.append(StateRow(row, file=claims.file, offset=size))
        size += row.bytes + FRAMING_BYTES
    problems += verify_records(claims.directory, claims.file, made, size, claims.described)
    if claims.index is not None:
        problems += wrong_index(claims.index, states, claims.described.split, claims.shard)
    return _found(problems, claims.ledger, size)


def _found(problems: list[Problem], rows: Sequence[LedgerRow], size: int) -> FoundShard:
    frame_sizes = Counter(f"{row.width}x{row.height}" for row in rows if row.status == "ok")
    return FoundShard(problems, Counter(row.reason for row in rows), size, frame_sizes)


def _unread(claims: _Claims, error: ClipError) -> FoundShard:
    return FoundShard([Problem(claims.file, f"could not be verified: {error.detail}")])
