"""The page on this machine: a server that answers nobody else, searches, and makes films when they are asked for."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from beam_pipeline import files
from beam_pipeline.clips import ClipError
from beam_pipeline.data_set import DataSetError
from beam_pipeline.errors import RequestError
from beam_pipeline.inspecting.page import (
    ASSETS,
    SERVED_POLICY,
    asset,
    render_page,
    summaries_of,
    summary_script,
)
from beam_pipeline.inspecting.previews import (
    describe_clip,
    describe_record,
    film_of,
    read_record,
    thumbnail_of,
)
from beam_pipeline.inspecting.rows import Rows
from beam_pipeline.inspecting.search import MOST_ROWS, Query, clip_rows, find_rows, parse_query
from beam_pipeline.object_stores import is_of_store
from beam_pipeline.progress import PLAN_FILE
from beam_pipeline.web import message_of
from tf_data import contract

_HOST = "127.0.0.1"
_REREAD_AFTER_S = 10.0  # of a data set that is still being made, when the page is loaded again
_CACHE_BYTES = 256 << 20
_ENTRY_BYTES = 1024  # what a thing in the cache takes beside its content, about
_CLIP_RE = re.compile(r"/clips/(?P<split>[^/]+)/(?P<row>\d{1,9})\.(?P<kind>json|mp4|jpg)")
_ROWS_RE = re.compile(r"/clips/(?P<split>[^/]+)/rows\.json")
_RANGE_RE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")
_TYPES = {"json": "application/json", "mp4": "video/mp4", "jpg": "image/jpeg"}
_HEADERS = {
    "Content-Security-Policy": SERVED_POLICY + "; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_server(read: Callable[[], list[Rows]], port: int) -> ThreadingHTTPServer:
    """Returns a server of a data set's page, on 127.0.0.1; `serve_forever` runs it, `server_close` ends it.

    Args:
      read: reads the data set; called again for a page of one that is still being made.
      port: 0 is any that is free: `server_address` tells which.

    Raises:
      RequestError: the port is taken.
    """
    pages = _Pages(read)

    class Handler(_Handler):
        served = pages

    try:
        return _Server((_HOST, port), Handler)
    except OSError as error:
        raise RequestError(f"--serve {port}: {error.strerror}; give another port, or none") from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tells of what is wrong here; that a browser has gone on to another page is not."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _HttpError(Exception):
    """A request that can't be answered, and with which status."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Snapshot:
    """A data set as it was read at one time. Rows have numbers, so that each address says of which snapshot it is."""

    number: int
    splits: dict[str, Rows]
    summaries: list[dict[str, Any]]
    read_at: float
    signs: list[bytes | None]
    cache: _Cache  # what was made of it, which goes with it

    @property
    def is_final(self) -> bool:
        return all(summary["finished"] for summary in self.summaries)

    @property
    def is_stale(self) -> bool:
        """Whether it is to be read anew: a job is at work, or one has begun or ended since."""
        if self.is_final:
            return _signs_of_runs(self.splits.values()) != self.signs
        return time.monotonic() - self.read_at > _REREAD_AFTER_S


def _signs_of_runs(splits: Iterable[Rows]) -> list[bytes | None]:
    """Returns what a run writes as it begins and as it ends."""
    return [
        files.read_whole(files.join(rows.split.directory, *path))
        for rows in splits
        for path in ((contract.STATE_DIR, PLAN_FILE), (contract.info_file(rows.split.split),))
    ]


