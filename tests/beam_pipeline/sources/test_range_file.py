"""Reading a file on a web server by ranges: what is asked for, and what faults do to it."""

from __future__ import annotations

import random
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError

import av
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.range_file import RangeFile
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

CONTENT = random.Random(1).randbytes(3_000_000)
PATH = "/video.mp4"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.files[PATH] = CONTENT
        yield server


def asks(url: str, timeout_s: float = 10) -> Callable[[int, int | None], Any]:
    def open_range(start: int, end: int | None) -> Any:
        last = "" if end is None else end - 1
        return urllib.request.urlopen(
            urllib.request.Request(url, headers={"Range": f"bytes={start}-{last}"}), timeout=timeout_s
        )

    return open_range


def opened(server: FaultyServer, max_bytes: int = 1 << 30, timeout_s: float = 10) -> RangeFile:
    return RangeFile(asks(server.url(PATH), timeout_s), max_bytes, first_wait_s=0.01)


def test_all_of_it_is_what_the_server_has(server: FaultyServer) -> None:
    with opened(server) as file:
        assert file.read() == CONTENT
        assert file.bytes_received == server.sent(PATH) == len(CONTENT)


def test_any_part_is_read_wherever_it_is(server: FaultyServer) -> None:
    chance = random.Random(2)
    with opened(server) as file:
        for _ in range(200):
            position, count = chance.randrange(len(CONTENT)), chance.randrange(1, 5000)
            file.seek(position)
            data = file.read(count)
            assert data and CONTENT.startswith(data, position)


def test_the_end_is_where_the_server_says(server: FaultyServer) -> None:
    with opened(server) as file:
        assert file.seek(-10, 2) == len(CONTENT) - 10
        assert file.read(100) == CONTENT[-10:]
        assert file.read(100) == b""
        file.seek(len(CONTENT) + 5)
        assert file.read(1) == b""


def test_nothing_comes_twice(server: FaultyServer) -> None:
    chance = random.Random(3)
    with opened(server) as file:
        for _ in range(300):
            file.seek(chance.randrange(len(CONTENT)))
            file.read(20_000)
        assert server.sent(PATH) <= len(CONTENT)


def test_little_more_is_asked_for_than_is_read(server: FaultyServer) -> None:
    with opened(server) as file:
        for position in (0, 2_900_000, 1_000_000):
            file.seek(position)
            file.read(100)
        assert server.sent(PATH) <= 3 * (1 << 16)


def test_reading_on_takes_few_requests_and_never_runs_far_ahead(server: FaultyServer) -> None:
    with opened(server) as file:
        for _ in range(200):
            file.read(10_000)
        assert file.requests <= 8
        assert server.sent(PATH) <= 2 * file.tell() + (1 << 16)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=500),
        Fault(after=30_000, reset=True),
        Fault(after=0, reset=True),
        Fault(after=30_000, truncate=True),
        Fault(after=30_000, stall_s=1.2),
    ],
    ids=str,
)
def test_it_goes_on_where_a_connection_broke(server: FaultyServer, fault: Fault) -> None:
    server.faults[PATH] = [None, fault, None, fault, fault]
    with opened(server, timeout_s=0.5) as file:
        assert file.read() == CONTENT


def test_a_server_that_only_breaks_is_given_up(server: FaultyServer) -> None:
    server.always[PATH] = Fault(reset=True, after=0)
    with opened(server) as file, pytest.raises(ClipError) as failed:
        file.read(10)
    assert failed.value.reason == "network"
    assert 2 <= len(server.requests) <= 6


def test_a_server_that_is_not_there_is_the_callers_own_error(server: FaultyServer) -> None:
    server.stop()
    with opened(server) as file, pytest.raises(OSError, match="refused"):
        file.read(10)


@pytest.mark.parametrize("status", [403, 404, 410, 416, 429])
def test_a_final_status_is_the_callers_own_error_at_once(server: FaultyServer, status: int) -> None:
    server.always[PATH] = Fault(status=status)
    with opened(server) as file, pytest.raises(HTTPError) as failed:
        file.read(10)
    assert failed.value.code == status
    assert len(server.requests) == 1


