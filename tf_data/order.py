"""In which order records are read: computed from the seed, the epoch and the host, not stored in buffers.

    step ─▶ epoch, and the position in it that is this host's ─▶ row = permutation(seed, epoch)[position]

So the order costs no memory, a shuffle reaches over all records, hosts share out the records exactly, and a checkpoint
of the iterator holds a few numbers. The source is a range over all steps, which the tf.data service can hand out to its
workers (`ShardingPolicy.DYNAMIC`).

Two forms of the permutation:

- *Runs* of neighbouring rows stay together, for storage that reads neighbours in one request.
- *Weights*: an epoch still has as many examples as there are records, and each data set has its share of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

# Rounds of the cipher behind RandomIndexShuffle, and words of its key. At the 4 rounds and 2 free words of
# `tf.random.experimental.index_shuffle` the permutations of few records are far from equally likely (chi-square 18 to
# 27 times what chance gives, for 4 to 6 records); with 3 free words and 8 rounds or more it is what chance gives.
_SHUFFLE_ROUNDS = 12
_SHUFFLE_SALT = 0x6F726465  # sets the order's randomness apart from the clips'
_NUM_KEYS = 4096  # epoch keys listed, a few milliseconds; those of further epochs are computed from them
_MAX_STEPS = np.iinfo(np.int64).max
_ENDLESS_EPOCHS = 2**20  # how far apart two passes without end begin
_FIRST_ROW, _TURN, _DATA_SET, _LAP = range(4)  # what else is drawn from an epoch's key

# AutoGraph would rewrite functions that have nothing to rewrite, at seconds of CPU in a process that does it first.
_as_it_is = tf.autograph.experimental.do_not_convert


def epoch_keys(num_epochs: int | None) -> tf.data.Dataset:
    """Yields one int64 scalar for each epoch; each pass over it goes on where the last one stopped.

    The keys are one fixed sequence, the same in every process: the first pass over n epochs gives what n passes over
    one give. It moves on whenever an iterator is made, as `tf.data.Dataset.shuffle` does, and like there the place in
    it is kept by the data set object and by iterator checkpoints. Neither the global seed nor threads change it.

    Args:
      num_epochs: how many a pass has; None for no end.
    """
    return _numbers_of_pass().take(1).repeat(num_epochs)


def _numbers_of_pass() -> tf.data.Dataset:
    """Yields random int64 scalars without end, others in each pass; the first of a pass tells which pass it is."""
    variant = tf.raw_ops.RandomDatasetV2(
        seed=tf.constant(1, tf.int64),
        seed2=tf.constant(1, tf.int64),
        seed_generator=tf.raw_ops.DummySeedGenerator(),
        rerandomize_each_iteration=True,
        output_types=[tf.int64],
        output_shapes=[tf.TensorShape([])],
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.int64))


def permuted(position: tf.Tensor, num_records: int | tf.Tensor, seed: int, epoch_key: tf.Tensor) -> tf.Tensor:
    """Returns the row at a position of an epoch's order: a permutation of 0 … num_records - 1, computed pointwise.

    Args:
      position: int64 scalar in [0, num_records).
      num_records: how many there are, at least 1.
      seed: the data set's seed, of up to 63 bits.
      epoch_key: int64 scalar.
    """
    pair = tf.random.fold_in(tf.constant([seed, _SHUFFLE_SALT], tf.int64), epoch_key, alg="philox")
    words = tf.random.stateless_uniform([3], pair, minval=None, maxval=None, dtype=tf.int32, alg="philox")
    return tf.raw_ops.RandomIndexShuffle(
        index=position,
        seed=words,
        max_index=tf.cast(num_records - 1, tf.int64),
        rounds=_SHUFFLE_ROUNDS,
    )


def permuted_in_runs(
    position: tf.Tensor, num_records: int | tf.Tensor, run_length: int, seed: int, epoch_key: tf.Tensor
) -> tf.Tensor:
    """Returns the row at a position of an order in which `run_length` neighbouring rows follow each other.

        11 rows, runs of 3      0   1 | 2   3   4 | 5   6   7 | 8   9  10
        their positions         9  10   6   7   8   0   1   2   3   4   5

    Where the first run begins (here at row 2) is drawn for each epoch, so that no rows are always together. What is
    left over, around the end of the rows, comes last.

    Args:
      position: int64 scalar in [0, num_records).
      num_records: how many there are, at least 1.
      run_length: rows of a run; 1 is `permuted`.
      seed: the data set's seed, of up to 63 bits.
      epoch_key: int64 scalar.
    """
    if run_length == 1:
        return permuted(position, num_records, seed, epoch_key)
    size = tf.cast(num_records, tf.int64)
    num_runs = size // run_length
    turn = tf.minimum(position // run_length, tf.maximum(num_runs - 1, 0))
    run = permuted(turn, tf.maximum(num_runs, 1), seed, epoch_key)
    in_order = tf.where(position < num_runs * run_length, run * run_length + position % run_length, position)
    first = permuted(tf.constant(0, tf.int64), size, seed, _fold(epoch_key, _FIRST_ROW, 0))
    return (first + in_order) % size


def steps_per_epoch(num_records: int, num_hosts: int) -> int:
    """Returns how many records each host reads in an epoch: the same number for all."""
    return -(-num_records // num_hosts)


def host_position(
    step: tf.Tensor, num_records: int, *, num_hosts: int, host: int, run_length: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the position in an epoch's order that a host reads at a step, and whether it is its own.

    Hosts take whole runs by turns. What is left when there is no longer one for each is cut into equal parts, so that
    an epoch has `steps_per_epoch` steps, and fewer than `num_hosts` of all hosts' steps repeat a position.

    Args:
      step: int64 scalar in [0, steps_per_epoch).
      num_records: positions of an epoch.
      num_hosts: how many hosts share them.
      host: which of them this is, from 0.
      run_length: positions of a run.

    Returns:
      An int64 scalar in [0, num_records), and a bool scalar: False where it is another host's, read to fill up.
    """
    whole = num_records // (run_length * num_hosts) * run_length  # steps in which every host has a run
    part = steps_per_epoch(num_records, num_hosts) - whole
    in_runs = (step // run_length * num_hosts + host) * run_length + step % run_length
    in_rest = whole * num_hosts + host * part + step - whole
    position = tf.where(step < whole, in_runs, in_rest)
    return position % num_records, position < num_records


def shares(weights: Sequence[float], num_examples: int) -> np.ndarray:
    """Returns how many of an epoch's examples each data set gives: int64, by largest remainder, their sum exact.

    Raises:
      ValueError: a weight is not a positive number, or so small that its data set would give none.
    """
    for weight in weights:
        if not 0 < weight < math.inf:
            raise ValueError(f"weights must be positive numbers, got {weight!r} among {list(weights)}")
    relative = np.asarray(weights, np.float64) / max(weights)  # their sum is then a number, too
    exact = relative / relative.sum() * num_examples
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: num_examples - counts.sum()]] += 1
    if not counts.all():
        least = int(np.argmin(counts))
        raise ValueError(
            f"weights: {weights[least]!r} among {list(weights)} is less than one of the {num_examples} examples of an "
            "epoch; give it more, or leave its data set out"
        )
    return counts


