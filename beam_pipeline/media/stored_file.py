"""A clip's file as its decoder reads it: more than once, and to its end; a remote one comes to this machine first."""

from __future__ import annotations

import contextlib
import errno
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c

from beam_pipeline.media.task import UnreadFileError

_CHUNK = 1 << 20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_IN_MEMORY = 64 << 20  # bytes; of more, a temporary file is made


@contextlib.contextmanager
def stored_file(path: str, size: int) -> Iterator[tuple[str | BinaryIO, int]]:
    """Gives, while the block runs, what `container.open_container` opens as often as is wanted, and its CRC-32C.

    A store is asked for a file once, from its beginning to its end: a decoder would ask for parts of it again and
    again, and take a connection that breaks for the end of the footage.

    Args:
      path: local, or any Beam file system's URL.
      size: bytes, as the store was listed.

    Raises:
      UnreadFileError: `not_found`; `unreadable` for a disk that can't be read; `network` for a store that can't, for
        now, or whose file has another size by now.
      OSError: there is no room for a temporary file.
    """
    if "://" not in path:
        yield path, _checksum(path)
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        yield cast("BinaryIO", file), _download(path, size, cast("BinaryIO", file))


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Makes errors of the disk or the store that a file is read from what became of its clip.

    Raises:
      UnreadFileError: as `stored_file`.
      OSError: a disk that is written meanwhile is full.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadFileError("not_found", "the file has gone since the store was listed") from error
    except Exception as error:
        if "://" not in path:
            if not isinstance(error, OSError):
                raise
            raise UnreadFileError("unreadable", f"can't be read: {error.strerror or error}") from error
        from beam_pipeline.object_stores import is_of_store

        if not is_of_store(error) or getattr(error, "errno", None) in _DISK_FULL:
            raise
        why = " ".join(str(error).split())[:200]
        raise UnreadFileError("network", f"can't be read from the store: {why}") from error


def _checksum(path: str) -> int:
    with reading(path), Path(path).open("rb") as file:
        return _copy(file)


def _download(path: str, size: int, target: BinaryIO) -> int:
    from beam_pipeline import files  # a local job's decoders never pay for importing Beam

    with reading(path), files.open_for_reading(path) as file:
        there = file.seek(0, io.SEEK_END)
        file.seek(0)
        crc32c = _copy(file, target, min(size, there))  # asked beyond its end, a store is asked once more
    if there != size or target.tell() != size:
        raise UnreadFileError(
            "network", f"{target.tell()} of {there} bytes came from the store, which had listed {size}"
        )
    return crc32c


def _copy(source: BinaryIO, target: BinaryIO | None = None, size: int | None = None) -> int:
    checksum = google_crc32c.Checksum()
    while chunk := source.read(_CHUNK if size is None else min(_CHUNK, size)):
        checksum.update(chunk)
        if size is not None:
            size -= len(chunk)
        if target is not None:
            target.write(chunk)
    return int.from_bytes(checksum.digest(), "big")
