"""Archives into the store: which members, where, and what is left when something goes wrong."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.clips import Clip
from beam_pipeline.sources.archive_record import ArchiveRecord
from beam_pipeline.sources.archives import Archive, ArchiveFailure, fetch_archive, read_archive_records
from beam_pipeline.sources.transfer import Patience
from beam_pipeline.store import FETCH_DIR, StoredFile, list_store, match_clips
from tests.beam_pipeline import object_files
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

ROOT = Path(__file__).parents[3]
QUICK = Patience(connect_s=5, silence_s=5, min_bytes_per_s=0, tries=3, first_wait_s=0.01)
Entry = tuple[str, bytes] | tarfile.TarInfo


def clip_id(number: int) -> str:
    return f"abcdefghi{number:02d}_{number:06d}_{number + 10:06d}"


CLIPS = {clip_id(n): random.Random(n).randbytes(20_000 + n) for n in range(12)}
MEMBERS = [(f"train/part_0/{name}.mp4", content) for name, content in CLIPS.items()]
PLAIN = "/400/train/part_0.tar.gz"
K600 = "/600/train/massaging person's head (1).tar.gz"


def tar(entries: Iterable[Entry], packed: bool = True, form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as file:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                file.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                file.addfile(info, io.BytesIO(entry[1]))
    return gzip.compress(buffer.getvalue(), 1) if packed else buffer.getvalue()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir()
    return path


def fetch(
    archive: Archive | str,
    store: Path | str,
    wanted: Iterable[str] = CLIPS,
    made: Iterable[str] = (),
    **options,
) -> tuple[dict[str, int], ArchiveFailure | None]:
    """Returns what was yielded: sizes by path, and the failure, which may only come last."""
    if isinstance(archive, str):
        archive = Archive(archive, "train", False)
    options = {"patience": QUICK, "stopping": threading.Event()} | options
    found = list(fetch_archive(archive, str(store), frozenset(wanted), frozenset(made), **options))
    failed = found.pop() if found and isinstance(found[-1], ArchiveFailure) else None
    assert all(isinstance(file, StoredFile) for file in found)
    return {file.uri: file.size for file in found}, failed


def contents(store: Path) -> dict[str, bytes]:
    return {file.uri: (store / file.uri).read_bytes() for file in list_store(str(store))}


def everything(folder: Path) -> set[str]:
    """All files below a folder but the records of archives."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return {path for path in paths if f"{FETCH_DIR}/archives/" not in path}


def record(store: Path | str) -> ArchiveRecord:
    (only,) = read_archive_records(str(store))
    return only


def local(tmp_path: Path, content: bytes, name: str = "part_0.tar.gz") -> str:
    path = tmp_path / "archives" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)


def in_part_0(names: Iterable[str] = CLIPS) -> dict[str, bytes]:
    return {f"train/part_0/{name}.mp4": CLIPS[name] for name in names}


def test_a_tree_as_cvdf_has_it(server: FaultyServer, store: Path, test_data: Path) -> None:
    videos = {path.name: path.read_bytes() for path in (test_data / "videos").iterdir()}
    real = {
        "R6llTwEh07w_000084_000094.mp4": videos["R6llTwEh07w.mp4"],
        "-Uzgd7C1pWA_000000_000010.mp4": videos["WUzgd7C1pWA.mp4"],
        "__cornpopcA_000001_000011.mkv": videos["decord_flipping_a_pancake.mkv"],
        "webmwebm.00_000002_000012.webm": videos["mdn_rabbit320.webm"],
    }
    folder = tarfile.TarInfo("massaging person's head/")
    folder.type = tarfile.DIRTYPE
    unwanted = ("massaging person's head/notwanted00_000001_000011.mp4", b"x" * 1000)
    server.files[K600] = tar(
        [
            folder,
            *((f"massaging person's head/{name}", content) for name, content in real.items()),
            unwanted,
            ("massaging person's head/._R6llTwEh07w_000084_000094.mp4", b"\0\5\x16\7"),
            ("massaging person's head/emptyempty0_000001_000011.mp4", b""),
            ("massaging person's head/.DS_Store", b"Bud1"),
            ("massaging person's head/R6llTwEh07w_000084_000094.json", b"{}"),
            ("massaging person's head/R6llTwEh07w.mp4", b"which clip?"),
        ]
    )
    wanted = [name.rpartition(".")[0] for name in real] + ["emptyempty0_000001_000011"]
    found, failed = fetch(f"http://127.0.0.1:{server.port}{K600}", store, wanted)
    assert failed is None
    assert contents(store) == {f"train/massaging_person_s_head_1_/{name}": data for name, data in real.items()}
    assert found == {uri: len(content) for uri, content in contents(store).items()}
    assert everything(store) == set(found)
    passed_over = {why: passed.names for why, passed in record(store).passed_over.items()}
    assert passed_over["not_wanted"] == ["notwanted00_000001_000011.mp4"]
    assert passed_over["empty"] == ["emptyempty0_000001_000011.mp4"]
    assert len(passed_over["not_a_clip"]) == 4


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("depth", [0, 1, 40])
def test_every_form_of_tar_packed_or_plain_whatever_its_name(
    tmp_path: Path, store: Path, form: int, packed: bool, depth: int
) -> None:
    entries = [("folder/" * min(depth, 12 if form == tarfile.USTAR_FORMAT else 40) + name, c) for name, c in MEMBERS]
    assert fetch(local(tmp_path, tar(entries, packed, form)), store)[1] is None
    assert contents(store) == in_part_0()


