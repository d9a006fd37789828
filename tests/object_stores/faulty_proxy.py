"""A proxy on 127.0.0.1 in front of an emulated object store, which does to its clients what networks and stores do."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}
)
_TOKEN = {"access_token": "of-a-test", "expires_in": 3600, "token_type": "Bearer"}


@dataclass(frozen=True)
class Call:
    """One call of a client: the method, the path without its query, the query, and the length of its body."""

    method: str
    path: str
    query: dict[str, list[str]]
    length: int

    @property
    def is_upload(self) -> bool:
        """Whether it brings an object's bytes."""
        return self.method == "PUT" and self.length > 0

    @property
    def is_download(self) -> bool:
        """Whether it asks for an object's bytes: no listing, no metadata."""
        if (
            self.method != "GET"
            or "list-type" in self.query
            or re.fullmatch(r"/storage/v1/b/[^/]+(/o(/.*)?)?", self.path)
        ):
            return self.method == "GET" and self.query.get("alt") == ["media"]
        return True


@dataclass
class Faults:
    """What goes wrong, from now on.

    Attributes:
      failing: of all calls so many are answered with one of `statuses`, by `seed`.
      statuses: of answers that fail.
      seed: of what fails.
      refuse: calls of which this is true are answered with the first of `statuses`, every time.
      break_uploads: so many uploads, the next ones, lose their connection when half of the body has come.
      break_downloads: so many downloads, the next ones, lose theirs when half has been sent.
      slow_s: the time before each answer.
      listed_after_s: an object is not in listings before it is so old.
      listed_late: the beginning of the names of objects of which that is true.
    """

    failing: float = 0.0
    statuses: tuple[int, ...] = (500, 503, 429)
    seed: int = 0
    refuse: Callable[[Call], bool] | None = None
    break_uploads: int = 0
    break_downloads: int = 0
    slow_s: float = 0.0
    listed_after_s: float = 0.0
    listed_late: str = ""
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)


class FaultyProxy:
    """`with FaultyProxy(port) as proxy:` serves at `proxy.url` what the server at that port does, but for `faults`.

    It also hands out tokens at `/token`, as Google's authorisation server does.

    Attributes:
      faults: what goes wrong from now on.
      calls: what was asked for, good or bad.
      failed: how many calls were made to fail.
    """

    def __init__(self, port: int):
        self.upstream_port = port
        self.lock = threading.Lock()
        self.faults = Faults()
        self.calls: list[Call] = []
        self.failed = 0

    def reset(self, faults: Faults | None = None) -> None:
        """Sets what goes wrong from now on, nothing by default, and forgets what was asked for."""
        with self.lock:
            self.faults, self.calls, self.failed = faults or Faults(), [], 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultyProxy:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, call: Call) -> str | int:
        """Notes a call; returns the status that it is answered with, how its connection breaks, or ''."""
        with self.lock:
            self.calls.append(call)
            faults = self.faults
            fate: str | int = ""
            if faults.refuse and faults.refuse(call):
                fate = faults.statuses[0]
            elif faults.random.random() < faults.failing:
                fate = faults.random.choice(faults.statuses)
            elif call.is_upload and faults.break_uploads:
                faults.break_uploads -= 1
                fate = "break upload"
            elif call.is_download and faults.break_downloads:
                faults.break_downloads -= 1
                fate = "break download"
            self.failed += fate != ""
            return fate


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that were killed


class _Handler(BaseHTTPRequestHandler):
    owner: FaultyProxy
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._forward()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - as http.server wants them

    def _forward(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._read_body()
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(_TOKEN).encode())
            return
        length = int(self.headers.get("Content-Length") or 0)
        call = Call(self.command, unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), length)
        fate = self.owner.take(call)
        if fate == "break upload":
            self.rfile.read(length // 2)
            self._break()
            return
        body = self._read_body()
        time.sleep(self.owner.faults.slow_s)
        if isinstance(fate, int):
            self._answer(fate, {"Content-Type": "text/plain"}, b"of a test")
            return
        status, headers, content = self._ask(body)
        if self.owner.faults.listed_after_s and call.method == "GET":
            content = _without_new_objects(call, content, self.owner.faults)
        self._answer(status, headers, content, broken=fate == "break download")

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.owner.upstream_port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP | {"expect"}}
        headers["Content-Length"] = str(len(body))
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return answer.status, headers, answer.read()

    def _answer(self, status: int, headers: dict[str, str], content: bytes, broken: bool = False) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", headers.get("content-length")) if self.command == "HEAD" else None
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if broken:
            self.wfile.write(content[: len(content) // 2])
            self._break()
        else:
            self.wfile.write(content)

    def _break(self) -> None:
        """Resets the connection, as when a cable is pulled."""
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def _without_new_objects(call: Call, content: bytes, faults: Faults) -> bytes:
    """Takes out of a listing what is too new for it; other content stays as it is."""

    def is_hidden(name: str, created: str) -> bool:
        age = datetime.now(UTC) - datetime.fromisoformat(created)
        return name.startswith(faults.listed_late) and age.total_seconds() < faults.listed_after_s

    if "list-type" in call.query:
        text = re.sub(
            r"<Contents>.*?<Key>(.*?)</Key>.*?<LastModified>(.*?)</LastModified>.*?</Contents>",
            lambda match: "" if is_hidden(match[1], match[2]) else match[0],
            content.decode(),
            flags=re.DOTALL,
        )
        return re.sub(r"<KeyCount>\d+</KeyCount>", f"<KeyCount>{text.count('<Contents>')}</KeyCount>", text).encode()
    if re.fullmatch(r"/storage/v1/b/[^/]+/o", call.path):
        listing = json.loads(content)
        items = listing.get("items", ())
        listing["items"] = [item for item in items if not is_hidden(item["name"], item["timeCreated"])]
        return json.dumps(listing).encode()
    return content
