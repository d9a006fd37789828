"""Whether a sealed shard holds what its state says: every byte is read, every record is the one of its row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from beam_pipeline import files
from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.lines import one_line
from beam_pipeline.checking.record_check import Described, wrong_with
from beam_pipeline.ledger import LedgerRow, ShardState
from beam_pipeline.tfrecord import FRAMING_BYTES, CorruptRecordError, read_length, read_payload
from tf_data import contract


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong: in which file, and with which record, where it is one's."""

    file: str
    what: str
    clip_id: str = ""
    position: int = -1  # of the record in its shard
    offset: int = -1  # of its framing, bytes

    def __str__(self) -> str:
        """Returns a line for people."""
        where = [self.file, *([self.clip_id] if self.clip_id else [])]
        if self.position >= 0:
            where = [self.file, f"record {self.position} at offset {self.offset}, of {self.clip_id}"]
        return one_line(": ".join([*where, self.what]))


def verify_shard(directory: str, state: ShardState, described: Described, frames: Frames = "none") -> list[Problem]:
    """Returns what is wrong with a shard; an empty list if nothing is.

    Its size, the framing and checksums of each record, and that the records are those of the rows that are ok: as many,
    in their order, at their places, and as their rows say (`record_check`).

    Args:
      directory: of the version of the data set.
      state: of the shard.
      described: what is said of all records of the split.
      frames: which images are decoded.

    Raises:
      OSError: the file can't be read.
    """
    file_name = contract.shard_file(described.name, state.split, state.shard, state.num_shards)
    if not state.sealed:
        return [Problem(file_name, "is not finished: run again")]
    made = [state_row for state_row in state.rows if state_row.row.status == "ok"]
    rows = [state_row.row for state_row in made]
    problems = verify_records(directory, file_name, rows, state.bytes, described, frames)
    offset = 0
    for position, state_row in enumerate(made):
        row = state_row.row
        if (state_row.file, row.position, state_row.offset) != (file_name, position, offset):
            where = f"at offset {state_row.offset} of {state_row.file or 'no file'}, as record {row.position}"
            problems.append(Problem(file_name, f"its state has it {where}", row.clip_id, position, offset))
        offset += row.bytes + FRAMING_BYTES
    return problems


def verify_records(
    directory: str, file_name: str, rows: Iterable[LedgerRow], size: int, described: Described, frames: Frames
) -> list[Problem]:
    """Returns what is wrong with a shard's file, whose records are to be those of `rows`, in their order.

    Every record is looked for where it should be, so that one that is damaged hides none of those behind it.

    Args:
      directory: of the version of the data set.
      file_name: the shard's.
      rows: of the ledger, those that are ok.
      size: bytes that the file should have.
      described: what is said of all records of the split.
      frames: which images are decoded.

    Raises:
      OSError: the file can't be read.
    """
    path = files.join(directory, file_name)
    found = files.size(path)
    if found is None:
        return [Problem(file_name, "is not there")]
    problems = [Problem(file_name, f"has {found} bytes, expected {size}")] if found != size else []
    offset = 0
    with files.open_for_reading(path) as file:
        for position, row in enumerate(rows):
            if wrong := _wrong_at(file, offset, row, described, frames):
                problems.append(Problem(file_name, wrong, row.clip_id, position, offset))
            offset += row.bytes + FRAMING_BYTES
    if offset != size:
        problems.append(Problem(file_name, f"its records have {offset} bytes, expected {size}"))
    return problems


def _wrong_at(file: BinaryIO, offset: int, row: LedgerRow, described: Described, frames: Frames) -> str:
    """Returns what is wrong with the record that should be at an offset, or ''."""
    file.seek(offset)
    try:
        length = read_length(file)
        if length is None:
            return "is beyond the file's end"
        if length != row.bytes:  # and is not read: it may say anything
            return f"has {length} bytes, expected {row.bytes}"
        record = read_payload(file, length)
    except CorruptRecordError as error:
        return str(error)
    return wrong_with(record, row, described, frames)
