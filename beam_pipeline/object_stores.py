"""Remote files through Beam's own clients of object stores, one a process and store.

Beam's file systems make a client for every call, which costs S3 0.1–0.3 s of CPU and Google a new connection and a
question about the bucket (benchmarks/object_stores.py); they take names for patterns (deleting `gs://b/a[1]` deletes
`a1`), and rename in batches, whose failures get lost. The clients behind them do none of that, and are used here
directly. Any other file system of Beam's is used as it is.
"""

from __future__ import annotations

import copy
import io
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

# Of botocore, which tries three times by default: too few for a store that throttles. With these a call fails for good
# after one or two minutes, as with Google's client.
_S3_ATTEMPTS = "12"
_S3_BUFFER_BYTES = 128 << 10  # as Beam's; it sends parts of 5 MB
_COPY_BYTES = 1 << 20


class RemoteFiles(Protocol):
    """What is asked of a store; paths are whole URLs, taken literally. Each has exceptions of its own."""

    def open(self, filename: str, mode: str) -> BinaryIO:
        """Opens for reading (`rb`) or writing (`wb`); what is written appears when it is closed."""

    def put(self, source: BinaryIO, path: str) -> None:
        """Writes what is left of an open file, whole or not at all, in place of what is there."""

    def list_files(self, path: str) -> Iterator[tuple[str, int]]:
        """Yields path and size in bytes of all files whose paths begin so."""

    def size(self, path: str) -> int:
        """Returns a file's size in bytes."""

    def checksum(self, path: str) -> str | None:
        """Returns what changes when the file does, if the store has it."""

    def rename(self, src: str, dest: str) -> None:
        """Renames a file, replacing what is there."""

    def delete(self, path: str) -> None:
        """Deletes a file; that there is none is no error."""


def remote_files(path: str) -> RemoteFiles:
    """Returns the client of the store that a URL is of, for one file: readers keep a connection of their own.

    Raises:
      OSError: no file system of Beam's is for such URLs, or what it needs is not installed.
    """
    scheme = path.partition("://")[0]
    if scheme not in _NEW_CLIENTS:
        try:
            FileSystems.get_filesystem(path)
        except ValueError as error:
            raise OSError(f"{path}: no file system of Beam's that is installed is for {scheme}://") from error
        return _BeamFiles()
    options = FileSystems._pipeline_options or RuntimeValueProvider.runtime_options
    with _lock:
        known = _clients.get(scheme)
        if known is None or known[0] is not options:
            known = _clients[scheme] = (options, _new_client(scheme, options or PipelineOptions([])))
    client = known[1]
    if scheme == "s3":
        client = copy.copy(client)
        client.client = copy.copy(client.client)  # which a reader's connection is kept in; boto's below it is shared
    return client


def is_missing(error: BaseException, path: str) -> bool:
    """Whether an exception of a store says that there is no such file."""
    if isinstance(error, FileNotFoundError):
        return True
    if path.startswith(("gs://", "s3://")):
        return getattr(error, "code", None) == 404
    return not FileSystems.exists(path)


def is_of_store(error: BaseException) -> bool:
    """Whether an exception is one of a disk or of a store, whose own are no `OSError`s."""
    return isinstance(error, OSError) or type(error).__module__.startswith(_OF_STORES)


_OF_STORES = ("apache_beam.io.", "google.", "boto", "s3transfer.", "azure.", "requests.", "urllib3.", "http.client")
_lock = threading.Lock()
_clients: dict[str, tuple[Any, Any]] = {}  # by scheme: pipeline options, client


def _new_client(scheme: str, options: Any) -> Any:
    try:
        return _NEW_CLIENTS[scheme](options)
    except ImportError as error:
        extra = {"gs": "dataflow", "s3": "aws"}[scheme]
        raise OSError(f"{scheme}:// needs packages that are not installed: pip install '.[{extra}]'") from error


def _new_google(options: Any) -> Any:
    from apache_beam.io.gcp.gcsio import GcsIO, parse_gcs_path

    class Google(GcsIO):
        def put(self, source: BinaryIO, path: str) -> None:
            bucket, name = parse_gcs_path(path)
            begin = source.tell()
            size = source.seek(0, os.SEEK_END) - begin  # what is small goes in one call, where its size is known
            source.seek(begin)
            blob = self.client.bucket(bucket).blob(name)
            blob.upload_from_file(source, size=size, retry=self._storage_client_retry)

    return Google(pipeline_options=options)


def _new_amazon(options: Any) -> Any:
    import boto3  # noqa: F401 - without it, Beam's client says so in an assertion
    from apache_beam.io.aws.s3io import S3IO, S3Uploader, parse_s3_path
    from apache_beam.io.filesystemio import UploaderStream

    class Uploader(S3Uploader):
        """Takes an empty file, too, and what has failed has failed: closing it doesn't bring it up once more."""

        def put(self, data: memoryview) -> None:
            if self.last_error is not None:
                raise self.last_error
            super().put(data)

        def finish(self) -> None:
            if self.last_error is not None:
                raise self.last_error
            if not self.parts and not self.buffer:
                self._write_to_s3(b"")
            super().finish()

    class Amazon(S3IO):
        def open(self, filename: str, mode: str) -> BinaryIO:
            if mode == "rb":
                return super().open(filename, mode)
            return io.BufferedWriter(UploaderStream(Uploader(self.client, filename)), _S3_BUFFER_BYTES)

        def put(self, source: BinaryIO, path: str) -> None:
            bucket, key = parse_s3_path(path)
            self.client.client.put_object(Bucket=bucket, Key=key, Body=source)

    os.environ.setdefault("AWS_MAX_ATTEMPTS", _S3_ATTEMPTS)
    logging.getLogger().addFilter(_is_not_of_s3io)
    return Amazon(options=options)


def _is_not_of_s3io(record: logging.LogRecord) -> bool:
    """Of what it raises, Beam's S3 client says to the root logger that there is an error 3."""
    return record.module != "s3io"


_NEW_CLIENTS = {"gs": _new_google, "s3": _new_amazon}


class _BeamFiles:
    """Any file system of Beam's."""

    def open(self, filename: str, mode: str) -> BinaryIO:
        opening = FileSystems.create if mode == "wb" else FileSystems.open
        return opening(filename, compression_type=CompressionTypes.UNCOMPRESSED)

    def put(self, source: BinaryIO, path: str) -> None:
        file = self.open(path, "wb")
        try:
            with file:
                shutil.copyfileobj(source, file, _COPY_BYTES)
        except BaseException as error:  # closing what was written of it may have made a file of that
            try:
                self.delete(path)
            except Exception:
                raise OSError(
                    f"{path}: may be a part of a file only: delete it before the next run ({error})"
                ) from error
            raise

    def list_files(self, path: str) -> Iterator[tuple[str, int]]:
        for result in FileSystems.match([f"{path}**"]):
            for metadata in result.metadata_list:
                yield metadata.path, metadata.size_in_bytes

    def size(self, path: str) -> int:
        return FileSystems.get_filesystem(path).size(path)

    def checksum(self, path: str) -> str | None:
        return FileSystems.checksum(path)

    def rename(self, src: str, dest: str) -> None:
        FileSystems.rename([src], [dest])

    def delete(self, path: str) -> None:
        try:
            FileSystems.delete([path])
        except OSError:
            if FileSystems.exists(path):
                raise
