"""What is deleted from a store, and everything that is not: without Beam, on small real clips."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.ledger import ShardState, StateRow, read_state, state_path, write_state
from beam_pipeline.pruning import Pruned, prune
from beam_pipeline.shards import make_shard
from beam_pipeline.tfrecord import ShardWriter, read_records
from tests.beam_pipeline import object_files
from tests.beam_pipeline.clips_on_disk import write_clip
from tests.beam_pipeline.test_shards import CLIPS, HerePool, Place, joined

SHARD = "tiny-train.tfrecord-00000-of-00001"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Place(tmp_path_factory.mktemp("made") / "a", CLIPS)
    place.make()
    return place.folder


@pytest.fixture
def place(made: Path) -> Iterator[Place]:
    """A finished data set of one shard and its store, where it was made: its rows hold the paths of its clips."""
    kept = made.with_name("kept")
    shutil.copytree(made, kept)
    place = object.__new__(Place)  # which would write its clips anew
    place.folder, place.store = made, made / "store"
    yield place
    shutil.rmtree(made)
    kept.rename(made)


def pruned(place: Place, store: Path | str | None = None, **splits: int) -> Pruned:
    return prune(str(place.output), "tiny", str(store or place.store), splits or {"train": 1})


def left(place: Place) -> list[str]:
    return sorted(path.stem for path in place.store.rglob("*") if path.is_file())


def state_of(place: Place) -> ShardState:
    state = read_state(state_path(str(place.output), "train", 0, 1))
    assert state
    return state


def write(place: Place, state: ShardState) -> None:
    write_state(state_path(str(place.output), state.split, state.shard, state.num_shards), state)


def test_files_of_verified_records_go_and_the_records_stay(place: Place) -> None:
    content, size = place.shard.read_bytes(), sum(path.stat().st_size for path in place.store.iterdir())
    assert pruned(place) == Pruned(shards=1, files=4, bytes=size)
    assert left(place) == []
    assert place.make().given == [0]
    assert place.shard.read_bytes() == content
    assert place.fates() == dict.fromkeys(CLIPS, "ok")


def test_again_there_is_nothing_to_do(place: Place) -> None:
    pruned(place)
    place.shard.write_bytes(b"")  # which nobody looks at, since nothing could be deleted
    assert pruned(place) == Pruned()


def test_a_store_by_another_spelling_is_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.store)
    assert pruned(place, store=".").files == 4


def rewritten(place: Place, without: str) -> list[StateRow]:
    """Writes the shard without the record of a clip; returns the rows of the rest."""
    records, rows = list(read_records(str(place.shard))), []
    with place.shard.open("wb") as file:
        writer = ShardWriter(file)
        for record, row in zip(records, state_of(place).rows, strict=True):
            if row.row.clip_id != without:
                rows.append(replace(row, row=replace(row.row, position=len(rows)), offset=writer.write(record)))
    return rows


def damage(place: Place, how: str) -> None:
    content = bytearray(place.shard.read_bytes())
    records = list(read_records(str(place.shard)))
    if how == "a byte":
        content[len(content) // 2] ^= 1
    elif how == "the end":
        del content[-10:]
    elif how == "gone":
        place.shard.unlink()
        return
    elif how in ("order", "twice"):
        with place.shard.open("wb") as file:
            writer = ShardWriter(file)
            for record in records[::-1] if how == "order" else [records[0], *records[:3]]:
                writer.write(record)
        write(place, replace(state_of(place), bytes=place.shard.stat().st_size))
        return
    place.shard.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("a byte", "fails its checksum"),
        ("the end", f"{SHARD}: has "),
        ("gone", f"{SHARD}: is not there"),
        ("order", f"{SHARD}: record 0 at offset 0, of {CLIPS[0]}: "),
        ("twice", f"{SHARD}: record 1 at offset "),
    ],
)
def test_a_shard_that_is_not_right_keeps_its_files(place: Place, how: str, problem: str) -> None:
    damage(place, how)
    found = pruned(place)
    assert problem in str(found.problems[0])
    assert (found.files, found.shards) == (0, 0)
    assert left(place) == CLIPS


def test_a_shard_that_is_not_finished_keeps_its_files(place: Place) -> None:
    write(place, replace(state_of(place), sealed=False))
    assert pruned(place) == Pruned(unfinished=1)
    assert left(place) == CLIPS


def test_files_that_have_changed_or_failed_stay(place: Place) -> None:
    write_clip(place.store / f"{CLIPS[0]}.mp4", seconds=2, hue=77)
    state = state_of(place)
    failed = replace(state.rows[1], row=replace(state.rows[1].row, status="failed", reason="crashed"))
    rest = rewritten(place, without=CLIPS[1])
    write(place, replace(state, bytes=place.shard.stat().st_size, rows=(rest[0], failed, *rest[1:])))
    found = pruned(place)
    assert found.kept == {"not the file that its record was made from": 1}
    assert found.problems == []
    assert left(place) == CLIPS[:2]


def test_a_file_that_is_to_be_read_again_stays(place: Place) -> None:
    state = state_of(place)
    write(place, replace(state, rows=(replace(state.rows[0], source_crc32c=-1), *state.rows[1:])))
    assert pruned(place).kept == {"not the file that its record was made from": 1}
    assert left(place) == CLIPS[:1]


def test_the_original_of_a_replacement_would_be_taken_next_so_both_stay(place: Place) -> None:
    (place.store / "replacement").mkdir()
    shutil.copy(place.store / f"{CLIPS[0]}.mp4", place.store / "replacement" / f"{CLIPS[0]}.mp4")
    assert pruned(place).kept == {"one of several files of its clip": 1}
    assert left(place) == [CLIPS[0]] * 2


def test_a_clip_that_another_split_still_needs_stays(place: Place) -> None:
    state = state_of(place)
    mine = replace(state.rows[0], row=replace(state.rows[0].row, status="failed", reason="timeout", split="val"))
    write(place, replace(state, split="val", rows=(mine,)))
    found = pruned(place, train=1, val=1)
    assert found.kept == {"needed by a clip without a verified record": 1}
    assert left(place) == CLIPS[:1]


def test_of_the_splits_that_are_not_asked_for_nothing_goes(place: Place) -> None:
    found = prune(str(place.output), "tiny", str(place.store), {"train": 1, "val": 1}, ["val"])
    assert (found.files, found.unfinished) == (0, 1)
    assert left(place) == CLIPS


def test_whole_videos_stay(tmp_path: Path) -> None:
    place = Place(tmp_path, [])
    write_clip(place.store / "one0000000a.mp4", seconds=2.2)
    (tmp_path / "train.csv").write_text("youtube_id,time_start,time_end\none0000000a,0,1\none0000000a,1,2\n")
    job = place.job(None, "source.trimmed=false")
    make_shard(job, "train", 0, *joined(job), HerePool())
    assert pruned(place).kept == {"a whole video": 2}
    assert left(place) == ["one0000000a"]


def test_links_and_what_is_outside_the_store_stay(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (place.store / f"{CLIPS[0]}.mp4").rename(outside / "linked.mp4")
    (place.store / f"{CLIPS[0]}.mp4").symlink_to(outside / "linked.mp4")
    for folder, clip in ((outside, CLIPS[1]), (place.store / ".fetch", CLIPS[2])):
        folder.mkdir(exist_ok=True)
        (place.store / f"{clip}.mp4").rename(folder / f"{clip}.mp4")
    (place.store / "folder").symlink_to(outside)
    state = state_of(place)
    uris = [
        place.store / f"{CLIPS[0]}.mp4",
        place.store / "folder" / f"{CLIPS[1]}.mp4",
        place.store / ".fetch" / f"{CLIPS[2]}.mp4",
        place.store / f"{CLIPS[3]}.mp4",
    ]
    rows = [replace(row, row=replace(row.row, source_uri=str(uri))) for row, uri in zip(state.rows, uris, strict=True)]
    write(place, replace(state, rows=tuple(rows)))
    (place.store / "pool").write_bytes((place.store / f"{CLIPS[3]}.mp4").read_bytes())
    (place.store / f"{CLIPS[3]}.mp4").unlink()
    (place.store / f"{CLIPS[3]}.mp4").symlink_to("pool")
    assert pruned(place).kept == {"a link, or not in the store itself": 3}
    assert (outside / "linked.mp4").exists()
    assert (outside / f"{CLIPS[1]}.mp4").exists()
    assert left(place) == [CLIPS[0], *CLIPS[2:], "pool"]


def test_a_store_that_is_elsewhere_loses_nothing(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(place.store / f"{CLIPS[0]}.mp4", tmp_path / "other")
    assert pruned(place, store=tmp_path / "other") == Pruned()
    assert left(place) == CLIPS
    assert len(list((tmp_path / "other").iterdir())) == 1


def test_object_stores_are_pruned_alike(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTS", str(place.folder))
    monkeypatch.setattr(FileSystems, "_pipeline_options", PipelineOptions())
    store = f"{object_files.SCHEME}store"
    state = state_of(place)
    names = ["../store/" + CLIPS[0], *CLIPS[1:]]
    rows = [
        replace(row, row=replace(row.row, source_uri=f"{store}/{name}.mp4"))
        for row, name in zip(state.rows, names, strict=True)
    ]
    write(place, replace(state, rows=tuple(rows)))
    assert pruned(place, store=store).files == 3
    assert left(place) == CLIPS[:1]
