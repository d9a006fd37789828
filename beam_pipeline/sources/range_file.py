"""A file on a web server that can be read anywhere, of which little more is asked for than is read.

What libavformat needs to cut a section out of a long video: it reads headers and indices here and there, and then one
stretch of packets. What has come is kept, so that nothing comes twice.
"""

from __future__ import annotations

import errno
import io
import re
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.pace import Backoff

# A request asks for the first so many bytes; each that goes on where the one before ended asks for twice as many. So
# what is asked for but not read is never more than was read in one go, nor more than the second.
_FIRST_BLOCK, _LAST_BLOCK = 1 << 16, 1 << 20
# A gap up to this is read through rather than asked around: a request costs more than 32 KiB do.
_READ_THROUGH = 1 << 15
_CHUNK = 1 << 14
TRIES = 4  # in a row without a new byte
_WHOLE, _PARTIAL, _REQUEST_TIMEOUT, _SERVER_ERROR = 200, 206, 408, 500
_CONTENT_RANGE_RE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Response(Protocol):
    """An HTTP answer whose body is read piece by piece."""

    status: int
    headers: Mapping[str, str]

    def read(self, count: int) -> bytes:
        """Returns up to `count` bytes, nothing at the end."""
        ...

    def close(self) -> None:
        """Lets go of the connection."""
        ...


class RangeFile(io.RawIOBase):
    """A seekable binary file for reading; not for several threads. Close it: what has come is kept in a file.

    Reading raises:
      ClipError: `network` where the connection broke, or the server was of no use, several times in a row, or where it
        has another file now, or sends it encoded; `too_large`, `max_bytes` have been received, or the file has more
        and comes only as a whole; `unsupported`, the server has no ranges.
      Exception: what `open_range` raises, after the tries; at once where its `status`, `status_code` or `code`, or that
        of its `response`, is one that another try doesn't change, such as 403, 404, 416 or 429.
      OSError: what has come can't be kept: no space, for instance.

    Attributes:
      size: in bytes; None before the first answer.
      bytes_received: body bytes of all answers so far.
      requests: how often the server was asked.
    """

    def __init__(
        self,
        open_range: Callable[[int, int | None], Response],
        max_bytes: int,
        *,
        name: str = "the video",
        first_wait_s: float = 0.5,
        directory: str | None = None,
    ):
        """Asks for nothing yet.

        Args:
          open_range: asks for the bytes [start, end) of the file, to its end where `end` is None, as the header
            `Range: bytes={start}-{end - 1}` does. It may raise what it likes for what is no answer.
          max_bytes: receives no more than that.
          name: of the file, in messages.
          first_wait_s: before the second try; doubles with each, with jitter.
          directory: where to keep what has come, in a nameless file; the system's for temporary files by default.
        """
        self.size: int | None = None
        self.bytes_received = 0
        self.requests = 0
        self._open_range = open_range
        self._max_bytes = max_bytes
        self._name = name
        self._backoff = Backoff(first_wait_s)
        self._kept = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - closed with this file
        self._begins: list[int] = []  # of what is kept: disjoint stretches in order
        self._ends: list[int] = []
        self._validator: str | None = None
        self._position = 0
        self._response: Response | None = None
        self._at = 0  # what the open answer's next byte is, and where it ends
        self._until = 0
        self._block = _FIRST_BLOCK

    # -- A file -------------------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Returns where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes anywhere; asks the server only for the size, and only from the end."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            if self.size is None:
                self._fetch(0)
            assert self.size is not None
            offset += self.size
        if offset < 0:
            raise ValueError(f"{self._name}: there is nothing before its beginning, at {offset}")
        self._position = offset
        return offset

    def read(self, count: int = -1) -> bytes:
        """Returns 1 to `count` bytes, nothing at the end; all up to the end where `count` is negative."""
        if count < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        if not count or (self.size is not None and self._position >= self.size):
            return b""
        if not (kept := self._kept_from(self._position)):
            self._fetch(self._position)
            kept = self._kept_from(self._position)
        data = self._read_kept(self._position, min(count, kept))
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Reads into a buffer; returns how many bytes, 0 at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Hangs up and drops what has come."""
        if not self.closed:
            self._hang_up()
            self._kept.close()
        super().close()

    # -- What has come ------------------------------------------------------------------------------------------------

    def _kept_from(self, position: int) -> int:
        """Returns how many bytes are kept from a position on."""
        index = bisect_right(self._begins, position) - 1
        return max(0, self._ends[index] - position) if index >= 0 else 0

    def _read_kept(self, position: int, count: int) -> bytes:
        self._kept.seek(position)
        return self._kept.read(count)

    def _keep(self, position: int, data: bytes) -> None:
        self._kept.seek(position)
        view = memoryview(data)
        while view:
            view = view[self._kept.write(view) :]
        begin, end = position, position + len(data)
        low = bisect_right(self._begins, begin)
        if low and self._ends[low - 1] >= begin:
            low -= 1
        high = bisect_right(self._begins, end)
        if low < high:
            begin, end = min(begin, self._begins[low]), max(end, self._ends[high - 1])
        self._begins[low:high], self._ends[low:high] = [begin], [end]

    # -- What comes ---------------------------------------------------------------------------------------------------

    def _fetch(self, position: int) -> None:
        """Receives until the byte at a position is kept, or is known to lie behind the end."""
        failures = 0
        while not self._kept_from(position) and (self.size is None or position < self.size):
            asking = not self._reads_on_to(position)
            try:
                if asking:
                    self._ask(position)
                assert self._response
                data = self._response.read(min(_CHUNK, self._until - self._at))
                if not data:
                    raise ConnectionError("the answer ended early")
            except ClipError:
                self._hang_up()
                raise
            except Exception as error:
                asking = asking and self._response is None
                self._hang_up()
                failures += 1
                if not may_pass(error):
                    raise
                if failures == TRIES:
                    if asking:
                        raise
                    raise ClipError("network", f"{self._name}: the connection broke again and again") from error
                time.sleep(self._backoff.wait_s(failures))
                continue
            if self._take(data):
                failures = 0

    def _reads_on_to(self, position: int) -> bool:
        """Whether the open answer comes to a position soon; one that has the whole file, in time."""
        if self._response is None or not self._at <= position < self._until:
            return False
        return self._response.status == _WHOLE or position - self._at <= _READ_THROUGH

    def _take(self, data: bytes) -> bool:
        """Keeps what has come; returns whether any of it was new."""
        self.bytes_received += len(data)
        if self.bytes_received > self._max_bytes:
            self._hang_up()
            raise self._too_large()
        is_new = self._kept_from(self._at) < len(data)
        self._keep(self._at, data)
        self._at += len(data)
        if self._at >= self._until:
            self._hang_up()
        return is_new

    def _too_large(self) -> ClipError:
        return ClipError("too_large", f"{self._name} takes more than the {self._max_bytes} bytes that are allowed")

    def _leave(self) -> None:
        """Lets go of the open answer; of a little that is left of it, most is on its way, and is taken."""
        data: bytes | None = b""
        while self._response is not None and data is not None and self._until - self._at <= _FIRST_BLOCK:
            try:
                data = self._response.read(min(_CHUNK, self._until - self._at)) or None
            except Exception:
                data = None  # it wasn't needed
            if data:
                self._take(data)
        self._hang_up()

    def _ask(self, position: int) -> None:
        self._leave()
        goes_on = self.size is not None and 0 <= position - self._until <= _READ_THROUGH
        self._block = min(2 * self._block, _LAST_BLOCK) if goes_on else _FIRST_BLOCK
        end = position + min(self._block, self._max_bytes - self.bytes_received)
        if end <= position:
            raise self._too_large()
        following = bisect_right(self._begins, position)
        if following < len(self._begins):
            end = min(end, self._begins[following])
        if self.size is not None:
            end = min(end, self.size)
        self.requests += 1
        response = self._open_range(position, end)
        try:
            self._check(response, position)
        except BaseException:
            response.close()
            raise
        self._response = response

    def _check(self, response: Response, position: int) -> None:
        """Takes from an answer's header what it holds, and whether it is still the same file."""
        check_encoding(response, self._name)
        if response.status == _PARTIAL:
            content_range = content_range_of(response)
            if content_range is None or content_range.first != position:
                raise ClipError("unsupported", f"{self._name}: the server answers with other ranges than are asked for")
            size = content_range.size or self.size or self._size_from(position)
            self._at, self._until = position, min(content_range.end, size)
        elif response.status == _WHOLE:  # it knows no ranges: then through all of the file, as far as is needed
            length = content_length_of(response)
            if length is None:
                raise ClipError("unsupported", f"{self._name}: the server has neither ranges nor a length")
            if length > self._max_bytes:
                raise self._too_large()
            size = length
            self._at, self._until = 0, size
        else:
            raise StatusError(response.status)
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if self.size is None:
            self.size, self._validator = size, validator
        elif (size, validator) != (self.size, self._validator):
            raise ClipError("network", f"{self._name} has changed on the server while it was read")

    def _size_from(self, position: int) -> int:
        """Asks for all from a position on, of which a server that doesn't tell the size at least tells the end."""
        self.requests += 1
        response = self._open_range(position, None)
        response.close()
        content_range = content_range_of(response)
        if content_range is None or content_range.first != position:
            raise ClipError("unsupported", f"{self._name}: the server doesn't tell its size")
        return content_range.end

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class StatusError(Exception):
    """An answer that is no content; `status` says what it is."""

    def __init__(self, status: int):
        super().__init__(f"HTTP {status}")
        self.status = status


