"""Fisher's exact test against all ways to draw, and what is told of groups."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from beam_pipeline.checking.enrichment import enriched


def tail(total: int, happened: int, size: int, count: int) -> float:
    """The share of all draws of `size` from `total` that have at least `count` of the `happened`."""
    ways = (comb(happened, k) * comb(total - happened, size - k) for k in range(count, min(size, happened) + 1))
    return sum(ways) / comb(total, size)


@pytest.mark.parametrize(
    ("sizes", "counts"), [([10, 90], [8, 4]), ([5, 5, 40], [5, 0, 1]), ([3, 7], [3, 1]), ([400, 3000], [40, 20])]
)
def test_the_probability_is_that_of_all_draws_with_holms_correction(sizes: list[int], counts: list[int]) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    happened = np.concatenate([np.arange(size) < count for size, count in zip(sizes, counts, strict=True)])
    found = {each.group: each for each in enriched(groups, happened, p=1.0)}
    tails = sorted(
        (tail(sum(sizes), sum(counts), size, count), group)
        for group, (size, count) in enumerate(zip(sizes, counts, strict=True))
    )
    lowest, group = tails[0]
    assert found[group].p == pytest.approx(min(1.0, lowest * len(sizes)))
    assert (found[group].count, found[group].size) == (counts[group], sizes[group])


def test_of_many_groups_alike_none_is_named() -> None:
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 400, 40_000)
    assert enriched(groups, generator.random(len(groups)) < 0.05) == []


def test_one_bad_group_of_many_is_named_and_no_other() -> None:
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 400, 40_000)
    happened = generator.random(len(groups)) < np.where(groups == 7, 0.4, 0.05)
    assert [each.group for each in enriched(groups, happened)] == [7]


def test_a_difference_that_is_certain_but_small_is_none() -> None:
    groups = np.repeat([0, 1], 100_000)
    happened = np.concatenate([np.arange(100_000) < 10_000, np.arange(100_000) < 12_000])
    assert enriched(groups, happened) == []


@pytest.mark.parametrize("happened", [[False, False], [True, True], []])
def test_where_nothing_or_everything_happened_no_group_stands_out(happened: list[bool]) -> None:
    assert enriched(np.arange(len(happened)), np.array(happened, bool)) == []
