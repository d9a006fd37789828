"""Fetching as its users do it: real videos on a server that fails in every way, stopped, killed, and run again."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from beam_pipeline.locks import read_by_many
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import read_records
from tests.beam_pipeline import command_line, object_files
from tests.beam_pipeline import fake_youtube as site
from tests.beam_pipeline.clips_on_disk import write_clip, write_list
from tests.beam_pipeline.fake_youtube import FakeYouTube, Stream, Video
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

ROOT = Path(__file__).parents[2]
VIDEOS = ["-dash000000", "--twice0000", "_under00000", "plain000000", "Case0000000"]
CLIPS = [f"{video}_{start:06d}_{start + 2:06d}" for video in VIDEOS for start in (1, 4)]
SECONDS = 8.0


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for n, video in enumerate(VIDEOS):
        write_clip(folder / f"{video}.mp4", SECONDS, hue=n * 50, fps=30)
    return folder


@pytest.fixture
def server(videos: Path) -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        for video in VIDEOS:
            server.files[f"/{video}.mp4"] = videos / f"{video}.mp4"
            server.types[f"/{video}.mp4"] = "video/mp4"
        yield server


class Place:
    """A list of clips, a store and an output, and the commands that fill them."""

    def __init__(self, folder: Path, server: FaultyServer, clips: list[str] = CLIPS):
        self.folder = folder
        self.server = server
        self.store = folder / "store"
        write_list(folder / "train.csv", clips)

    def words(self, name: str, *extra: str) -> list[str]:
        settings = {
            "name": "tiny",
            "splits.train.annotations": self.folder / "train.csv",
            "splits.train.shards": 2,
            "source.kind": "youtube",
            "source.store": self.store,
            "source.youtube.url": f"http://127.0.0.1:{self.server.port}/{{id}}.mp4",
            "source.requests_per_minute": 6000,
            "source.backoff_s": 0.1,
            "source.pause_s": 0.2,
            "source.min_free_gib": 0.1,
            "source.visits_at_a_time": 2,
            "workers": 1,
            "encode.shorter_side": 64,
        }
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return [name, "--data_dir", str(self.folder), *pairs, *extra]

    def command(self, name: str, *extra: str) -> list[str]:
        """The same for a process of its own."""
        return [sys.executable, "-m", "beam_pipeline", *self.words(name, *extra)]

    def call(self, name: str, *extra: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = command_line.call(self.words(name, *extra))
        assert done.returncode == status, done.stderr + done.stdout
        return done

    def run(self, *extra: str, status: int = 0, name: str = "run") -> dict:
        return json.loads(self.call(name, "--json", *extra, status=status).stdout)

    @property
    def output(self) -> Path:
        return self.folder / "tiny" / "1.0.0"

    def fates(self, ledger: Path | None = None) -> dict[str, str]:
        rows = pq.read_table((ledger or self.output) / "clips-train.parquet").to_pylist()
        return {row["clip_id"]: row["reason"] or row["status"] for row in rows}

    def rows(self) -> dict[str, dict]:
        rows = pq.read_table(self.output / "clips-train.parquet").to_pylist()
        return {row["clip_id"]: row for row in rows}

    def clips(self) -> dict[str, bytes]:
        """The content of the store's clips by their names."""
        return {path.name: path.read_bytes() for path in self.store.glob("fetched/*/*")}

    def visited(self) -> Counter[str]:
        """How many answers gave a page (the first bytes) of each video since the last call."""
        asked, self.server.requests[:] = list(self.server.requests), []
        return Counter(Path(request.path).stem for request in asked)


@pytest.fixture
def place(tmp_path: Path, server: FaultyServer) -> Place:
    return Place(tmp_path, server)


def frames(output: Path) -> dict[str, list[bytes]]:
    examples = [
        parse_sequence_example(record)
        for path in sorted(output.glob("*.tfrecord-*"))
        for record in read_records(str(path))
    ]
    return {
        context["example/id"][0].decode(): [value[0] for value in lists["image/encoded"]] for context, lists in examples
    }


