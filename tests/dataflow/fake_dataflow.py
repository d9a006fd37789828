"""Google Cloud Dataflow on 127.0.0.1, as its REST clients meet it: jobs are taken, asked for, and come to an end."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

JOB_ID = "2026-01-02_03_04_05-6789"
_TIME = "2026-01-02T03:04:05Z"
_JOBS_RE = re.compile(r"/v1b3/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/jobs")


@dataclass
class FakeDataflow:
    """`with FakeDataflow() as service:` takes jobs at `service.url`.

    Attributes:
      work: does what a posted job asks for while it is RUNNING, and returns an error, or '' where it is DONE.
      states: without `work`, what becomes of a job: a state each time that it is asked for, the last for ever.
      error: what an error message of the job says, once it has begun.
      refusals: statuses that requests but for lists of jobs get instead of an answer, by method: `{"POST": 403}`.
      active: the id of a job that is at work under any name.
      listed: the name of that job, where it is listed: else it has only just begun.
      posted: the bodies of jobs that were posted.
      requests: method and path of everything that was asked.
    """

    work: Callable[[dict[str, Any]], str] | None = None
    states: list[str] = field(default_factory=lambda: ["JOB_STATE_RUNNING", "JOB_STATE_DONE"])
    error: str = ""
    refusals: dict[str, int] = field(default_factory=dict)
    active: str = ""
    listed: str = ""
    posted: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> FakeDataflow:
        self.working: threading.Thread | None = None
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.service = self
        self.url = f"http://localhost:{self.server.server_address[1]}"  # Beam asks in REST where it reads localhost
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.working:
            self.working.join()
        self.server.shutdown()
        self.server.server_close()

    def take(self, job: dict[str, Any]) -> dict[str, Any]:
        self.posted.append(job)
        if self.active:
            return {"id": self.active, "name": job["name"], "clientRequestId": "another's"}
        if self.work:
            self.working = threading.Thread(target=self._work, args=(self.work, job))
            self.working.start()
        return {"id": JOB_ID, "name": job["name"], "clientRequestId": job["clientRequestId"]}

    def _work(self, work: Callable[[dict[str, Any]], str], job: dict[str, Any]) -> None:
        self.error = work(job)

    def state(self) -> str:
        if self.working:
            if self.working.is_alive():
                return "JOB_STATE_RUNNING"
            return "JOB_STATE_FAILED" if self.error else "JOB_STATE_DONE"
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: FakeDataflow


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        service = self.server.service
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service.requests.append((self.command, path))
        jobs = _JOBS_RE.match(path)
        if jobs and path == jobs[0] and self.command == "GET":
            active = {"id": service.active, "name": service.listed, "currentState": "JOB_STATE_RUNNING"}
            self._send(200, {"jobs": [active] if service.listed else []})
        elif status := service.refusals.get(self.command):
            self._send(status, {"error": {"code": status, "message": "refused by the test", "status": "REFUSED"}})
        elif jobs and self.command == "POST":
            self._send(200, service.take(json.loads(body)))
        elif path.endswith("/messages"):
            error = {"time": _TIME, "messageText": service.error, "messageImportance": "JOB_MESSAGE_ERROR"}
            self._send(200, {"jobMessages": [error] if service.error else []})
        elif jobs and self.command == "GET":
            self._send(200, {"id": JOB_ID, "currentState": service.state()})
        else:
            self._send(404, {"error": {"code": 404, "message": "not here", "status": "NOT_FOUND"}})

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the server looks for

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