def test_what_other_tars_write(tmp_path: Path, store: Path) -> None:
    source = tmp_path / "train"
    source.mkdir()
    for name, content in CLIPS.items():
        (source / f"{name}.mp4").write_bytes(content)
    for form in ("v7", "oldgnu", "gnu", "ustar", "posix"):
        path = tmp_path / f"{form}.tgz"
        subprocess.run(["tar", "czf", path, f"--format={form}", "-C", tmp_path, "train"], check=True)
        assert fetch(str(path), store)[1] is None
        assert {Path(uri).name: content for uri, content in contents(store).items() if form in uri} == {
            f"{name}.mp4": content for name, content in CLIPS.items()
        }


def test_gzip_members_one_after_another_are_one(tmp_path: Path, store: Path) -> None:
    plain = tar(MEMBERS, packed=False)
    packed = b"".join(gzip.compress(plain[at : at + 30_000]) for at in range(0, len(plain), 30_000))
    assert fetch(local(tmp_path, packed), store)[1] is None
    assert contents(store) == in_part_0()


@pytest.mark.parametrize("rest", [bytes(5000), b"garbage" * 3000, b"\x1f", b"BZh9"])
@pytest.mark.parametrize("packed", [True, False])
def test_what_follows_the_end_is_ignored(tmp_path: Path, store: Path, packed: bool, rest: bytes) -> None:
    assert fetch(local(tmp_path, tar(MEMBERS, packed) + rest), store)[1] is None
    assert contents(store) == in_part_0()


def test_an_archive_without_members_is_complete(tmp_path: Path, store: Path) -> None:
    assert fetch(local(tmp_path, tar([])), store) == ({}, None)
    assert record(store).state == "complete"


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://s3.amazonaws.com/kinetics/600/train/acting in play.tar.gz", "acting_in_play"),
        ("https://s3.amazonaws.com/kinetics/600/train/acting%20in%20play.tar.gz?x=/y", "acting_in_play"),
        ("/data/k700_val_001.TGZ", "k700_val_001"),
        ("gs://bucket/part_1.tar", "part_1"),
        ("http://a/..", "archive"),
        ("http://a/b/...tar.gz", "archive"),
        ("http://a/b/..%2f..%2f..%2fetc%2f.hidden.tgz", "hidden"),
        ("http://a/" + "long" * 100 + ".tgz", "long" * 25),
        ("", "archive"),
    ],
)
def test_folders_are_named_after_archives(url: str, folder: str) -> None:
    assert Archive(url, "train", False).folder == f"train/{folder}"


@pytest.mark.parametrize("order", [1, -1])
def test_replacements_win_whatever_the_order(tmp_path: Path, store: Path, order: int) -> None:
    name = clip_id(3)
    original = Archive(local(tmp_path, tar(MEMBERS)), "train", False)
    corrected = Archive(local(tmp_path, tar([(f"r/{name}.mp4", b"good")]), "r.tgz"), "", True)
    for archive in (original, corrected)[::order]:
        assert fetch(archive, store)[1] is None
    clip = Clip("abcdefghi03", 3_000_000, 13_000_000)
    matched = match_clips([clip], list_store(str(store)), "true")[name]
    assert (store / matched.uri).read_bytes() == b"good"