class ContentRange(NamedTuple):
    """Which bytes [first, end) of a file an answer holds, and of how many, if that is told."""

    first: int
    end: int
    size: int | None


def content_range_of(response: Response) -> ContentRange | None:
    """Returns what a partial answer says that it holds; None where it doesn't, or that is no range."""
    match = _CONTENT_RANGE_RE.fullmatch((response.headers.get("Content-Range") or "").strip())
    if match is None or int(match[2]) < int(match[1]):
        return None
    return ContentRange(int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3]))


def content_length_of(response: Response) -> int | None:
    """Returns how many bytes an answer says that its body has."""
    length = (response.headers.get("Content-Length") or "").strip()
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def check_encoding(response: Response, name: str) -> None:
    """Raises `ClipError` of class `network` where a body is not the bytes themselves, which were asked for."""
    encoding = response.headers.get("Content-Encoding") or "identity"
    if encoding != "identity":
        raise ClipError("network", f"{name}: the server sends it in another encoding than was asked for")


def may_pass(error: Exception) -> bool:
    """Whether asking again may help after an exception: not after a client's error, nor where the disk is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG):
        return False
    for holder in (error, getattr(error, "response", None)):
        for name in ("status", "status_code", "code"):
            status = getattr(holder, name, None)
            if isinstance(status, int):
                return status >= _SERVER_ERROR or status == _REQUEST_TIMEOUT
    return True  # no answer at all
