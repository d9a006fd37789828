"""Files that appear whole or not at all, on any Beam file system.

Paths are taken literally: no character of a folder's name is a pattern, which `FileSystems.match` and `delete` would
make of it.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_pipeline.object_stores import is_missing, remote_files


def is_local(path: str) -> bool:
    """Whether a path is one of this machine's, not a URL such as `gs://…`."""
    return "://" not in path


def join(folder: str, *parts: str) -> str:
    """Returns a path below a folder, on the folder's file system."""
    if is_local(folder):
        return os.path.join(folder, *parts)  # noqa: PTH118 - pathlib would rewrite the folder: ./a, a//b
    return "/".join((folder.rstrip("/"), *parts))


def create(path: str) -> BinaryIO:
    """Opens a new file for writing, making its folders; what is there is replaced."""
    if is_local(path):
        return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return remote_files(path).open(path, "wb")


def open_for_reading(path: str) -> BinaryIO:
    """Opens a file as it is: no suffix makes Beam decompress it. Raises `FileNotFoundError`."""
    if is_local(path):
        return Path(path).open("rb")
    store = remote_files(path)
    try:
        return store.open(path, "rb")
    except Exception as error:  # every store has an exception of its own for what is not there
        if is_missing(error, path):
            raise FileNotFoundError(path) from error
        raise


def publish(temporary: str, path: str) -> None:
    """Renames a finished temporary to its final name, replacing what is there. A local one is first put on the disk."""
    if not is_local(path):
        remote_files(path).rename(temporary, path)
        return
    with Path(temporary).open("rb") as file:
        os.fsync(file.fileno())
    FileSystems.rename([temporary], [path])


def upload(source: BinaryIO, path: str) -> None:
    """Writes what is left of an open file to an object store, whole or not at all.

    Raises:
      Exception: the store's own, or `source`'s; `OSError` where a part is there now that can't be deleted either.
    """
    remote_files(path).put(source, path)


def write_whole(path: str, content: bytes) -> None:
    """Writes a small file so that readers see the old content or the new, never a part."""
    if not is_local(path):
        upload(io.BytesIO(content), path)
        return
    # Containers that share a disk may have the same process ids.
    temporary = Path(path).with_name(f".{Path(path).name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # some file systems would else rename an empty file when the power fails
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that `write_whole` uses while it writes."""
    return name.startswith(".") and name.endswith(".tmp")


def read_whole(path: str) -> bytes | None:
    """Returns a file's content, or None where there is none."""
    try:
        with open_for_reading(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def size(path: str) -> int | None:
    """Returns a file's size in bytes, or None where there is none."""
    if is_local(path):
        return Path(path).stat().st_size if Path(path).is_file() else None
    store = remote_files(path)
    try:
        return store.size(path)
    except Exception as error:
        if is_missing(error, path):
            return None
        raise


def delete(path: str) -> None:
    """Deletes a file; that there is none is no error."""
    if is_local(path):
        Path(path).unlink(missing_ok=True)
    else:
        remote_files(path).delete(path)


def walk(url: str) -> Iterator[tuple[str, int]]:
    """Yields path and size in bytes of every file below a remote folder, at any depth, as paths within it."""
    root = url.rstrip("/") + "/"
    for path, bytes_ in remote_files(root).list_files(root):
        yield path.removeprefix(root), bytes_


def names(folder: str) -> Iterator[str]:
    """Yields the names of the files right in a folder, in order; none where there is no folder."""
    if is_local(folder):
        if Path(folder).is_dir():
            yield from sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        return
    yield from sorted(name for name, _ in walk(folder) if name and "/" not in name)