def test_of_a_clip_that_is_there_twice_the_first_is_taken(tmp_path: Path, store: Path) -> None:
    name = clip_id(0)
    entries = [(f"a/{name}.mp4", b""), (f"b/{name}.mp4", b"first"), (f"c/{name}.mp4", b"2nd"), (f"d/{name}.mkv", b"3")]
    found, _ = fetch(local(tmp_path, tar(entries)), store)
    assert contents(store) == {f"train/part_0/{name}.mp4": b"first"}
    assert found == {f"train/part_0/{name}.mp4": 5}
    assert record(store).counts == {"stored": 1, "empty": 1, "duplicate": 2}


def test_the_record_of_an_archive(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar([*MEMBERS, ("train/readme.txt", b"hello")])
    fetch(server.url(PLAIN), store, list(CLIPS)[:10])
    found = record(store)
    assert (found.url, found.state, found.reason, found.folder) == (server.url(PLAIN), "complete", "", "train/part_0")
    assert found.bytes == found.size == len(server.files[PLAIN])
    assert found.etag
    assert found.stored == {f"{name}.mp4": len(CLIPS[name]) for name in list(CLIPS)[:10]}
    assert found.passed_over["not_wanted"].names == [f"{name}.mp4" for name in list(CLIPS)[10:]]
    assert found.counts == {"stored": 10, "not_wanted": 2, "not_a_clip": 1}
    assert found.started_at <= found.ended_at


def test_the_record_is_there_while_an_archive_is_read(tmp_path: Path, store: Path) -> None:
    class Wanted:
        def __contains__(self, _clip_id: object) -> bool:
            assert (record(store).state, record(store).ended_at) == ("reading", "")
            return True

    found = fetch_archive(Archive(local(tmp_path, tar(MEMBERS)), "train", False), str(store), Wanted())
    next(found)
    found.close()
    assert record(store).state == "reading"
    assert everything(store) <= set(in_part_0())


def test_a_complete_archive_is_not_asked_for_again(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)
    first = fetch(server.url(PLAIN), store)
    assert len(server.requests) == 1
    assert fetch(server.url(PLAIN), store) == first
    assert len(server.requests) == 1


def test_it_is_read_again_for_a_clip_that_was_not_wanted_before(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)
    fetch(server.url(PLAIN), store, list(CLIPS)[:5])
    before = {path: path.stat() for path in (store / "train/part_0").iterdir()}
    fetch(server.url(PLAIN), store)
    assert contents(store) == in_part_0()
    assert all((path.stat().st_ino, path.stat().st_mtime_ns) == (s.st_ino, s.st_mtime_ns) for path, s in before.items())


def test_it_is_read_again_where_more_was_passed_over_than_its_record_lists(
    server: FaultyServer, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beam_pipeline.sources.archive_record._MAX_NAMES", 1)
    server.files[PLAIN] = tar(MEMBERS)
    fetch(server.url(PLAIN), store, list(CLIPS)[:2])
    fetch(server.url(PLAIN), store, list(CLIPS)[:2])
    assert len(server.requests) == 1
    fetch(server.url(PLAIN), store, [*list(CLIPS)[:2], list(CLIPS)[-1]])
    assert len(contents(store)) == 3


@pytest.mark.parametrize("made", [False, True])
def test_it_is_read_again_for_a_clip_that_is_gone_unless_its_record_is_made(
    server: FaultyServer, store: Path, made: bool
) -> None:
    server.files[PLAIN] = tar(MEMBERS)
    fetch(server.url(PLAIN), store)
    gone = clip_id(4)
    (store / "train/part_0" / f"{gone}.mp4").unlink()
    found, _ = fetch(server.url(PLAIN), store, made=[gone] if made else [])
    assert contents(store) == in_part_0(name for name in CLIPS if not made or name != gone)
    assert set(found) == set(contents(store))
    assert len(server.requests) == (1 if made else 2)


def test_clips_whose_records_are_made_are_stored_of_replacements_only(tmp_path: Path, store: Path) -> None:
    path = local(tmp_path, tar(MEMBERS))
    fetch(Archive(path, "train", False), store, made=CLIPS)
    assert contents(store) == {}
    fetch(Archive(path, "", True), store, made=CLIPS)
    assert len(contents(store)) == len(CLIPS)


def test_a_clip_that_was_made_and_is_no_more_is_stored(tmp_path: Path, store: Path) -> None:
    archive = local(tmp_path, tar(MEMBERS))
    fetch(archive, store, made=CLIPS)
    assert record(store).counts == {"stored": 0, "made": len(CLIPS)}
    fetch(archive, store)
    assert contents(store) == in_part_0()


def test_a_connection_that_breaks_costs_nothing(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)
    server.always[PLAIN] = Fault(after=70_000, reset=True)
    assert fetch(server.url(PLAIN), store)[1] is None
    assert contents(store) == in_part_0()
    assert len(server.requests) > 3
    assert server.sent(PLAIN) < 1.5 * len(server.files[PLAIN])


class _Changing(dict):
    """Files of a server that are others at each request; the last stays."""

    def get(self, _path: str, _default: object = None) -> bytes:
        self.contents = getattr(self, "contents", None) or list(self[PLAIN])
        return self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]


def test_an_archive_that_changes_meanwhile_is_read_from_its_start(server: FaultyServer, store: Path) -> None:
    other = {name: content[::-1] + b"!" for name, content in CLIPS.items()}
    server.files = _Changing({PLAIN: [tar(MEMBERS), tar((f"{name}.mp4", content) for name, content in other.items())]})
    server.faults[PLAIN] = [Fault(after=150_000, reset=True)]
    assert fetch(server.url(PLAIN), store)[1] is None
    assert contents(store) == {f"train/part_0/{name}.mp4": content for name, content in other.items()}


def test_an_archive_that_goes_on_changing_is_given_up(server: FaultyServer, store: Path) -> None:
    server.files = _Changing({PLAIN: [tar(MEMBERS) + bytes(change) for change in range(20)]})
    server.always[PLAIN] = Fault(after=50_000, reset=True)
    _, failed = fetch(server.url(PLAIN), store)
    assert failed == ArchiveFailure("network", f"{server.url(PLAIN)}: it changes while it is read")
    assert len(server.requests) == 6


@pytest.mark.parametrize(("status", "reason"), [(404, "not_found"), (403, "network"), (429, "rate_limited")])
def test_an_archive_that_is_not_given_out(server: FaultyServer, store: Path, status: int, reason: str) -> None:
    server.always[PLAIN] = Fault(status=status)
    found, failed = fetch(server.url(PLAIN), store)
    assert found == {}
    assert failed is not None
    assert failed.reason == reason
    assert failed.detail.startswith(f"{server.url(PLAIN)}: HTTP {status}")
    assert (record(store).state, record(store).reason, record(store).detail) == ("failed", reason, failed.detail)


def test_what_came_before_a_cut_counts_and_a_corrupt_archive_is_not_read_again(
    server: FaultyServer, store: Path
) -> None:
    server.files[PLAIN] = tar(MEMBERS)[:150_000]
    found, failed = fetch(server.url(PLAIN), store)
    assert failed is not None
    assert failed.reason == "archive_corrupt"
    assert contents(store) == in_part_0(list(CLIPS)[: len(found)])
    assert len(found) == 7
    assert everything(store) == set(found)
    (path,) = (store / FETCH_DIR / "archives").iterdir()
    written = path.stat().st_mtime_ns
    assert fetch(server.url(PLAIN), store) == (found, failed)
    assert path.stat().st_mtime_ns == written
    assert fetch(server.url(PLAIN), store, retry_permanent=True) == (found, failed)
    assert path.stat().st_mtime_ns > written
    server.files[PLAIN] = tar(MEMBERS)
    assert fetch(server.url(PLAIN), store)[1] is None
    assert contents(store) == in_part_0()


def test_a_server_that_fails_later_does_not_hide_what_came_before(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)[:150_000]
    found, _ = fetch(server.url(PLAIN), store)
    server.always[PLAIN] = Fault(status=404)
    again, failed = fetch(server.url(PLAIN), store)
    assert again == found
    assert failed is not None
    assert failed.reason == "not_found"
    assert record(store).counts["stored"] == len(found)


@pytest.mark.parametrize("packed", [True, False])
def test_a_cut_at_any_byte_is_noticed(tmp_path: Path, packed: bool) -> None:
    content = tar(MEMBERS[:2], packed)
    end = content.rindex(CLIPS[clip_id(1)][-100:]) if not packed else len(content) - 1
    for at in random.Random(0).sample(range(1, end), 60):
        store = tmp_path / str(at)
        found, failed = fetch(local(tmp_path, content[:at]), store)
        assert failed is not None, at
        assert failed.reason == "archive_corrupt", at
        assert everything(store) == set(found)
        assert contents(store).items() <= in_part_0().items()


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"BZh91AY&SY", "unsupported", "bzip2"),
        (b"\xfd7zXZ\0\0\4", "unsupported", "xz"),
        (b"PK\3\4" + bytes(600), "unsupported", "zip"),
        (b"<!DOCTYPE html>" + b" " * 600, "archive_corrupt", "no tar archive"),
        (gzip.compress(b"<html>" + b" " * 600, mtime=0), "archive_corrupt", "no tar archive"),
        (b"", "archive_corrupt", "missing"),
        (b"\x1f\x8b\x08\xff" + bytes(600), "archive_corrupt", "gzip"),
    ],
)
def test_what_is_no_archive_says_so(tmp_path: Path, store: Path, content: bytes, reason: str, words: str) -> None:
    _, failed = fetch(local(tmp_path, content), store)
    assert failed is not None
    assert failed.reason == reason
    assert words in failed.detail


