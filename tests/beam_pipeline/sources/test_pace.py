"""When a site is visited: by a clock that the tests move."""

from __future__ import annotations

import random

import pytest

from beam_pipeline.sources.pace import Backoff, Breaker, Pace
from beam_pipeline.sources.settings import Source


def starts(pace: Pace, until_s: float, late_s: float = 0.0) -> list[float]:
    """Starts whenever the pace allows, each time `late_s` later than it would."""
    now, times = 0.0, []
    while now <= until_s:
        times.append(now)
        pace.take(now)
        now += pace.wait_s(now) + late_s
    return times


def test_starts_come_at_even_intervals() -> None:
    assert starts(Pace(30), 10) == [0, 2, 4, 6, 8, 10]


def test_a_thread_that_wakes_late_does_not_lower_the_rate() -> None:
    assert len(starts(Pace(60), 600, late_s=0.3)) == pytest.approx(601, rel=0.01)


def test_what_was_not_used_is_not_made_up_for() -> None:
    pace = Pace(60)
    pace.take(0.0)
    pace.take(100.0)
    assert pace.wait_s(100.0) == 1.0


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(Source("store", stop_after=3, pause_s=100))


def test_refusals_in_a_row_pause_and_then_a_single_visit_stops_it(breaker: Breaker) -> None:
    assert breaker.note("bot_check", 0.0) == "" == breaker.note("rate_limited", 1.0)
    assert "pauses for 100 s" in breaker.note("bot_check", 2.0)
    assert breaker.alone and not breaker.stopped
    assert breaker.wait_s(2.0) == 100.0
    assert "4 refusals in a row (bot_check)" in breaker.note("bot_check", 102.0)
    assert breaker.stopped


def test_a_good_visit_after_the_pause_goes_on(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.note("bot_check", 0.0)
    breaker.note("", 100.0)
    assert not breaker.alone and not breaker.stopped
    assert breaker.note("bot_check", 101.0) == ""


@pytest.mark.parametrize("reason", ["", "private", "format_unavailable"])
def test_only_refusals_in_a_row_count(breaker: Breaker, reason: str) -> None:
    for outcome in ("bot_check", "bot_check", reason, "bot_check", "bot_check"):
        breaker.note(outcome, 0.0)
    assert not breaker.alone


def test_many_videos_in_a_row_that_give_nothing_stop_it(breaker: Breaker) -> None:
    for _ in range(14):
        breaker.note("format_unavailable", 0.0)
    assert not breaker.stopped
    assert "15 visits in a row brought nothing (crashed)" in breaker.note("crashed", 0.0)
    assert breaker.stopped


def test_a_broken_network_neither_ends_a_row_of_refusals_nor_goes_on_for_ever(breaker: Breaker) -> None:
    for outcome in ("bot_check", "network", "bot_check", "timeout", "bot_check", "network"):
        breaker.note(outcome, 0.0)
    assert breaker.alone and not breaker.stopped
    for _ in range(15):
        breaker.note("network", 0.0)
    assert breaker.stopped


def test_videos_that_have_gone_say_nothing_of_the_site(breaker: Breaker) -> None:
    for n in range(100):
        breaker.note("format_unavailable" if n % 10 else "removed", 0.0)
    assert not breaker.stopped


def test_retry_after_holds_all_visits_for_at_most_an_hour(breaker: Breaker) -> None:
    breaker.note("rate_limited", 10.0, retry_after_s=30.0)
    assert breaker.wait_s(10.0) == 30.0
    breaker.note("rate_limited", 10.0, retry_after_s=1e9)
    assert breaker.wait_s(10.0) == 3600.0


def test_back_off_doubles_with_jitter_and_heeds_the_site() -> None:
    backoff = Backoff(10.0, random.Random(0))
    for tries, centre in ((1, 10), (2, 20), (3, 40)):
        waits = [backoff.wait_s(tries) for _ in range(200)]
        assert centre * 0.5 <= min(waits) < centre * 0.6 and centre * 1.4 < max(waits) <= centre * 1.5
    assert backoff.wait_s(1, retry_after_s=100.0) == 100.0
    assert backoff.wait_s(60) == 3600.0
