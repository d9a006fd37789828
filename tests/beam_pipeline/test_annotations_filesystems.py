"""Lists are read and written on any Beam file system."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems

from beam_pipeline.annotations import AnnotationError, read_rows
from beam_pipeline.filtering import filter_annotations
from beam_pipeline.labels import read_class_list, read_label_list

stored: dict[str, bytes] = {}
requests: list[int] = []  # the sizes of reads
LIST = b"label,youtube_id,time_start,time_end,split\nyoga,abcdefghijk,1,11,val\nx,abcdefghijk,2,12,val\n"


class _Upload(io.BytesIO):
    """An object that appears when it is closed, as in an object store."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            stored[self._path] = self.getvalue()
        super().close()


class _Download(io.RawIOBase):
    """An object's bytes, unbuffered, some at a time."""

    def __init__(self, content: bytes):
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._content.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        requests.append(len(buffer))
        return self._content.readinto(memoryview(buffer)[:1000])


class ObjectStore(FileSystem):
    """A store of objects in memory, named memory://…"""

    @classmethod
    def scheme(cls) -> str:
        return "memory"

    def has_dirs(self) -> bool:
        return False

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        pass

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for path, content in stored.items():
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, len(content), 0)

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> io.BytesIO:
        return _Upload(path)

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> io.RawIOBase:
        if path not in stored:
            raise RuntimeError(f"404 {path}")  # stores have exceptions of their own
        return _Download(stored[path])

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            stored[destination] = stored[source]

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        return path in stored

    def size(self, path: str) -> int:
        return len(stored[path])

    def last_updated(self, path: str) -> float:
        return 0.0

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, len(stored[path]), 0)

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            del stored[path]


@pytest.fixture(autouse=True)
def empty_store() -> Iterator[None]:
    stored.clear()
    yield
    stored.clear()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_list_is_read_from_an_object_store(zipped: bool) -> None:
    stored["memory://bucket/lists/val.csv"] = gzip.compress(LIST) if zipped else LIST
    rows = list(read_rows("memory://bucket/lists/val.csv"))
    assert [(row.label, row.source, row.line) for row in rows] == [("yoga", "val.csv", 2), ("x", "val.csv", 3)]


def test_a_long_list_is_read_whole_from_an_object_store() -> None:
    stored["memory://bucket/val.csv"] = LIST + b"x,abcdefghijk,2,12,val\n" * 30_000
    requests.clear()
    assert sum(1 for _ in read_rows("memory://bucket/val.csv")) == 30_002
    assert len(requests) < 3_000, "a store must not be asked for single lines or bytes"


def test_a_missing_object_is_named() -> None:
    with pytest.raises(AnnotationError, match=r"memory://bucket/none\.csv: there is no such file"):
        list(read_rows("memory://bucket/none.csv"))


def test_label_and_class_lists_are_read_from_an_object_store() -> None:
    stored["memory://bucket/names.txt"] = b"yoga\nx\n"
    assert read_label_list("memory://bucket/names.txt") == ("yoga", "x")
    assert read_class_list("memory://bucket/names.txt") == ("yoga", "x")


def test_a_list_is_filtered_within_an_object_store() -> None:
    stored["memory://bucket/val.csv"] = LIST
    filter_annotations(["yoga"], "memory://bucket/val.csv", "memory://bucket/yoga.csv")
    assert stored == {
        "memory://bucket/val.csv": LIST,
        "memory://bucket/yoga.csv": b"".join(LIST.splitlines(keepends=True)[:2]),
    }


def test_the_store_is_one_of_beams() -> None:
    assert isinstance(FileSystems.get_filesystem("memory://bucket/x"), ObjectStore)
