"""The framing is TensorFlow's, and damage anywhere is seen."""

from __future__ import annotations

from pathlib import Path

import google_crc32c
import pytest

from beam_pipeline.tfrecord import CorruptRecordError, ShardWriter, read_record_at, read_records

RECORDS = [b"", b"one", bytes(range(256)) * 40]


def write(path: Path) -> list[int]:
    with path.open("wb") as file:
        writer = ShardWriter(file)
        return [writer.write(record) for record in RECORDS]


def test_bytes_equal_tensorflow_s_writer(tmp_path: Path) -> None:
    import tensorflow as tf

    write(tmp_path / "ours")
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in RECORDS:
            writer.write(record)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_reads_back_in_order_and_at_offsets(tmp_path: Path) -> None:
    offsets = write(tmp_path / "shard")
    assert list(read_records(str(tmp_path / "shard"))) == RECORDS
    with (tmp_path / "shard").open("rb") as file:
        for offset, record in zip(reversed(offsets), reversed(RECORDS), strict=True):
            assert read_record_at(file, offset, len(record), "shard") == record


def test_a_length_that_no_memory_holds_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    header = (1 << 60).to_bytes(8, "little")
    crc = google_crc32c.value(header)
    path.write_bytes(header + ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little") + b"x")
    with pytest.raises(CorruptRecordError, match="offset 0: its header says 1,152,921,504,606,846,976 bytes"):
        list(read_records(str(path)))


def test_every_flipped_bit_and_every_cut_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    write(path)
    good = path.read_bytes()
    ends = [16, 35, len(good)]  # a cut between two records is a shorter file, not a damaged one
    for position in range(0, len(good), 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(CorruptRecordError, match="offset"):
            list(read_records(str(path)))
        if position and position not in ends:
            path.write_bytes(good[:position])
            with pytest.raises(CorruptRecordError, match="ends inside"):
                list(read_records(str(path)))
