"""What tells a record from others, for a few kilobytes of reading each: its checksum, and the hash of its picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from beam_pipeline import files
from beam_pipeline.checking.record_layout import UnusualLayout, context_end_of
from beam_pipeline.data_set import Split
from beam_pipeline.records import SequenceExample
from beam_pipeline.tfrecord import FRAMING_BYTES, CorruptRecordError
from tf_data import contract

NO_HASH = np.iinfo(np.int64).min
"""Stands for the hash of a record that has none; no picture has it but by chance."""

_FOOTER = struct.Struct("<I")
_HEADER_BYTES = FRAMING_BYTES - _FOOTER.size
_HEAD_BYTES = 4096  # of a record, in which its context has room
_AT_A_TIME = 32  # shards: an object store answers many requests in the time of one
_PHASH = f"{contract.QUALITY_PREFIX}/phash"


@dataclass(frozen=True, slots=True)
class Marks:
    """Of each row of a split's clips: its record's checksum, and the hash of its middle frame.

    Attributes:
      checksums: uint32, masked CRC-32C of the record as its framing has it; 0 for a row without a record.
      hashes: int64, `quality/phash`; `NO_HASH` where there is none.
    """

    checksums: np.ndarray
    hashes: np.ndarray


def read_marks(split: Split, rows: np.ndarray | None = None, with_hashes: bool = True) -> Marks:
    """Reads the marks of a split's records, from their shards.

    Args:
      split: the split.
      rows: bool, of which rows; None: all that have a record.
      with_hashes: whether to read the hashes, too.

    Raises:
      CorruptRecordError: a shard is not there, or ends before a record does.
      OSError: a shard can't be read.
    """
    offsets, sizes = split.clips["offset"].to_numpy(), split.clips["bytes"].to_numpy()
    wanted = np.flatnonzero((offsets >= 0) if rows is None else (offsets >= 0) & rows)
    checksums, hashes = np.zeros(len(offsets), np.uint32), np.full(len(offsets), NO_HASH)
    names = split.clips["file"].to_numpy(zero_copy_only=False)[wanted].astype(str)
    order = np.lexsort((offsets[wanted], names))
    wanted, names = wanted[order], names[order]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.zeros(0, np.int64)
    shards = [
        (names[part[0]].item(), wanted[part]) for part in np.split(np.arange(len(names)), starts[1:]) if len(part)
    ]

    def read(shard: tuple[str, np.ndarray]) -> None:
        name, places = shard
        path = files.join(split.directory, name)
        with open_shard(path) as file:
            begins, lengths = offsets[places].tolist(), sizes[places].tolist()
            for row, mark in zip(places.tolist(), _marks(file, path, begins, lengths, with_hashes), strict=True):
                checksums[row], hashes[row] = mark

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        for _ in threads.map(read, shards):
            pass
    return Marks(checksums, hashes)


def open_shard(path: str) -> BinaryIO:
    """Opens a shard that its ledger speaks of; raises `CorruptRecordError` where there is none."""
    try:
        return files.open_for_reading(path)
    except FileNotFoundError as error:
        raise CorruptRecordError(f"{path}: is not there") from error


def _marks(
    file: BinaryIO, path: str, begins: list[int], lengths: list[int], with_hashes: bool
) -> Iterator[tuple[int, int]]:
    for begin, length in zip(begins, lengths, strict=True):
        found = NO_HASH
        if with_hashes:
            file.seek(begin + _HEADER_BYTES)
            found = _hash(file, min(length, _HEAD_BYTES))
        file.seek(begin + _HEADER_BYTES + length)
        footer = file.read(_FOOTER.size)
        if len(footer) < _FOOTER.size:
            raise CorruptRecordError(f"{path}: ends before the record of {length} bytes at offset {begin} does")
        yield _FOOTER.unpack(footer)[0], found


def _hash(file: BinaryIO, length: int) -> int:
    """Returns the hash in the record that begins where a file is at."""
    head = file.read(length)
    try:
        end = context_end_of(head)
        if end > len(head):
            head += file.read(end - len(head))
        values = SequenceExample.FromString(head[:end]).context.feature[_PHASH].int64_list.value
    except (UnusualLayout, DecodeError):
        return NO_HASH
    return values[0] if values else NO_HASH


def differing_bits(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns in how many of their 64 bits hashes differ, int64; -1 where one of the two is missing."""
    bits = np.bitwise_count(hashes.view(np.uint64) ^ others.view(np.uint64)).astype(np.int64)
    return np.where((hashes == NO_HASH) | (others == NO_HASH), -1, bits)
