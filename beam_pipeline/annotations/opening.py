"""Opening an annotation list, wherever it is and zipped or not, and saying what a file is that is none."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from beam_pipeline import files
from beam_pipeline.clips import VIDEO_ID_RE
from beam_pipeline.errors import RequestError
from beam_pipeline.object_stores import is_of_store

BOM = "\ufeff"
MAX_LINE_BYTES = 1 << 20  # a line of an annotation list has some 50 bytes; this bounds what a zip bomb can cost
HEAD_BYTES = 1 << 18  # what formats are recognised from: K600's listing names its 600 classes before its first clip
_BUFFER_BYTES = 1 << 18

EXPECTED = (
    "expected an annotation list: a table with a header line such as label,youtube_id,time_start,time_end,split, a "
    "listing of folders of clips, or JSON of the form {id: {annotations: {label, segment}, subset}}; "
    "docs/annotations.md shows each"
)


class AnnotationError(RequestError):
    """A file that can't be read or is no annotation list; names the file, what was found and what is expected."""


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a file on any Beam file system for reading, unzipped where its first bytes are gzip's, as a context.

    Raises:
      AnnotationError: the file can't be opened or, while the context lasts, can't be read.
    """
    try:
        file = files.open_for_reading(path)
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
    except FileNotFoundError as error:
        raise AnnotationError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise AnnotationError(f"{path}: is a folder; name a file") from error
    except Exception as error:  # each file system raises exceptions of its own
        raise AnnotationError(f"{path} can't be read: {_reason(error)}") from error
    with file:
        try:
            # Some file systems' readers have no buffer, and would read a line byte by byte.
            buffered = io.BufferedReader(file, _BUFFER_BYTES)  # type: ignore[type-var]  # a BinaryIO that has readinto
            yield gzip.GzipFile(fileobj=buffered) if zipped else buffered  # type: ignore[misc]  # a BinaryIO but in name
        except Exception as error:
            if not is_of_store(error) and not isinstance(error, (EOFError, zlib.error)):
                raise
            raise AnnotationError(f"{path} can't be read to its end: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def base_name(path: str) -> str:
    """Returns the last part of a path on any file system."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def read_head(stream: BinaryIO) -> bytes:
    """Returns the first `HEAD_BYTES` bytes of a stream, which stands at its beginning before and after."""
    head = bytearray()
    while len(head) < HEAD_BYTES and (block := stream.read(HEAD_BYTES - len(head))):
        head += block
    stream.seek(0)
    return bytes(head)


def numbered_lines(stream: BinaryIO, path: str) -> Iterator[tuple[int, str]]:
    """Yields (1-based number, line with its end) of a stream of text.

    Bytes that are not UTF-8 come as surrogateescape's characters, so that a line encodes to the very bytes it was.

    Raises:
      AnnotationError: a line is longer than `MAX_LINE_BYTES`.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES:
            raise AnnotationError(
                f"{path} line {number} has {MAX_LINE_BYTES} bytes or more, which no line of an annotation list has; "
                f"{EXPECTED}"
            )
        yield number, line.decode("utf-8", "surrogateescape")


def decoded(head: bytes) -> str:
    """Returns the beginning of a file as text without a byte order mark, a line cut off at its end left out."""
    if len(head) >= HEAD_BYTES and b"\n" in head:
        head = head[: head.rindex(b"\n") + 1]
    return head.decode("utf-8", "surrogateescape").removeprefix(BOM)


def no_list(path: str, head: bytes) -> AnnotationError:
    """Returns the error for a file that is no annotation list: says what it looks like instead."""
    return AnnotationError(f"{path} {looks_like(head)}; {EXPECTED}")


_SIGNATURES = {
    b"\x1f\x8b": "is gzip inside gzip: unzip it once",
    b"PK\x03\x04": "is a zip archive or a spreadsheet: unpack it, or export it as CSV",
    b"BZh": "is compressed with bzip2, and only gzip is read: decompress it",
    b"\xfd7zXZ": "is compressed with xz, and only gzip is read: decompress it",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd, and only gzip is read: decompress it",
    b"PAR1": "is a Parquet file: export it as CSV",
    b"\xff\xfe": "is UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8",
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself: run git lfs pull",
}
_TAR_MAGIC = (257, b"ustar")
_NUMBER_RE = re.compile(r"\d+(\.\d+)?")


def looks_like(head: bytes) -> str:
    """Returns what a file that is no annotation list looks like from its beginning, as a phrase after its name."""
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        return "is empty"
    for signature, phrase in _SIGNATURES.items():
        if head.startswith(signature):
            return phrase
    offset, magic = _TAR_MAGIC
    if head.startswith(magic, offset):
        return "is a tar archive: unpack it and name the list inside"
    if b"\0" in head:
        return "is a binary file"
    if b"\r" in head and b"\n" not in head:
        return "has carriage returns for line ends, as on a classic Mac: convert them to line feeds"
    lines = [line.strip() for line in decoded(head).splitlines() if line.strip()][:20]
    return _looks_like_text(lines)


def _looks_like_text(lines: list[str]) -> str:
    first = lines[0]
    if re.match(r"<!doctype html|<html", first, re.IGNORECASE):
        return "is a web page, perhaps a download's error message"
    if first.startswith("<"):
        return "is XML, perhaps a download's error message"
    if first.startswith("["):
        return "begins with '[', which no known annotation list does"
    if all(re.match(r"(https?|s3|gs)://", line) for line in lines):
        return "is a list of URLs"
    if all(len(line) == 11 and VIDEO_ID_RE.fullmatch(line) for line in lines):
        return "is a list of video ids without times"
    fields = [field.strip() for field in first.split(",")]
    if len(fields) in (2, 7) and VIDEO_ID_RE.fullmatch(fields[0]) and all(map(_NUMBER_RE.fullmatch, fields[1:])):
        return "looks like AVA-Kinetics' boxes, which have key frames but no clips and no header line"
    if sum(bool(_NUMBER_RE.fullmatch(field)) for field in fields) >= 2:
        return f"has no header line: its first line is {first[:100]!r}"
    if re.fullmatch(r"\S+[ ,\t]\d+", first):
        return f"is a list of files or names with numbers: its first line is {first[:100]!r}"
    if re.fullmatch(r"\S+( \d+){2,}", first):
        return f"is mmaction2's list of folders, which docs/flow.md makes a table of: it begins with {first[:100]!r}"
    if not re.search("[,;\t]", first):
        return f"is a list of names or plain text: its first line is {first[:100]!r}"
    return f"has no header line that names the columns: its first line is {first[:100]!r}"