def test_a_wrong_checksum_of_gzip_is_noticed(tmp_path: Path, store: Path) -> None:
    content = bytearray(gzip.compress(tar(MEMBERS, packed=False) + bytes(2 << 20)))  # far behind the end mark
    content[-8] ^= 1
    found, failed = fetch(local(tmp_path, bytes(content)), store)
    assert failed is not None
    assert failed.reason == "archive_corrupt"
    assert "incorrect data check" in failed.detail
    assert contents(store) == in_part_0(list(CLIPS)[: len(found)])


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_nothing_is_written_outside_the_store(tmp_path: Path, store: Path) -> None:
    names = [clip_id(n) for n in range(12)]
    entries: list[Entry] = [
        (f"../../{names[0]}.mp4", b"0"),
        (f"/tmp/{names[1]}.mp4", b"1"),
        (f"a/../../../{names[2]}.mp4", b"2"),
        special("escape", tarfile.SYMTYPE, str(tmp_path)),
        (f"escape/{names[3]}.mp4", b"3"),
        special(f"{names[4]}.mp4", tarfile.SYMTYPE, "/etc/passwd"),
        special(f"{names[5]}.mp4", tarfile.LNKTYPE, "/etc/passwd"),
        special(f"{names[6]}.mp4", tarfile.FIFOTYPE),
        special(f"{names[7]}.mp4", tarfile.CHRTYPE),
        special(f"{names[8]}.mp4", tarfile.BLKTYPE),
        special(f"{names[9]}.mp4", tarfile.DIRTYPE),
        ("..", b"x"),
        (f"{names[10]}.mp4/..", b"x"),
        (f"..\\{names[10]}.mp4", b"x"),
        (f"{names[10]}.mp4\n", b"x"),
        (f"{names[11]}.sh", b"x"),
    ]
    found, failed = fetch(local(tmp_path, tar(entries)), store)
    assert failed is None
    assert contents(store) == {f"train/part_0/{names[n]}.mp4": str(n).encode() for n in range(4)}
    assert everything(tmp_path) == {f"store/{uri}" for uri in found} | {"archives/part_0.tar.gz"}
    counts = record(store).counts
    assert (counts["link"], counts["device"], counts["not_a_clip"]) == (3, 3, 5)


