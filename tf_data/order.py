"""In which order records are read: computed from the seed, the epoch and the host, not stored in buffers.

    epoch_keys ─▶ for each, steps 0 … ─▶ position = step · hosts + host ─▶ row = permutation(seed, epoch)[position]

So the order costs no memory, a shuffle reaches over all records, hosts share out the records exactly, and a checkpoint
of the iterator holds a few numbers.
"""

from __future__ import annotations

import tensorflow as tf

# Rounds of the cipher behind RandomIndexShuffle, and words of its key. At the 4 rounds and 2 free words of
# `tf.random.experimental.index_shuffle` the permutations of few records are far from equally likely (chi-square 18 to
# 27 times what chance gives, for 4 to 6 records); with 3 free words and 8 rounds or more it is what chance gives.
_SHUFFLE_ROUNDS = 12
_SHUFFLE_SALT = 0x6F726465  # sets the order's randomness apart from the clips'


def epoch_keys(num_epochs: int | None) -> tf.data.Dataset:
    """Yields one int64 scalar for each epoch; each pass over it goes on where the last one stopped.

    The keys are one fixed sequence, the same in every process: the first pass over n epochs gives what n passes over
    one give. It moves on whenever an iterator is made, as `tf.data.Dataset.shuffle` does, and like there the place in
    it is kept by the data set object and by iterator checkpoints. Neither the global seed nor threads change it.

    Args:
      num_epochs: how many a pass has; None for no end.
    """
    variant = tf.raw_ops.RandomDatasetV2(
        seed=tf.constant(1, tf.int64),
        seed2=tf.constant(1, tf.int64),
        seed_generator=tf.raw_ops.DummySeedGenerator(),
        rerandomize_each_iteration=True,
        output_types=[tf.int64],
        output_shapes=[tf.TensorShape([])],
    )
    keys = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.int64))
    return keys.take(1).repeat(num_epochs)


def permuted(position: tf.Tensor, num_records: int, seed: int, epoch_key: tf.Tensor) -> tf.Tensor:
    """Returns the row at a position of an epoch's order: a permutation of 0 … num_records - 1, computed pointwise.

    Args:
      position: int64 scalar in [0, num_records).
      num_records: how many there are.
      seed: the data set's seed, of up to 63 bits.
      epoch_key: int64 scalar.
    """
    pair = tf.random.fold_in(tf.constant([seed, _SHUFFLE_SALT], tf.int64), epoch_key, alg="philox")
    words = tf.random.stateless_uniform([3], pair, minval=None, maxval=None, dtype=tf.int32, alg="philox")
    return tf.raw_ops.RandomIndexShuffle(
        index=position,
        seed=words,
        max_index=tf.constant(num_records - 1, tf.int64),
        rounds=_SHUFFLE_ROUNDS,
    )


def steps_per_epoch(num_records: int, num_hosts: int) -> int:
    """Returns how many records each host reads in an epoch: the same number for all."""
    return -(-num_records // num_hosts)


def read_order(
    num_records: int, *, seed: int, shuffle: bool, num_epochs: int | None, num_hosts: int = 1, host: int = 0
) -> tf.data.Dataset:
    """Yields (row, epoch key, real) for each record that a host reads, in order.

    Each row is read by exactly one host in each epoch. Where the hosts do not divide the rows, the last step of some
    hosts repeats a row of the same epoch, with `real` False.

    Args:
      num_records: rows of the index.
      seed: of the shuffle.
      shuffle: False reads the rows as they are.
      num_epochs: None for no end.
      num_hosts: how many hosts share the rows.
      host: which of them this is, from 0.

    Returns:
      A data set of (int64, int64, bool) scalars of known cardinality.
    """
    steps = steps_per_epoch(num_records, num_hosts)

    def order_of_epoch(epoch_key: tf.Tensor) -> tf.data.Dataset:
        def at(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            position = step * num_hosts + host
            row = position % num_records
            if shuffle:
                row = permuted(row, num_records, seed, epoch_key)
            return row, epoch_key, position < num_records

        return tf.data.Dataset.range(steps).map(at)

    order = epoch_keys(num_epochs).flat_map(order_of_epoch)
    length = tf.data.INFINITE_CARDINALITY if num_epochs is None else steps * num_epochs
    return order.apply(tf.data.experimental.assert_cardinality(length))
