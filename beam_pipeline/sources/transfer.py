"""Reads a file from its beginning to its end, wherever it is: on a web server, this machine or a Beam file system.

A connection that breaks goes on where it was, as long as the server still has the same file.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests
from requests.utils import requote_uri
from urllib3.exceptions import HTTPError

from beam_pipeline import files, pool
from beam_pipeline.clips import ClipError
from beam_pipeline.object_stores import remote_files
from beam_pipeline.sources.pace import Backoff
from beam_pipeline.web import is_url, message_of, retry_after_s, without_secrets

_log = logging.getLogger(__name__)
_MAX_REDIRECTS = 5
_POLL_S = 0.2
_PROGRESS_BYTES = 1 << 16  # less than this between two failures is none
_FINAL = (
    requests.exceptions.InvalidSchema,  # a redirect to ftp:, file: and the like
    requests.exceptions.InvalidURL,
    requests.exceptions.TooManyRedirects,
)


class SourceChangedError(Exception):
    """The server has another file now: what was read of the old one has no end any more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may take: seconds to connect, seconds in silence, bytes a second, and failures in a row.

    Waits between tries double from `first_wait_s`, with jitter, unless the server says how long it wants to be left
    alone.
    """

    connect_s: float = 15.0
    silence_s: float = 20.0
    min_bytes_per_s: float = 1024.0
    tries: int = 8
    first_wait_s: float = 1.0


class Stream(Protocol):
    """A file that is read once, forwards.

    Attributes:
      size: in bytes; None where the server doesn't tell.
      etag: changes when the file does; empty where nothing tells.
      position: bytes read.
    """

    size: int | None
    etag: str
    position: int

    def read(self, count: int) -> bytes:
        """Returns 1 to `count` bytes, nothing at the end.

        Raises:
          ClipError: it can't be read on; `not_attempted` where the run was stopped.
          SourceChangedError: it is another file now.
        """
        ...


@contextmanager
def open_stream(
    url: str, stopping: threading.Event = pool.stopping, patience: Patience | None = None
) -> Iterator[Stream]:
    """Opens, while the block runs, an http(s) URL, a local path, or a file of any Beam file system (`gs://…`, `s3://…`).

    Args:
      url: may have raw spaces, parentheses and apostrophes; what is quoted stays so.
      stopping: ends waits and reads once it is set.
      patience: with a web server.

    Raises:
      ClipError: `not_found`, `removed`, `rate_limited`, `network`, `not_attempted`.
    """
    if not is_url(url):
        with closing(_FileStream(url, stopping)) as file:
            yield file
        return
    with closing(_HttpStream(url, stopping, patience or Patience())) as stream:
        stream.open()
        yield stream


class _FileStream:
    """A file on this machine or of a Beam file system, which tries again by itself."""

    def __init__(self, path: str, stopping: threading.Event):
        self.size: int | None = None
        self.etag = ""
        self.position = 0
        self._path = path
        self._stopping = stopping
        try:
            if files.is_local(path) and not Path(path).is_file():  # a fifo would never end
                raise FileNotFoundError(path)
            self._file = files.open_for_reading(path)
            self.size = files.size(path)
            if files.is_local(path):
                self.etag = f"{self.size:x}-{Path(path).stat().st_mtime_ns:x}"
            else:
                with suppress(Exception):  # not every file system has them
                    self.etag = str(remote_files(path).checksum(path) or "")
        except FileNotFoundError as error:
            raise ClipError("not_found", f"{without_secrets(path)}: no such file") from error
        except Exception as error:  # every file system has its own
            raise _broken(path, error) from error

    def read(self, count: int) -> bytes:
        _check(self._stopping)
        try:
            data = self._file.read(count)
        except Exception as error:
            raise _broken(self._path, error) from error
        self.position += len(data)
        return data

    def close(self) -> None:
        self._file.close()


class _HttpStream:
    """A web server's file, over as many connections as it takes."""

    def __init__(self, url: str, stopping: threading.Event, patience: Patience):
        self.size: int | None = None
        self.etag = ""
        self.position = 0
        self._url = requote_uri(url)
        self._shown = without_secrets(url)
        self._stopping = stopping
        self._patience = patience
        self._backoff = Backoff(patience.first_wait_s)
        self._session = requests.Session()
        self._session.max_redirects = _MAX_REDIRECTS
        self._response: requests.Response | None = None
        self._modified = ""
        self._skip = 0  # bytes that come again, since the server knows no ranges
        self._ended = False
        self._failures = 0
        self._failed_at = 0
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="stop-reading", daemon=True).start()

    def open(self) -> None:
        """Asks for the file, so that what is not there is known before anything is read."""
        while self._response is None:
            self._try(self._connect)

    def read(self, count: int) -> bytes:
        while not self._ended and self.position != self.size:
            if self._response is None:
                self._try(self._connect)
            elif data := self._try(lambda: self._receive(count)):
                return data
        return b""

    def _try(self, step: Callable[[], bytes | None]) -> bytes:
        """Takes a step; whatever breaks the connection leads to another try, or to a `ClipError`."""
        _check(self._stopping)
        wait_s = None
        try:
            return step() or b""
        except _RefusedError as refused:
            error, wait_s = refused.error, refused.retry_after_s
        except _FINAL as final:
            raise ClipError("network", f"{self._shown}: {_cause(final)}") from final
        except (requests.RequestException, HTTPError, OSError) as broken:
            error = ClipError("network", f"{self._shown}: {_cause(broken)}")
        self._hang_up()
        _check(self._stopping)
        if self.position - self._failed_at >= _PROGRESS_BYTES:
            self._failures = 0
        self._failures += 1
        self._failed_at = self.position
        if self._failures >= self._patience.tries:
            raise error
        pause_s = self._backoff.wait_s(self._failures, wait_s)
        _log.warning("%s; once more in %.0f s", error.detail, pause_s)
        self._stopping.wait(pause_s)
        return b""

    def _connect(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
            if _is_strong(self.etag):
                headers["If-Range"] = self.etag
        response = self._session.get(
            self._url, headers=headers, stream=True, timeout=(self._patience.connect_s, self._patience.silence_s)
        )
        try:
            self._accept(response)
        except BaseException:
            response.close()
            raise
        self._response = response
        self._since, self._since_position = time.monotonic(), 0

    def _accept(self, response: requests.Response) -> None:
        """Takes an answer, if it is the file asked for, from where it was asked for."""
        status = response.status_code
        start, size = 0, _number(response.headers.get("Content-Length"))
        if status in (206, 416) and self.position:
            match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
            size = _number(match[2]) if match else None
            if status == 416:
                if self.size is not None or size != self.position:
                    raise SourceChangedError
                self._ended = True  # the connection broke right at the end, of which nothing had told
                return
            if not match or match[1] is None:
                raise _RefusedError(ClipError("network", f"{self._shown}: HTTP 206 without a Content-Range"))
            start = int(match[1])
        elif status != 200:
            raise self._refusal(response)
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        if not self.position:
            self.size, self.etag, self._modified = size, etag, modified
        elif not self._is_same(etag, modified) or None is not size != self.size is not None:
            raise SourceChangedError
        if start not in (0, self.position):
            raise _RefusedError(ClipError("network", f"{self._shown}: another range than was asked for"))
        self._skip = self.position - start

    def _is_same(self, etag: str, modified: str) -> bool:
        """Whether an answer is of the file that was begun; a 206 to `If-Range` need not tell `Last-Modified` again."""
        if _is_strong(self.etag):
            return etag == self.etag
        return all(not now or not then or now == then for now, then in ((etag, self.etag), (modified, self._modified)))

    def _refusal(self, response: requests.Response) -> Exception:
        status = response.status_code
        line = f"{self._shown}: HTTP {status}"
        if status == 404:
            return ClipError("not_found", line)
        if status == 410:
            return ClipError("removed", line)
        if status == 403:
            return ClipError("network", f"{line}: no access, or no such file (S3 answers so where listing is denied)")
        if status == 429:
            return _RefusedError(ClipError("rate_limited", line), retry_after_s(response.headers))
        if status == 408 or status >= 500:
            return _RefusedError(ClipError("network", line), retry_after_s(response.headers))
        return ClipError("network", line)

    def _receive(self, count: int) -> bytes:
        """Returns what comes next; nothing where it was all skipped, or the end."""
        assert self._response is not None
        data = self._response.raw.read1(count, decode_content=False)
        if not data:
            if self.size is not None:
                raise HTTPError("the answer ends too early")
            self._ended = True
            return b""
        self._check_speed(len(data))
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        data = data[skipped:]
        if self.size is not None and self.position + len(data) > self.size:
            raise SourceChangedError
        self.position += len(data)
        return data

    def _check_speed(self, count: int) -> None:
        """A server that drips hangs as surely as one that is silent."""
        self._since_position += count
        elapsed_s = time.monotonic() - self._since
        if elapsed_s > self._patience.silence_s:
            if self._since_position < elapsed_s * self._patience.min_bytes_per_s:
                raise HTTPError("too slow")
            self._since, self._since_position = time.monotonic(), 0

    def _hang_up(self) -> None:
        if self._response is not None:
            with suppress(Exception):  # it is broken anyway
                self._response.close()
            self._response = None

    def _watch(self) -> None:
        """Ends a read that waits for a silent server when the run is stopped."""
        while not self._closed.wait(_POLL_S):
            if self._stopping.is_set():
                with suppress(Exception):  # there is no connection just now
                    self._response.raw.shutdown()  # type: ignore[union-attr]
                return

    def close(self) -> None:
        self._closed.set()
        self._hang_up()
        self._session.close()


class _RefusedError(Exception):
    """An answer that may be another one later."""

    def __init__(self, error: ClipError, retry_after_s: float | None = None):
        super().__init__(error.detail)
        self.error = error
        self.retry_after_s = retry_after_s


def _check(stopping: threading.Event) -> None:
    if stopping.is_set():
        raise ClipError("not_attempted", "the run was stopped before this was read to its end")


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


def _is_strong(etag: str) -> bool:
    """Whether an ETag promises equal bytes, which weak ones don't."""
    return bool(etag) and not etag.startswith("W/")


def _cause(error: Exception) -> str:
    """Says what broke, the same for the same cause: libraries put addresses of objects into their messages."""
    text = f"{type(error).__name__} {error}".lower()
    for words, cause in _CAUSES:
        if any(word in text for word in words):
            return cause
    return type(error).__name__


_CAUSES = (
    (("toomanyredirects",), f"more than {_MAX_REDIRECTS} redirects"),
    (("invalidschema",), "redirected to something other than http or https"),
    (("invalidurl", "locationparseerror"), "not a URL that can be asked for"),
    (("nameresolution", "gaierror"), "its server's name has no address"),
    (("ssl", "certificate"), "the connection is not secure (TLS)"),
    (("proxy",), "the proxy can't be reached"),
    (("refused",), "the connection was refused"),
    (("timed out", "timeout", "too slow"), "the server stalls"),
    (("reset", "aborted", "broken", "incomplete", "protocol", "early", "shut"), "the connection breaks"),
    (("connection",), "the server can't be reached"),
)


def _broken(path: str, error: Exception) -> ClipError:
    """Says why a file that is there can't be read: a disk's error, or a store's, which may be gone the next time."""
    why = getattr(error, "strerror", None) or message_of(error)[:200]
    return ClipError("network", f"{without_secrets(path)}: can't be read: {why}")
