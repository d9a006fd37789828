"""Reading the record of a clip, wherever its ledger or its job says that it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from beam_pipeline import files
from beam_pipeline.clips import ClipError
from beam_pipeline.data_set import Split
from beam_pipeline.ledger import read_state_rows, state_path
from beam_pipeline.tfrecord import CorruptRecordError, read_record_at
from beam_pipeline.viewing.clip_record import ClipRecord, parse_clip


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


def _place_by_state(split: Split, row: Mapping[str, Any]) -> dict[str, Any] | None:
    _, rows = read_state_rows(state_path(split.directory, split.split, row["shard"], split.num_shards)) or ({}, [])
    return next((known for known in rows if known["clip_id"] == row["clip_id"] and known.get("file")), None)
