"""Sums of samples, and what machines make of them."""

from __future__ import annotations

import datetime
import math
import random

import pytest

from beam_pipeline.planning.estimates import Estimate, Machines, SplitPlan, Work, makespan, plan_elsewhere, total
from beam_pipeline.planning.prices import MachineType, Price, PriceList, PriceTable


def test_a_total_has_the_standard_error_of_a_sample_without_replacement() -> None:
    estimate = total([1.0, 2.0, 3.0], 100, of_typical=False)
    assert estimate.value == pytest.approx(200)
    assert estimate.error == pytest.approx(100 * 1 / math.sqrt(3) * math.sqrt(0.97))


def test_a_sample_of_all_leaves_no_error() -> None:
    assert total([1.0, 2.0, 4.0], 3, of_typical=False) == Estimate(7.0, 0.0)


@pytest.mark.parametrize(("values", "of_typical"), [([2.0], False), ([2.0, 3.0], True)])
def test_where_nothing_is_known_of_the_error_none_is_given(values: list[float], of_typical: bool) -> None:
    assert total(values, 100, of_typical).error is None


def test_true_totals_lie_within_two_errors_about_as_often_as_they_should() -> None:
    drawing = random.Random(1)
    population = [drawing.lognormvariate(3, 0.4) for _ in range(1000)]
    within = 0
    for _ in range(400):
        estimate = total(drawing.sample(population, 30), len(population), of_typical=False)
        assert estimate.error is not None
        within += abs(estimate.value - sum(population)) < 2 * estimate.error
    assert 0.9 < within / 400 < 0.99


@pytest.mark.parametrize(
    ("durations_s", "processors", "ends_at"),
    [([6.0] * 10, 10, 6.0), ([6.0] * 11, 10, 12.0), ([3.0, 3.0, 6.0], 2, 6.0), ([5.0], 64, 5.0), ([], 4, 0.0)],
)
def test_shards_can_not_be_split_over_processors(durations_s: list[float], processors: int, ends_at: float) -> None:
    assert makespan(durations_s, processors) == ends_at


def table() -> PriceTable:
    day = datetime.date(2026, 1, 1)
    prices = [Price(usd, "https://example.org", day) for usd in (0.05, 0.005, 0.0001, 0.0, 0.02)]
    return PriceTable("somewhere", PriceList(*prices), {"large": MachineType(4, 16)})


def split(shards: int, shard_s: float) -> SplitPlan:
    work = Estimate(shards * shard_s, 0.1 * shards * shard_s)
    return SplitPlan("train", 100, 0, 1, (), 100, 0, 0, shards, shards, "", work, shard_s, Estimate(1e9, None), 1e7)


def test_dollars_are_those_of_whole_machines_for_as_long_as_the_last_shard_takes() -> None:
    splits = [split(9, 3600.0)]  # on eight processors: two rounds
    work = Work(splits[0].work_s, Estimate(0, 0), Estimate(0, 0), splits[0].work_s)
    plan = plan_elsewhere(splits, work, 2**30, Machines(2, "large", 50.0), table())
    assert plan.processors == 8
    assert plan.wall_s == Estimate(7200.0, pytest.approx(720.0))
    assert plan.usd.value == pytest.approx(2 * 2 * (4 * 0.05 + 16 * 0.005 + 50 * 0.0001))
    assert plan.usd.error == pytest.approx(plan.usd.value / 10)
    assert plan.storage_usd_month == pytest.approx(0.02)


def test_processors_that_are_half_as_fast_take_twice_as_long() -> None:
    splits = [split(8, 3600.0)]
    work = Work(splits[0].work_s, Estimate(0, 0), Estimate(0, 0), splits[0].work_s)
    plans = [plan_elsewhere(splits, work, 0, Machines(2, "large", 50.0, speed), table()) for speed in (1.0, 0.5)]
    assert plans[1].wall_s.value == 2 * plans[0].wall_s.value
