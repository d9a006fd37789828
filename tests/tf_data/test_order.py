"""The order of records: computed, complete, different in each epoch, shared out among hosts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_data.order import epoch_keys, permuted, read_order, steps_per_epoch


def _rows(order: tf.data.Dataset) -> list[int]:
    return [int(row) for row, _, _ in order]


def _order(num_records: int = 50, **keywords: object) -> tf.data.Dataset:
    values = {"weights": None, "seed": 0, "shuffle": True, "num_epochs": 1} | keywords
    return read_order([num_records], **values)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("stop_after", [0, 3, 50, 77])
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
