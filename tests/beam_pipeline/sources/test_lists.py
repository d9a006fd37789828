"""What a list of archives means, wherever it is, and what a list from a stranger may not name."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.config import ConfigError
from beam_pipeline.downloads import DownloadError
from beam_pipeline.sources import lists
from beam_pipeline.sources.lists import archive_urls
from tests.beam_pipeline import object_files
from tests.beam_pipeline.faulty_server import FaultyServer


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as started:
        yield started


def write(folder: Path, *lines: str, name: str = "paths.txt") -> str:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def refusal(entry: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        archive_urls([entry], str(folder / "downloads"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "count", "some"),
    [
        ("k400_train_path.txt", 242, "https://s3.amazonaws.com/kinetics/400/train/part_120.tar.gz"),
        ("k400_val_path.txt", 20, "https://s3.amazonaws.com/kinetics/400/val/part_0.tar.gz"),
        ("k400_test_path.txt", 39, "https://s3.amazonaws.com/kinetics/400/test/part_38.tar.gz"),
        (
            "k600_val_path.txt",
            600,
            "https://s3.amazonaws.com/kinetics/600/val/tying%20knot%20(not%20on%20a%20tie).tar.gz",
        ),
        ("k600_val_path.txt", 600, "https://s3.amazonaws.com/kinetics/600/val/massaging%20person's%20head.tar.gz"),
        ("k700_val_path.txt", 700, "https://s3.amazonaws.com/kinetics/700_2020/val/k700_val_700.tar.gz"),
        ("k700_test_path.txt", 50, "https://s3.amazonaws.com/kinetics/700_2020/test/k700_test_050.tar.gz"),
    ],
)
def test_cvdf_s_lists(test_data: Path, server: FaultyServer, tmp_path: Path, name: str, count: int, some: str) -> None:
    path = test_data / "annotations" / "cvdf_link_path" / name
    server.files[f"/{name}"] = path
    archives = archive_urls([str(path)], "")
    assert len(archives) == count
    assert some in archives
    assert archive_urls([server.url(f"/{name}")], str(tmp_path)) == archives


def test_archives_and_lists_together_each_once_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, "# train", "", "https://a/2.tar.gz", "  https://a/1 b.tgz\t", "https://a/2.tar.gz", "\r")
    assert archive_urls(["https://a/0.tar", path, "https://a/1%20b.tgz", "gone.tar.gz"], "") == (
        "https://a/0.tar",
        "https://a/2.tar.gz",
        "https://a/1%20b.tgz",
        "gone.tar.gz",
    )


def test_a_list_on_this_machine_may_name_anything_relative_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    path = write(
        tmp_path, "a b.tar.gz", "sub/c.tgz", "../up.tar", "/else/where.tar.gz", "~/mine.tar", "https://a/x.tgz"
    )
    assert archive_urls([path], "") == (
        f"{tmp_path}/a b.tar.gz",
        f"{tmp_path}/sub/c.tgz",
        f"{tmp_path}/../up.tar",
        "/else/where.tar.gz",
        "/home/me/mine.tar",
        "https://a/x.tgz",
    )


def test_a_list_from_the_web_names_what_is_beside_it_and_on_the_web(server: FaultyServer, tmp_path: Path) -> None:
    server.files["/k600/val list.txt"] = b"\xef\xbb\xbfacting in play.tar.gz\r\nsub/b.tgz\r\nhttps://a/x.tgz"
    root = f"http://127.0.0.1:{server.port}/k600"
    assert archive_urls([f"{root}/val list.txt?version=2"], str(tmp_path)) == (
        f"{root}/acting%20in%20play.tar.gz",
        f"{root}/sub/b.tgz",
        "https://a/x.tgz",
    )


def test_a_list_in_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path))
    monkeypatch.setattr(FileSystems, "_pipeline_options", PipelineOptions())
    (tmp_path / "k600").mkdir()
    write(tmp_path / "k600", "a b.tar.gz", f"{object_files.SCHEME}other/c.tgz", "https://a/x.tgz")
    assert archive_urls([f"{object_files.SCHEME}k600/paths.txt"], "") == (
        f"{object_files.SCHEME}k600/a b.tar.gz",
        f"{object_files.SCHEME}other/c.tgz",
        "https://a/x.tgz",
    )


def test_a_zipped_answer_is_unzipped(server: FaultyServer, tmp_path: Path) -> None:
    server.files["/paths.txt"] = gzip.compress(b"https://a/x.tgz\n")
    assert archive_urls([server.url("/paths.txt")], str(tmp_path)) == ("https://a/x.tgz",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("file:///etc/passwd", "is no address that a list from there may name, which are http, https"),
        ("file:/etc/passwd", "is no address"),
        ("gs://bucket/secret.tar", "is no address"),
        ("data:text/plain,x", "is no address"),
        ("/etc/passwd", "is a path of a machine"),
        ("//other/a.tar", "is a path of a machine"),
        ("\\\\server\\a.tar", "is a path of a machine"),
        ("~/.ssh/id", "is a path of a machine"),
        ("../up.tar.gz", "leads upwards"),
        ("a/%2e%2E/up.tar.gz", "leads upwards"),
        ("a\\..\\up.tar.gz", "leads upwards"),
        ("https://a/../b.tar.gz", "leads upwards"),
        ("https:///b.tar.gz", "names no server"),
        ("http://[a/b.tar.gz", "is no URL"),
        ("a\0.tar.gz", "control characters"),
        ("more.txt", "is itself a list"),
    ],
)
def test_a_list_from_the_web_may_not_name(server: FaultyServer, tmp_path: Path, line: str, message: str) -> None:
    server.files["/lists/paths.txt"] = f"good.tar.gz\n{line}\n".encode()
    found = refusal(server.url("/lists/paths.txt"), tmp_path)
    assert message in found
    assert f"{server.url('/lists/paths.txt')} line 2: " in found


@pytest.mark.parametrize("line", ["file:///etc/passwd", "ftp://a/b.tar.gz"])
def test_schemes_that_nobody_reads_are_named(tmp_path: Path, line: str) -> None:
    assert f"paths.txt line 1: '{line}' can't be read from" in refusal(write(tmp_path, line), tmp_path)
    assert f"source.archives: '{line}' can't be read from" in refusal(line, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no archive"),
        (b"# nothing\n\n", "names no archive"),
        (b"\x80\x81", "is not UTF-8 text at byte 0"),
        (gzip.compress(b"x" * (lists.MAX_LIST_BYTES + 1)), "has more than 16777216 bytes"),
        (b"".join(b"%d.tar\n" % number for number in range(lists.MAX_ARCHIVES + 1)), "more than 100000"),
    ],
    ids=["empty", "comments", "binary", "bomb", "many"],
)
def test_what_is_no_list_of_archives(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "paths.txt").write_bytes(content)
    found = refusal(str(tmp_path / "paths.txt"), tmp_path)
    assert message in found
    assert f"{tmp_path}/paths.txt" in found


def test_a_list_that_is_not_there(server: FaultyServer, tmp_path: Path) -> None:
    assert "source.archives: " in (found := refusal(str(tmp_path / "gone.txt"), tmp_path))
    assert "there is no such file" in found
    with pytest.raises(DownloadError, match="HTTP status 404"):
        archive_urls([server.url("/gone.txt")], str(tmp_path))
