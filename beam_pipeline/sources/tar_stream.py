"""Reads a tar archive as it comes, member by member, without trusting a byte of it.

A reader of its own instead of the standard library's, which keeps every member it has seen, reads long headers of any
length into memory, and in some versions goes round for ever at a negative size. Here a header is 512 bytes, a long name
or a pax header is bounded, and what is read only ever goes forwards.

The format: POSIX.1-2008 (pax), https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html, and GNU tar's
additions, https://www.gnu.org/software/tar/manual/html_node/Standard.html.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.transfer import Stream

_BLOCK = 512
_CHUNK = 1 << 17  # benchmarks/fetch.py: from 64 KiB to 1 MiB it makes no difference
_MAX_PIECE = 1 << 19  # bytes that one chunk may unpack to at a time
_MAX_HEADER = 1 << 20  # of a long name or a pax header
_MAX_REST = 1 << 26  # read behind the end of the archive, for gzip's checksum
# An archive of videos hardly packs at all; one of videos that are all zeros, by no more than zlib's 1,000.
_MAX_EXPANSION, _FREE_EXPANSION = 100, 1 << 30
_REFUSED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7-zip",
    b"Rar!": "rar",
}
_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "link", b"2": "link", b"5": "folder", b"S": "sparse"}
_KINDS |= {b"3": "device", b"4": "device", b"6": "device"}
_OCTAL_RE = re.compile(rb"[0-7]*")
_MAX_SIZE = 1 << 50
_MAX_RECORDS = 1000  # of a pax header
_WITHOUT_DATA = ("link", "folder", "device")  # whatever their size field says, as all readers have it


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive: its name as it stands there, its size in bytes, and its kind.

    Attributes:
      kind: file, folder, link, device, sparse or other.
      pieces: its content, to be taken before the next member is asked for; what is not taken is passed over.
    """

    name: str
    size: int
    kind: str
    pieces: Iterator[memoryview]


def members(stream: Stream) -> Iterator[Member]:
    """Yields the members of a tar archive, plain or packed by gzip, whatever it is called.

    Everything behind the end mark is ignored, as tar does, but for gzip's checksum.

    Raises:
      ClipError: `archive_corrupt`, `unsupported`, `too_large`, and what the stream raises.
    """
    source = _Source(_unpacked(stream))
    name, stated_size, sparse = None, None, False  # of the next member, from headers before its own
    while True:
        header = source.take(_BLOCK)
        if header.count(0) == _BLOCK:
            source.drain(_MAX_REST)
            return
        _check_header(header, is_first=source.position == _BLOCK)
        kind, size = header[156:157], _size(header)
        if kind in (b"L", b"x", b"X"):
            if size > _MAX_HEADER:
                raise _corrupt(f"it has a header of {size} bytes, at most {_MAX_HEADER} are read")
            content = source.take(_padded(size))[:size]
            if kind == b"L":
                name = content
            else:
                pax = _pax(content)
                name = pax.get(b"path", name)
                sparse = sparse or any(key.startswith(b"GNU.sparse.") for key in pax)
                stated_size = _stated_size(pax[b"size"]) if b"size" in pax else stated_size
            continue
        if kind in (b"K", b"g"):  # names of links; a pax header for all members, which can't be about one's content
            source.skip(_padded(size))
            continue
        raw_name = _name(header) if name is None else name
        member_kind = "sparse" if sparse else _KINDS.get(kind, "other")
        if member_kind == "file" and raw_name.endswith(b"/"):  # how tar wrote folders before there was a kind for them
            member_kind = "folder"
        if member_kind in _WITHOUT_DATA:
            size = 0
        elif stated_size is not None:
            size = stated_size
        if kind == b"S":
            more = header[482]
            while more:
                more = source.take(_BLOCK)[504]
        pieces = source.pieces(size)
        yield Member(raw_name.partition(b"\0")[0].decode(errors="replace"), size, member_kind, pieces)
        for _ in pieces:
            pass
        source.skip(_padded(size) - size)
        name, stated_size, sparse = None, None, False


