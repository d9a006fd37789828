"""CVDF's archives to records in one job: a tree as CVDF has it, served over HTTP."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest

from tests.beam_pipeline import command_line
from tests.beam_pipeline.clips_on_disk import write_clip
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

ROOT = Path(__file__).parents[2]
CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(6)]
CORRUPT, ABSENT = CLIPS[1], CLIPS[5]
UNASKED = "other000000_000001_000002"
KNOT = "/600/train/tying knot (not on a tie).tar.gz"
HEAD = "/600/train/massaging person's head.tar.gz"
REPLACEMENT = "/replacement_for_corrupted.tgz"


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("clips")
    for n, clip in enumerate([*CLIPS, UNASKED]):
        write_clip(folder / f"{clip}.mp4", hue=n * 30)
    return {path.stem: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server(clips: dict[str, bytes]) -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        first = {
            f"train/nested/{CLIPS[0]}.mp4": clips[CLIPS[0]],
            f"train/nested/._{CLIPS[0]}.mp4": b"what macOS leaves",
            f"train/nested/{CORRUPT}.mp4": b"not a video at all" * 100,
            f"train/nested/{UNASKED}.mp4": clips[UNASKED],
            f"../../../{CLIPS[2]}.mp4": clips[CLIPS[2]],
            "readme.txt": b"hello",
        }
        second = {f"{CLIPS[3]}.mp4": clips[CLIPS[3]], f"{CLIPS[4]}.mkv": clips[CLIPS[4]], f"{ABSENT}.mp4": b""}
        server.files[KNOT] = gzip.compress(tar(first))
        server.files[HEAD] = tar(second)  # a plain tar under a zipped one's name, as CVDF once had
        server.files[REPLACEMENT] = gzip.compress(tar({f"fixed/{CORRUPT}.mp4": clips[CORRUPT]}))
        server.files["/600/train/train_path.txt"] = "".join(  # raw spaces and all, as K600's has them
            f"http://127.0.0.1:{server.port}{path}\n" for path in (KNOT, HEAD)
        ).encode()
        write = io.StringIO()
        write.write("label,youtube_id,time_start,time_end,split\n")
        for clip in CLIPS:
            video_id, start, end = clip.rsplit("_", 2)
            write.write(f"juggling balls,{video_id},{int(start)},{int(end)},train\n")
        server.files["/600/annotations/train.csv"] = write.getvalue().encode()
        yield server


class Place:
    def __init__(self, folder: Path, server: FaultyServer):
        self.folder, self.server = folder, server
        self.store = folder / "store"

    def run(self, *extra: str, status: int = 0, name: str = "run") -> dict:
        settings = {
            "name": "tiny",
            "splits.train.annotations": self.server.url("/600/annotations/train.csv"),
            "splits.train.shards": 2,
            "source.kind": "archive",
            "source.store": self.store,
            "source.archives.train": self.server.url("/600/train/train_path.txt"),
            "source.replacements": f"[{self.server.url(REPLACEMENT)}]",
            "source.min_free_gib": 0.1,
            "workers": 1,
            "encode.shorter_side": 64,
        }
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        words = [name, "--data_dir", str(self.folder), *pairs, *extra]
        done = command_line.call(words if name == "status" else [*words, "--json"])
        assert done.returncode == status, done.stderr + done.stdout
        return {"text": done.stdout} if name == "status" else json.loads(done.stdout)

    def rows(self) -> dict[str, dict]:
        rows = pq.read_table(self.folder / "tiny" / "1.0.0" / "clips-train.parquet").to_pylist()
        return {row["clip_id"]: row for row in rows}

    def fates(self) -> dict[str, str]:
        return {clip: row["reason"] or row["status"] for clip, row in self.rows().items()}

    def asked(self) -> set[str]:
        paths = {request.path for request in self.server.requests}
        self.server.requests.clear()
        return paths

    def files(self) -> set[str]:
        found = (path.relative_to(self.store) for path in self.store.rglob("*") if path.is_file())
        return {str(path) for path in found if path.parts[0] != ".fetch"}


@pytest.fixture
def place(tmp_path: Path, server: FaultyServer) -> Place:
    return Place(tmp_path, server)


EXPECTED = {clip: "not_found" if clip == ABSENT else "ok" for clip in CLIPS}


def test_every_clip_is_a_record_or_has_its_reason_and_replacements_win(place: Place) -> None:
    place.run()
    assert place.fates() == EXPECTED
    assert "replacement/" in place.rows()[CORRUPT]["source_uri"]
    assert {Path(file).stem for file in place.files()} == set(CLIPS) - {ABSENT}
    assert len(place.files()) == len(CLIPS)  # the corrupt one is there twice
    assert not list(place.folder.parent.glob("*.mp4"))


def test_what_is_complete_is_not_asked_for_again(place: Place) -> None:
    place.run()
    place.asked()
    place.run()
    assert not place.asked()


def test_fetch_checks_what_came_and_run_asks_for_nothing_more(place: Place) -> None:
    summary = place.run(name="fetch")
    assert summary["splits"][0]["failed"] == {"not_found": 1}
    place.asked()
    place.run()
    assert not place.asked()
    text = place.run(name="status")["text"]
    assert "archives: 3 complete" in text and "1 of the members: not wanted" in text


def test_a_broken_archive_costs_its_own_clips_alone(place: Place) -> None:
    whole = place.server.files[KNOT]
    assert isinstance(whole, bytes)
    place.server.files[KNOT] = whole[: len(whole) // 4]
    summary = place.run()
    assert [unquote(url) for url in summary["failed_archives"]] == [f"http://127.0.0.1:{place.server.port}{KNOT}"]
    fates = place.fates()
    assert {fates[clip] for clip in (CLIPS[3], CLIPS[4], CORRUPT)} == {"ok"}
    assert fates[CLIPS[2]] == "archive_corrupt"
    place.server.files[KNOT] = whole
    place.run()
    assert place.fates() == EXPECTED


def test_an_archive_out_of_reach_is_read_by_the_next_run(place: Place) -> None:
    place.server.always[HEAD] = Fault(status=403)
    place.run()
    fates = place.fates()
    assert {fates[clip] for clip in (CLIPS[3], CLIPS[4])} == {"network"} and fates[CLIPS[0]] == "ok"
    place.server.always.clear()
    place.asked()
    place.run()
    assert place.fates() == EXPECTED
    assert place.asked() == {HEAD}


def test_a_larger_limit_reads_an_archive_again_for_what_was_left_out(place: Place) -> None:
    place.run("--limit", "2", status=3)
    assert len(place.files()) <= 3
    place.run()
    assert place.fates() == EXPECTED


def test_an_archive_of_two_splits_is_read_once_for_both(place: Place) -> None:
    archives = place.server.url("/600/train/train_path.txt")
    both = (
        *("--set", f"splits.val.annotations={place.server.url('/600/annotations/train.csv')}"),
        *("--set", "splits.val.shards=1", "--set", f"source.archives.val={archives}"),
    )
    place.run(*both)
    assert [request.path for request in place.server.requests].count(KNOT) == 1
    assert place.fates() == EXPECTED
    place.asked()
    place.run(*both)
    assert not place.asked()


def test_secrets_of_an_archives_address_stay_out_of_what_is_kept(place: Place) -> None:
    secret = f"http://user:s3cret@127.0.0.1:{place.server.port}/600/train/gone.tar.gz?X-Amz-Signature=s3cret"
    summary = place.run("--set", f"source.archives.train=['{secret}']")
    assert "s3cret" not in json.dumps(summary)
    kept = [path for folder in (place.folder / "tiny", place.store) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"s3cret" in path.read_bytes()]