def test_sparse_members_are_passed_over(tmp_path: Path, store: Path) -> None:
    folder = tmp_path / "sparse"
    folder.mkdir()
    with (folder / f"{clip_id(0)}.mp4").open("wb") as file:
        for at in range(0, 40 << 20, 1 << 20):  # more parts than fit into one header
            file.seek(at)
            file.write(b"data")
    (folder / f"{clip_id(1)}.mp4").write_bytes(b"whole")
    for form in (["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix"]):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tgz"
        subprocess.run(["tar", "czSf", path, *form, "-C", tmp_path, "sparse"], check=True)
        found, failed = fetch(str(path), store)
        assert failed is None
        assert list(found.values()) == [5]


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A header with any size field, and the right checksum."""
    info = bytearray(special(name, kind).tobuf(tarfile.GNU_FORMAT))
    info[124:136] = size.ljust(12, b"\0")
    info[148:156] = b" " * 8
    info[148:156] = b"%06o\0 " % sum(info)
    return bytes(info)


def pax(record: bytes) -> bytes:
    length = len(record) + 3
    length += len(str(length)) - 1
    content = b"%d %b\n" % (length, record)
    return header("pax", b"%o" % len(content), b"x") + content.ljust(-(-len(content) // 512) * 512, b"\0")


CLIP = f"{clip_id(0)}.mp4"


@pytest.mark.parametrize(
    "content",
    [
        pax(b"size=4") + header(CLIP, b"0"),
        header(CLIP, b"\x80".ljust(11, b"\0") + b"\4"),
        header("hard", b"1000", tarfile.LNKTYPE) + header(CLIP, b"4"),
        header("folder", b"1000", tarfile.DIRTYPE) + header(CLIP, b"4"),
        header("folder/", b"0", tarfile.AREGTYPE) + header(CLIP, b"4"),
        pax(b"comment=" + b"x" * 3000) + header("././@LongLink", b"3", b"K") + bytes(512) + header(CLIP, b"4"),
        header("V", b"0", b"V") + header("dump", b"4", b"D") + bytes(512) + header(CLIP, b"4"),
    ],
)
def test_unusual_headers(tmp_path: Path, store: Path, content: bytes) -> None:
    assert fetch(local(tmp_path, content + b"good".ljust(512, b"\0") + bytes(1024)), store)[1] is None
    assert contents(store) == {f"train/part_0/{CLIP}": b"good"}
    assert "not_a_clip" not in record(store).counts


def test_a_checksum_of_signed_bytes(tmp_path: Path, store: Path) -> None:
    signed = bytearray(header(f"é/{CLIP}", b"4"))
    signed[148:156] = b"%06o\0 " % (sum(signed) - sum(signed[148:156]) + 8 * 32 - 2 * 256)
    assert fetch(local(tmp_path, bytes(signed) + b"good".ljust(512, b"\0") + bytes(1024)), store)[1] is None
    assert contents(store) == {f"train/part_0/{CLIP}": b"good"}


@pytest.mark.parametrize(
    "content",
    [
        header(CLIP, b"\xff" * 12),  # -1
        header(CLIP, b"\xff" + b"\xff" * 9 + b"\xfe\x00"),  # -512: the same header for ever
        header(CLIP, b"-0000000777"),
        header(CLIP, b"00000000009"),
        header(CLIP, b"\x80" + b"\x7f" * 11),
        pax(b"size=-512") + header(CLIP, b"0"),
        pax(b"size=" + b"9" * 300) + header(CLIP, b"0"),
        header("pax", b"%o" % 512, b"x") + b"0 path=a\n".ljust(512, b"\0"),
        header("pax", b"%o" % 512, b"x") + b"99999999999999 path=a\n".ljust(512, b"\0"),
        header("pax", b"%o" % (2 << 20), b"x") + bytes(2 << 20),
        header("././@LongLink", b"%o" % (2 << 20), b"L") + b"a" * (2 << 20),
        header(CLIP, b"4").replace(b"abcdef", b"ABCDEF"),
    ],
)
def test_impossible_headers_are_corrupt(tmp_path: Path, store: Path, content: bytes) -> None:
    good = tar([(f"{clip_id(1)}.mp4", b"good")], packed=False)[:1024]
    found, failed = fetch(local(tmp_path, good + content + good + bytes(1024)), store)
    assert failed is not None
    assert failed.reason == "archive_corrupt"
    assert contents(store) == {f"train/part_0/{clip_id(1)}.mp4": b"good"}
    assert everything(store) == set(found)


def test_a_member_of_absurd_size_is_passed_over(tmp_path: Path, store: Path) -> None:
    path = Path(local(tmp_path, header(CLIP, b"%o" % (2 << 30 | 1))))
    with path.open("r+b") as file:
        file.seek(512 + (2 << 30) + 512)
        file.write(tar(MEMBERS[1:], packed=False))
    assert fetch(str(path), store)[1] is None
    assert contents(store) == in_part_0(list(CLIPS)[1:])
    assert record(store).counts["too_large"] == 1


def test_a_bomb_ends(tmp_path: Path, store: Path) -> None:
    first = tar(MEMBERS[:1], packed=False)[: 512 + 20480]
    packed = [gzip.compress(first + header("bomb", b"%o" % (7 << 30)), 1)]
    packed += [gzip.compress(bytes(100 << 20), 9)] * 40
    _, failed = fetch(local(tmp_path, b"".join(packed)), store)
    assert failed is not None
    assert failed.reason == "too_large"
    assert contents(store) == in_part_0(list(CLIPS)[:1])


def test_memory_does_not_grow_with_members(tmp_path: Path, store: Path) -> None:
    def peak(copies: int) -> int:
        one = b"".join(header(f"{'junk' * 20}{n}.mp4", b"1") + b"x".ljust(512, b"\0") for n in range(1000))
        path = local(tmp_path, gzip.compress(one) * copies + gzip.compress(bytes(1024)))
        tracemalloc.start()
        try:
            assert fetch(path, store, retry_permanent=True)[1] is None
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            (store / FETCH_DIR / "archives").rename(store / FETCH_DIR / f"records-{copies}")

    assert peak(60) < 1.5 * peak(25)


def test_no_more_than_so_many_names_are_listed(tmp_path: Path, store: Path) -> None:
    one = b"".join(header(f"junk{n}.mp4", b"0") for n in range(1000))
    fetch(local(tmp_path, gzip.compress(one) * 30 + gzip.compress(bytes(1024))), store)
    passed_over = record(store).passed_over["not_a_clip"]
    assert (passed_over.count, len(passed_over.names)) == (30_000, 20_000)


def test_a_stop_ends_it_and_the_next_run_goes_on(tmp_path: Path, store: Path) -> None:
    clips = [clip_id(number) for number in range(200)]  # far more than are written ahead
    content = tar([(f"{clip}.mp4", clip.encode()) for clip in clips], packed=False)
    archive = Archive(local(tmp_path, content), "train", False)
    stopping = threading.Event()
    found = []
    for each in fetch_archive(archive, str(store), clips, stopping=stopping):
        stopping.set()
        found.append(each)
    assert isinstance(found[-1], ArchiveFailure)
    assert found[-1].reason == "not_attempted"
    assert {each.uri for each in found[:-1]} == everything(store)
    assert len(found) - 1 < len(clips)
    assert fetch(archive, store, clips)[1] is None
    assert len(contents(store)) == len(clips)


def test_a_full_disk_stops_before_anything_is_asked_for(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)
    with pytest.raises(OSError, match=r"source.min_free_gib keeps 1e\+09 GiB free") as caught:
        fetch(server.url(PLAIN), store, min_free_gib=1e9)
    assert caught.value.errno == errno.ENOSPC
    assert server.requests == []


def test_a_clip_that_can_not_be_written_stops_and_leaves_no_part(tmp_path: Path, store: Path) -> None:
    big = ("aaaaaaaaaaa_000000_000010.mp4", bytes(3 << 20))
    archive = local(tmp_path, tar([*MEMBERS[:3], big, *MEMBERS[3:]]))
    wanted = [*CLIPS, big[0].removesuffix(".mp4")]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            fetch(archive, store, wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert everything(store) == set(in_part_0(list(CLIPS)[:3]))
    assert fetch(archive, store, wanted)[1] is None
    assert len(contents(store)) == len(wanted)


def test_a_part_of_a_clip_that_a_power_failure_left_is_made_whole(tmp_path: Path, store: Path) -> None:
    path = store / "train/part_0" / f"{clip_id(2)}.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(CLIPS[clip_id(2)][:100])
    fetch(local(tmp_path, tar(MEMBERS)), store)
    assert contents(store) == in_part_0()


def test_a_clip_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_counts(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store / "train/part_0"
    synced: set[int] = set()
    too_early: list[str] = []
    names_synced: set[str] = set()
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        visible = {path.name: path.stat().st_ino for path in folder.iterdir()}
        too_early.extend(name for name, inode in visible.items() if inode not in synced)
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)
        if os.fstat(descriptor).st_ino == folder.stat().st_ino:
            assert record(store).state == "reading"
            names_synced.update(visible)

    monkeypatch.setattr(os, "fsync", watch)
    assert fetch(local(tmp_path, tar(MEMBERS)), store)[1] is None
    assert too_early == []
    assert names_synced == {f"{name}.mp4" for name in CLIPS}
    assert record(store).state == "complete"


def test_object_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path / "objects"))
    FileSystems.set_options(PipelineOptions())
    remote = f"{object_files.SCHEME}store"
    archive = f"{object_files.SCHEME}cvdf/part_0.tar.gz"
    with FileSystems.create(archive) as file:
        file.write(tar(MEMBERS)[:150_000])
    first, failed = fetch(archive, remote)
    assert failed is not None
    assert failed.reason == "archive_corrupt"
    assert everything(tmp_path / "objects/store") == set(first)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "objects/store/train").rglob("*.mp4")}
    with FileSystems.create(archive) as file:
        file.write(tar(MEMBERS))
    found, failed = fetch(archive, remote)
    assert failed is None
    assert contents(tmp_path / "objects/store") == in_part_0()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert record(remote).state == "complete"
    FileSystems.delete([archive])
    assert fetch(archive, remote) == (found, None)


def test_an_archive_on_a_store_that_failed_for_once_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path))
    FileSystems.set_options(PipelineOptions())
    (tmp_path / "part_0.tar.gz").write_bytes(tar(MEMBERS))
    archive = f"{object_files.SCHEME}part_0.tar.gz"
    with monkeypatch.context() as unsteady:
        unsteady.setattr(object_files.ObjectFiles, "open", lambda *_: _Unsteady(tar(MEMBERS)))
        found, failed = fetch(archive, store)
    assert failed is not None
    assert failed.reason == "network"
    assert 0 < len(found) < len(CLIPS)
    assert fetch(archive, store)[1] is None
    assert contents(store) == in_part_0()


class _Unsteady(io.BytesIO):
    """An object of a store that breaks off in the middle."""

    def read(self, count: int | None = -1) -> bytes:
        if self.tell():
            raise ConnectionError("503 Slow Down")
        return super().read(count)


def test_an_address_that_lets_one_in_is_kept_and_shown_without_what_does(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)[:100_000]
    url = f"http://me:secret@127.0.0.1:{server.port}{PLAIN}?X-Amz-Signature=secret"
    _, failed = fetch(url, store)
    assert failed is not None
    assert failed.detail.startswith(f"{server.url(PLAIN)}: ")
    assert record(store).url == server.url(PLAIN)
    assert not any(b"secret" in path.read_bytes() for path in store.rglob("*.json"))
    server.files[PLAIN] = tar(MEMBERS)
    assert fetch(url, store)[1] is None
    asked = len(server.requests)
    assert fetch(url, store)[1] is None
    assert len(server.requests) == asked
    assert fetch(url.replace("=secret", "=other"), store)[1] is None
    assert len(server.requests) > asked


@pytest.mark.parametrize("breaks_at", [0, 10_000])
def test_a_clip_whose_upload_breaks_is_not_in_the_object_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks_at: int
) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path / "objects"))
    FileSystems.set_options(PipelineOptions())
    archive = local(tmp_path, tar(MEMBERS))
    broken_name = f"{clip_id(3)}.mp4"
    upload = object_files.ObjectFiles.create

    def create(self: object_files.ObjectFiles, path: str, *arguments: str) -> BinaryIO:
        file = upload(self, path, *arguments)
        if not path.endswith(broken_name):
            return file

        def write(data: bytes) -> int:
            io.BytesIO.write(file, bytes(data)[:breaks_at])
            raise OSError(errno.EIO, "the store hangs up")

        file.write = write  # type: ignore[method-assign]
        return file

    with monkeypatch.context() as broken:
        broken.setattr(object_files.ObjectFiles, "create", create)
        with pytest.raises(OSError, match="the store hangs up"):
            fetch(archive, f"{object_files.SCHEME}store")
    left = contents(tmp_path / "objects/store")
    assert f"train/part_0/{broken_name}" not in left
    assert left.items() <= in_part_0().items()
    assert fetch(archive, f"{object_files.SCHEME}store")[1] is None
    assert contents(tmp_path / "objects/store") == in_part_0()


_CHILD = """
import sys
from beam_pipeline.sources.archives import Archive, fetch_archive
url, store, *wanted = sys.argv[1:]
for each in fetch_archive(Archive(url, "train", False), store, wanted):
    pass