def test_one_job_fetches_and_encodes_and_its_frames_are_those_of_the_whole_videos(
    place: Place, videos: Path, tmp_path: Path
) -> None:
    summary = place.run()
    assert summary["splits"][0]["written"] == len(CLIPS)
    assert set(place.clips()) == {f"{clip}.mp4" for clip in CLIPS}
    whole = Place(tmp_path / "whole", place.server) if (tmp_path / "whole").mkdir() is None else None
    assert whole
    whole.run("--set", "source.kind=local", "--set", f"source.store={videos}", "--set", "source.trimmed=false")
    assert frames(place.output) == frames(whole.output)


def test_what_is_in_the_store_is_not_fetched_again_and_what_failed_for_good_only_if_asked(place: Place) -> None:
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    place.run()
    dead = [clip for clip in CLIPS if clip.startswith(VIDEOS[0])]
    assert place.fates() == {clip: "not_found" if clip in dead else "ok" for clip in CLIPS}
    assert all("404" in place.rows()[clip]["detail"] and not place.rows()[clip]["transient"] for clip in dead)
    place.visited()
    place.run()
    assert not place.visited()
    place.run("--retry", "permanent")
    assert set(place.visited()) == {VIDEOS[0]}
    assert place.rows()[dead[0]]["attempts"] == 2


def test_another_data_set_of_the_same_store_visits_nobody(place: Place) -> None:
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    place.run()
    place.visited()
    summary = place.run("--set", "config=small", "--set", "encode.shorter_side=32")
    assert summary["splits"][0]["written"] == len(CLIPS) - 2
    assert summary["splits"][0]["failed"] == {"not_found": 2}
    assert not place.visited()


def test_fetch_fills_the_store_and_run_then_asks_nobody(place: Place) -> None:
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    summary = place.run(name="fetch")
    assert (summary["splits"][0]["written"], summary["splits"][0]["failed"]) == (len(CLIPS) - 2, {"not_found": 2})
    assert not place.output.exists()
    assert set(place.fates(place.store / ".fetch" / "clips" / "tiny")) == set(CLIPS)
    place.visited()
    assert place.run()["splits"][0]["written"] == len(CLIPS) - 2
    assert not place.visited()


def test_transient_failures_end_as_ok(place: Place) -> None:
    paths = [f"/{video}.mp4" for video in VIDEOS]
    place.server.faults[paths[0]] = [Fault(status=429, headers={"Retry-After": "1"})]
    place.server.faults[paths[1]] = [Fault(status=503), Fault(status=503)]
    place.server.faults[paths[2]] = [None, None, Fault(reset=True, after=1000)]
    place.server.faults[paths[3]] = [Fault(reset=True)]
    place.server.faults[paths[4]] = [None, None, Fault(truncate=True, after=1000)]
    place.run()
    assert set(place.fates().values()) == {"ok"}


def test_a_site_that_refuses_stops_the_fetch_and_a_rerun_goes_on(place: Place) -> None:
    for video in VIDEOS:
        place.server.always[f"/{video}.mp4"] = Fault(status=429)
    done = place.call("run", "--set", "source.stop_after=2", "--set", "source.visits_at_a_time=1", status=3)
    assert "refusals in a row (rate_limited)" in done.stdout and "requests_per_minute" in done.stdout
    fates = Counter(place.fates().values())
    assert fates["not_attempted"] and fates["rate_limited"] and set(fates) == {"not_attempted", "rate_limited"}
    place.server.always.clear()
    place.run()
    assert set(place.fates().values()) == {"ok"}


def test_ids_that_cant_be_youtubes_are_bad_rows(tmp_path: Path, server: FaultyServer) -> None:
    place = Place(tmp_path, server, ["short_000001_000003", *CLIPS[:2]])
    place.run()
    assert Counter(place.fates().values()) == {"ok": 2, "bad_annotation": 1}


def test_a_disk_without_room_stops_the_run_before_it_begins(place: Place) -> None:
    done = place.call("run", "--set", "source.min_free_gib=1000000", status=1)
    assert "GiB" in done.stderr and str(place.store) in done.stderr
    assert not place.clips()


