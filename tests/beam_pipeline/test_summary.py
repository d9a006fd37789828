"""What a run says at its end."""

from __future__ import annotations

import pytest

from beam_pipeline.summary import SplitSummary, Summary

EMPTY = "splits.train.shards: 8 makes more than there are clips (5), so that some stay empty. Take fewer"


def text(asked: int, shards: int, **of_run: bool) -> str:
    split = SplitSummary("train", asked, asked, {}, shards, asked * 1000, "", {})
    return Summary("tiny", "/data", (split,), 1.0, **{"stopped": False, "limited": False} | of_run).as_text()


def test_shards_that_stay_empty_are_told() -> None:
    assert EMPTY in text(asked=5, shards=8)


def test_one_clip_is_not_clips() -> None:
    assert "train: 1 clip asked for" in text(asked=1, shards=1)


@pytest.mark.parametrize(("asked", "shards"), [(8, 8), (0, 1)])
def test_as_many_shards_as_clips_and_a_single_one_are_right(asked: int, shards: int) -> None:
    assert "stay empty" not in text(asked, shards)


@pytest.mark.parametrize("why", ["limited", "fetched"])
def test_shards_are_for_all_clips_and_for_records(why: str) -> None:
    assert "stay empty" not in text(asked=5, shards=8, **{why: True})