def read_order(
    sizes: Sequence[int],
    *,
    weights: Sequence[float] | None,
    seed: int,
    shuffle: bool,
    num_epochs: int | None,
    num_hosts: int = 1,
    host: int = 0,
    run_length: int = 1,
) -> tf.data.Dataset:
    """Yields (row, epoch key, real) for each record that a host reads, in order.

    An epoch has `sum(sizes)` examples, each read by exactly one host. A second pass over the data set goes on with the
    next epochs, as if `num_epochs` had been larger. Where the hosts do not divide them, the last step
    of some hosts repeats an example of the same epoch, with `real` False.

    Without weights an epoch is every row once. With them, data set i gives the share `weights[i] / sum(weights)` of the
    examples (see `shares`), at places spread at random over the epoch. It reads its rows in passes, each row once a
    pass: in an epoch of n examples from a data set of N rows, every row comes ⌊n/N⌋ or ⌈n/N⌉ times. The epoch key of a
    second pass is another one, so that a clip which comes twice in an epoch is seen in two views. Every epoch begins
    a new pass: of a data set larger than its share, an epoch reads another random part.

    Args:
      sizes: records of each data set; rows count through all of them, one data set after the other.
      weights: positive and relative to each other, one for each data set; None for every row once.
      seed: of the shuffle.
      shuffle: False reads the rows as they are; with weights, those of each data set, at places evenly spread (and of
        a data set larger than its share, the same first rows in each epoch).
      num_epochs: None for no end.
      num_hosts: how many hosts share the rows.
      host: which of them this is, from 0.
      run_length: so many neighbouring rows follow each other on one host (see `permuted_in_runs`), which storage can
        read in one request. With weights, runs of examples and runs of rows do not begin together, so that a run of
        examples is mostly of two pieces.

    Returns:
      A data set of (int64, int64, bool) scalars of known cardinality.

    Raises:
      ValueError: there is no record, or the weights are not one positive number for each data set.
    """
    num_records = sum(sizes)
    if not num_records:
        raise ValueError(f"sizes: there is no record to read, got {list(sizes)}")
    steps = steps_per_epoch(num_records, num_hosts)

    def shuffled(position: tf.Tensor, size: int | tf.Tensor, epoch_key: tf.Tensor) -> tf.Tensor:
        return permuted_in_runs(position, size, run_length, seed, epoch_key) if shuffle else position

    def every_row_once(position: tf.Tensor, epoch_key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return shuffled(position, num_records, epoch_key), epoch_key

    row_at = every_row_once if weights is None else _mixture(sizes, weights, shuffle, shuffled)

    @_as_it_is
    def at(step: tf.Tensor, key_of_pass: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        epoch_key = _epoch_key(_epoch_number(key_of_pass, step // steps, num_epochs))
        position, real = host_position(step % steps, num_records, num_hosts=num_hosts, host=host, run_length=run_length)
        return *row_at(position, epoch_key), real

    order = _steps(_MAX_STEPS if num_epochs is None else steps * num_epochs).map(at)
    return order if num_epochs else order.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def _mixture(
    sizes: Sequence[int],
    weights: Sequence[float],
    shuffle: bool,
    shuffled: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns the function from (position, epoch key) to (row, epoch key) of weighted data sets.

    An epoch's draws, of the first data set, then the second and so on, are permuted as rows are; the k-th draw of a
    data set of N rows is its pass k // N and, in the permutation of that pass, position k % N.
    """
    if len(weights) != len(sizes) or not all(sizes):
        raise ValueError(f"weights {list(weights)} must be one for each data set, none empty, got sizes {list(sizes)}")
    counts = shares(weights, sum(sizes))
    first_draw, first_row = (tf.constant(np.cumsum([0, *n])[:-1], tf.int64) for n in (counts, sizes))
    size_of = tf.constant(sizes, tf.int64)
    # Draw k of n has its place at (k + ½) / n of the epoch.
    spread = np.argsort(np.concatenate([(np.arange(n) + 0.5) / n for n in counts]), kind="stable")
    drawn_at = None if shuffle else tf.constant(spread, tf.int64)

    def row_at(position: tf.Tensor, epoch_key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draw = shuffled(position, sum(sizes), epoch_key) if drawn_at is None else drawn_at[position]
        source = tf.searchsorted(first_draw, draw[tf.newaxis], side="right")[0] - 1
        nth = draw - first_draw[source]
        turn = nth // size_of[source]
        key_of_turn = tf.where(turn == 0, epoch_key, _fold(epoch_key, _TURN, turn))
        key_of_rows = _fold(key_of_turn, _DATA_SET, source)
        row = shuffled(nth % size_of[source], size_of[source], key_of_rows)
        return first_row[source] + row, key_of_turn

    return row_at


def _steps(num_steps: int) -> tf.data.Dataset:
    """Yields (step, key of the pass): int64 scalars, 0 … num_steps - 1 and the same key with each of them.

    Symbolic checkpoints rule out what is simpler. A `flat_map` or `take` beside another data set in a `zip` goes wrong
    at the second restart (TensorFlow 2.21), and a range inside a `flat_map` is not shared out by the tf.data service.
    """

    @_as_it_is
    def keep_first(first: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tuple]:
        step, number = element
        key = tf.where(first < 0, number, first)
        return key, (step, key)

    numbered = tf.data.Dataset.zip((tf.data.Dataset.range(num_steps), _numbers_of_pass()))
    return numbered.scan(tf.constant(-1, tf.int64), keep_first)


def _epoch_number(key_of_pass: tf.Tensor, epoch: tf.Tensor, num_epochs: int | None) -> tf.Tensor:
    """Returns an epoch's number, counted through all passes over the data set, from its number in a pass."""
    is_it = tf.equal(_listed_keys(), key_of_pass)
    number_of_pass = tf.where(tf.reduce_any(is_it), tf.argmax(is_it), _NUM_KEYS + key_of_pass)
    return number_of_pass * (num_epochs or _ENDLESS_EPOCHS) + epoch


def _epoch_key(number: tf.Tensor) -> tf.Tensor:
    """Returns the key of an epoch by its number, from 0: of the first `_NUM_KEYS`, what `epoch_keys` yields."""
    key = tf.constant(_listed_keys())[number % _NUM_KEYS]
    lap = number // _NUM_KEYS
    return tf.where(lap == 0, key, _fold(key, _LAP, lap))


@functools.cache
def _listed_keys() -> np.ndarray:
    with tf.init_scope():
        return next(epoch_keys(_NUM_KEYS).batch(_NUM_KEYS).as_numpy_iterator())


def _fold(key: tf.Tensor, use: int, number: tf.Tensor | int) -> tf.Tensor:
    """Returns another key, an int64 scalar, for each number and each use of the numbers."""
    # `fold_in` keeps its number as it is beside a hash of the rest: so the draw is what mixes them.
    pair = tf.random.fold_in(tf.stack([key, tf.constant(use, tf.int64)]), tf.cast(number, tf.int64), alg="philox")
    return tf.random.stateless_uniform([], pair, minval=None, maxval=None, dtype=tf.int64, alg="philox")
