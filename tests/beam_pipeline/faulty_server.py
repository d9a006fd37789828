"""A web server on 127.0.0.1 with Range requests and ETags, and with every fault of the real ones on demand."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What one answer does wrong; `after` counts bytes of the body that are sent before.

    `status` answers that instead of the file, with `headers`. `stall_s` says nothing for so long after `after` bytes.
    `reset` breaks the connection there, `truncate` ends it there in order, under the full Content-Length. `drip` sends
    so many bytes a second. `no_range` answers with the whole file whatever was asked.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    stall_s: float = 0
    reset: bool = False
    truncate: bool = False
    drip: int | None = None
    no_range: bool = False


@dataclass
class Request:
    """What was asked and what was sent: body bytes, counted as they go out."""

    method: str
    path: str
    headers: dict[str, str]
    time: float
    sent: int = 0


class FaultyServer:
    """`with FaultyServer() as server: server.files['/a b.mp4'] = Path(…) or bytes; server.url('/a b.mp4')`.

    `faults[path]` is a list of which each request to that path takes the first, None for a good answer;
    `always[path]` is the fault of every request that finds no other.
    """

    def __init__(self) -> None:
        self.files: dict[str, Path | bytes] = {}
        self.types: dict[str, str] = {}
        self.faults: dict[str, list[Fault | None]] = {}
        self.always: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{quote(path)}"

    def sent(self, path: str) -> int:
        """Body bytes sent of a path in all answers so far."""
        return sum(request.sent for request in self.requests if request.path == path)

    def start(self) -> None:
        """Starts, or starts again on the same port."""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Dies: every connection is reset, and new ones are refused."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.reset_all()
            self._server = None

    def __enter__(self) -> FaultyServer:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._open: set[socket.socket] = set()

    def process_request(self, request, client_address) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def reset_all(self) -> None:
        for connection in list(self._open):
            _reset(connection)

    def handle_error(self, request, client_address) -> None:
        pass  # clients that hang up are what the tests are about


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    owner: FaultyServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        request = Request(self.command, path, dict(self.headers), time.monotonic())
        self.owner.requests.append(request)
        waiting = self.owner.faults.get(path)
        fault = (waiting.pop(0) if waiting else self.owner.always.get(path)) or Fault()
        content = self.owner.files.get(path)
        status = fault.status or (404 if content is None else None)
        if status is not None or content is None:
            body = f"{status}\n".encode()
            self.send_response(status or 404)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            return
        self._send(path, content, fault, request)

    def _send(self, path: str, content: Path | bytes, fault: Fault, request: Request) -> None:
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        etag = _etag(content)
        start, end = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        current = self.headers.get("If-Range", etag) == etag
        partial = bool(asked) and current and not fault.no_range
        if asked and partial:
            start = int(asked[1])
            end = min(size, int(asked[2]) + 1) if asked[2] else size
            if start >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Type", self.owner.types.get(path, "application/octet-stream"))
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", etag)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(content, start, end, fault, request)

    def _send_body(self, content: Path | bytes, start: int, end: int, fault: Fault, request: Request) -> None:
        breaks_at = end - start
        if fault.reset or fault.truncate or fault.stall_s:
            breaks_at = min(breaks_at, fault.after)
        with _opened(content) as read:
            position = start
            stalled = False
            while position < end:
                if position - start >= breaks_at:
                    if fault.reset:
                        _reset(self.connection)
                    if fault.reset or fault.truncate:
                        self.close_connection = True
                        return
                    if not stalled:
                        stalled = True
                        time.sleep(fault.stall_s)
                    breaks_at = end - start
                chunk = read(position, min(_CHUNK, end - position, max(1, start + breaks_at - position)))
                if fault.drip:
                    chunk = chunk[: max(1, fault.drip // 10)]
                    time.sleep(0.1)
                request.sent += len(chunk)
                self.wfile.write(chunk)
                position += len(chunk)


def _etag(content: Path | bytes) -> str:
    if isinstance(content, Path):
        status = content.stat()
        return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
    return f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'


@contextlib.contextmanager
def _opened(content: Path | bytes):
    if isinstance(content, bytes):
        yield lambda position, count: content[position : position + count]
        return
    with content.open("rb") as file:

        def read(position: int, count: int) -> bytes:
            file.seek(position)
            return file.read(count)

        yield read
