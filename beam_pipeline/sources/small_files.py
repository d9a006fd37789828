"""What is small on a web server, playlists and fragments: all of it, asked for again where that may help."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import BinaryIO

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.pace import Backoff
from beam_pipeline.sources.range_file import (
    TRIES,
    Response,
    check_encoding,
    content_length_of,
    content_range_of,
    may_pass,
)

_CHUNK = 1 << 16
_PARTIAL = 206


def download(
    ask: Callable[[], Response],
    file: BinaryIO,
    limit: int,
    *,
    expected: tuple[int, int] | None = None,
    name: str = "a fragment",
    first_wait_s: float = 0.5,
) -> Response:
    """Writes all of an answer to a file, from its beginning on; returns the answer.

    Args:
      ask: asks for it.
      file: what was written of an answer that broke is written over.
      limit: of its size in bytes.
      expected: the bytes [first, end) that were asked for, if not all.
      name: of what is asked for, in messages.
      first_wait_s: before the second try; doubles with each, with jitter.

    Raises:
      ClipError: `too_large`; `unsupported` where other bytes come than are asked for.
      Exception: what `ask` raises, after some tries where another might help.
      OSError: the file can't be written.
    """
    backoff = Backoff(first_wait_s)
    for tries in range(1, TRIES + 1):
        try:
            return _download(ask, file, limit, expected, name)
        except ClipError as error:
            if error.reason != "network" or tries == TRIES:
                raise
        except Exception as error:
            if tries == TRIES or not may_pass(error):
                raise
        time.sleep(backoff.wait_s(tries))
    raise AssertionError("the last try returns or raises")


def _download(
    ask: Callable[[], Response], file: BinaryIO, limit: int, expected: tuple[int, int] | None, name: str
) -> Response:
    file.seek(0)
    file.truncate()
    with contextlib.closing(ask()) as response:
        length = None if response.headers.get("Content-Encoding") else content_length_of(response)
        if expected is not None:
            check_encoding(response, name)
            held = content_range_of(response)
            if response.status != _PARTIAL or held is None or (held.first, held.end) != expected:
                raise ClipError("unsupported", f"{name}: the server sends other bytes than are asked for")
            length = held.end - held.first
        written = 0
        while chunk := response.read(_CHUNK):
            written += len(chunk)
            if written > limit:
                raise ClipError("too_large", f"{name} has more than {limit >> 20} MiB")
            file.write(chunk)
        if length is not None and written != length:
            raise ClipError("network", f"{name} came only in part")
    return response
