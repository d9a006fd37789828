"""Hosts, files and records: whatever their numbers, each example of an epoch is read by exactly one host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import tf_data
from tests.tf_data.conftest import make_clips
from tf_data.order import host_position, read_order, shares, steps_per_epoch

MIXTURES = st.lists(st.tuples(st.integers(1, 40), st.floats(0.5, 10)), min_size=1, max_size=4)


@given(num_records=st.integers(1, 2000), num_hosts=st.integers(1, 20), run_length=st.integers(1, 70))
@settings(max_examples=150, deadline=None)
def test_each_position_of_an_epoch_is_one_hosts(num_records: int, num_hosts: int, run_length: int) -> None:
    steps = steps_per_epoch(num_records, num_hosts)
    own = []
    for host in range(num_hosts):
        positions, real = host_position(
            tf.range(steps, dtype=tf.int64), num_records, num_hosts=num_hosts, host=host, run_length=run_length
        )
        own += positions[real].numpy().tolist()
        assert positions.numpy().max() < num_records
    assert sorted(own) == list(range(num_records))
    assert num_hosts * steps - num_records < num_hosts  # as few repeated as can be


@given(
    mixture=MIXTURES,
    weighted=st.booleans(),
    num_hosts=st.integers(1, 4),
    run_length=st.integers(1, 9),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
)
@example(mixture=[(1, 1.0)], weighted=False, num_hosts=5, run_length=4, shuffle=True, seed=0)
@example(mixture=[(7, 1.0), (2, 9.0)], weighted=True, num_hosts=3, run_length=2, shuffle=True, seed=0)
@settings(max_examples=12, deadline=None)
def test_each_example_of_an_epoch_is_read_by_one_host(
    mixture: list[tuple[int, float]], weighted: bool, num_hosts: int, run_length: int, shuffle: bool, seed: int
) -> None:
    sizes = [size for size, _ in mixture]
    weights = [weight for _, weight in mixture] if weighted else None
    if weights:  # one of them may be too light to be in an epoch
        assume(min(weights) / sum(weights) * sum(sizes) >= 1)
    counts = shares(weights, sum(sizes)) if weights else sizes
    steps = steps_per_epoch(sum(sizes), num_hosts)
    epochs: list[list[tuple[int, int]]] = [[], []]
    for host in range(num_hosts):
        order = read_order(
            sizes,
            weights=weights,
            seed=seed,
            shuffle=shuffle,
            num_epochs=2,
            num_hosts=num_hosts,
            host=host,
            run_length=run_length,
        )
        mine = list(order.as_numpy_iterator())
        assert len(order) == len(mine) == 2 * steps
        for step, (row, key, real) in enumerate(mine):
            if real:
                epochs[step // steps].append((int(row), int(key)))
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == sum(sizes)  # what comes twice has another key
        times = Counter(row for row, _ in epoch)
        first = 0
        for size, count in zip(sizes, counts, strict=True):
            of_rows = [times[row] for row in range(first, first + size)]
            assert sum(of_rows) == count
            assert max(of_rows) - min(of_rows) <= 1
            first += size


@pytest.mark.parametrize(
    ("num_clips", "num_shards", "num_hosts", "batch_size"), [(7, 1, 3, None), (7, 5, 2, 2), (3, 2, 4, 1)]
)
def test_hosts_share_the_records_whatever_the_files(
    make_dataset: Callable[..., Path], num_clips: int, num_shards: int, num_hosts: int, batch_size: int | None
) -> None:
    clips = make_clips(num_clips, num_frames=3)
    data_dir = make_dataset(clips, num_shards=num_shards)
    read, lengths = Counter(), set()
    for host in range(num_hosts):
        ds = tf_data.load(
            "fake",
            split="train",
            data_dir=data_dir,
            num_frames=2,
            crop_size=16,
            seed=3,
            num_epochs=2,
            batch_size=batch_size,
            input_context=tf.distribute.InputContext(num_hosts, host),
            extras=["clip_id"],
        )
        elements = list((ds.unbatch() if batch_size else ds).as_numpy_iterator())
        lengths.add(len(elements))
        read.update(element["clip_id"].decode() for element in elements if element["mask"])
    assert len(lengths) == 1
    assert read == {clip.clip_id: 2 for clip in clips}