"""


def test_kills_at_ten_moments_leave_what_was_complete_and_nothing_half(server: FaultyServer, store: Path) -> None:
    server.files[PLAIN] = tar(MEMBERS)
    size = len(server.files[PLAIN])
    server.always[PLAIN] = Fault(drip=size)
    complete: dict[Path, tuple[int, int]] = {}
    for moment in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, server.url(PLAIN), str(store), *CLIPS], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        while len(server.requests) <= moment or server.requests[-1].sent < size * moment / 12:
            assert child.poll() is None
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert contents(store).items() <= in_part_0().items()
        for path in (store / "train/part_0").glob("*"):
            status = path.stat()
            assert complete.setdefault(path, (status.st_ino, status.st_mtime_ns)) == (status.st_ino, status.st_mtime_ns)
    assert 0 < len(complete) < len(CLIPS)
    assert record(store).state == "reading"
    assert fetch(server.url(PLAIN), store)[1] is None
    assert contents(store) == in_part_0()
    assert all((path.stat().st_ino, path.stat().st_mtime_ns) == before for path, before in complete.items())


def test_records_of_others_are_no_records(tmp_path: Path, store: Path) -> None:
    archive = local(tmp_path, tar(MEMBERS))
    fetch(archive, store)
    (path,) = (store / FETCH_DIR / "archives").iterdir()
    for content in (b"", b"{", b"[]", b'{"revision": 1}', b'{"revision": 99}', os.urandom(100)):
        path.write_bytes(content)
        assert list(read_archive_records(str(store))) == []
        assert fetch(archive, store)[1] is None
        assert record(store).state == "complete"
