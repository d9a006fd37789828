"""Records are read by offset: neighbours in one request, each verified, a broken one lost alone."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from beam_pipeline.tfrecord import ShardWriter
from tf_data import reading
from tf_data.index import Records

PER_SHARD = 7


def payload(row: int) -> bytes:
    return f"record {row} ".encode() * (1 + 50 * (row % 5))


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Three shards of 7 records."""
    return write(tmp_path, [payload(row) for row in range(3 * PER_SHARD)])


def write(folder: Path, payloads: Sequence[bytes]) -> Records:
    paths, offsets = [], []
    for first in range(0, len(payloads), PER_SHARD):
        path = folder / f"shard-{first // PER_SHARD}"
        with path.open("wb") as file:
            writer = ShardWriter(file)
            offsets += [writer.write(data) for data in payloads[first : first + PER_SHARD]]
        paths.append(str(path))
    return Records(
        tuple(paths),
        np.arange(len(payloads), dtype=np.int32) // PER_SHARD,
        np.array(offsets, np.int64),
        np.array([len(data) for data in payloads], np.int64),
        np.arange(len(payloads), dtype=np.int64),
        np.full(len(payloads), -1, np.int64),
    )


def read(rows: Sequence[int] | np.ndarray, records: Records, **keywords: Any) -> tf.data.Dataset:
    """Reads rows, beside each of which a number is kept."""
    rows = np.array(rows, np.int64)
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    options.experimental_symbolic_checkpoint = True
    ds = tf.data.Dataset.from_tensor_slices((rows, rows * 10))
    return reading.read_records(ds, records, **({"remote": False} | keywords)).with_options(options)


def spoil(records: Records, row: int) -> None:
    """Flips a bit in the middle of a record."""
    path = Path(records.paths[records.path[row]])
    content = bytearray(path.read_bytes())
    content[records.offset[row] + 12 + records.length[row] // 2] ^= 1
    path.write_bytes(content)


_ORDERS = {
    "as they are": np.arange(21),
    "backwards": np.arange(21)[::-1],
    "shuffled": np.random.default_rng(0).permutation(21),
    "runs of 3": (3 * np.random.default_rng(1).permutation(7)[:, None] + np.arange(3)).ravel(),
    "with gaps": np.array([0, 1, 3, 4, 5, 6, 7, 9, 20]),
    "with repeats": np.array([4, 4, 5, 6, 6, 5, 13, 14, 14]),
    "one": np.array([11]),
    "none": np.array([], np.int64),
}


@pytest.mark.parametrize(("run_length", "remote"), [(1, False), (4, True), (50, False)])
@pytest.mark.parametrize("order", _ORDERS)
def test_rows_come_in_their_order_however_they_are_read(
    records: Records, order: str, run_length: int, remote: bool
) -> None:
    rows = _ORDERS[order]
    ds = read(rows, records, run_length=run_length, remote=remote)
    assert len(ds) == len(rows)
    for row, (record, place, at, kept) in zip(rows, ds.as_numpy_iterator(), strict=True):
        where = f"{records.paths[records.path[row]]} at offset {records.offset[row]}"
        assert (record, place.decode(), at, kept) == (payload(row), where, row, 10 * row)


@pytest.mark.parametrize("run_length", [1, 4])
def test_a_damaged_record_costs_itself_and_no_other_of_its_run(records: Records, run_length: int) -> None:
    spoil(records, 9)
    ds = iter(read(range(8, 12), records, run_length=run_length))
    assert next(ds)[0] == payload(8)
    message = rf"shard-1: no intact record of {len(payload(9))} bytes at offset {records.offset[9]}: .*on_error="
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(ds)
    assert [record.numpy() for record, *_ in ds] == [payload(10), payload(11)]


@pytest.mark.parametrize("run_length", [1, 4])
def test_a_shard_that_is_cut_off_costs_what_is_cut(records: Records, run_length: int) -> None:
    path = Path(records.paths[1])
    path.write_bytes(path.read_bytes()[: records.offset[11] + 20])
    ds = read(range(21), records, run_length=run_length).ignore_errors()
    assert [row for _, _, row, _ in ds.as_numpy_iterator()] == [*range(11), *range(14, 21)]


@pytest.mark.parametrize("run_length", [1, 4])
def test_each_record_of_a_missing_shard_is_an_error_and_then_it_ends(records: Records, run_length: int) -> None:
    Path(records.paths[1]).unlink()
    ds = iter(read(range(5, 16), records, run_length=run_length))
    rows, errors = [], []
    while (element := next_or_error(ds)) is not None:
        if isinstance(element, str):
            errors.append(element)
        else:
            rows.append(int(element[2]))
    assert rows == [5, 6, 14, 15]
    assert len(errors) == PER_SHARD
    assert all("shard-1: no intact record" in error and "missing" in error for error in errors)


@pytest.mark.parametrize("run_length", [1, 4])
def test_what_is_unreadable_is_skipped_on_request(records: Records, run_length: int) -> None:
    Path(records.paths[1]).unlink()
    spoil(records, 3)
    left = list(read(range(21), records, run_length=run_length, skip=True).as_numpy_iterator())
    assert [row for _, _, row, _ in left] == [0, 1, 2, 4, 5, 6, *range(14, 21)]
    for record, _, row, kept in left:
        assert (record, kept) == (payload(row), 10 * row)


def test_the_log_names_what_is_skipped_and_says_nothing_else(tmp_path: Path) -> None:
    """In a process of its own, as TensorFlow takes for its life what level it logs."""
    folder = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.tf_data.test_reading", tmp_path]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "1"}
    log = subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, text=True).stderr
    sections = log.split("reading\n")[1:]
    for intact, broken in (sections[:2], sections[2:]):
        assert intact == ""
        for row in (3, *range(7, 14)):
            assert f"shard-{row // PER_SHARD}: no intact record of {len(payload(row))} bytes" in broken
        assert "stateful" not in broken


