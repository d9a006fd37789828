"""A Beam file system with the manners of an object store, `objects://…`, whose objects are files under $OBJECTS.

An object appears when it is closed, what is missing raises an exception of the store's own, and
nothing works in a process to which nobody gave the pipeline's options.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

SCHEME = "objects://"


class NoSuchObjectError(Exception):
    """As Google's and Amazon's clients have theirs, which are no OSErrors."""


class _Upload(io.BytesIO):
    def __init__(self, path: Path):
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(self.getvalue())
        super().close()


class ObjectFiles(FileSystem):
    """Objects as files under the folder that the environment names."""

    def __init__(self, pipeline_options: Any):
        super().__init__(pipeline_options)
        if pipeline_options is None:
            raise ValueError("this process was given no pipeline options")

    @classmethod
    def scheme(cls) -> str:
        return "objects"

    def has_dirs(self) -> bool:
        return False

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        raise AssertionError("object stores have no folders")

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        root = _file("")
        for path in sorted(root.rglob("*")):
            name = f"{SCHEME}{path.relative_to(root).as_posix()}"
            if path.is_file() and name.startswith(dir_or_prefix):
                yield FileMetadata(name, path.stat().st_size, 0)

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> BinaryIO:
        return _Upload(_file(path))

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> BinaryIO:
        if not self.exists(path):
            raise NoSuchObjectError(path)
        return io.BytesIO(_file(path).read_bytes())

    def copy(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            with self.create(destination) as file:
                file.write(self.open(source).read())

    def rename(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        return _file(path).is_file()

    def size(self, path: str) -> int:
        return _file(path).stat().st_size

    def last_updated(self, path: str) -> float:
        return 0

    def checksum(self, path: str) -> str:
        raise NotImplementedError

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path), 0)

    def delete(self, paths: Sequence[str]) -> None:
        if missing := [path for path in paths if not self.exists(path)]:
            raise BeamIOError("can't delete", {path: NoSuchObjectError(path) for path in missing})
        for path in paths:
            _file(path).unlink()


def _file(path: str) -> Path:
    return Path(os.environ["OBJECTS"], path.removeprefix(SCHEME))
