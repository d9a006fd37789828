"""A clip's budget follows its footage and what is made of it."""

from __future__ import annotations

from beam_pipeline.budgets import budget
from beam_pipeline.clips import Clip
from beam_pipeline.config import Limits
from beam_pipeline.media.settings import Flow, MediaSettings

CLIP = Clip("abcdefghijk", 0, 10_000_000)


def cpu_s(media: MediaSettings, clip: Clip = CLIP, limits: Limits | None = None) -> float:
    return budget(clip, media, limits or Limits())[0]


def test_tvl1_may_take_its_minutes_and_more_than_the_others() -> None:
    frames, dis, tvl1 = (cpu_s(MediaSettings(flow=flow)) for flow in (None, Flow(method="dis"), Flow(method="tvl1")))
    assert frames < dis < tvl1
    assert tvl1 > 10 * 25  # what it takes for 10 s at 340×256, on the machine it was measured on


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
