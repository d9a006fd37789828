"""The clips of a split as columns of numbers, so that 650,000 of them are counted and searched at once."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipeline import files
from beam_pipeline.data_set import Split, open_data_set, planned
from beam_pipeline.inspecting.links import are_on_youtube
from beam_pipeline.json_files import read_object
from beam_pipeline.labels import written_labels
from beam_pipeline.ledger import SCHEMA
from tf_data import contract

STATUSES = ("written", "failed", "not attempted")
FLAGS = (*contract.PICTURE_FLAGS, "upscaled", "has_audio")
_QUALITIES = {"brightness": "mean_luma", "motion": "mean_flow_px"}  # columns of the index


@dataclass(frozen=True)
class Rows:
    """The clips of one split. Column k of each array is row k of `split.clips`.

    Attributes:
      split: where they are.
      info: what `info-<split>.json` says, None where there is none: nothing of the split was ever finished.
      asked: how many clips were asked for; more than there are rows while a job runs.
      labels: names of classes in the order of their indices, and then of those that the label list has not.
      label: int32, index into `labels`.
      reasons: each reason that a clip failed for.
      reason: int32, index into `reasons`; -1 for a clip that was written.
      status: int8, index into `STATUSES`.
      flags: int32, bit k for `FLAGS[k]`.
      numbers: float64 by name: `duration_s`, `bytes`, `frames`, `width`, `height`, and where they are known of records
        `brightness` (mean luma, 0 to 255) and `motion` (mean flow in pixels a frame); not a number where there is none.
    """

    split: Split
    info: dict[str, Any] | None
    asked: int
    labels: Sequence[str]
    label: np.ndarray
    reasons: Sequence[str]
    reason: np.ndarray
    status: np.ndarray
    flags: np.ndarray
    numbers: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.status)

    @property
    def written(self) -> np.ndarray:
        """Which rows have a record, bool."""
        return self.status == 0

    @cached_property
    def ids(self) -> pa.Array:
        """The clips' ids in one piece, for searching."""
        return self.split.clips["clip_id"].combine_chunks()

    @cached_property
    def on_youtube(self) -> bool:
        """Whether the clips' videos are there, so that links lead to them."""
        return are_on_youtube(self.split.clips["video_id"])


def read_rows(folder: str, splits: Sequence[str] = ()) -> list[Rows]:
    """Reads the splits of a data set; raises what `open_data_set` raises."""
    return [_rows(split) for split in open_data_set(folder, splits)]


def _rows(split: Split) -> Rows:
    clips = split.clips
    info = read_object(files.join(split.directory, contract.info_file(split.split)))
    status = np.where(pc.equal(clips["status"], "ok").to_numpy(), 0, 1).astype(np.int8)
    reasons, reason = _encoded(clips["reason"], first=("",))
    labels, label = _encoded(clips["label"], first=_label_list(split.directory))
    if "not_attempted" in reasons:
        status[reason == reasons.index("not_attempted")] = 2
    qualities = _by_states(clips) or _by_index(split, status == 0)
    flags = np.zeros(len(status), np.int32)
    for bit, flag in enumerate(FLAGS):
        column = qualities[flag] if flag in qualities else clips[flag].to_numpy() if flag in SCHEMA.names else None
        if column is not None:
            flags |= (np.nan_to_num(column) > 0).astype(np.int32) << bit
    names = {"duration_s": "duration_s", "bytes": "bytes", "frames": "num_frames", "width": "width", "height": "height"}
    numbers = {name: clips[column].to_numpy() for name, column in names.items()}
    numbers |= {name: qualities[column] for name, column in _QUALITIES.items() if column in qualities}
    numbers = {name: np.where((status == 0) & np.isfinite(values), values, np.nan) for name, values in numbers.items()}
    asked = len(status) if split.is_finished else max(planned(split.directory, split.split), len(status))
    return Rows(split, info, asked, labels, label, reasons[1:], reason - 1, status, flags, numbers)


def _encoded(column: pa.ChunkedArray, first: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Returns the different strings of a column, those first that are given, and each row's place among them."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    names = list(dict.fromkeys([*first, *sorted(values)]))
    places = {name: place for place, name in enumerate(names)}
    to_place = np.array([places[value] for value in values], np.int32)
    codes = encoded.indices.to_numpy()
    return names, to_place[codes] if len(to_place) else np.zeros(len(codes), np.int32)


def _label_list(directory: str) -> list[str]:
    return list(written_labels(files.read_whole(files.join(directory, contract.LABELS_FILE)) or b""))


def _by_states(clips: pa.Table) -> dict[str, np.ndarray]:
    """Returns what states say of records' pictures, float64 by column; nothing of a finished split."""
    names = [name for name in contract.INDEX_QUALITY_COLUMNS if name in clips.column_names]
    names = [name for name in names if clips[name].null_count < len(clips)]
    return {name: pc.cast(clips[name], pa.float64()).to_numpy() for name in names}


def _by_index(split: Split, written: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the index's qualities by row of the ledger; none where the index is not there or of another run."""
    content = files.read_whole(files.join(split.directory, contract.index_file(split.split)))
    rows = np.flatnonzero(written)
    try:
        with np.load(io.BytesIO(content or b""), allow_pickle=False) as index:
            columns = {name: index[name] for name in contract.INDEX_QUALITY_COLUMNS if name in index}
            shards, offsets = index["shard"], index["offset"]
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):
        return {}
    clips = split.clips
    order = rows[np.lexsort((clips["offset"].to_numpy()[rows], clips["shard"].to_numpy()[rows]))]
    if not (
        np.array_equal(clips["shard"].to_numpy()[order], shards)
        and np.array_equal(clips["offset"].to_numpy()[order], offsets)
    ):
        return {}
    by_row = {}
    for name, values in columns.items():
        by_row[name] = np.full(len(written), np.nan)
        by_row[name][order] = values
    return by_row