def log_reading(folder: Path) -> None:
    """Logs what intact and broken records say, in single requests and in runs: four sections."""
    for run_length in (1, 4):
        records = write(folder, [payload(row) for row in range(3 * PER_SHARD)])
        datasets = [read(range(21), records, run_length=run_length, skip=skip) for skip in (False, True)]
        gc.collect()
        print("reading", file=sys.stderr, flush=True)
        assert [len(list(ds)) for ds in datasets] == [21, 21]
        Path(records.paths[1]).unlink()
        spoil(records, 3)
        print("reading", file=sys.stderr, flush=True)
        assert len(list(datasets[1])) == 13


def next_or_error(ds: Any) -> Any:
    try:
        return next(ds, None)
    except tf.errors.InvalidArgumentError as error:
        return str(error)


def test_an_index_of_other_shards_is_noticed_though_there_are_records(records: Records) -> None:
    longer = replace(records, length=records.length + 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the one that the index was written for"):
        next(iter(read([2], longer)))


@pytest.mark.parametrize(("run_length", "skip"), [(1, False), (4, False), (4, True)])
@pytest.mark.parametrize("position", [0, 1, 6, 19, 20])
def test_a_checkpoint_goes_on_where_it_was_taken_and_holds_no_records(
    tmp_path: Path, run_length: int, skip: bool, position: int
) -> None:
    payloads = [np.random.default_rng(row).bytes(100_000) for row in range(21)]
    records = write(tmp_path, payloads)
    rows = np.random.default_rng(0).permutation(21) if run_length == 1 else np.arange(21)
    spoil(records, 9)
    expected = [row for row in rows if row != 9]

    def read_on() -> Any:
        ds = read(rows if skip else expected, records, run_length=run_length, reads_in_flight=5, skip=skip)
        return iter(ds.prefetch(3))

    ds = read_on()
    for _ in range(position):
        next(ds)
    path = tf.train.Checkpoint(ds=ds).write(str(tmp_path / "checkpoint"))
    assert sum(file.stat().st_size for file in tmp_path.glob("checkpoint*")) < 10_000
    restored = read_on()
    tf.train.Checkpoint(ds=restored).read(path).assert_consumed()
    assert [int(row) for _, _, row, _ in restored] == expected[position:]


@pytest.mark.parametrize(
    ("record_bytes", "run_length", "expected"),
    [(7_000_000, 1, 38), (7_000_000, 4, 9), (7_000_000, 50, 4), (100_000, 1, 64), (0, 1, 64)],
)
def test_far_away_as_many_reads_are_under_way_as_hold_256_mb_but_4_to_64(
    record_bytes: int, run_length: int, expected: int
) -> None:
    column = np.full(10, record_bytes, np.int64)
    records = Records(("a",), path=column, offset=column, length=column, clip_key=column, label=column)
    assert reading.choose_reads_in_flight(records, run_length) == expected


@pytest.mark.parametrize(("record_bytes", "expected"), [(7_000_000, 1), (200_000, 10), (1000, 16)])
def test_far_away_small_records_are_read_in_runs_of_2_mb(record_bytes: int, expected: int) -> None:
    column = np.full(10, record_bytes, np.int64)
    records = Records(("a",), path=column, offset=column, length=column, clip_key=column, label=column)
    assert reading.choose_run_length(records) == expected


def test_blocks_of_many_times_what_is_read_are_warned_of(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GCS_READAHEAD_BUFFER_SIZE_BYTES", raising=False)
    monkeypatch.delenv("GCS_READ_CACHE_BLOCK_SIZE_MB", raising=False)
    with pytest.warns(UserWarning, match=r"gs://a/b: TensorFlow reads gs:// in blocks of 64 MB.*BLOCK_SIZE_MB=0"):
        reading.warn_of_blocks("gs://a/b", records, 1)
    with warnings.catch_warnings(action="error"):
        reading.warn_of_blocks("/a/b", records, 1)
        reading.warn_of_blocks("gs://a/b", replace(records, length=records.length + 50_000_000), 1)
        monkeypatch.setenv("GCS_READ_CACHE_BLOCK_SIZE_MB", "0")
        reading.warn_of_blocks("gs://a/b", records, 1)


@pytest.mark.parametrize(
    ("path", "remote"), [("gs://a/b", True), ("s3://a", True), ("/a/b", False), ("a", False), ("file:///a/b", False)]
)
def test_a_url_is_remote_and_a_file_is_not(path: str, remote: bool) -> None:
    assert reading.is_remote(path) == remote


def test_a_store_without_a_file_system_is_refused_with_what_to_do() -> None:
    message = (
        r"s3://bucket/data: TensorFlow .* reads .*file.* but not s3://. Install .*tensorflow-io.* or mount or copy"
    )
    with pytest.raises(ValueError, match=message):
        reading.check_scheme("s3://bucket/data")
    reading.check_scheme("gs://bucket/data")
    reading.check_scheme("/a/folder")


if __name__ == "__main__":
    log_reading(Path(sys.argv[1]))
