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


class Site:
    """Notes the outcomes of visits, each of which takes no time unless it says when it began."""

    def __init__(self) -> None:
        self.breaker = Breaker(Source("store", stop_after=3, pause_s=100))
        self.now = 0.0

    def answers(self, *reasons: str, began_at: float | None = None, retry_after_s: float | None = None) -> str:
        told = ""
        for reason in reasons:
            told = self.breaker.note(reason, self.now if began_at is None else began_at, self.now, retry_after_s)
        return told


@pytest.fixture
def site() -> Site:
    return Site()


def test_refusals_in_a_row_pause_and_then_a_single_visit_stops_it(site: Site) -> None:
    assert site.answers("bot_check", "rate_limited") == ""
    assert "pauses for 100 s" in site.answers("bot_check")
    assert site.breaker.alone and not site.breaker.stopped
    assert site.breaker.wait_s(0.0) == 100.0
    site.now = 100.0
    assert "4 refusals in a row (bot_check)" in site.answers("bot_check")
    assert site.breaker.stopped


def test_a_good_visit_after_the_pause_goes_on(site: Site) -> None:
    site.answers("bot_check", "bot_check", "bot_check")
    site.now = 100.0
    site.answers("")
    assert not site.breaker.alone and not site.breaker.stopped
    assert site.answers("bot_check") == ""


def test_visits_that_were_under_way_when_it_paused_decide_nothing(site: Site) -> None:
    site.answers("bot_check", "bot_check", "bot_check")
    site.now = 101.0
    site.answers("bot_check", "bot_check", began_at=-1.0)
    assert site.breaker.alone and not site.breaker.stopped
    site.answers("bot_check")
    assert site.breaker.stopped


def test_a_good_visit_ends_a_row_of_refusals(site: Site) -> None:
    site.answers("bot_check", "bot_check", "", "bot_check", "bot_check")
    assert not site.breaker.alone


@pytest.mark.parametrize("other", ["removed", "private", "network", "format_unavailable"])
def test_other_failures_do_not(site: Site, other: str) -> None:
    site.answers("bot_check", other, "bot_check", other, "bot_check", other)
    assert site.breaker.alone and not site.breaker.stopped


@pytest.mark.parametrize("reason", ["network", "timeout", "crashed", "format_unavailable", "unsupported"])
def test_many_visits_that_bring_nothing_pause_and_then_stop_it(site: Site, reason: str) -> None:
    site.answers(*[reason, "removed"] * 14)
    assert not site.breaker.alone
    assert "pauses" in site.answers(reason)
    site.now = 100.0
    assert f"16 visits in a row that brought nothing ({reason})" in site.answers("removed", reason)
    assert site.breaker.stopped


def test_a_network_that_is_back_after_the_pause_goes_on(site: Site) -> None:
    site.answers(*["network"] * 15)
    site.now = 100.0
    site.answers("")
    assert not site.breaker.alone and not site.breaker.stopped


def test_a_good_visit_among_them_goes_on(site: Site) -> None:
    site.answers(*[*["format_unavailable"] * 14, ""] * 10)
    assert not site.breaker.stopped


def test_videos_that_have_gone_say_nothing_of_the_site(site: Site) -> None:
    site.answers(*["removed", "private", "not_found"] * 100)
    assert not site.breaker.stopped and not site.breaker.alone


def test_retry_after_holds_all_visits_for_at_most_an_hour(site: Site) -> None:
    site.now = 10.0
    site.answers("rate_limited", retry_after_s=30.0)
    assert site.breaker.wait_s(10.0) == 30.0
    site.answers("network", retry_after_s=1e9)
    assert site.breaker.wait_s(10.0) == 3600.0


def test_back_off_doubles_with_jitter_and_heeds_the_site() -> None:
    backoff = Backoff(10.0, random.Random(0))
    for tries, centre in ((1, 10), (2, 20), (3, 40)):
        waits = [backoff.wait_s(tries) for _ in range(200)]
        assert centre * 0.5 <= min(waits) < centre * 0.6 and centre * 1.4 < max(waits) <= centre * 1.5
    assert backoff.wait_s(1, retry_after_s=100.0) == 100.0
    assert backoff.wait_s(60) == 3600.0
