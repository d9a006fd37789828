"""What is small on a server: all of it comes, or it is known that it did not."""

from __future__ import annotations

import io
import random
import resource
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.small_files import download
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

CONTENT = random.Random(1).randbytes(200_000)
PATH = "/0.ts"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.files[PATH] = CONTENT
        yield server


def asks(server: FaultyServer, byte_range: str = "") -> Callable[[], Any]:
    headers = {"Range": f"bytes={byte_range}"} if byte_range else {}
    return lambda: urllib.request.urlopen(urllib.request.Request(server.url(PATH), headers=headers), timeout=0.5)


def downloaded(ask: Callable[[], Any], limit: int = 1 << 20, expected: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    download(ask, file, limit, expected=expected, first_wait_s=0.01)
    return file.getvalue()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=500),
        Fault(after=100_000, reset=True),
        Fault(after=100_000, truncate=True),
        Fault(after=100_000, stall_s=1),
    ],
    ids=["503", "500", "reset", "truncated", "stall"],
)
def test_what_breaks_is_asked_for_again(server: FaultyServer, fault: Fault) -> None:
    server.faults[PATH] = [fault, fault]
    assert downloaded(asks(server)) == CONTENT
    assert len(server.requests) == 3


def test_what_always_comes_only_in_part_is_the_network(server: FaultyServer) -> None:
    def ask() -> Any:
        response = asks(server)()
        del response.headers["Content-Length"]
        response.headers["Content-Length"] = str(len(CONTENT) + 1)
        return response

    with pytest.raises(ClipError) as failed:
        downloaded(ask)
    assert failed.value.reason == "network"
    assert 2 <= len(server.requests) <= 6


@pytest.mark.parametrize("status", [403, 404, 410, 429])
def test_a_refusal_is_the_callers_own_error_at_once(server: FaultyServer, status: int) -> None:
    server.always[PATH] = Fault(status=status)
    with pytest.raises(HTTPError):
        downloaded(asks(server))
    assert len(server.requests) == 1


def test_a_range_is_just_that(server: FaultyServer) -> None:
    assert downloaded(asks(server, "500-599"), expected=(500, 600)) == CONTENT[500:600]


@pytest.mark.parametrize(
    ("byte_range", "fault"),
    [
        ("0-99", Fault()),
        ("500-549", Fault()),
        ("500-599", Fault(no_range=True)),
    ],
    ids=["another", "a part", "all of it"],
)
def test_other_bytes_than_were_asked_for_are_refused(server: FaultyServer, byte_range: str, fault: Fault) -> None:
    server.always[PATH] = fault
    with pytest.raises(ClipError, match="other bytes") as failed:
        downloaded(asks(server, byte_range), expected=(500, 600))
    assert failed.value.reason == "unsupported"


def test_more_than_the_limit_is_too_large(server: FaultyServer) -> None:
    with pytest.raises(ClipError) as failed:
        downloaded(asks(server), limit=100_000)
    assert failed.value.reason == "too_large"


def test_a_full_disk_is_told_at_once(server: FaultyServer, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with (tmp_path / "part").open("wb", buffering=0) as file, pytest.raises(OSError, match="File too large"):
            download(asks(server), file, 1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(server.requests) == 1
