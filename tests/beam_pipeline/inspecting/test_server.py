"""The server: whom it answers, what it gives and what it does not."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from beam_pipeline.clips import ClipError, utc_now
from beam_pipeline.data_set import DataSetError
from beam_pipeline.inspecting import server as serving
from beam_pipeline.inspecting.rows import Rows, read_rows
from beam_pipeline.inspecting.server import make_server
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, state_path, write_state
from tests.beam_pipeline.inspecting.conftest import RIGHT
from tests.beam_pipeline.inspecting.made_up import write_made_up
from tests.beam_pipeline.inspecting.serving import Asked, in_thread
from tests.beam_pipeline.object_files import SCHEME


@pytest.fixture(scope="module")
def asked(data_set: Path) -> Iterator[Asked]:
    with in_thread(make_server(lambda: read_rows(str(data_set)), port=0)) as asked:
        yield asked


def number_of(asked: Asked, clip_id: str) -> int:
    rows = asked.json(f"/clips/train/rows.json?snapshot=1&page=1&size=1&text={clip_id}")["rows"]
    return rows[0]["row"]


def test_it_listens_to_this_machine_alone(data_set: Path) -> None:
    server = make_server(lambda: read_rows(str(data_set)), port=0)
    server.server_close()
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:{port}.evil.example", ""]
)
def test_another_host_name_is_refused(asked: Asked, host: str) -> None:
    answer = asked.get("/", {"Host": host.format(port=asked.port)})
    assert answer.status == 403
    assert "demo" not in answer.text


def test_localhost_is_this_machine(asked: Asked) -> None:
    assert asked.get("/", {"Host": f"localhost:{asked.port}"}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../page.py",
        "/assets/%2e%2e/page.py",
        "/assets//etc/passwd",
        "/../../../etc/passwd",
        "//etc/passwd",
        "/clips/train/../../labels.txt",
        "/clips/..%2f..%2flabels/0.json?snapshot=1",
        "/clips/nowhere/0.json?snapshot=1",
        "/clips/train/5.json?snapshot=1",
        "/clips/train/-1.json?snapshot=1",
        "/labels.txt",
    ],
)
def test_it_serves_what_it_knows_and_nothing_else(asked: Asked, path: str) -> None:
    assert asked.get(path).status == 404


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("page=0&size=10", "page must be a number above 0, got '0'"),
        ("page=1&size=x", "size must be a number above 0, got 'x'"),
        ("page=1&size=10&sort=color", "sort must be one of id, label, "),
        ("page=1&size=10&status=lost", "status must be one of written, failed, not attempted, got 'lost'"),
        ("page=1&size=10&label=-1", "label must be a number, got '-1'"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_why(asked: Asked, parameters: str, message: str) -> None:
    answer = asked.get(f"/clips/train/rows.json?snapshot=1&{parameters}")
    assert answer.status == 400
    assert message in answer.text


def test_no_answer_may_be_shown_in_another_site_or_taken_for_another_type(asked: Asked) -> None:
    for path in ("/", "/data/summary.js", "/assets/inspect.js", "/nowhere"):
        headers = asked.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_nothing_can_be_written(asked: Asked) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", asked.port)
    for method in ("POST", "PUT", "DELETE"):
        connection.request(method, "/")
        assert connection.getresponse().status == 501
        connection.close()


def test_a_part_of_a_film_is_that_part_of_the_whole(asked: Asked) -> None:
    path = f"/clips/train/{number_of(asked, RIGHT[0])}.mp4?snapshot=1"
    whole = asked.get(path)
    assert (whole.status, whole.headers["Content-Type"]) == (200, "video/mp4")
    size = len(whole.content)
    for wanted, first, last in (("0-99", 0, 99), ("100-", 100, size - 1), ("-50", size - 50, size - 1)):
        part = asked.get(path, {"Range": f"bytes={wanted}"})
        assert part.status == 206
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first : last + 1]
    assert asked.get(path, {"Range": f"bytes={size}-"}).status == 416


def test_a_part_that_is_no_number_of_bytes_is_the_whole(asked: Asked, capfd: pytest.CaptureFixture[str]) -> None:
    path = f"/clips/train/{number_of(asked, RIGHT[0])}.mp4?snapshot=1"
    assert asked.get(path, {"Range": f"bytes={'9' * 5000}-"}).status == 200
    assert capfd.readouterr().err == ""


def test_a_browser_that_goes_away_is_no_error(asked: Asked, capfd: pytest.CaptureFixture[str]) -> None:
    connection = socket.create_connection(("127.0.0.1", asked.port))
    connection.sendall(b"GET /")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()  # with a reset
    assert asked.get("/").status == 200
    assert capfd.readouterr().err == ""


def test_a_picture_of_a_clip_is_a_small_jpeg(asked: Asked) -> None:
    answer = asked.get(f"/clips/train/{number_of(asked, RIGHT[0])}.jpg?snapshot=1")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")


def test_a_shard_that_is_gone_is_said_of_its_clips(data_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in data_set.iterdir():
        if path.is_file() and "tfrecord" not in path.name:
            (copy / path.name).write_bytes(path.read_bytes())
    with in_thread(make_server(lambda: read_rows(str(copy)), port=0)) as asked:
        clip = asked.json(f"/clips/train/{number_of(asked, RIGHT[0])}.json?snapshot=1")
        assert clip["row"]["clip_id"] == RIGHT[0]
        assert "tfrecord-0000" in clip["error"]


def test_a_remote_data_set_is_served(data_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from beam_pipeline.media.process import use_store_options

    monkeypatch.setenv("OBJECTS", str(data_set.parents[1]))
    use_store_options({})
    with in_thread(make_server(lambda: read_rows(f"{SCHEME}inspected/1.0.0"), port=0)) as asked:
        assert b"ftyp" in asked.get(f"/clips/train/{number_of(asked, RIGHT[0])}.mp4?snapshot=1").content[:16]


def test_a_data_set_that_is_being_made_is_read_anew_for_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_REREAD_AFTER_S", 0.0)
    state = tmp_path / "state"
    state.mkdir()
    (state / "settings-train.json").write_text(json.dumps({"name": "going", "shards": 2}))
    make_shard(tmp_path, 0)
    with in_thread(make_server(lambda: read_rows(str(tmp_path)), port=0)) as asked:
        page = asked.get("/").text
        assert "1 <span" in page and "being made" in page
        first = asked.snapshot()
        make_shard(tmp_path, 1)
        assert "2 <span" in asked.get("/").text
        assert asked.snapshot() > first
        stale = asked.get(f"/clips/train/rows.json?snapshot={first}&page=1&size=10")
        assert stale.status == 410


def test_what_was_made_of_an_earlier_reading_is_not_shown_of_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_REREAD_AFTER_S", 0.0)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "settings-train.json").write_text(json.dumps({"name": "going", "shards": 2}))
    make_shard(tmp_path, 0)
    rows = read_rows(str(tmp_path))  # each reading is of this very object, whose clip fails after the first
    with in_thread(make_server(lambda: rows, port=0)) as asked:
        written = "/clips/train/rows.json?page=1&size=10&status=written"
        assert asked.json(f"{written}&snapshot=1")["total"] == 1
        rows[0].status[:] = 1
        asked.get("/")
        assert asked.json(f"{written}&snapshot=2")["total"] == 0


@pytest.mark.parametrize(
    ("error", "status"), [(DataSetError("clips-train.parquet: is damaged"), 500), (PermissionError(13, "denied"), 502)]
)
def test_a_data_set_that_can_not_be_read_anew_is_told(
    error: Exception, status: int, data_set: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving, "_REREAD_AFTER_S", 0.0)
    readings = iter([[going(rows) for rows in read_rows(str(data_set))]])  # which can be read once

    def read() -> list:
        for rows in readings:
            return rows
        raise error

    with in_thread(make_server(read, port=0)) as asked:
        answer = asked.get("/")
        assert (answer.status, answer.text) == (status, str(error))
        assert asked.get("/data/summary.js").status == 200
    assert capfd.readouterr().err == ""


def test_what_is_empty_takes_room_in_the_cache_too() -> None:
    made: list[int] = []
    cache = serving._Cache(room=100 * serving._ENTRY_BYTES)

    def ask(key: int) -> None:
        cache.get(key, lambda: made.append(key) or b"", len)

    for key in range(1000):
        ask(key)
    made.clear()
    for key in (999, 0):
        ask(key)
    assert made == [0]


def test_no_more_than_a_few_pictures_are_made_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def read(*_: object) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        raise ClipError("unreadable", "is damaged")

    monkeypatch.setattr(serving, "read_record", read)
    directory = str(write_made_up(tmp_path, 20))
    with in_thread(make_server(lambda: read_rows(directory), port=0)) as asked, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda row: asked.get(f"/clips/train/{row}.jpg?snapshot=1"), range(20)))
    assert {answer.status for answer in answers} == {404}
    assert 1 < most <= 4


def test_a_finished_data_set_is_read_anew_when_a_job_goes_on_with_it(data_set: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data_set, tmp_path / "copy"))
    with in_thread(make_server(lambda: read_rows(str(copy)), port=0)) as asked:
        assert "being made" not in asked.get("/").text
        assert asked.snapshot() == 1
        plan = json.loads((copy / "state" / "plan.json").read_text())
        plan["splits"]["train"]["asked"] += 1000
        (copy / "state" / "plan.json").write_text(json.dumps(plan))
        page = asked.get("/").text
        assert "being made" in page and "1,005 clips" in page
        assert asked.snapshot() == 2


def going(rows: Rows) -> Rows:
    """Returns rows as they are while a job is at work."""
    return replace(rows, split=replace(rows.split, is_finished=False))


def make_shard(directory: Path, shard: int) -> None:
    """Leaves the state of a shard that a job has made, of one clip."""
    clip_id = f"clip{shard:07d}_000000_000001"
    row = LedgerRow(clip_id, clip_id[:11], 0.0, 1.0, "juggling balls", 0, "train", attempts=1, attempted_at=utc_now())
    state = ShardState("train", shard, 2, True, 100, 1, (StateRow(row),))
    write_state(state_path(str(directory), "train", shard, 2), state)
