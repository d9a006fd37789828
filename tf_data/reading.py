"""Reads serialised records: by their offsets, where there is an index, or shard after shard, where there is none.

    rows ─▶ requests: rows that are neighbours in a shard ─▶ read, many at once ─▶ records

Reading is a stage of its own, ahead of decoding: a store far away answers late but answers many at once, so there more
reads are under way than there are cores.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_data import order
from tf_data.attempts import num_cores, parallel_map, stateless
from tf_data.index import Records

_as_it_is = tf.autograph.experimental.do_not_convert
_RECORD = tf.TensorSpec([], tf.string)
FRAMING_BYTES = 16  # around a record: its length and two checksums

# Far away, so many reads are under way as hold this together, within bounds. benchmarks/remote.py shows what each buys.
_READ_AHEAD_BYTES = 256 << 20
_FEWEST_READS, _MOST_READS = 4, 64
_RUN_BYTES, _LONGEST_RUN = 2 << 20, 16  # a request of less is mostly waiting
_SHARD_BUFFER_BYTES = 16 << 20  # a request of reading a whole shard far away

# TensorFlow's client of gs:// reads blocks of this size unless told otherwise before it is imported: gcs_file_system.cc
_GCS_BLOCK_BYTES = 64 << 20
_GCS_BLOCK_VARIABLES = ("GCS_READ_CACHE_BLOCK_SIZE_MB", "GCS_READAHEAD_BUFFER_SIZE_BYTES")


def is_remote(path: str) -> bool:
    """Whether a path is of a store where a request costs a round trip, such as `gs://bucket/folder`."""
    return "://" in path and not path.startswith(("file://", "ram://"))


def check_scheme(path: str) -> None:
    """Refuses a path of a store that this TensorFlow has no file system for.

    Raises:
      ValueError: the scheme is not registered; the message says what to install.
    """
    scheme, slashes, _ = path.partition("://")
    known = tf.io.gfile.get_registered_schemes()
    if not slashes or scheme in known:
        return
    package = "tensorflow[gcs-filesystem]" if scheme == "gs" else "tensorflow-io"
    raise ValueError(
        f"{path}: TensorFlow {tf.__version__} as installed reads {', '.join(filter(None, known))} but not {scheme}://. "
        f"Install the file system (pip install '{package}' where there is one for this Python and TensorFlow, and "
        "import it before loading), or mount or copy the data set and give its local path"
    )


def warn_of_blocks(path: str, records: Records, run_length: int) -> None:
    """Warns where TensorFlow's client of `gs://` will fetch several times what is asked for."""
    wanted = run_length * _mean_bytes(records)
    if (
        path.startswith("gs://")
        and 2 * wanted < _GCS_BLOCK_BYTES
        and not any(map(os.environ.get, _GCS_BLOCK_VARIABLES))
    ):
        warnings.warn(
            f"{path}: TensorFlow reads gs:// in blocks of {_GCS_BLOCK_BYTES >> 20} MB, and a read here takes "
            f"{wanted / 1e6:.1f} MB. Set the environment variable {_GCS_BLOCK_VARIABLES[0]}=0 before tensorflow is "
            "imported to read no more than the records",
            stacklevel=4,
        )


