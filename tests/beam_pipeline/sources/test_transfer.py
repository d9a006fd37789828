"""Files that are read from beginning to end, whatever the connection does."""

from __future__ import annotations

import io
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import time

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.transfer import Patience, SourceChangedError, open_stream
from tests.beam_pipeline import object_files
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

CONTENT = random.Random(1).randbytes(1_000_000)
PATH = "/600/train/massaging person's head (1).tar.gz"
QUICK = Patience(connect_s=5, silence_s=0.5, min_bytes_per_s=0, tries=3, first_wait_s=0.01)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.files[PATH] = CONTENT
        yield server


def read(url: str, patience: Patience = QUICK, stopping: threading.Event | None = None) -> bytes:
    with open_stream(url, stopping or threading.Event(), patience) as stream:
        parts = list(iter(lambda: stream.read(100_000), b""))
        assert stream.position == sum(map(len, parts))
    return b"".join(parts)


def failure(url: str, patience: Patience = QUICK, stopping: threading.Event | None = None) -> ClipError:
    with pytest.raises(ClipError) as caught:
        read(url, patience, stopping)
    return caught.value


def test_size_and_etag_are_known_before_anything_is_read(server: FaultyServer) -> None:
    with open_stream(server.url(PATH), threading.Event(), QUICK) as stream:
        assert stream.size == len(CONTENT)
        assert stream.etag
        assert stream.position == 0


@pytest.mark.parametrize("spelling", ["raw", "quoted"])
def test_urls_may_be_raw_or_quoted(server: FaultyServer, spelling: str) -> None:
    url = server.url(PATH) if spelling == "quoted" else f"http://127.0.0.1:{server.port}{PATH}"
    assert ("%20" in url) == (spelling == "quoted")
    assert read(url) == CONTENT


