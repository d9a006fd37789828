"""A clip's budget follows its footage and what is made of it."""

from __future__ import annotations

import pytest

from beam_pipeline.budgets import budget
from beam_pipeline.clips import Clip
from beam_pipeline.config import Limits
from beam_pipeline.media.settings import Encode, Flow, MediaSettings, TVL1Parameters

CLIP = Clip("abcdefghijk", 0, 10_000_000)


def cpu_s(media: MediaSettings, clip: Clip = CLIP, limits: Limits | None = None) -> float:
    return budget(clip, media, limits or Limits())[0]


def test_tvl1_may_take_its_minutes_and_more_than_the_others() -> None:
    frames, dis, tvl1 = (cpu_s(MediaSettings(flow=flow)) for flow in (None, Flow(method="dis"), Flow(method="tvl1")))
    assert frames < dis < tvl1
    assert tvl1 > 10 * 25  # what it takes for 10 s at 340×256, on the machine it was measured on


def test_tvl1s_budget_follows_the_sweeps_that_its_parameters_allow() -> None:
    def of(**parameters: float) -> float:
        return cpu_s(MediaSettings(flow=Flow(tvl1=TVL1Parameters(**parameters)))) - cpu_s(MediaSettings())  # type: ignore[arg-type]

    assert of(num_warps=10) == pytest.approx(2 * of())
    assert 1.9 * of() < of(outer_iterations=20) < 2.1 * of()
    assert 2.5 * of() < of(inner_iterations=100) < 100 / 30 * of()
    assert of(level_scale=0.95) > 1.5 * of()
    assert of(num_levels=1) < of() / 2


def test_quick_parameters_and_the_least_that_are_allowed_have_a_budget_of_their_own() -> None:
    least = TVL1Parameters(num_levels=1, num_warps=1, outer_iterations=1, inner_iterations=1)
    frames, *flows = (cpu_s(MediaSettings(flow=flow)) for flow in (None, Flow(tvl1=least), Flow("tvl1_fast"), Flow()))
    assert frames < flows[0] < flows[1] < flows[2] / 3


def test_a_size_by_height_counts_as_one_by_the_shorter_side() -> None:
    by_height = MediaSettings(Encode(shorter_side=None, height=512), Flow("dis"))
    assert cpu_s(by_height) == cpu_s(MediaSettings(Encode(shorter_side=512), Flow("dis")))


def test_longer_footage_may_take_longer() -> None:
    assert cpu_s(MediaSettings(), Clip("a", 0, 20_000_000)) > cpu_s(MediaSettings())


def test_a_whole_file_counts_as_the_longest_that_is_taken() -> None:
    assert cpu_s(MediaSettings(trimmed="whole")) > cpu_s(MediaSettings())


def test_a_late_clip_of_a_whole_video_may_be_searched_for() -> None:
    late = Clip("a", 10_000_000_000, 10_010_000_000)
    assert cpu_s(MediaSettings(trimmed="false"), late) > cpu_s(MediaSettings(trimmed="true"), late)


def test_settings_win_and_the_wall_clock_stands_behind() -> None:
    assert budget(CLIP, MediaSettings(), Limits(cpu_s_per_s=1.0, wall_s=7.0)) == (30.0, 7.0)
    cpu, wall = budget(CLIP, MediaSettings(), Limits())
    assert wall > 5 * cpu