def read_records(
    rows: tf.data.Dataset,
    records: Records,
    *,
    remote: bool,
    reads_in_flight: int | None = None,
    run_length: int = 1,
    skip: bool = False,
) -> tf.data.Dataset:
    """Reads the records at `rows`, in their order, checksums verified.

    Of each `run_length` rows that follow each other, those that are neighbours in a shard are read in one request; the
    others have one each, whatever the order of the rows is. A run with a broken record is read once more record by
    record, so that it costs that one record. Memory: `reads_in_flight` runs, while they are read twice over.

    Args:
      rows: yields (row, …): an int64 scalar and whatever else is to stay with it.
      records: what the rows number.
      remote: whether a request costs a round trip; then a buffer takes each run at once.
      reads_in_flight: requests under way; None for as many as there are cores, or far away as hold 256 MB together,
        but 4 to 64.
      run_length: 1 or more.
      skip: logs what is unreadable and leaves it out.

    Returns:
      A data set of (record, place, row, …): the record and where it is from, for error messages, are string scalars.
      Unless skipped, an unreadable record is a tf.errors.InvalidArgumentError of its element that names the shard,
      offset and length; the next element is the next record.
    """
    paths = tf.constant(records.paths)
    path_column, offsets, lengths = map(tf.constant, (records.path, records.offset, records.length))
    calls = reads_in_flight or (choose_reads_in_flight(records, run_length) if remote else num_cores())

    def read_one(row: tf.Tensor) -> tf.Tensor:
        return read_at(paths[path_column[row]], offsets[row], lengths[row], remote=remote)

    def placed(record: tf.Tensor, row: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        place = tf.strings.join([paths[path_column[row]], " at offset ", tf.strings.as_string(offsets[row])])
        return record, place, row, *rest

    def read_single(row: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return placed(read_one(row), row, *rest)

    @_as_it_is
    def requests(row: tf.Tensor, *rest: tf.Tensor) -> tf.data.Dataset:
        """Cuts a batch of rows into runs of neighbours."""
        path, start = tf.gather(path_column, row), tf.gather(offsets, row)
        end = start + tf.gather(lengths, row) + FRAMING_BYTES
        begins = tf.concat([[True], (path[1:] != path[:-1]) | (start[1:] != end[:-1])], 0)
        firsts = tf.where(begins)[:, 0]
        bounds = tf.concat([firsts, [tf.size(row, tf.int64)]], 0)
        runs = tf.data.Dataset.from_tensor_slices((bounds[:-1], bounds[1:]))
        return runs.map(lambda first, last: tuple(column[first:last] for column in (row, *rest)))

    @_as_it_is
    def read_run(row: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        first, length = row[0], tf.gather(lengths, row)
        num_bytes = tf.reduce_sum(length + FRAMING_BYTES)
        return _attempt(remote)(paths[path_column[first]], offsets[first], tf.size(row), num_bytes), row, *rest

    def mended(record: tf.Tensor, row: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        intact = tf.cast(tf.strings.length(record), tf.int64) == lengths[row]
        return placed(tf.cond(intact, lambda: record, lambda: read_one(row)), row, *rest)

    if run_length == 1:
        return parallel_map(rows, read_single, calls, skip=skip)
    runs = rows.batch(run_length).flat_map(requests).map(read_run, num_parallel_calls=calls, deterministic=True)
    # Here none is lost yet. Behind `mended`, where errors are, to count would be one more error after each pass.
    lined_up = runs.unbatch().apply(tf.data.experimental.assert_cardinality(rows.cardinality()))
    return parallel_map(lined_up, mended, calls, skip=skip)


def read_at(path: tf.Tensor, offset: tf.Tensor, length: tf.Tensor, *, remote: bool) -> tf.Tensor:
    """Reads one record, its checksums verified.

    Args:
      path: string scalar, the shard.
      offset: int64 scalar, where the record's framing begins.
      length: int64 scalar, bytes of its payload.
      remote: whether a request costs a round trip.

    Returns:
      The record, a string scalar.

    Raises:
      tf.errors.InvalidArgumentError: there is no intact record; the message names the shard, offset and length.
    """
    record = _attempt(remote)(path, offset, tf.constant(1), length + FRAMING_BYTES)[0]
    message = tf.strings.join(
        [
            path,
            ": no intact record of ",
            tf.strings.as_string(length),
            " bytes at offset ",
            tf.strings.as_string(offset),
            ": the shard is missing, cut off, damaged or out of reach (a warning in the log says which), or isn't the "
            "one that the index was written for. Run the job again to repair it, or pass on_error='skip'",
        ]
    )
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.cast(tf.strings.length(record), tf.int64) == length, [message])]
    ):
        return tf.identity(record)


@functools.cache
def _attempt(remote: bool) -> Callable[..., tf.Tensor]:
    """Returns the function that reads neighbours, of (path, offset, how many, bytes of all of them).

    It gives strings (how many,), empty from the first one on that is not intact. What the op itself reports does not
    name the file, so it only logs, and the caller says which file it is.
    """

    def attempt(path: tf.Tensor, offset: tf.Tensor, num_records: tf.Tensor, num_bytes: tf.Tensor) -> tf.Tensor:
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=path[tf.newaxis],
            compression_type="",
            # Without a buffer a local record is two reads into place; with one, it is copied once more.
            buffer_size=num_bytes if remote else tf.constant(0, tf.int64),
            byte_offsets=offset[tf.newaxis],
        )
        reader = tf.data.experimental.from_variant(variant, _RECORD)
        count = tf.cast(num_records, tf.int64)
        # The count ends the attempts: `ignore_errors` on the reader itself would open a missing file for ever.
        intact = tf.data.Dataset.zip((tf.data.Dataset.range(count), reader)).ignore_errors(log_warning=True)
        lost = tf.data.Dataset.from_tensors((tf.constant(0, tf.int64), "")).repeat()
        return intact.concatenate(lost).take(count).batch(count).get_single_element()[1]

    number = tf.TensorSpec([], tf.int64)
    with tf.init_scope():  # kept for all maps, not of the one that asks first
        return stateless(attempt, [tf.TensorSpec([], tf.string), number, tf.TensorSpec([], tf.int32), number])


def _mean_bytes(records: Records) -> float:
    return float(np.mean(records.length)) + FRAMING_BYTES


def choose_run_length(records: Records) -> int:
    """Returns how many neighbours to read in one request far away: as many as have 2 MB together, but 1 to 16."""
    return int(min(max(_RUN_BYTES / _mean_bytes(records), 1), _LONGEST_RUN))


def choose_reads_in_flight(records: Records, run_length: int) -> int:
    """Returns how many requests are under way far away: as many as hold 256 MB together, but 4 to 64."""
    fitting = _READ_AHEAD_BYTES / (run_length * _mean_bytes(records))
    return int(min(max(fitting, _FEWEST_READS), _MOST_READS))


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
    buffer_size = _SHARD_BUFFER_BYTES if is_remote(paths[0]) else None

    @_as_it_is
    def records_of(path: tf.Tensor) -> tf.data.Dataset:
        return (
            tf.data.TFRecordDataset(path, buffer_size=buffer_size)
            .enumerate()
            .map(_as_it_is(lambda number, record: (record, _place(path, number))))
        )

    @_as_it_is
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
            records = _shuffled(records, shuffle_buffer, epoch_key, seed)
        if not by_shard:
            records = records.shard(num_hosts, host)
        return records.map(lambda record, place: (record, place, epoch_key))

    return order.epoch_keys(num_epochs).flat_map(records_of_epoch)


def _shuffled(ds: tf.data.Dataset, buffer_size: int, epoch_key: tf.Tensor, seed: int) -> tf.data.Dataset:
    """Shuffles by these numbers alone: `Dataset.shuffle` mixes in the seed of `tf.random.set_seed`."""
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(ds),
        buffer_size=buffer_size,
        seed=epoch_key,
        seed2=seed,
        reshuffle_each_iteration=False,
        output_types=[tf.string, tf.string],
        output_shapes=[[], []],
    )
    return tf.data.experimental.from_variant(variant, ds.element_spec)


def _place(path: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    return tf.strings.join([path, ", record ", tf.strings.as_string(number)])
