"""When frames are shown: the output grid, and the choice between a frame's two timestamps."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.media.timing import OutputGrid, TimestampGuess, num_outputs

RATES = st.sampled_from([Fraction(25), Fraction(30_000, 1001), Fraction(25, 2), Fraction(5), Fraction(60)])
TIME_BASES = st.sampled_from([Fraction(1, 1000), Fraction(1, 15_360), Fraction(1001, 30_000), Fraction(1, 90_000)])
STARTS = st.fractions(min_value=-5, max_value=5_000, max_denominator=1_000_000)
INCREASING_TICKS = st.lists(st.integers(1, 9_000), min_size=1, max_size=40).map(
    lambda steps: [sum(steps[: n + 1]) for n in range(len(steps))]
)


@given(RATES, TIME_BASES, STARTS, INCREASING_TICKS)
def test_output_k_shows_the_last_frame_before_the_middle_of_its_interval(fps, time_base, start_s, ticks):
    grid = OutputGrid(start_s, fps, time_base)
    first_outputs = [grid.first_output(t) for t in ticks]
    for output in range(max(0, first_outputs[0] - 2), min(first_outputs[0] + 60, first_outputs[-1] + 2)):
        limit_s = start_s + (output + Fraction(1, 2)) / fps
        by_definition = max((n for n, t in enumerate(ticks) if t * time_base < limit_s), default=None)
        by_grid = max((n for n, first in enumerate(first_outputs) if first <= output), default=None)
        assert by_grid == by_definition


@given(RATES, TIME_BASES, st.integers(-(10**12), 10**12))
def test_a_frame_half_way_between_outputs_is_shown_at_the_later_one(fps, time_base, ticks):
    start_s = ticks * time_base - Fraction(1, 2) / fps
    assert OutputGrid(start_s, fps, time_base).first_output(ticks) == 1


@given(RATES, st.fractions(min_value=0, max_value=100, max_denominator=1_000_000))
def test_footage_has_an_output_for_every_interval_it_begins(fps, duration_s):
    assert num_outputs(duration_s, fps) == len([k for k in range(6_100) if k < duration_s * fps])


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, unique=True))
def test_increasing_pts_are_trusted_whatever_the_dts(pts):
    guess = TimestampGuess()
    assert [guess.best(p, 0) for p in sorted(pts)] == sorted(pts)


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_without_pts_the_dts_is_taken(dts):
    guess = TimestampGuess()
    assert [guess.best(None, d) for d in dts] == dts


@given(st.lists(st.tuples(st.none() | st.integers(0, 99), st.none() | st.integers(0, 99)), min_size=1))
def test_any_timestamps_give_one_of_them_and_none_only_for_neither(stamps):
    guess = TimestampGuess()
    for pts, dts in stamps:
        best = guess.best(pts, dts)
        assert best in (pts, dts)
        assert (best is None) == (pts is None and dts is None)


def test_pts_that_go_back_more_often_than_dts_are_given_up():
    # (pts, dts) of the first frames of UCF101's v_ApplyEyeMakeup_g01_c01.avi, where libavformat makes up missing pts.
    guess = TimestampGuess()
    stamps = [(1, 1), (2, 2), (4, 3), (3, 4), (5, 5), (7, 6)]
    assert [guess.best(pts, dts) for pts, dts in stamps] == [1, 2, 4, 4, 5, 6]
