"""The order of records: computed, complete, different in each epoch, shared out among hosts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_data.order import epoch_keys, permuted, read_order, shares, steps_per_epoch


def _rows(order: tf.data.Dataset) -> list[int]:
    return [int(row) for row, _, _ in order]


def _order(num_records: int = 50, **keywords: object) -> tf.data.Dataset:
    return _mixed([num_records], None, **keywords)


def _mixed(sizes: list[int], weights: list[float] | None, **keywords: object) -> tf.data.Dataset:
    values = {"weights": weights, "seed": 0, "shuffle": True, "num_epochs": 1} | keywords
    return read_order(sizes, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_records", [1, 2, 3, 64, 1000])
def test_an_epoch_has_each_record_once(num_records: int) -> None:
    assert sorted(_rows(_order(num_records))) == list(range(num_records))


def test_without_shuffling_records_come_as_they_are() -> None:
    assert _rows(_order(shuffle=False, num_epochs=2)) == [*range(50), *range(50)]


def test_a_shuffle_reaches_over_all_records() -> None:
    rows = np.array(_rows(_order(1000)))
    assert abs(rows[:100].mean() - 500) < 100
    assert abs(np.corrcoef(rows, np.arange(1000))[0, 1]) < 0.1


def test_all_permutations_are_equally_likely() -> None:
    @tf.function
    def rows_of_epoch(epoch_key: tf.Tensor) -> tf.Tensor:
        return tf.stack([permuted(tf.constant(k, tf.int64), 4, 0, epoch_key) for k in range(4)])

    rows = [rows_of_epoch(key).numpy() for key in epoch_keys(None).take(720)]
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(counts) == 24
    assert ((counts - 30) ** 2 / 30).sum() < 49.7  # chi-square with 23 degrees of freedom, 1 in 1000


def test_the_same_seed_gives_the_same_order() -> None:
    first = _rows(_order(num_epochs=3))
    tf.random.set_seed(7)
    assert _rows(_order(num_epochs=3)) == first


def test_seeds_differ_and_0_is_one_of_them() -> None:
    orders = [tuple(_rows(_order(seed=seed))) for seed in (0, 1, 2, 2**31, 2**62, 2**63 - 1)]
    assert len(set(orders)) == len(orders)


def test_epochs_differ() -> None:
    rows = np.array(_rows(_order(num_epochs=4))).reshape(4, 50)
    assert all(not np.array_equal(a, b) for a, b in pairwise(rows))
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(50), [4, 1]))


def test_iterating_again_goes_on_with_the_next_epoch() -> None:
    order = _order()
    passes = [row for _ in range(3) for row in _rows(order)]
    assert passes == _rows(_order(num_epochs=3))


@pytest.mark.parametrize(("num_records", "num_hosts"), [(1, 3), (7, 2), (12, 4), (50, 1), (50, 8)])
def test_hosts_share_out_each_epoch_exactly(num_records: int, num_hosts: int) -> None:
    steps = steps_per_epoch(num_records, num_hosts)
    epochs: list[list[int]] = [[], []]
    for host in range(num_hosts):
        mine = list(_order(num_records, num_epochs=2, num_hosts=num_hosts, host=host))
        assert len(mine) == 2 * steps
        for step, (row, _, real) in enumerate(mine):
            if real:
                epochs[step // steps].append(int(row))
    assert [sorted(epoch) for epoch in epochs] == [list(range(num_records))] * 2


def test_hosts_together_follow_the_order_of_one() -> None:
    alone = _rows(_order(50))
    hosts = [_rows(_order(50, num_hosts=5, host=host)) for host in range(5)]
    assert [row for step in zip(*hosts, strict=True) for row in step] == alone


def test_the_length_is_known() -> None:
    assert len(_order(num_epochs=3)) == 150
    assert len(_order(num_hosts=4, host=3)) == 13


def test_an_order_without_end_says_so_and_goes_on() -> None:
    order = _order(5, num_epochs=None)
    assert order.cardinality() == tf.data.INFINITE_CARDINALITY
    assert sorted(_rows(order.take(10))) == sorted([*range(5)] * 2)


@pytest.mark.parametrize("num_epochs", [1, 3])
def test_each_pass_goes_on_with_the_next_epochs(num_epochs: int) -> None:
    order = _order(num_epochs=num_epochs)
    assert _rows(order) + _rows(order) + _rows(order) == _rows(_order(num_epochs=3 * num_epochs))


@pytest.mark.parametrize("stop_after", [0, 3, 50, 77, 100])
def test_a_checkpoint_goes_on_where_it_was_and_with_the_same_next_epochs(tmp_path: Path, stop_after: int) -> None:
    options = tf.data.Options()
    options.experimental_symbolic_checkpoint = True
    order = _order(num_epochs=2).with_options(options)
    iterator = iter(order)
    for _ in range(stop_after):
        next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "place"))
    expected = _rows(iterator) + _rows(order)

    fresh = _order(num_epochs=2).with_options(options)
    restored = iter(fresh)
    tf.train.Checkpoint(iterator=restored).restore(saved).assert_consumed()
    assert _rows(restored) + _rows(fresh) == expected
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 64 * 1024


@pytest.mark.parametrize("num_epochs", [1000, None])
def test_restoring_does_not_read_again_what_was_read(tmp_path: Path, num_epochs: int | None) -> None:
    read = []

    def load() -> tf.data.Dataset:
        def note(row: np.ndarray) -> np.ndarray:
            read.append(int(row))
            return row

        options = tf.data.Options()
        options.experimental_symbolic_checkpoint = True
        options.experimental_optimization.inject_prefetch = False  # nothing is read before it is asked for
        options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
        noted = _order(10, num_epochs=num_epochs).map(lambda row, *_: tf.numpy_function(note, [row], tf.int64))
        return noted.with_options(options)

    iterator = iter(load())
    for _ in range(2995):
        next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "place"))
    expected = int(next(iterator))
    read.clear()
    restored = iter(load())
    tf.train.Checkpoint(iterator=restored).restore(saved)
    assert int(next(restored)) == expected
    assert len(read) == 1


def test_hundreds_of_epochs_all_differ() -> None:
    keys = [int(key) for _, key, _ in _order(1, num_epochs=600)]
    assert len(set(keys)) == 600


def _runs(rows: list[int], length: int, num_records: int) -> list[bool]:
    """Of each `length` rows, whether they follow each other, the first row after the last."""
    cut = [rows[k : k + length] for k in range(0, len(rows) - length + 1, length)]
    return [all((a + 1) % num_records == b for a, b in pairwise(run)) for run in cut]


def test_runs_of_neighbours_stay_together_and_are_shuffled() -> None:
    rows = _rows(_order(50, run_length=4))
    assert sorted(rows) == list(range(50))
    assert _runs(rows, 4, 50) == [True] * 12
    assert not all((a + 4) % 50 == b for a, b in pairwise(rows[::4]))


def test_runs_begin_elsewhere_in_each_epoch() -> None:
    rows = np.array(_rows(_order(50, run_length=4, num_epochs=8))).reshape(8, 50)
    assert len({int(row) for row in rows[:, 0] % 4}) > 1
    assert len({int(row) for row in rows[:, -1]}) > 4  # and what is left over is not always the same


def test_a_run_stays_on_one_host() -> None:
    for host in range(3):
        mine = _rows(_order(50, run_length=4, num_hosts=3, host=host))
        assert _runs(mine[:16], 4, 50) == [True] * 4  # 48 of 50 rows are 4 runs for each host


def test_unshuffled_runs_are_dealt_out_in_stored_order() -> None:
    hosts = [_rows(_order(12, shuffle=False, run_length=3, num_hosts=2, host=host)) for host in range(2)]
    assert hosts == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]


def test_runs_longer_than_the_epoch_are_the_rows_one_after_the_other() -> None:
    rows = _rows(_order(5, run_length=9))
    assert rows == [(rows[0] + k) % 5 for k in range(5)]


def test_shares_are_rounded_to_the_largest_remainder() -> None:
    assert shares([1, 1, 1], 10).tolist() == [4, 3, 3]
    assert shares([0.5, 0.25, 0.25], 100).tolist() == [50, 25, 25]


def test_weighted_data_sets_have_their_shares_of_an_epoch() -> None:
    rows = np.array(_rows(_mixed([60, 20, 20], [1, 1, 2])))
    sources = np.searchsorted([60, 80], rows, side="right")
    assert np.bincount(sources).tolist() == [25, 25, 50]
    assert len(set(rows[sources == 0])) == 25  # less than its rows: none twice
    assert sorted(Counter(rows[sources == 1]).values()) == [1] * 15 + [2] * 5  # more: none left out
    assert sorted(Counter(rows[sources == 2]).values()) == [2] * 10 + [3] * 10


def test_weighted_data_sets_are_mixed_all_over_an_epoch() -> None:
    is_second = np.array(_rows(_mixed([1000, 1000], [3, 1]))) >= 1000
    assert all(30 < part.sum() < 70 for part in np.split(is_second, 10))
    assert 0.1 < np.mean(is_second[1:] & is_second[:-1]) * 2 < 0.2  # as often after itself as chance has it


def test_a_row_that_comes_again_in_an_epoch_has_another_key() -> None:
    order = [(int(row), int(key)) for row, key, _ in _mixed([30, 5], [1, 1], num_epochs=3)]
    assert len(set(order)) == len(order) == 105


def test_weighted_epochs_differ_and_read_other_parts() -> None:
    rows = np.array(_rows(_mixed([40, 10], [1, 4], num_epochs=3))).reshape(3, 50)
    parts = [frozenset(epoch[epoch < 40].tolist()) for epoch in rows]
    assert [len(part) for part in parts] == [10] * 3
    assert len(set(parts)) == 3


def test_unshuffled_weighted_data_sets_take_turns_in_stored_order() -> None:
    rows = _rows(_mixed([4, 4], [3, 1], shuffle=False))
    assert rows == [0, 1, 4, 2, 3, 0, 5, 1]


def test_weighted_runs_are_mostly_of_neighbours() -> None:
    rows = _rows(_mixed([400, 400], [3, 1], run_length=8))
    assert np.mean([b - a == 1 for a, b in pairwise(rows)]) > 0.6


@pytest.mark.parametrize(
    ("sizes", "weights", "message"),
    [
        ([0, 0], None, r"there is no record to read, got \[0, 0\]"),
        ([3, 3], [1], r"one for each data set"),
        ([3, 0], [1, 1], r"none empty, got sizes \[3, 0\]"),
        ([3, 3], [1, 0], r"weights must be positive numbers, got 0"),
        ([3, 3], [1, float("nan")], r"weights must be positive numbers, got nan"),
        ([3, 3], [1, 100], r"1 among \[1, 100\] is less than one of the 6 examples"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(sizes: list[int], weights: list[float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _mixed(sizes, weights)


@pytest.mark.parametrize("lives", [[3] * 8, [0, 0, 1, 0, 48, 0, 10], [60, 0]])
def test_checkpoints_of_restored_iterators_go_on_as_exactly(tmp_path: Path, lives: list[int]) -> None:
    options = tf.data.Options()
    options.experimental_symbolic_checkpoint = True

    def load() -> tf.data.Dataset:
        return _order(10, num_epochs=6).with_options(options)

    undisturbed = load()
    expected = _rows(undisturbed) + _rows(undisturbed)
    read, saved = [], None
    for life, steps in enumerate(lives):
        order = load()
        iterator = iter(order)
        if saved:
            tf.train.Checkpoint(iterator=iterator).restore(saved).assert_consumed()
        read += [int(next(iterator)[0]) for _ in range(steps)]
        saved = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / str(life)))
    assert read + _rows(iterator) + _rows(order) == expected
