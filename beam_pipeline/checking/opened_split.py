"""What is said of a split by all that lies beside its shards, and one shard held against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from beam_pipeline import files
from beam_pipeline.checking.consistency import (
    RUN_AGAIN,
    FoundShard,
    Index,
    Ledger,
    wrong_index,
    wrong_ledger,
)
from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.made_with import facts_of, info_of, media_made_with
from beam_pipeline.checking.record_check import Described
from beam_pipeline.checking.shard_check import Problem, verify_records, verify_shard
from beam_pipeline.data_set import name_and_shards
from beam_pipeline.json_files import read_object
from beam_pipeline.ledger import LedgerRow, StateRow, read_state, state_path
from beam_pipeline.tfrecord import FRAMING_BYTES
from tf_data import contract

STATE_IS_GONE = "its state is gone or damaged: bring it back, or have another made from the ledger by --mark"
_ALL_IS_GONE = "its state and the ledger are gone or damaged: bring one back, or delete the shard to have it made anew"


@dataclass(frozen=True, slots=True)
class OpenedSplit:
    """What a split's files say.

    Attributes:
      directory: of the version of the data set.
      described: what is said of all of its records.
      num_shards: how many there are; 0 where nobody knows.
      settings: how its shards were made, from `state/`; None where there is no such file.
      info: its metadata; None where there is none.
      labels: the content of the label list; None where there is none.
      ledger: None where there is none that can be read.
      index: likewise.
      problems: files that are missing or damaged.
    """

    directory: str
    described: Described
    num_shards: int
    settings: Mapping[str, Any] | None
    info: Mapping[str, Any] | None
    labels: bytes | None
    ledger: Ledger | None
    index: Index | None
    problems: tuple[Problem, ...] = field(default=())

    def claims(self, shard: int) -> Claims:
        """Returns what is said of one shard."""
        return Claims(
            self.directory,
            self.described,
            shard,
            self.num_shards,
            self.settings is not None,
            self.ledger.rows(shard) if self.ledger else None,
            self.index.columns(shard) if self.index else None,
        )


@dataclass(frozen=True, slots=True)
class Claims:
    """What is said of one shard by all but its state; None where there is no such file."""

    directory: str
    described: Described
    shard: int
    num_shards: int
    has_states: bool  # a copy of a data set may have left state/ behind
    ledger: list[LedgerRow] | None
    index: dict[str, np.ndarray] | None
    frames: Frames = "none"  # which are decoded

    @property
    def file(self) -> str:
        """The shard's file name."""
        return contract.shard_file(self.described.name, self.described.split, self.shard, self.num_shards)


def settings_path(directory: str, split: str) -> str:
    """Returns where it is written down how a split's shards were made."""
    return files.join(directory, contract.STATE_DIR, f"settings-{split}.json")


def describe(directory: str, name: str, split: str) -> Described:
    """Returns what a split's metadata says of its records, as far as it is there."""
    info = read_object(files.join(directory, contract.info_file(split))) or {}
    settings = read_object(settings_path(directory, split))
    media = media_made_with(settings, info)
    if media is None:
        return Described(name, split, _features(info))
    return Described(name, split, info_of(media)["features"], media.encode.fps, facts_of(media))


def _features(info: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Returns the features that metadata describes as it should."""
    features = info.get("features")
    if not isinstance(features, dict):
        return {}
    return {
        key: feature
        for key, feature in features.items()
        if isinstance(feature, dict)
        and feature.get("dtype") in ("string", "int64", "float32")
        and isinstance(feature.get("shape"), list)
    }


def open_split(directory: str, split: str) -> OpenedSplit:
    """Reads what lies beside a split's shards; what is missing or damaged is told in its `problems`."""
    settings = read_object(settings_path(directory, split))
    info = read_object(files.join(directory, contract.info_file(split)))
    known = name_and_shards(settings or info or {})
    if known is None:
        problem = Problem(contract.info_file(split), "is damaged, and without state/ nobody knows what there should be")
        return OpenedSplit(directory, Described("?", split), 0, settings, info, None, None, None, (problem,))
    name, num_shards = known
    problems: list[Problem] = []
    if settings is None and files.size(settings_path(directory, split)) is not None:
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
    labels = files.read_whole(files.join(directory, contract.LABELS_FILE))
    described = describe(directory, name, split)
    return OpenedSplit(directory, described, num_shards, settings, info, labels, ledger, index, tuple(problems))


def check_shard(claims: Claims) -> FoundShard:
    """Reads one shard and holds it against what is said of it: what a process of any kind does."""
    described = claims.described
    path = state_path(claims.directory, described.split, claims.shard, claims.num_shards)
    try:
        state = read_state(path) if claims.has_states else None
        if state is None:
            return _check_by_ledger(claims)
        problems = verify_shard(claims.directory, state, described, claims.frames)
    except OSError as error:
        return FoundShard([Problem(claims.file, f"can't be read: {error.strerror or error}")])
    if state.sealed and claims.ledger is not None:
        problems += wrong_ledger(claims.ledger, state.rows, described.split, claims.shard)
    if state.sealed and claims.index is not None:
        problems += wrong_index(claims.index, state.rows, described.split, claims.shard)
    return _found(problems, [row.row for row in state.rows], state.bytes)


def _check_by_ledger(claims: Claims) -> FoundShard:
    """Reads a shard whose state is not there: what should be in it is in the ledger, which has no offsets."""
    problems = []
    if claims.has_states:
        problems.append(Problem(claims.file, _ALL_IS_GONE if claims.ledger is None else STATE_IS_GONE))
    if claims.ledger is None:
        return FoundShard(problems)
    made = sorted((row for row in claims.ledger if row.status == "ok"), key=lambda row: row.position)
    states, size = [], 0
    for row in made:
        states.append(StateRow(row, file=claims.file, offset=size))
        size += row.bytes + FRAMING_BYTES
    problems += verify_records(claims.directory, claims.file, made, size, claims.described, claims.frames)
    if claims.index is not None:
        problems += wrong_index(claims.index, states, claims.described.split, claims.shard)
    return _found(problems, claims.ledger, size)


def _found(problems: list[Problem], rows: Sequence[LedgerRow], size: int) -> FoundShard:
    frame_sizes = Counter(f"{row.width}x{row.height}" for row in rows if row.status == "ok")
    labels = Counter((row.label_index, row.label) for row in rows if row.status == "ok")
    return FoundShard(problems, Counter(row.reason for row in rows), size, frame_sizes, labels)