class _Source:
    """The bytes of an unpacked archive, taken in parts of any length."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.position = 0  # bytes taken

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Yields the next `count` bytes as they come, without copying them."""
        while count:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    raise _corrupt("it ends before its end mark: a part of it is missing")
            piece = self._rest[:count]
            self._rest = self._rest[len(piece) :]
            self.position += len(piece)
            count -= len(piece)
            yield piece

    def take(self, count: int) -> bytes:
        """Returns the next `count` bytes in one."""
        return b"".join(self.pieces(count))

    def skip(self, count: int) -> None:
        """Passes over `count` bytes."""
        for _ in self.pieces(count):
            pass

    def drain(self, limit: int) -> None:
        """Takes what there still is, up to about a limit."""
        while limit > 0 and (chunk := next(self._chunks, b"")):
            limit -= len(chunk)


def _unpacked(stream: Stream) -> Iterator[bytes]:
    """Yields the bytes of a file, unpacked if it is packed by gzip, in chunks that are not empty."""
    start = _at_least(stream, b"", 6)
    if start.startswith(b"\x1f\x8b"):
        yield from _inflated(stream, start)
        return
    for magic, method in _REFUSED.items():
        if start.startswith(magic):
            raise ClipError("unsupported", f"it is packed by {method}; plain tar and gzip are read")
    while start:
        yield start
        start = stream.read(_CHUNK)


def _inflated(stream: Stream, data: bytes) -> Iterator[bytes]:
    """Yields what gzip packed, one gzip member after another; what follows them and is none is ignored."""
    unpacked = 0
    while data.startswith(b"\x1f\x8b"):
        inflate = zlib.decompressobj(wbits=31)
        while not inflate.eof:
            data = data or stream.read(_CHUNK)
            try:
                piece = inflate.decompress(data, _MAX_PIECE)
            except zlib.error as error:
                raise _corrupt(f"gzip: {str(error).rpartition(': ')[2]}") from error
            if piece:
                unpacked += len(piece)
                if unpacked > _FREE_EXPANSION + _MAX_EXPANSION * stream.position:
                    raise ClipError("too_large", f"it unpacks to more than {_MAX_EXPANSION} times its size")
                yield piece
            elif not data and not inflate.eof:
                raise _corrupt("it ends in the middle of its gzip data: a part of it is missing")
            data = inflate.unconsumed_tail
        data = _at_least(stream, inflate.unused_data, 2)


def _at_least(stream: Stream, data: bytes, count: int) -> bytes:
    """Returns data with as much more as makes it `count` bytes or the end of the file."""
    while len(data) < count and (more := stream.read(_CHUNK)):
        data += more
    return data


def _check_header(header: bytes, is_first: bool) -> None:
    stated = _octal(header[148:156])
    unsigned = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if stated == unsigned:
        return
    high = sum(byte > 127 for byte in header) - sum(byte > 127 for byte in header[148:156])
    if stated != unsigned - 256 * high:  # some old tars took bytes for signed
        raise _corrupt("it is no tar archive" if is_first else "the checksum of a header is wrong")


def _size(header: bytes) -> int:
    field = header[124:136]
    if field[0] == 0x80:  # GNU's, for 8 GiB and more
        return _sane(int.from_bytes(field[1:], "big"))
    size = _octal(field)
    if size is None:
        raise _corrupt("a header states a size that is no number, or a negative one")
    return size


def _octal(field: bytes) -> int | None:
    digits = field.partition(b"\0")[0].strip(b" ")
    return int(digits or b"0", 8) if _OCTAL_RE.fullmatch(digits) else None


def _stated_size(value: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,19}", value):
        raise _corrupt("a pax header states a size that is no number, or a negative one")
    return _sane(int(value))


def _sane(size: int) -> int:
    if size > _MAX_SIZE:
        raise _corrupt(f"a header states a size of more than {_MAX_SIZE} bytes")
    return size


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _pax(content: bytes) -> dict[bytes, bytes]:
    """Returns the records of a pax header, each `LENGTH KEY=VALUE` and the end of a line."""
    records: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(content) and content[at]:
        digits, space, _ = content[at : at + 8].partition(b" ")
        end = at + int(digits) if space and digits.isdigit() else 0
        key, equals, value = content[at + len(digits) + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n") or end > len(content) or len(records) == _MAX_RECORDS:
            raise _corrupt("a pax header is malformed")
        records.append((key, value[:-1]))
        at = end
    return dict(records)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _corrupt(detail: str) -> ClipError:
    return ClipError("archive_corrupt", detail)
