"""Whether a sealed shard holds what its state says: every byte is read, every record is the one of its row."""

from __future__ import annotations

from itertools import zip_longest

from google.protobuf.message import DecodeError

from beam_pipeline import files
from beam_pipeline.ledger import ShardState, StateRow
from beam_pipeline.records import SequenceExample
from beam_pipeline.tfrecord import FRAMING_BYTES, CorruptRecordError, read_records
from tf_data import contract

_MAX_PROBLEMS = 20  # told of one shard


def verify_shard(directory: str, name: str, state: ShardState) -> list[str]:
    """Returns what is wrong with a shard, a line each that names the file; an empty list if nothing is.

    Its size, the framing and checksum of each record, and that the records are those of the rows that are ok: as many,
    in their order, at their places, with their ids, labels and frames.

    Args:
      directory: of the version of the data set.
      name: of the data set.
      state: of the shard.

    Raises:
      OSError: the file can't be read.
    """
    file_name = contract.shard_file(name, state.split, state.shard, state.num_shards)
    if not state.sealed:
        return [f"{file_name}: is not finished: run again"]
    path = files.join(directory, file_name)
    size = files.size(path)
    if size is None:
        return [f"{file_name}: is not there"]
    if size != state.bytes:
        return [f"{file_name}: has {size} bytes, expected {state.bytes}"]
    problems: list[str] = []
    offset = 0
    rows = [row for row in state.rows if row.row.status == "ok"]
    try:
        for position, (record, row) in enumerate(zip_longest(read_records(path), rows)):
            if record is None:
                problems.append(f"{file_name}: has {position} records, expected {len(rows)}")
                break
            if row is None:
                problems.append(f"{file_name}: has more records than the {len(rows)} expected")
                break
            if wrong := _wrong_with(record, row, file_name, position, offset):
                problems.append(f"{file_name}: record {position}, of {row.row.clip_id}: {wrong}")
                if len(problems) == _MAX_PROBLEMS:
                    break
            offset += len(record) + FRAMING_BYTES
    except CorruptRecordError as error:
        problems.append(str(error))
    return problems


def _wrong_with(record: bytes, state: StateRow, file_name: str, position: int, offset: int) -> str:
    """Returns the first thing that a record and its row differ in, or ''."""
    row = state.row
    if (state.file, row.position, state.offset) != (file_name, position, offset):
        return (
            f"is at offset {offset}, and the state has it at {state.offset} of {state.file}, as record {row.position}"
        )
    if len(record) != row.bytes:
        return f"has {len(record)} bytes, expected {row.bytes}"
    try:
        example = SequenceExample.FromString(record)
    except DecodeError:
        return "is no SequenceExample"
    context, frames = example.context.feature, example.feature_lists.feature_list[contract.IMAGE_ENCODED].feature
    clip_ids = list(context[contract.EXAMPLE_ID].bytes_list.value)
    if clip_ids != [row.clip_id.encode()]:
        return f"is the record of {b' '.join(clip_ids).decode(errors='replace')!r}"
    labels = list(context[contract.LABEL_INDEX].int64_list.value)
    if labels != [row.label_index]:
        return f"has the label {labels}, expected [{row.label_index}]"
    if len(frames) != row.num_frames:
        return f"has {len(frames)} frames, expected {row.num_frames}"
    return ""
