"""TFRecord framing without TensorFlow, on any Beam file system.

A record is its length (uint64, little endian), the masked CRC-32C of those eight bytes, the payload, and the masked
CRC-32C of the payload (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from beam_pipeline.files import open_for_reading

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
FRAMING_BYTES = _HEADER.size + _FOOTER.size


class CorruptRecordError(Exception):
    """Bytes that are not the record that they should be."""


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(record: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns the header, the payload and the footer of one record: three parts, so that nothing is copied."""
    length = len(record)
    header = struct.pack("<Q", length)
    return _HEADER.pack(length, _masked_crc(header)), record, _FOOTER.pack(_masked_crc(record))


def read_record_at(file: BinaryIO, offset: int, length: int, name: str) -> bytes:
    """Reads the record of `length` payload bytes whose framing begins at `offset`.

    Raises:
      CorruptRecordError: the bytes there are not a record of that length, or a checksum differs.
    """
    file.seek(offset)
    data = file.read(length + FRAMING_BYTES)
    record = data[_HEADER.size : -_FOOTER.size]
    if len(data) != length + FRAMING_BYTES or b"".join(frame(record)) != data:
        raise CorruptRecordError(f"{name}: no intact record of {length} bytes at offset {offset}")
    return record


def read_length(file: BinaryIO) -> int | None:
    """Reads a record's header; returns how many bytes its payload has, or None at the end of the file.

    Raises:
      CorruptRecordError: the file ends inside the header, or its checksum differs; the message names no place.
    """
    header = file.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise CorruptRecordError("the file ends inside its header")
    length, crc = _HEADER.unpack(header)
    if crc != _masked_crc(header[:8]):
        raise CorruptRecordError("its length fails its checksum")
    return length


def read_payload(file: BinaryIO, length: int) -> bytes:
    """Reads the rest of a record whose header has been read: `length` bytes, which it returns, and the footer.

    Raises:
      CorruptRecordError: the file ends inside the record, its checksum differs, or it is too large for this machine's
        memory; the message names no place.
    """
    try:
        record = file.read(length)
    except (MemoryError, OverflowError) as error:
        raise CorruptRecordError(f"its header says {length:,} bytes, for which there is no memory") from error
    footer = file.read(_FOOTER.size)
    if len(record) < length or len(footer) < _FOOTER.size:
        raise CorruptRecordError("the file ends inside it")
    if _FOOTER.unpack(footer)[0] != _masked_crc(record):
        raise CorruptRecordError("it fails its checksum")
    return record


def read_records(path: str) -> Iterator[bytes]:
    """Yields the records of one shard in order, their checksums verified.

    Raises:
      CorruptRecordError: a checksum differs or the file ends in the middle of a record.
    """
    with open_for_reading(path) as file:
        offset = 0
        try:
            while (length := read_length(file)) is not None:
                yield read_payload(file, length)
                offset += length + FRAMING_BYTES
        except CorruptRecordError as error:
            raise CorruptRecordError(f"{path}: the record at offset {offset}: {error}") from error


class ShardWriter:
    """Writes records one after another to an open file and knows where the next one begins."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.offset = 0

    def write(self, record: bytes) -> int:
        """Appends a record; returns the offset at which its framing begins."""
        offset = self.offset
        for part in frame(record):
            self._file.write(part)
        self.offset += len(record) + FRAMING_BYTES
        return offset

    def flush(self) -> None:
        """Hands all that was written to the file system, as far as the file system does that before closing."""
        self._file.flush()
