"""What in a ledger looks wrong, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from beam_pipeline.checking.suspicions import Suspicion, balances, suspicions
from beam_pipeline.ledger import LedgerRow, table

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NUM_LABELS, NUM_SHARDS, NUM_FOLDERS = 20, 8, 10


def ledger(num: int = 4000, split: str = "train", failing: float = 0.03, first: int = 0) -> list[LedgerRow]:
    """A ledger in which clips fail by chance, one a second."""
    chance = np.random.default_rng(first)
    rows = []
    for n in range(num):
        label = int(chance.integers(NUM_LABELS))
        row = LedgerRow(
            clip_id=f"{split}{first + n}_000000_000010",
            video_id=f"{split}{first + n}",
            start_s=0,
            end_s=10,
            label=f"label {label}",
            label_index=label,
            split=split,
            attempts=1,
            attempted_at=(BEGIN + timedelta(seconds=n)).isoformat(),
            source_uri=f"store/archive_{chance.integers(NUM_FOLDERS)}/{n}.mp4",
            shard=int(chance.integers(NUM_SHARDS)),
            num_frames=250,
            duration_s=10.0,
        )
        rows.append(failed(row) if chance.random() < failing else row)
    return rows


def failed(row: LedgerRow, reason: str = "unreadable") -> LedgerRow:
    return replace(row, status="failed", reason=reason)


def told(rows: list[LedgerRow]) -> list[Suspicion]:
    return suspicions(table(rows))


def worsened(where: Callable[[int, LedgerRow], bool], reason: str = "unreadable") -> list[LedgerRow]:
    """A ledger in which most clips of one kind fail."""
    return [failed(row, reason) if where(n, row) and n % 3 else row for n, row in enumerate(ledger())]


def test_failures_by_chance_look_right() -> None:
    assert told(ledger()) == []


def test_a_class_that_fails_more_than_others_is_told() -> None:
    (found,) = told(worsened(lambda _, row: row.label == "label 7"))
    assert (found.kind, found.split) == ("class", "train")
    assert "of the class 'label 7' failed" in found.what
    assert found.p is not None
    assert found.p < 1e-20


def test_failures_from_one_archive_are_told() -> None:
    (found,) = told(worsened(lambda _, row: "archive_3/" in row.source_uri))
    assert found.kind == "folder"
    assert "from store/archive_3 failed" in found.what


def test_failures_of_one_shard_are_told() -> None:
    (found,) = told(worsened(lambda _, row: row.shard == 5))
    assert found.kind == "shard"
    assert "of shard 5 failed" in found.what


def test_a_burst_of_one_reason_is_told_with_its_time() -> None:
    (found,) = told(worsened(lambda n, _: 1200 <= n < 1320, "network"))
    assert found.kind == "time"
    assert "tried from 2026-01-01 00:20:00Z to 2026-01-01 00:22:00Z are network, of the others 0 %" in found.what


def test_a_rerun_of_what_failed_is_no_burst() -> None:
    rows = ledger(failing=0.1)
    again = [n for n, row in enumerate(rows) if row.status == "failed"]
    for n, place in enumerate(again):
        tried = (BEGIN + timedelta(days=1, seconds=n)).isoformat()
        rows[place] = replace(rows[place], attempts=2, attempted_at=tried)
    assert told(rows) == []


def test_a_split_without_a_record_is_told_with_the_main_reason() -> None:
    rows = [failed(row, "not_found" if n % 4 else "unreadable") for n, row in enumerate(ledger(400))]
    (found,) = told(rows)
    assert (found.kind, found.split) == ("records", "train")
    assert found.what == "there is no record of 400 clips: 300 are not_found"


def test_a_folder_of_the_web_is_told_without_secrets() -> None:
    address = "https://user:secret@host/part_{}/{}?token=a/secret"
    rows = [replace(row, source_uri=address.format(n % 10, n)) for n, row in enumerate(ledger(failing=0))]
    (found,) = told([failed(row) if "part_3/" in row.source_uri else row for row in rows])
    assert found.kind == "folder"
    assert "from https://host/part_3 failed" in found.what


def test_records_of_a_class_that_are_short_are_told() -> None:
    rows = [replace(row, short=row.label == "label 2" and row.status == "ok") for row in ledger()]
    (found,) = told(rows)
    assert "of the class 'label 2' are short" in found.what


def test_clips_that_nobody_has_tried_say_nothing() -> None:
    assert told([failed(row, "not_attempted") if row.label == "label 7" else row for row in ledger()]) == []


def test_videos_in_two_splits_are_told() -> None:
    train, val = ledger(100, failing=0), ledger(100, "val", failing=0)
    val[3] = replace(val[3], video_id=train[5].video_id)
    (found,) = told([*train, *val])
    assert found.kind == "overlap"
    assert found.what == f"1 video in train and in val, so that one tells of the other: {train[5].video_id}"


def test_a_class_without_a_record_is_told() -> None:
    rows = [failed(row) if row.label == "label 1" else row for row in ledger(400, failing=0)]
    assert ("labels", f"1 of {NUM_LABELS} classes have no record: 'label 1'") in [
        (found.kind, found.what) for found in told(rows)
    ]


def test_the_balance_of_classes_is_counted() -> None:
    rows = [
        replace(row, label=name, label_index=index, short=name == "rare")
        for index, (name, count) in enumerate([("rare", 1), ("usual", 40), ("common", 50)])
        for row in ledger(count, failing=0, first=100 * index)
    ]
    (balance,) = balances(table(rows))
    assert (balance.classes, balance.smallest, balance.median, balance.largest) == (3, 1, 40, 50)
    assert balance.thin == ("rare",)
    assert balance.short == 1 / 91
    assert balance.seconds == 10