def test_a_server_error_that_stays_is_the_callers_own_error_after_some_tries(server: FaultyServer) -> None:
    server.always[PATH] = Fault(status=503)
    with opened(server) as file, pytest.raises(HTTPError) as failed:
        file.read(10)
    assert failed.value.code == 503
    assert 2 <= len(server.requests) <= 6


def test_a_file_that_changes_meanwhile_is_refused(server: FaultyServer) -> None:
    with opened(server) as file:
        file.read(10)
        server.files[PATH] = CONTENT[::-1]
        file.seek(2_000_000)
        with pytest.raises(ClipError, match="changed") as failed:
            file.read(10)
    assert failed.value.reason == "network"


def test_a_server_without_ranges_is_read_through(server: FaultyServer) -> None:
    server.always[PATH] = Fault(no_range=True)
    with opened(server) as file:
        for position in (100_000, 0, 1_000_000, 500_000):
            file.seek(position)
            assert CONTENT.startswith(file.read(50), position)
        assert len(server.requests) == 1
        assert file.read() == CONTENT[500_050:]


def test_more_than_is_allowed_is_never_received(server: FaultyServer) -> None:
    with opened(server, max_bytes=1_000_000) as file, pytest.raises(ClipError) as failed:
        file.read()
    assert failed.value.reason == "too_large"
    assert server.sent(PATH) <= 1_000_000


def test_more_than_is_allowed_is_not_received_of_a_server_without_ranges_either(server: FaultyServer) -> None:
    server.always[PATH] = Fault(no_range=True)
    with opened(server, max_bytes=1_000_000) as file, pytest.raises(ClipError) as failed:
        file.read(10)
    assert failed.value.reason == "too_large"
    assert file.bytes_received == 0


def test_a_server_without_ranges_that_always_breaks_at_the_same_place_is_given_up(server: FaultyServer) -> None:
    server.always[PATH] = Fault(no_range=True, truncate=True, after=500_000)
    with opened(server) as file:
        file.seek(2_000_000)
        with pytest.raises(ClipError) as failed:
            file.read(10)
    assert failed.value.reason == "network"
    assert len(server.requests) <= 6


def test_a_server_that_does_not_tell_the_size_is_asked_where_the_end_is(server: FaultyServer) -> None:
    def open_range(start: int, end: int | None) -> Any:
        response = asks(server.url(PATH))(start, end)
        known = response.headers["Content-Range"].partition("/")[0]
        response.headers.replace_header("Content-Range", f"{known}/*")
        return response

    with RangeFile(open_range, 1 << 30) as file:
        assert file.seek(-10, 2) == len(CONTENT) - 10
        assert file.read() == CONTENT[-10:]
        file.seek(0)
        assert file.read() == CONTENT


def test_an_encoding_that_was_not_asked_for_may_pass(server: FaultyServer) -> None:
    server.always[PATH] = Fault(headers={"Content-Encoding": "br"})
    with opened(server) as file, pytest.raises(ClipError) as failed:
        file.read(10)
    assert failed.value.reason == "network"


def test_an_answer_of_another_range_is_refused(server: FaultyServer) -> None:
    server.always[PATH] = Fault(headers={"Content-Range": f"bytes 5-9/{len(CONTENT)}"})

    def open_range(start: int, end: int | None) -> Any:
        return asks(server.url(PATH))(start + 7, end and end + 7)

    with RangeFile(open_range, 1 << 30) as file, pytest.raises(ClipError, match="other ranges"):
        file.read(10)


def test_what_reading_raises_comes_out_of_libav(server: FaultyServer, test_data: Any) -> None:
    server.files[PATH] = test_data / "videos" / "intel_one_by_one_person_detection.mp4"
    server.faults[PATH] = [None, Fault(status=410)]
    with opened(server) as file, pytest.raises(HTTPError) as failed, av.open(file) as container:
        for _ in container.demux(video=0):
            pass
    assert failed.value.code == 410


def test_libav_reads_through_it_what_is_in_the_file(server: FaultyServer, test_data: Any) -> None:
    path = test_data / "videos" / "videollava_sample_demo_22.mp4"
    server.files[PATH] = path
    with opened(server) as file, av.open(file) as remote, av.open(str(path)) as local:
        assert [bytes(packet) for packet in remote.demux()] == [bytes(packet) for packet in local.demux()]
