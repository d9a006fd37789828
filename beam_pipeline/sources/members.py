"""Puts clips into a folder of the store, each of which appears when it is whole and on the disk, and not before."""

from __future__ import annotations

import itertools
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from beam_pipeline import files
from beam_pipeline.store import FETCH_DIR, StoredFile

_IN_MEMORY = 1 << 24  # bytes of a clip on its way to an object store; more goes over a temporary file
_PUBLISHERS = 4  # wait for disks and object stores while the next clips are read


def sizes_in(store: str, folder: str) -> dict[str, int]:
    """Returns the size in bytes of each file right in a folder of the store, by name."""
    path = files.join(store, *folder.split("/"))
    if files.is_local(path):
        try:
            with os.scandir(path) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except FileNotFoundError:
            return {}
    return {name: size for name, size in files.walk(path) if "/" not in name}


class FolderWriter:
    """Writes files into one folder of a store, through `.fetch/` or, to an object store, in one go.

    Threads put what was written on the disk and then under its name, so that neither a kill nor a power failure leaves
    a part of a clip there.

    Args:
      store: the store.
      folder: a path in it.
      publishers: the threads.
    """

    def __init__(self, store: str, folder: str, publishers: ThreadPoolExecutor):
        self._store = store
        self._folder = folder
        self._publishers = publishers
        self._temporaries = (
            Path(store, FETCH_DIR, f"{uuid.uuid4().hex}-{number}.part") for number in itertools.count()
        )
        if files.is_local(store):
            Path(store, FETCH_DIR).mkdir(parents=True, exist_ok=True)
            Path(store, folder).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, pieces: Iterable[memoryview]) -> Future[StoredFile]:
        """Writes a file of the given content; it is in the store when the future is done.

        Raises:
          OSError: the disk is full, or broken; so may the future.
        """
        if files.is_local(self._store):
            return self._write_local(name, pieces)
        spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - a publisher closes it
        try:
            for piece in pieces:
                spool.write(piece)
        except BaseException:
            spool.close()
            raise
        return self._publishers.submit(self._upload, spool, name)

    def _write_local(self, name: str, pieces: Iterable[memoryview]) -> Future[StoredFile]:
        temporary = next(self._temporaries)
        file = temporary.open("xb", buffering=0)
        try:
            for piece in pieces:
                while piece:
                    piece = piece[file.write(piece) :]
            return self._publishers.submit(self._publish, file, temporary, name)
        except BaseException:
            _discard(file, temporary)
            raise

    def _publish(self, file: IO[bytes], temporary: Path, name: str) -> StoredFile:
        try:
            os.fsync(file.fileno())
            size = file.tell()
            file.close()
            temporary.replace(Path(self._store, self._folder, name))
        except BaseException:
            _discard(file, temporary)
            raise
        return StoredFile(f"{self._folder}/{name}", size)

    def _upload(self, spool: IO[bytes], name: str) -> StoredFile:
        with spool:
            size = spool.tell()
            spool.seek(0)
            files.upload(cast("BinaryIO", spool), files.join(self._store, *self._folder.split("/"), name))
        return StoredFile(f"{self._folder}/{name}", size)

    def sync(self) -> None:
        """Puts the names of what was written on the disk, too."""
        if files.is_local(self._store):
            for folder in (Path(self._store, self._folder), *Path(self._store, self._folder).parents):
                if not folder.is_relative_to(self._store):
                    break
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


@contextmanager
def folder_writer(store: str, folder: str) -> Iterator[FolderWriter]:
    """Gives a writer while the block runs; at its end, whatever the reason, everything written is published."""
    with ThreadPoolExecutor(_PUBLISHERS, "publish") as publishers:
        yield FolderWriter(store, folder, publishers)


def _discard(file: IO[bytes], temporary: Path) -> None:
    with suppress(OSError):
        file.close()
    with suppress(OSError):
        temporary.unlink()