def settled(place: Place) -> dict[str, tuple[int, int]]:
    """The clips of the store, and what changes when one is written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in place.store.glob("fetched/*/*")}


def test_killed_at_ten_moments_nothing_is_fetched_twice_or_half(tmp_path: Path, server: FaultyServer) -> None:
    videos = [f"kill{n:07d}" for n in range(80)]  # more than ten broken fetches come to
    for n, video in enumerate(videos):
        write_clip(tmp_path / f"{video}.mp4", 3.0, hue=n * 3, side=128)
        server.files[f"/{video}.mp4"] = tmp_path / f"{video}.mp4"
        server.types[f"/{video}.mp4"] = "video/mp4"
        server.always[f"/{video}.mp4"] = Fault(drip=200_000)  # a piece every tenth of a second
    clips = [f"{video}_000001_000002" for video in videos]
    places = []
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        places.append(Place(tmp_path / name, server, clips))
    undisturbed, place = places
    earlier: dict[str, tuple[int, int]] = {}
    counts = []
    for moment in range(10):
        server.requests.clear()
        process = subprocess.Popen(place.command("fetch"), cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
        while len(server.requests) < 3 + moment:  # at other points of a visit each time
            assert process.poll() is None
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        before = settled(place)
        assert earlier.items() <= before.items()
        earlier = before
        counts.append(len(before))
    assert 0 < counts[-1] < len(clips) and len(set(counts)) > 3  # in the midst of it each time
    server.always.clear()
    place.run(name="fetch")
    assert earlier.items() <= settled(place).items()
    undisturbed.run(name="fetch")
    assert place.clips() == undisturbed.clips()
    assert set(place.clips()) == {f"{clip}.mp4" for clip in clips}


def test_a_server_that_dies_and_comes_back_costs_time_alone(place: Place) -> None:
    for video in VIDEOS:
        place.server.always[f"/{video}.mp4"] = Fault(drip=100_000)
    process = subprocess.Popen(
        [*place.command("fetch", "--json"), "--set", "source.tries=10", "--set", "source.pause_s=5"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not place.server.requests:
        time.sleep(0.05)
    time.sleep(0.5)
    place.server.stop()
    time.sleep(2)
    place.server.always.clear()
    place.server.start()
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert json.loads(out)["splits"][0]["written"] == len(CLIPS)


def test_status_tells_while_it_runs_and_after(place: Place) -> None:
    place.call("status", status=2)
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    place.run()
    text = place.call("status").stdout
    assert f"train: {len(CLIPS)} of {len(CLIPS)} (100.0%) clips done: {len(CLIPS) - 2} written, 2 failed" in text
    assert "2 not_found" in text and "juggling balls" in text
    rows = list(csv.DictReader(io.StringIO(place.call("status", "--csv").stdout)))
    assert {row["clip_id"]: row["reason"] for row in rows} == {
        clip: "not_found" if clip.startswith(VIDEOS[0]) else "" for clip in CLIPS
    }


def test_pruned_clips_keep_their_records_and_are_not_fetched_again(place: Place) -> None:
    place.run()
    records = frames(place.output)
    assert f"{len(CLIPS)} files deleted" in place.call("prune").stdout
    assert not place.clips()
    place.visited()
    place.run()
    place.run(name="fetch")
    assert not place.visited()
    assert frames(place.output) == records


def test_lanes_make_the_same_records(place: Place) -> None:
    place.run("--set", "source.lanes=2", "--runner=BundleBasedDirectRunner")
    alone = Place(place.folder, place.server)
    records = frames(alone.output)
    assert set(records) == set(CLIPS)
    alone.run("--overwrite")
    assert frames(alone.output) == records


def test_a_store_of_objects_is_filled_and_read_as_a_folder_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.folder / "sitecustomize.py").write_text(f"import {object_files.__name__}\n")  # in children, too
    monkeypatch.setenv("PYTHONPATH", f"{place.folder}:{ROOT}")
    monkeypatch.setenv("OBJECTS", str(place.folder / "objects"))
    (place.folder / "objects").mkdir()
    objects = ("--set", f"source.store={object_files.SCHEME}store")
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    place.run(*objects)
    assert Counter(place.fates().values()) == {"ok": len(CLIPS) - 2, "not_found": 2}
    stored = {path.name for path in (place.folder / "objects").rglob("*.mp4")}
    assert stored == {f"{clip}.mp4" for clip in CLIPS if not clip.startswith(VIDEOS[0])}
    place.visited()
    place.run(*objects)
    assert not place.visited()


def test_what_other_sources_lacked_is_still_visited(place: Place) -> None:
    tarfile.open(place.folder / "empty.tar", "w").close()
    archives = f"source.archives.train={place.folder / 'empty.tar'}"
    place.run("--set", "source.kind=archive", "--set", archives, name="fetch", status=1)
    assert set(place.fates(place.store / ".fetch" / "clips" / "tiny").values()) == {"not_found"}
    place.run()
    assert set(place.fates().values()) == {"ok"}


def test_where_nothing_is_to_be_fetched_nothing_is_written_into_the_store(place: Place) -> None:
    place.store.mkdir()
    error = place.call("fetch", "--set", "source.kind=local", status=2).stderr
    assert "source.kind local: there is nothing to fetch; run makes the records" in error
    assert not list(place.store.iterdir())


def test_a_bad_file_that_was_deleted_is_fetched(place: Place) -> None:
    place.run(name="fetch")
    bad = next(place.store.glob(f"fetched/*/{CLIPS[0]}.mp4"))
    bad.write_bytes(b"not a video at all" * 100)
    place.run(name="fetch")
    assert place.fates(place.store / ".fetch" / "clips" / "tiny")[CLIPS[0]] == "unreadable"
    bad.unlink()
    place.run()
    assert set(place.fates().values()) == {"ok"}


def refuse(place: Place) -> None:
    for video in VIDEOS:
        place.server.always[f"/{video}.mp4"] = Fault(status=429)


STOPS_SOON = ("--set", "source.stop_after=2", "--set", "source.visits_at_a_time=1")


def test_a_variant_of_pruned_clips_that_cant_be_fetched_now_is_unfinished(place: Place) -> None:
    place.run()
    place.call("prune")
    refuse(place)
    summary = place.run("--set", "config=small", *STOPS_SOON, status=3)
    assert sum(summary["splits"][0]["failed"].values()) == len(CLIPS)
    place.server.always.clear()
    assert place.run("--set", "config=small")["splits"][0]["written"] == len(CLIPS)


def test_a_stopped_fetch_is_unfinished_whatever_was_known_before(place: Place) -> None:
    place.store.mkdir()
    place.run("--set", "source.kind=local", status=1)
    refuse(place)
    summary = place.run(*STOPS_SOON, status=3)
    assert "refusals in a row" in summary["splits"][0]["unfinished"]
    assert not json.loads((place.output / "info-train.json").read_text())["complete"]


def test_an_error_of_the_run_in_one_shard_ends_it_soon(place: Place) -> None:
    place.run("--set", "splits.train.shards=8")
    write_list(place.folder / "train.csv", [*CLIPS[1:], *(f"more{n:07d}_000001_000003" for n in range(400))])
    place.server.requests.clear()
    done = place.call("run", "--set", "splits.train.shards=8", "--set", "source.requests_per_minute=60", status=1)
    assert "in no annotation file any more" in done.stderr
    assert len(place.server.requests) < 100


def test_a_variant_with_other_shards_knows_what_is_gone(place: Place) -> None:
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    place.run()
    place.visited()
    place.run("--set", "config=small", "--set", "splits.train.shards=3")
    assert not place.visited()
    assert "of 3 shards" in place.call("status", "--set", "config=small", "--set", "splits.train.shards=3").stdout


def test_a_shorter_list_is_all_that_is_asked_for(place: Place) -> None:
    refuse(place)
    place.run(*STOPS_SOON, name="fetch", status=3)
    place.server.always.clear()
    write_list(place.folder / "train.csv", CLIPS[:2], label="yoga")
    summary = place.run(name="fetch")
    assert (summary["splits"][0]["asked"], summary["splits"][0]["written"]) == (2, 2)
    rows = list(csv.DictReader(io.StringIO(place.call("status", "--csv").stdout)))
    assert {row["label"] for row in rows} == {"yoga"}


def test_a_limited_run_after_a_whole_one_leaves_status_sound(place: Place) -> None:
    place.run()
    place.run("--limit", "3")
    assert f"train: {len(CLIPS)} of {len(CLIPS)} (100.0%)" in place.call("status").stdout


def test_a_store_that_is_read_is_not_pruned(place: Place) -> None:
    place.run()
    reader = Place(place.folder, place.server)
    with read_by_many(str(place.store)):
        assert "a run reads its clips" in place.call("prune", status=1).stderr
    assert reader.clips()
    place.call("prune")


def test_secrets_of_addresses_stay_out_of_what_is_kept(place: Place) -> None:
    with_secret = f"http://user:s3cret@127.0.0.1:{place.server.port}/{{id}}.mp4?token=s3cret"
    place.server.files.pop(f"/{VIDEOS[0]}.mp4")
    done = place.call("run", "--set", f"source.youtube.url={with_secret}")
    assert "s3cret" not in done.stdout + done.stderr
    kept = [path for folder in (place.output, place.store) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"s3cret" in path.read_bytes()]


class HealingYouTube(FakeYouTube):
    """Lets a video through that it has refused, when its page is asked for once more."""

    def __init__(self, healed: Video, refused: dict[str, Video]) -> None:
        super().__init__()
        self._healed = healed
        self.videos.update(refused)
        self.pages: Counter[str] = Counter()

    def watch_page(self, video_id: str) -> str:
        self.pages[video_id] += 1
        if self.pages[video_id] > 1:
            self.videos[video_id] = self._healed
        return super().watch_page(video_id)


def test_what_youtube_itself_says_becomes_each_clips_fate(tmp_path: Path) -> None:
    gone = {
        "private": site.PRIVATE,
        "removed": site.REMOVED,
        "copyright": site.COPYRIGHT,
        "geo_blocked": site.GEO_BLOCKED,
        "age_restricted": site.AGE_RESTRICTED,
        "login_required": site.MEMBERS_ONLY,
    }
    for_now = {"botcheck": site.BOT_CHECK, "ratelimit": site.RATE_LIMITED}
    ids = {reason: f"-{reason:_<10.10}" for reason in (*gone, *for_now, "good")}
    write_clip(tmp_path / "video.mp4", SECONDS, fps=30)
    stream = Stream(134, tmp_path / "video.mp4", 'video/mp4; codecs="avc1.4d401e"', 80, 64, 100_000)
    good = Video(length_s=int(SECONDS), streams=(stream,))
    refused = {ids[reason]: Video(said) for reason, said in (gone | for_now).items()}
    with HealingYouTube(good, {**refused, ids["good"]: good}) as youtube:
        place = Place(tmp_path, youtube, [f"{video}_000001_000003" for video in ids.values()])
        place.run(
            *("--set", "source.youtube.url=https://www.youtube.com/watch?v={id}"),
            *("--set", f"source.youtube.proxies=[{youtube.proxy}]"),
            *("--set", "source.youtube.options={nocheckcertificate: true}"),
        )
    rows = {row["video_id"]: row for row in place.rows().values()}
    assert {reason: rows[ids[reason]]["reason"] for reason in gone} == {reason: reason for reason in gone}
    assert all(rows[ids[reason]]["status"] == "ok" for reason in (*for_now, "good"))
    assert {reason: youtube.pages[ids[reason]] for reason in for_now} == dict.fromkeys(for_now, 2)
    assert {youtube.pages[ids[reason]] for reason in (*gone, "good")} == {1}
