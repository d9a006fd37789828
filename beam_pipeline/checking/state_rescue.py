"""A shard's state, where that is gone or damaged, from what the ledger and the shard's own records say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from beam_pipeline import files
from beam_pipeline.checking.record_check import Described
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import FRAMING_BYTES, read_record_at
from tf_data import contract


def rescued_state(
    directory: str, described: Described, shard: int, num_shards: int, rows: Sequence[LedgerRow], trimmed: str
) -> ShardState:
    """Returns an unfinished state from which the next run keeps each record, and tries again what failed.

    Args:
      directory: of the version of the data set.
      described: which data set and split it is.
      shard: the shard's number, which was found to hold what the ledger says.
      num_shards: of the split.
      rows: the ledger's, of this shard.
      trimmed: how the clips' files were taken (`MediaSettings.trimmed`).

    Raises:
      CorruptRecordError, OSError: a record can't be read.
    """
    name = contract.shard_file(described.name, described.split, shard, num_shards)
    offsets, size = {}, 0
    for row in sorted((row for row in rows if row.status == "ok"), key=lambda row: row.position):
        offsets[row.clip_id] = size
        size += row.bytes + FRAMING_BYTES
    with files.open_for_reading(files.join(directory, name)) as file:
        states = tuple(
            _state_row(row, file, name, offsets[row.clip_id], trimmed) if row.status == "ok" else StateRow(row)
            for row in rows
        )
    return ShardState(described.split, shard, num_shards, False, size, len(rows), states)


def _state_row(row: LedgerRow, file: BinaryIO, name: str, offset: int, trimmed: str) -> StateRow:
    context, _ = parse_sequence_example(read_record_at(file, offset, row.bytes, name))

    def value(prefix: str, key: str) -> Any:
        return next(iter(context.get(f"{prefix}/{key}", ())), None)

    upscaled = value(contract.QUALITY_PREFIX, "upscaled")
    return StateRow(
        row,
        file=name,
        offset=offset,
        source_bytes=value(contract.SOURCE_PREFIX, "bytes"),
        source_crc32c=value(contract.SOURCE_PREFIX, "crc32c"),
        trimmed=trimmed,
        upscaled=None if upscaled is None else bool(upscaled),
        **{
            column: value(contract.QUALITY_PREFIX, column)
            for column in contract.INDEX_QUALITY_COLUMNS
            if column != "upscaled"
        },
    )
