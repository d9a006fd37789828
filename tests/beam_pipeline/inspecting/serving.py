"""A server that runs beside the test, and what one asks it without a browser."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True)
class Asked:
    """A server's port."""

    port: int

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Asks for a path exactly as it is written."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest("GET", path, skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return Answer(response.status, response.headers, content)

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status == 200, answer.text
        return json.loads(answer.content)

    def snapshot(self) -> int:
        found = re.search(r"snapshot = (\d+)", self.get("/data/summary.js").text)
        assert found
        return int(found[1])


@contextmanager
def in_thread(server: ThreadingHTTPServer) -> Iterator[Asked]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Asked(int(server.server_address[1]))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
