"""A file from the web comes whole or not at all, once, and is never another one afterwards."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_pipeline import downloads
from beam_pipeline.annotations import read_rows
from beam_pipeline.downloads import DownloadError, cached, is_url, quoted_url
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

LIST = b"label,youtube_id,time_start,time_end,split\nyoga,abcdefghijk,1,11,val\nyoga,abcdefghijk,x,12,val\n"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        started.files["/lists/train.csv"] = LIST
        yield started


def fetch(server: FaultyServer, folder: Path, path: str = "/lists/train.csv") -> Path:
    return Path(cached(server.url(path), str(folder), backoff_s=0.01))


def failure(server: FaultyServer, folder: Path, path: str = "/lists/train.csv") -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(server, folder, path)
    assert server.url(path) in str(caught.value)
    assert not [file for file in folder.rglob("*") if file.is_file()]
    return str(caught.value)


def test_a_file_is_downloaded_once_and_kept_with_its_checksum(server: FaultyServer, tmp_path: Path) -> None:
    first = fetch(server, tmp_path)
    server.files["/lists/train.csv"] = b"other rows"
    assert fetch(server, tmp_path) == first
    assert first.read_bytes() == LIST
    assert len(server.requests) == 1
    note = json.loads((first.parent / "train.csv.json").read_text())
    assert (note["url"], note["bytes"]) == (server.url("/lists/train.csv"), len(LIST))
    assert note["etag"]


def test_bad_rows_are_named_after_the_url_s_file(server: FaultyServer, tmp_path: Path) -> None:
    bad = next(row for row in read_rows(str(fetch(server, tmp_path))) if row.error)
    assert bad.error.startswith("train.csv line 3: time_start 'x'")


def test_the_same_url_in_another_spelling_is_the_same_file(server: FaultyServer, tmp_path: Path) -> None:
    server.files["/tying knot (not on a tie) person's.csv"] = LIST
    raw = f"http://127.0.0.1:{server.port}/tying knot (not on a tie) person's.csv"
    assert Path(cached(raw, str(tmp_path))).name == "tying knot (not on a tie) person's.csv"
    assert cached(raw.replace(" ", "%20"), str(tmp_path)) == cached(f" {raw} ", str(tmp_path))
    assert len(server.requests) == 1


def test_files_of_one_name_and_of_two_urls_are_two(server: FaultyServer, tmp_path: Path) -> None:
    server.files["/other/train.csv"] = b"other rows"
    assert fetch(server, tmp_path).read_bytes() == LIST
    assert fetch(server, tmp_path, "/other/train.csv").read_bytes() == b"other rows"


def test_a_file_that_was_changed_on_the_disk_is_an_error_until_it_is_deleted(
    server: FaultyServer, tmp_path: Path
) -> None:
    path = fetch(server, tmp_path)
    path.write_bytes(LIST[:-1])
    with pytest.raises(DownloadError, match=r"train\.csv: was changed .* Delete it to download it anew"):
        fetch(server, tmp_path)
    path.unlink()
    assert fetch(server, tmp_path).read_bytes() == LIST


def test_a_broken_note_is_named(server: FaultyServer, tmp_path: Path) -> None:
    path = fetch(server, tmp_path)
    (path.parent / "train.csv.json").write_text("{}")
    with pytest.raises(DownloadError, match=r"train\.csv\.json: was changed"):
        fetch(server, tmp_path)


def test_a_file_whose_download_was_killed_before_its_note_is_downloaded_anew(
    server: FaultyServer, tmp_path: Path
) -> None:
    path = fetch(server, tmp_path)
    path.write_bytes(LIST[:10])
    (path.parent / "train.csv.json").unlink()
    assert fetch(server, tmp_path).read_bytes() == LIST


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(truncate=True, after=20),
        Fault(reset=True, after=20),
    ],
    ids=["503", "429", "truncated", "reset"],
)
def test_what_may_pass_is_tried_again(server: FaultyServer, tmp_path: Path, fault: Fault) -> None:
    server.faults["/lists/train.csv"] = [fault, fault]
    assert fetch(server, tmp_path).read_bytes() == LIST
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(status=503), "HTTP status 503 Service Unavailable, in 4 tries. Try again later"),
        (Fault(truncate=True, after=20), "20 bytes read"),
    ],
    ids=["503", "truncated"],
)
def test_what_does_not_pass_is_an_error_and_leaves_nothing(
    server: FaultyServer, tmp_path: Path, fault: Fault, message: str
) -> None:
    server.always["/lists/train.csv"] = fault
    assert message in failure(server, tmp_path)
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_not_tried_again(server: FaultyServer, tmp_path: Path, status: int) -> None:
    server.always["/lists/train.csv"] = Fault(status=status)
    assert f"HTTP status {status}" in failure(server, tmp_path)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there(server: FaultyServer, tmp_path: Path) -> None:
    server.stop()
    assert "Connection refused" in failure(server, tmp_path)


def test_redirects_to_other_schemes_are_refused(server: FaultyServer, tmp_path: Path) -> None:
    server.always["/lists/train.csv"] = Fault(status=302, headers={"Location": "file:///etc/passwd"})
    assert "No connection adapters" in failure(server, tmp_path)


def test_zipped_files_stay_zipped_whatever_the_server_says_of_them(server: FaultyServer, tmp_path: Path) -> None:
    zipped = gzip.compress(LIST)
    server.files["/train.csv.gz"] = zipped
    server.always["/train.csv.gz"] = Fault(headers={"Content-Encoding": "gzip"})
    path = fetch(server, tmp_path, "/train.csv.gz")
    assert path.read_bytes() == zipped
    assert len(list(read_rows(str(path)))) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n<!DOCTYPE html><title>Log in</title>", "is a web page"), (b"", "is an empty file")],
)
def test_what_is_no_file_is_not_kept(server: FaultyServer, tmp_path: Path, content: bytes, message: str) -> None:
    server.files["/lists/train.csv"] = content
    assert message in failure(server, tmp_path)


def test_a_huge_file_is_refused_by_its_length_before_it_comes(server: FaultyServer, tmp_path: Path) -> None:
    server.files["/huge.csv"] = tmp_path / "huge"
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(downloads.MAX_BYTES + 1)
    with pytest.raises(DownloadError, match=r"has 536870913 bytes, where a list may have 536870912 at most"):
        fetch(server, tmp_path / "kept", "/huge.csv")
    assert server.sent("/huge.csv") < 64 << 20


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "download"),
        ("/a/%2e%2e%2f..%2f.bashrc", "_bashrc"),
        ("/a%00b%5Cc%0A.csv", "a_b_c_.csv"),
        ("/" + "x" * 300 + ".csv", "x" * 96 + ".csv"),
    ],
    ids=["none", "escape", "control", "long"],
)
def test_names_are_made_safe(server: FaultyServer, tmp_path: Path, path: str, name: str) -> None:
    server.files.update({"/": LIST, "/a/../../.bashrc": LIST, "/a\0b\\c\n.csv": LIST, f"/{'x' * 300}.csv": LIST})
    kept = Path(cached(f"http://127.0.0.1:{server.port}{path}", str(tmp_path)))
    assert kept.name == name
    assert kept.parents[1] == tmp_path


@pytest.mark.parametrize(
    ("url", "quoted"),
    [
        ("https://a/b c.csv", "https://a/b%20c.csv"),
        ("https://a/b%20c.csv", "https://a/b%20c.csv"),
        ("https://a/person's (x).csv", "https://a/person's%20(x).csv"),
        ("https://a/100%.csv?q=a b", "https://a/100%25.csv?q=a%20b"),
        ("https://a/é.csv", "https://a/%C3%A9.csv"),
    ],
)
def test_quoting_is_done_once(url: str, quoted: str) -> None:
    assert quoted_url(url) == quoted
    assert quoted_url(quoted) == quoted


@pytest.mark.parametrize("url", ["http://", "https:///train.csv", "http://[x/a.csv"])
def test_what_is_no_url_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="is no URL"):
        cached(url, str(tmp_path))


def test_urls_are_http_and_https() -> None:
    assert [is_url(path) for path in ("http://a/b", "HTTPS://a/b")] == [True, True]
    assert [is_url(path) for path in ("gs://a/b", "/http://a", "file:///a", "http:/a")] == [False] * 4


@pytest.mark.parametrize("path", ["/lists/train.csv", "/gone.csv", "/away.csv", "/page.csv"])
def test_neither_messages_nor_notes_hold_what_lets_one_in(server: FaultyServer, tmp_path: Path, path: str) -> None:
    server.files["/page.csv"] = b"<html>"
    server.always["/away.csv"] = Fault(status=302, headers={"Location": "ftp://me:secret@127.0.0.1/?key=secret"})
    url = f"http://me:secret@127.0.0.1:{server.port}{path}?signature=secret"
    if path == "/lists/train.csv":
        kept = Path(cached(url, str(tmp_path)))
        assert json.loads(kept.with_name("train.csv.json").read_text())["url"] == server.url(path)
        kept.write_bytes(b"other")
    with pytest.raises(DownloadError) as caught:
        cached(url, str(tmp_path))
    assert server.url(path) in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://me:secret@[::1/a", "http://me:secret@/a"])
def test_messages_of_malformed_urls_hold_no_secrets(url: str) -> None:
    with pytest.raises(DownloadError, match="is no URL") as caught:
        quoted_url(url)
    assert "secret" not in str(caught.value)
