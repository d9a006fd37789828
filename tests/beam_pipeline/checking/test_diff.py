"""Two data sets compared, clip by clip; and the fingerprint by which one is known."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from beam_pipeline import cli
from beam_pipeline.checking import diffing
from beam_pipeline.checking.record_marks import NO_HASH, differing_bits
from beam_pipeline.ledger import LedgerRow, table
from beam_pipeline.media.phash import perceptual_hash
from tests.beam_pipeline.checking.small_data_sets import Clip, make, write_store
from tests.beam_pipeline.clips_on_disk import write_clip

SAME: list[Clip] = [("one", 0, "archery"), ("-two", 0, "archery"), ("three", 3, "yoga")]
GONE, NEW = ("gone", 0, "yoga"), ("new", 0, "archery")
MOVED, RENAMED = ("moved", 0, "yoga"), ("renamed", 0, "yoga")
SHORTER, REPAINTED = ("shorter", 0, "yoga"), ("repainted", 0, "yoga")
FAILING = ("failing", 0, "yoga")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff")


@pytest.fixture(scope="module")
def a(folder: Path) -> Path:
    write_store(folder / "store", [*SAME, GONE, NEW, MOVED, RENAMED, SHORTER, REPAINTED, FAILING])
    train = [*SAME, GONE, MOVED, RENAMED, SHORTER, REPAINTED, FAILING]
    return make(folder / "a", folder / "store", {"train": train, "val": [("val", 0, "yoga")]})


@pytest.fixture(scope="module")
def b(a: Path, folder: Path) -> Path:
    """Made of other files, settings and labels."""
    store = folder / "store_b"
    shutil.copytree(folder / "store", store)
    (store / "failing_000000_000001.mp4").write_bytes(b"no video")
    write_clip(store / "shorter_000000_000001.mp4", seconds=0.6)
    write_clip(store / "repainted_000000_000001.mp4", side=200)
    labels = folder / "labels.txt"
    labels.write_text("yoga\narchery\n")
    train = [*SAME, NEW, (*RENAMED[:2], "archery"), SHORTER, REPAINTED, FAILING]
    settings = ("encode.jpeg_quality=60", f"labels={labels}", "encode.min_duration_s=0.5")
    return make(folder / "b", store, {"train": train, "val": [MOVED]}, *settings)


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = cli.main(["diff", *words])
    return status, capsys.readouterr().out


def rows_of(text: str) -> dict[str, dict[str, str]]:
    return {row["clip_id"]: row for row in csv.DictReader(io.StringIO(text))}


def test_a_data_set_is_the_same_as_its_copy_in_other_shards(
    a: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = make(
        folder / "copy",
        folder / "store",
        {"train": [*SAME, GONE, MOVED, RENAMED, SHORTER, REPAINTED, FAILING], "val": [("val", 0, "yoga")]},
        "workers=2",
        shards=5,
    )
    assert len(list(copy.glob("*-train.tfrecord-*"))) == 5
    status, text = compared(capsys, str(a), str(copy))
    assert status == 0
    assert text.splitlines()[2] == "        9 the same, byte for byte"
    fingerprints = []
    for path in (a, copy):
        assert cli.main(["fingerprint", "--json", str(path)]) == 0
        fingerprints.append(json.loads(capsys.readouterr().out))
    assert fingerprints[0] == fingerprints[1]


def test_each_clip_that_differs_is_told_with_how(a: Path, b: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = compared(capsys, str(a), str(b), "--csv")
    rows = rows_of(text)
    assert status == 1
    assert {clip_id: row["differences"] for clip_id, row in rows.items()} == {
        **{f"{video}_{start:06d}_{start + 1:06d}": "bytes" for video, start, _ in SAME},
        "gone_000000_000001": "only_a",
        "new_000000_000001": "only_b",
        "moved_000000_000001": "split",
        "renamed_000000_000001": "label",
        "shorter_000000_000001": "length;picture",
        "repainted_000000_000001": "size;picture",
        "failing_000000_000001": "only_a",
    }
    assert (rows["moved_000000_000001"]["split_a"], rows["moved_000000_000001"]["split_b"]) == ("train", "val")
    assert (rows["renamed_000000_000001"]["label_a"], rows["renamed_000000_000001"]["label_b"]) == ("yoga", "archery")
    assert rows["failing_000000_000001"]["reason_b"] == "unreadable"


def test_settings_and_label_lists_are_compared(a: Path, b: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(compared(capsys, str(a), str(b), "--json")[1])
    assert found["settings"] == [
        {"key": "encode.jpeg_quality", "a": 95, "b": 60},
        {"key": "encode.min_duration_s", "a": 1.0, "b": 0.5},
    ]
    assert found["label_lists"] == "the same names in another order: 0 is 'archery' in A, 'yoga' in B"
    assert found["classes"]["archery"] == {"only_b": 1, "bytes": 2}
    assert found["counts"] == {
        **{"only_a": 2, "only_b": 1, "split": 1, "label": 1, "length": 1, "size": 1, "picture": 2, "bytes": 3}
    }
    assert found["failed"] == [0, 1]


def test_a_stream_that_only_one_has_is_one_setting(a: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_sound = make(folder / "sound", folder / "store", {"train": SAME, "val": []}, "audio.sample_rate=8000")
    text = compared(capsys, str(a), str(with_sound))[1]
    assert '  audio: none in A, {"sample_rate": 8000} in B' in text.splitlines()


def test_people_are_told_sums_and_classes(a: Path, b: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = compared(capsys, str(a), str(b))[1].splitlines()
    assert "        2 only in A, 1 of which failed in B" in lines
    assert "        1 other label" in lines
    assert "  encode.jpeg_quality: 95 in A, 60 in B" in lines
    assert lines[-2].split() == ["2", "0", "1", "1", "1", "1", "2", "1", "yoga"]


def test_ledgers_alone_say_nothing_of_pictures(a: Path, b: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = compared(capsys, str(a), str(b), "--csv", "--ledgers")
    assert status == 1
    assert "same, byte for byte" not in compared(capsys, str(a), str(b), "--ledgers")[1]
    kinds = {"only_a", "only_b", "split", "label", "length", "size"}
    assert {row["differences"] for row in rows_of(text).values()} == kinds


def test_a_shard_that_is_cut_is_told(a: Path, b: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = tmp_path / "cut"
    shutil.copytree(a, copy)
    shard = max(copy.glob("*-train.tfrecord-*"), key=lambda path: path.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-10])
    assert cli.main(["fingerprint", str(copy)]) == 1
    assert "verify tells what is broken" in capsys.readouterr().err


def test_a_fingerprint_changes_with_a_record_and_not_with_what_failed(
    a: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def digests(path: Path) -> list[str]:
        assert cli.main(["fingerprint", "--json", str(path)]) == 0
        return [split["digest"] for split in json.loads(capsys.readouterr().out)["splits"]]

    train = [*SAME, GONE, MOVED, RENAMED, SHORTER, REPAINTED, FAILING]
    more_failed = make(
        folder / "failed", folder / "store", {"train": [*train, ("missing", 0, "yoga")], "val": [("val", 0, "yoga")]}
    )
    fewer = make(folder / "fewer", folder / "store", {"train": train[:-1], "val": [("val", 0, "yoga")]})
    assert digests(more_failed) == digests(a)
    assert digests(fewer)[0] != digests(a)[0]
    assert digests(fewer)[1] == digests(a)[1]


def test_a_fingerprint_does_not_depend_on_the_order_of_splits(a: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for order in (["train", "val"], ["val", "train"], []):
        words = [word for split in order for word in ("--split", split)]
        assert cli.main(["fingerprint", str(a), *words]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] == told[2]


def test_metadata_that_lacks_a_setting_is_told(a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(a, copy)
    info = json.loads((copy / "info-train.json").read_text())
    del info["configuration"]["encode"]["jpeg_quality"]
    (copy / "info-train.json").write_text(json.dumps(info))
    assert cli.main(["fingerprint", str(copy)]) == 2
    assert f"{copy / 'info-train.json'}: KeyError('jpeg_quality') in its settings" in capsys.readouterr().err


def test_a_fingerprint_of_what_is_not_finished_says_so(
    a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part"
    shutil.copytree(a, part)
    for name in ("clips-train.parquet", "info-train.json", "index-train.npz"):
        (part / name).unlink()
    assert cli.main(["fingerprint", str(part)]) == 0
    train, val = capsys.readouterr().out.splitlines()[1:3]
    assert train.startswith("train: 9 clips so far, 2 classes")
    assert "NOT FINISHED: it will have another digest; blake2b " in train
    assert val.startswith("val: 0 clips of 1 asked for")


def test_a_fingerprint_of_a_limited_run_says_so(a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "part"
    shutil.copytree(a, part)
    path = part / "info-val.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"complete": False}))
    assert cli.main(["fingerprint", str(part)]) == 0
    assert "hours, though only a part of its list was asked for, or done; blake2b" in capsys.readouterr().out


def test_a_fingerprint_is_a_few_lines_to_quote(a: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fingerprint", str(a)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny 1.0.0, made with kinetics-tfrecords"
    assert lines[1].startswith("train: 9 clips of 9 asked for (100.0%), 2 classes, 0.002")
    assert lines[3:5] == ["frames: 25 a second, shorter side 32 (area), JPEG quality 95", lines[-1]]


@pytest.mark.parametrize("command", ["diff", "fingerprint"])
def test_what_is_no_data_set_is_a_bad_request(
    a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert cli.main([command, *([str(a)] if command == "diff" else []), str(tmp_path)]) == 2
    assert "there is no data set" in capsys.readouterr().err


def test_hashes_of_pictures_alike_are_near_and_of_others_far() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (12, 16)).repeat(20, 0).repeat(20, 1).astype(np.uint8)
    hashes = np.array([perceptual_hash(picture), NO_HASH])
    others = np.array([perceptual_hash(picture[::-1]), perceptual_hash(picture)])
    assert differing_bits(hashes, hashes).tolist() == [0, -1]
    far, unknown = differing_bits(hashes, others).tolist()
    assert far > diffing.SAME_PICTURE_BITS
    assert unknown == -1


def pairs_of(a: list[tuple[str, str]], b: list[tuple[str, str]]) -> Iterator[Any]:
    tables = [
        table([LedgerRow(clip_id, clip_id, 0, 1, "", 0, split) for split, clip_id in rows]).append_column(
            "offset", pa.array([0] * len(rows))
        )
        for rows in (a, b)
    ]
    rows_a, rows_b = diffing._pairs(*tables)
    return zip(rows_a.tolist(), rows_b.tolist(), strict=True)


def test_clips_are_paired_within_their_split_and_else_across_splits() -> None:
    a = [("train", "x"), ("val", "x"), ("train", "y"), ("train", "z")]
    b = [("val", "y"), ("val", "x"), ("train", "x"), ("train", "new")]
    assert sorted(pairs_of(a, b)) == [(-1, 3), (0, 2), (1, 1), (2, 0), (3, -1)]
