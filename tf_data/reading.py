"""Reads serialised records: one at its offset, where there is an index, or shard after shard, where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tf_data import order

_RECORD = tf.TensorSpec([], tf.string)
FRAMING_BYTES = 16  # around a record: its length and two checksums


def read_at(path: tf.Tensor, offset: tf.Tensor, length: tf.Tensor, *, remote: bool) -> tf.Tensor:
    """Reads one record, its checksums verified.

    Args:
      path: string scalar, the shard.
      offset: int64 scalar, where the record's framing begins.
      length: int64 scalar, bytes of its payload.
      remote: whether a request costs a round trip: then the record comes in a single one.

    Returns:
      The record, a string scalar.

    Raises:
      tf.errors.InvalidArgumentError: there is no intact record; the message names the shard, offset and length.
    """
    # Without a buffer a local record is two reads into place; with one, it is copied once more.
    buffer_size = length + FRAMING_BYTES if remote else tf.constant(0, tf.int64)

    def read(path: tf.Tensor) -> tf.Tensor:
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=path[tf.newaxis],
            compression_type="",
            buffer_size=buffer_size,
            byte_offsets=offset[tf.newaxis],
        )
        return tf.data.experimental.from_variant(variant, _RECORD).take(1).get_single_element()

    # What the op itself reports does not name the file: let it fail silently into an empty record, and say it here. The
    # map makes it one attempt; `ignore_errors` on the reader itself would open a missing file for ever.
    attempt = tf.data.Dataset.from_tensors(path).map(read).ignore_errors()
    record = attempt.concatenate(tf.data.Dataset.from_tensors("")).take(1).get_single_element()
    message = tf.strings.join(
        [
            path,
            ": no intact record of ",
            tf.strings.as_string(length),
            " bytes at offset ",
            tf.strings.as_string(offset),
            ": the shard is missing, cut off or damaged, or isn't the one that the index was written for. "
            "Run the job again to repair it, or pass on_error='skip'",
        ]
    )
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.strings.length(record) == tf.cast(length, tf.int32), [message])]
    ):
        return tf.identity(record)


def read_all(
    paths: Sequence[str],
    *,
    seed: int,
    shuffle: bool,
    num_epochs: int | None,
    num_hosts: int,
    host: int,
    files_at_once: int,
    shuffle_buffer: int,
) -> tf.data.Dataset:
    """Yields (record, where it is from, epoch key) of shards that have no index.

    Shuffling is what this can do: the order of the shards, records of several shards by turns, and a buffer. Hosts
    take whole shards where there are enough of them, else every `num_hosts`-th record.

    Args:
      paths: the shards.
      seed: of the shuffle.
      shuffle: False reads shard after shard.
      num_epochs: None for no end.
      num_hosts: how many hosts share the records.
      host: which of them this is, from 0.
      files_at_once: shards read by turns when shuffling.
      shuffle_buffer: serialised records held for shuffling; they are megabytes each.
    """
    by_shard = len(paths) >= num_hosts
    names = tf.constant(list(paths))

    def records_of(path: tf.Tensor) -> tf.data.Dataset:
        return tf.data.TFRecordDataset(path).enumerate().map(lambda number, record: (record, _place(path, number)))

    def records_of_epoch(epoch_key: tf.Tensor) -> tf.data.Dataset:
        rows = tf.data.Dataset.range(len(paths))
        if shuffle:
            rows = rows.map(lambda row: order.permuted(row, len(paths), seed, epoch_key))
        if by_shard:
            rows = rows.shard(num_hosts, host)
        shards = rows.map(lambda row: names[row])
        cycle_length = min(files_at_once, len(paths)) if shuffle else 1
        records = shards.interleave(records_of, cycle_length=cycle_length, num_parallel_calls=cycle_length)
        if shuffle:
            records = records.shuffle(shuffle_buffer, seed=epoch_key % (1 << 31) + seed % (1 << 31))
        if not by_shard:
            records = records.shard(num_hosts, host)
        return records.map(lambda record, place: (record, place, epoch_key))

    return order.epoch_keys(num_epochs).flat_map(records_of_epoch)


def _place(path: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    return tf.strings.join([path, ", record ", tf.strings.as_string(number)])