@pytest.mark.parametrize(
    "fault",
    [Fault(after=300_000, reset=True), Fault(after=300_000, truncate=True), Fault(after=300_000, stall_s=2)],
    ids=["reset", "truncated", "stalled"],
)
def test_a_broken_connection_goes_on_where_it_was(server: FaultyServer, fault: Fault) -> None:
    server.faults[PATH] = [fault]
    assert read(server.url(PATH)) == CONTENT
    _, again = server.requests
    start = int(again.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 300_000
    assert again.sent == len(CONTENT) - start
    assert again.headers["If-Range"].startswith('"')


def test_a_server_that_dies_and_comes_back(server: FaultyServer) -> None:
    patience = Patience(connect_s=5, silence_s=5, min_bytes_per_s=0, tries=8, first_wait_s=0.05)
    with open_stream(server.url(PATH), threading.Event(), patience) as stream:
        content = stream.read(1000)
        server.stop()
        threading.Timer(0.5, server.start).start()
        content += b"".join(iter(lambda: stream.read(100_000), b""))
    assert content == CONTENT


def test_tries_count_only_those_without_progress(server: FaultyServer) -> None:
    server.always[PATH] = Fault(after=150_000, reset=True)
    assert read(server.url(PATH)) == CONTENT
    assert len(server.requests) > QUICK.tries


def test_a_server_that_never_gets_further_is_given_up(server: FaultyServer) -> None:
    server.always[PATH] = Fault(after=0, reset=True)
    assert failure(server.url(PATH)).reason == "network"
    assert len(server.requests) == QUICK.tries


def test_a_drip_is_a_stall(server: FaultyServer) -> None:
    server.always[PATH] = Fault(drip=1000)
    patience = Patience(connect_s=5, silence_s=0.3, min_bytes_per_s=100_000, tries=2, first_wait_s=0.01)
    error = failure(server.url(PATH), patience)
    assert (error.reason, error.detail.rpartition(": ")[2]) == ("network", "the server stalls")


def test_the_whole_file_may_come_again(server: FaultyServer) -> None:
    server.faults[PATH] = [Fault(after=300_000, reset=True), Fault(no_range=True)]
    assert read(server.url(PATH)) == CONTENT


def test_a_part_need_not_tell_again_when_the_file_was_modified(server: FaultyServer) -> None:
    modified = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    server.faults[PATH] = [Fault(after=300_000, reset=True, headers=modified)]
    assert read(server.url(PATH)) == CONTENT
    assert len(server.requests) == 2


def test_another_file_meanwhile_is_not_joined_to_the_first(server: FaultyServer) -> None:
    server.faults[PATH] = [Fault(after=300_000, reset=True)]
    with open_stream(server.url(PATH), threading.Event(), QUICK) as stream:
        stream.read(1000)
        server.files[PATH] = bytes(len(CONTENT))
        with pytest.raises(SourceChangedError):
            while stream.read(100_000):
                pass


@pytest.mark.parametrize(
    ("status", "reason", "requests"),
    [(404, "not_found", 1), (410, "removed", 1), (403, "network", 1), (429, "rate_limited", 3), (500, "network", 3)],
)
def test_statuses_have_their_reasons(server: FaultyServer, status: int, reason: str, requests: int) -> None:
    server.always[PATH] = Fault(status=status)
    error = failure(server.url(PATH))
    assert error.reason == reason
    assert f"HTTP {status}" in error.detail
    assert len(server.requests) == requests


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_for_as_long_as_it_asks(server: FaultyServer, status: int, form: str) -> None:
    retry_after = "1" if form == "seconds" else formatdate(int(time()) + 2, usegmt=True)
    server.faults[PATH] = [Fault(status=status, headers={"Retry-After": retry_after})]
    assert read(server.url(PATH)) == CONTENT
    first, second = server.requests
    assert second.time - first.time >= 0.99


def test_a_stop_ends_a_wait(server: FaultyServer) -> None:
    server.always[PATH] = Fault(status=503, headers={"Retry-After": "3000"})
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    assert failure(server.url(PATH), stopping=stopping).reason == "not_attempted"


def test_a_stop_ends_a_stall(server: FaultyServer) -> None:
    server.faults[PATH] = [Fault(after=300_000, stall_s=10)]
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    assert failure(server.url(PATH), Patience(silence_s=30), stopping).reason == "not_attempted"
    assert server.sent(PATH) <= 300_000


@pytest.mark.parametrize("where", ["server", "disk"])
def test_a_stop_ends_a_read(server: FaultyServer, where: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(CONTENT)
    stopping = threading.Event()
    with open_stream(server.url(PATH) if where == "server" else str(path), stopping, QUICK) as stream:
        assert stream.read(1000)
        stopping.set()
        with pytest.raises(ClipError) as caught:
            stream.read(1000)
    assert caught.value.reason == "not_attempted"


def test_redirects_are_followed(server: FaultyServer) -> None:
    server.always["/moved"] = Fault(status=302, headers={"Location": server.url(PATH)})
    assert read(server.url("/moved")) == CONTENT


@pytest.mark.parametrize("target", ["/moved", "file:///etc/hostname", "ftp://127.0.0.1/a"])
def test_redirects_lead_to_no_loop_and_to_web_servers_only(server: FaultyServer, target: str) -> None:
    server.always["/moved"] = Fault(status=302, headers={"Location": target})
    error = failure(server.url("/moved"))
    assert error.reason == "network"
    assert "redirect" in error.detail


@pytest.mark.parametrize("url", ["http://", "http://[::1", "https://\0/", "http://a b/c", "http://127.0.0.1:99999999/"])
def test_malformed_urls_are_a_failure_like_others(url: str) -> None:
    assert failure(url).reason == "network"


def test_a_refused_connection_says_the_same_each_time(server: FaultyServer) -> None:
    url = server.url(PATH)
    server.stop()
    first, second = failure(url), failure(url)
    assert first.reason == "network"
    assert first.detail == second.detail
    assert first.detail.endswith("the connection was refused")


def test_messages_hold_no_secrets(server: FaultyServer) -> None:
    error = failure(f"http://me:password@127.0.0.1:{server.port}/no.tar?signature=secret")
    assert error.detail == f"http://127.0.0.1:{server.port}/no.tar: HTTP 404"


class _WithoutLength(BaseHTTPRequestHandler):
    """Sends chunks, says nothing of a length, and breaks off before the last of the first answer.

    What it tells of its file are headers of the first answer and of those that go on from there.
    """

    protocol_version = "HTTP/1.1"
    breaks_at = 400_000
    told: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        for name, value in self.told[start > 0].items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = len(CONTENT) if start else self.breaks_at
        self.wfile.write(b"%x\r\n%b\r\n" % (end - start, CONTENT[start:end]))
        if start:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def without_length(**attributes: object) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), type("Handler", (_WithoutLength,), attributes)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/a"
        server.shutdown()


@pytest.mark.parametrize("breaks_at", [400_000, len(CONTENT)])
def test_an_answer_without_a_length(breaks_at: int) -> None:
    with without_length(breaks_at=breaks_at) as url:
        assert read(url) == CONTENT


MONDAY, TUESDAY = ({"Last-Modified": f"{day} Jan 2024 00:00:00 GMT"} for day in ("Mon, 01", "Tue, 02"))
WEAK = {"ETag": 'W/"1"'}


@pytest.mark.parametrize(
    ("first", "then", "same"),
    [
        (MONDAY, MONDAY, True),
        (MONDAY, {}, True),
        (MONDAY, TUESDAY, False),
        (WEAK | MONDAY, WEAK | MONDAY, True),
        (WEAK | MONDAY, WEAK | TUESDAY, False),
        (WEAK, {"ETag": 'W/"2"'}, False),
        ({"ETag": '"1"'}, {}, False),
        ({"ETag": '"1"'} | MONDAY, {"ETag": '"1"'}, True),
    ],
)
def test_what_tells_that_it_is_the_same_file(first: dict[str, str], then: dict[str, str], same: bool) -> None:
    with without_length(told=(first, then)) as url, nullcontext() if same else pytest.raises(SourceChangedError):
        assert read(url) == CONTENT


def test_a_file_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "a b[1].tar.gz"
    path.write_bytes(CONTENT)
    assert read(str(path)) == CONTENT


@pytest.mark.parametrize("kind", ["nothing", "folder", "fifo"])
def test_what_is_no_file_is_not_found(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    assert failure(str(path)).reason == "not_found"


def test_object_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path))
    FileSystems.set_options(PipelineOptions())
    (tmp_path / "a.tar").write_bytes(CONTENT)
    assert read(f"{object_files.SCHEME}a.tar") == CONTENT
    assert failure(f"{object_files.SCHEME}b.tar").reason == "not_found"
    assert failure("nonsense://b.tar").reason == "network"


class _Unsteady(io.BytesIO):
    """An object of a store that answers twice, and then for once not."""

    def read(self, count: int | None = -1) -> bytes:
        if self.tell() >= 200_000:
            raise ConnectionError("503 Slow Down, see https://store/a?signature=secret")
        return super().read(count)


def test_an_object_store_that_fails_for_once_may_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path))
    FileSystems.set_options(PipelineOptions())
    (tmp_path / "a.tar").write_bytes(CONTENT)
    with monkeypatch.context() as unsteady:
        unsteady.setattr(object_files.ObjectFiles, "open", lambda *_: _Unsteady(CONTENT))
        error = failure(f"{object_files.SCHEME}a.tar")
    assert (error.reason, error.detail) == (
        "network",
        f"{object_files.SCHEME}a.tar: can't be read: 503 Slow Down, see https://store/a",
    )


def test_a_disk_that_fails_may_mend() -> None:
    path = "/proc/self/mem"  # whose beginning is nothing: it reads as a bad sector does
    error = failure(path)
    assert (error.reason, error.detail) == ("network", f"{path}: can't be read: Input/output error")