class _Cache:
    """What was made for the browser, the latest of it as long as there is room. Each thing is made once at a time."""

    def __init__(self, room: int):
        self._room = room
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._making: dict[Any, threading.Lock] = {}

    def get(self, key: Any, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            try:
                made = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._kept[key] = made
                self._size += _ENTRY_BYTES + size(made)
                while self._size > self._room and len(self._kept) > 1:
                    self._size -= _ENTRY_BYTES + size(self._kept.popitem(last=False)[1])
        return made


@dataclass(frozen=True)
class _Shown:
    """A split of a snapshot, and what was made of that snapshot."""

    rows: Rows
    cache: _Cache

    def made(self, what: Any, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """Returns what was made of this split, or makes it; `size` tells its bytes."""
        return self.cache.get((self.rows.split.split, what), make, size)


class _Pages:
    """What the server's threads share: the snapshot, and what was made of it."""

    def __init__(self, read: Callable[[], list[Rows]]):
        self._read = read
        self._lock = threading.Lock()
        # A film takes a processor and a record's pixels; a picture, which does not wait for films, a record's bytes.
        self._at_once = {"mp4": threading.Semaphore(2), "jpg": threading.Semaphore(4)}
        self.snapshot = self._take(1)

    def _take(self, number: int) -> _Snapshot:
        splits = self._read()
        by_name = {rows.split.split: rows for rows in splits}
        summaries, signs = summaries_of(splits), _signs_of_runs(splits)
        return _Snapshot(number, by_name, summaries, time.monotonic(), signs, _Cache(_CACHE_BYTES))

    def page(self) -> str:
        """Returns the page, for which a data set that a job works at is read again."""
        with self._lock:
            if self.snapshot.is_stale:
                self.snapshot = self._take(self.snapshot.number + 1)
            snapshot = self.snapshot
        return render_page(list(snapshot.splits.values()), snapshot.summaries, served=True)

    def script(self) -> str:
        """Returns `data/summary.js`."""
        snapshot = self.snapshot
        script = summary_script(list(snapshot.splits.values()), snapshot.summaries, [{}] * len(snapshot.splits))
        return f"{script}inspect.summary.snapshot = {snapshot.number};\n"

    def shown(self, split: str, number: str) -> _Shown:
        """Returns a split of the snapshot that a request is of."""
        snapshot = self.snapshot
        if number != str(snapshot.number):
            raise _HttpError(HTTPStatus.GONE, "the data set has been read anew since")
        if split not in snapshot.splits:
            raise _HttpError(HTTPStatus.NOT_FOUND, f"no split {split[:50]!r}")
        return _Shown(snapshot.splits[split], snapshot.cache)

    def find(self, shown: _Shown, query: Query, page: int, size: int) -> dict[str, Any]:
        """Returns a page of the rows that are searched for."""
        rows = shown.rows
        found: np.ndarray = shown.made(query, lambda: find_rows(rows, query), lambda found: found.nbytes)
        return {"total": len(found), "rows": clip_rows(rows, found[(page - 1) * size : page * size])}

    def clip(self, rows: Rows, number: int) -> dict[str, Any]:
        """Returns all that is known of a clip."""
        clip = describe_clip(rows, number)
        if rows.written[number]:
            try:
                clip |= describe_record(read_record(rows, number))
            except ClipError as error:
                clip["error"] = error.detail
        return clip

    def media(self, shown: _Shown, number: int, kind: str) -> bytes:
        """Returns a clip's film (mp4) or picture (jpg)."""

        def make() -> bytes:
            with self._at_once[kind]:
                record = read_record(shown.rows, number)
                return film_of(record) if kind == "mp4" else thumbnail_of(record)

        try:
            made: bytes = shown.made((number, kind), make, len)
            return made
        except ClipError as error:
            raise _HttpError(HTTPStatus.NOT_FOUND, error.detail) from error


class _Handler(BaseHTTPRequestHandler):
    served: _Pages
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "inspect", ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            self._check_host()
            content, kind = self._content()
        except _HttpError as error:
            self._send(error.status, str(error).encode(), "text/plain; charset=utf-8")
        except ValueError as error:
            self._send(HTTPStatus.BAD_REQUEST, str(error).encode(errors="replace"), "text/plain; charset=utf-8")
        except DataSetError as error:  # of one that was read anew
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, message_of(error).encode(), "text/plain; charset=utf-8")
        except Exception as error:
            if not is_of_store(error):
                raise
            self._send(HTTPStatus.BAD_GATEWAY, message_of(error).encode(), "text/plain; charset=utf-8")
        else:
            self._send_part(content, kind) if kind == _TYPES["mp4"] else self._send(HTTPStatus.OK, content, kind)

    def _check_host(self) -> None:
        """Refuses who came here by another name: a site whose name was made to lead to this machine."""
        port = self.connection.getsockname()[1]
        if self.headers.get("Host", "") not in (f"{_HOST}:{port}", f"localhost:{port}"):
            raise _HttpError(HTTPStatus.FORBIDDEN, f"this is {_HOST}:{port}")

    def _content(self) -> tuple[bytes, str]:
        address = urllib.parse.urlsplit(self.path)
        parameters = dict(urllib.parse.parse_qsl(address.query, max_num_fields=20))
        path = address.path
        if path == "/":
            return self.served.page().encode(), "text/html; charset=utf-8"
        if path == "/data/summary.js":
            return self.served.script().encode(), "text/javascript"
        if path.startswith("/assets/") and path.removeprefix("/assets/") in ASSETS:
            name = path.removeprefix("/assets/")
            return asset(name), ASSETS[name]
        if match := _ROWS_RE.fullmatch(path):
            shown = self._shown(match["split"], parameters)
            page, size = (_positive(parameters, name) for name in ("page", "size"))
            found = self.served.find(shown, parse_query(parameters), page, min(size, MOST_ROWS))
            return json.dumps(found).encode(), _TYPES["json"]
        if match := _CLIP_RE.fullmatch(path):
            shown, number, kind = self._shown(match["split"], parameters), int(match["row"]), match["kind"]
            if number < len(shown.rows):
                if kind == "json":
                    return json.dumps(self.served.clip(shown.rows, number)).encode(), _TYPES[kind]
                return self.served.media(shown, number, kind), _TYPES[kind]
        raise _HttpError(HTTPStatus.NOT_FOUND, "there is no such page")

    def _shown(self, split: str, parameters: dict[str, str]) -> _Shown:
        return self.served.shown(urllib.parse.unquote(split), parameters.get("snapshot", ""))

    def _send_part(self, content: bytes, kind: str) -> None:
        """Sends what of a film is asked for: without that, a browser can't go to a place in it."""
        match = _RANGE_RE.fullmatch(self.headers.get("Range", ""))
        if not match or not (match["first"] or match["last"]):
            self._send(HTTPStatus.OK, content, kind, {"Accept-Ranges": "bytes"})
            return
        size = len(content)
        if match["first"]:
            first, last = int(match["first"]), min(int(match["last"] or size - 1), size - 1)
        else:
            first, last = max(0, size - int(match["last"])), size - 1
        if first > last:
            more = {"Content-Range": f"bytes */{size}"}
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", kind, more)
            return
        more = {"Content-Range": f"bytes {first}-{last}/{size}", "Accept-Ranges": "bytes"}
        self._send(HTTPStatus.PARTIAL_CONTENT, content[first : last + 1], kind, more)

    def _send(self, status: HTTPStatus, content: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content)), **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: standard error is for what is wrong."""


def _positive(parameters: dict[str, str], name: str) -> int:
    value = parameters.get(name, "")
    if not (value.isascii() and value.isdecimal() and 0 < len(value) < 8 and int(value)):
        raise ValueError(f"{name} must be a number above 0, got {value[:50]!r}")
    return int(value)
