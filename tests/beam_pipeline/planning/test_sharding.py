"""Which numbers of shards are right, and which is proposed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.planning.sharding import proposed_shards, what_is_wrong


@pytest.mark.parametrize(
    ("clips", "work_s_a_clip", "bytes_a_clip", "shards"),
    [
        (240_000, 0.2, 7.4e6, 2048),  # Kinetics-400's frames: 1 GB a file says more than 10 minutes do
        (240_000, 30.0, 1e7, 12_288),  # with TV-L1: 10 minutes say more
        (20_000, 240.0, 1e7, 6144),  # much work and small files: as few as 15 minutes allow
        (100, 0.2, 7e6, 1),
        (1, 0.1, 1e6, 1),
        (0, 0.0, 0.0, 1),
    ],
)
def test_shards_take_ten_minutes_and_no_more_than_a_gigabyte(
    clips: int, work_s_a_clip: float, bytes_a_clip: float, shards: int
) -> None:
    assert proposed_shards(clips, clips * work_s_a_clip, clips * bytes_a_clip) == shards


@given(st.integers(1, 1_000_000), st.floats(0.001, 300), st.floats(1e3, 1e8))
def test_nothing_is_wrong_with_what_is_proposed(clips: int, work_s_a_clip: float, bytes_a_clip: float) -> None:
    work_s, file_bytes = clips * work_s_a_clip, clips * bytes_a_clip
    shards = proposed_shards(clips, work_s, file_bytes)
    assert 1 <= shards <= 100_000
    if shards < 98_304:  # beyond that there is none
        assert what_is_wrong(shards, clips, work_s, file_bytes) == ""


@pytest.mark.parametrize(
    ("shards", "clips", "work_s", "file_bytes", "why"),
    [
        (10, 1000, 60_000, 1e10, "100 minutes of work each"),
        (10, 1000, 6000, 1e11, "files of 10.0 GB each"),
        (1000, 1000, 1000, 1e9, "1 s of work and 1.0 MB each"),
        (1000, 10, 1e6, 1e12, "more than there are clips"),
    ],
)
def test_what_is_wrong_is_named(shards: int, clips: int, work_s: float, file_bytes: float, why: str) -> None:
    assert why in what_is_wrong(shards, clips, work_s, file_bytes)


@pytest.mark.parametrize(("shards", "clips"), [(1, 3), (4, 60), (16, 60)])
def test_a_few_small_files_are_right(shards: int, clips: int) -> None:
    assert what_is_wrong(shards, clips, 50.0, 1e8) == ""
