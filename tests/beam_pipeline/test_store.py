"""Which file of a store is whose clip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_pipeline.clips import Clip
from beam_pipeline.store import (
    MAX_STRAYS,
    StoredFile,
    StoreError,
    list_frame_folders,
    list_store,
    match_clips,
    video_ids,
)

CLIP = Clip("---QUuC4vJs", 84_000_000, 94_000_000, "testifying")
OTHER = Clip("---QUuC4vJs", 10_000_000, 20_000_000, "testifying")


def matched(clips: list[Clip], uris: list[str], trimmed: str = "true") -> list[str | None]:
    found = match_clips(clips, [StoredFile(uri, 1) for uri in uris], trimmed)
    return [found[clip.clip_id].uri if clip.clip_id in found else None for clip in clips]


@pytest.mark.parametrize(
    "uri",
    [
        "---QUuC4vJs_000084_000094.mp4",
        "k400/val/part_3/---QUuC4vJs_000084_000094.mkv",
        "testifying/---QUuC4vJs_000084_000094.webm",
        "---QUuC4vJs.mp4",
    ],
)
def test_finds_cvdf_by_class_and_bare_names(uri: str) -> None:
    assert matched([CLIP], [uri]) == [uri]


def test_an_id_with_an_extension_is_matched_by_the_whole_name() -> None:
    clips = [Clip("same.avi", 0, 1_000_000), Clip("same.flv", 0, 1_000_000)]
    assert matched(clips, ["same.flv", "same.avi"]) == ["same.avi", "same.flv"]
    assert {clip.video_id for clip in clips} <= {i for c in clips for i in video_ids(StoredFile(c.video_id, 1))}


def test_a_bare_name_is_not_taken_where_the_id_has_two_clips() -> None:
    assert matched([CLIP, OTHER], ["---QUuC4vJs.mp4"]) == [None, None]
    assert matched([CLIP, OTHER], ["---QUuC4vJs.mp4", "---QUuC4vJs_000010_000020.mp4"]) == [
        None,
        "---QUuC4vJs_000010_000020.mp4",
    ]


def test_a_whole_video_serves_all_its_clips_and_a_cut_file_none() -> None:
    uris = ["---QUuC4vJs.mp4", "---QUuC4vJs_000084_000094.mp4"]
    assert matched([CLIP, OTHER], uris, trimmed="false") == ["---QUuC4vJs.mp4"] * 2


@pytest.mark.parametrize("order", [1, -1])
def test_a_replacement_wins_whatever_the_order(order: int) -> None:
    name = "---QUuC4vJs_000084_000094.mp4"
    uris = [f"train/{name}", f"replacement_for_corrupted_k400/{name}", f"a/{name}"]
    assert matched([CLIP], uris[::order]) == [uris[1]]


def test_fractional_seconds_match() -> None:
    clip = Clip("my.video", 12_500_000, 22_000_000)
    assert matched([clip], ["my.video_000012.500_000022.mp4"]) == ["my.video_000012.500_000022.mp4"]
    assert "my.video" in video_ids(StoredFile("x/my.video_000012.500_000022.mp4", 1))


@pytest.mark.parametrize("extension", ["", ".mp4"])
def test_fractional_seconds_are_told_from_an_extension(extension: str) -> None:
    assert "my.video" in video_ids(StoredFile(f"my.video_000012.500_000022.500{extension}", 1))


@pytest.mark.parametrize("name", ["-rf * [x]\né.mp4", "a" * 200, "my holiday_000001_000011.mp4"])
def test_a_name_that_holds_no_id_is_nobodys_clip(name: str) -> None:
    assert list(video_ids(StoredFile(name, 1))) == []


def test_names_in_another_encoding_are_left_out(tmp_path: Path) -> None:
    for name in (b"caf\xe9.mp4", b"caf\xe9/abc.mp4", "café/abc.mp4".encode()):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"1")
    assert [file.uri for file in list_store(str(tmp_path))] == ["café/abc.mp4"]


def test_lists_at_any_depth_what_may_be_a_clip(tmp_path: Path) -> None:
    for name, content in {
        "a.mp4": b"1",
        "deep/er/b.mkv": b"22",
        "._a.mp4": b"1",
        "empty.mp4": b"",
        "a.json": b"{}",
        "a.mp4.part": b"1",
        "no_extension": b"1",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "linked").symlink_to(tmp_path / "deep")
    (tmp_path / "deep" / "round").symlink_to(tmp_path)
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    files = sorted((Path(file.uri).name, file.size) for file in list_store(str(tmp_path)))
    assert files == [("a.mp4", 1), ("b.mkv", 2), ("no_extension", 1)]


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        list(list_store(str(tmp_path / "nowhere")))


def frame_folders(store: Path) -> list[str]:
    return [file.uri for file in list_frame_folders(str(store))]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_with_numbered_images_is_a_clip_at_any_depth(tmp_path: Path) -> None:
    touch(
        tmp_path / "abseiling" / "-a_000001_000011" / "img_00001.jpg",
        tmp_path / "deep" / "er" / "b" / "flow_x_00000.jpg",
        tmp_path / "c" / "000001.png",
        tmp_path / "abseiling" / "readme.txt",
        tmp_path / ".done" / "d" / "img_00001.jpg",
        tmp_path / "img_00001.jpg",
    )
    (tmp_path / "empty").mkdir()
    assert sorted(frame_folders(tmp_path)) == ["abseiling/-a_000001_000011", "c", "deep/er/b"]


def test_nothing_below_a_frame_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(tmp_path / "clip" / f"img_{k:05d}.jpg" for k in range(100)))
    given = []
    scandir = os.scandir

    class Counting:
        def __init__(self, path: str):
            self._entries = scandir(path)

        def __enter__(self) -> Iterator[os.DirEntry]:
            for entry in self._entries:
                given.append(entry.name)
                yield entry

        def __exit__(self, *_: object) -> None:
            self._entries.close()

    monkeypatch.setattr(os, "scandir", Counting)
    assert frame_folders(tmp_path) == ["clip"]
    assert len(given) == 1 + MAX_STRAYS + 1  # the folder, and some images


@pytest.mark.parametrize("strays", [1, MAX_STRAYS])
def test_a_folder_of_clips_with_stray_images_is_no_clip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, strays: int
) -> None:
    clips = [f"train/{label}/{label}{n}" for label in ("yoga", "abseiling") for n in range(3)]
    touch(*(tmp_path / clip / "img_00001.jpg" for clip in clips))
    for folder in ("train", "train/yoga"):
        touch(*(tmp_path / folder / f"{k}.jpg" for k in range(strays)))
    assert sorted(frame_folders(tmp_path)) == sorted(clips)
    (told,) = caplog.messages
    assert told.endswith(f"beside folders of clips are no clip: in {tmp_path}/train and 1 more")


def test_a_clip_may_hold_other_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(
        tmp_path / "short" / "img_00001.jpg",
        tmp_path / "short" / "@eaDir" / "readme.txt",
        *(tmp_path / "long" / f"img_{k:05d}.jpg" for k in range(MAX_STRAYS + 1)),
        tmp_path / "long" / "thumbnails" / "1.jpg",
    )
    assert sorted(frame_folders(tmp_path)) == ["long", "short"]
    assert not caplog.messages


def test_links_to_folders_are_followed_but_not_round_in_circles(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "clip" / "img_00001.jpg")
    store = tmp_path / "store"
    store.mkdir()
    (store / "linked").symlink_to(tmp_path / "elsewhere")
    (store / "again").symlink_to(tmp_path / "elsewhere" / "clip")
    (store / "round").symlink_to(store)
    (store / "dangling").symlink_to(tmp_path / "nowhere")
    assert sorted(frame_folders(store)) == ["again", "linked/clip"]


def test_a_folder_that_cannot_be_read_may_be_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "clip" / "img_00001.jpg", tmp_path / "other" / "img_00001.jpg")
    scandir = os.scandir

    def refusing(path: str) -> Iterator[os.DirEntry]:
        if path.endswith("clip"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert sorted(frame_folders(tmp_path)) == ["clip", "other"]


def test_a_tree_of_folders_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        frame_folders(tmp_path / "nowhere")
