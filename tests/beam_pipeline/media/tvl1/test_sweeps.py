from __future__ import annotations

import numpy as np
import pytest

from beam_pipeline.media.tvl1 import sweeps
from beam_pipeline.media.tvl1.fields import BY_X, BY_Y, INVERSE, new_fields

MOST, TAU = np.float32(0.045), np.float32(0.25)


def some_fields(height: int, width: int, still_rows: int = 0) -> np.ndarray:
    """Of a level: random, but for the first rows, in which nothing will move."""
    fields = new_fields(height, width)
    fields[1 + still_rows : -1, :, :width] = (
        np.random.default_rng(0).normal(0, 0.1, (height - still_rows, fields.shape[1], width)).astype(np.float32)
    )
    fields[:, INVERSE] = -1 / (fields[:, BY_X] ** 2 + fields[:, BY_Y] ** 2 + np.float32(0.1))
    return fields


def iterate(fields: np.ndarray, width: int, limit: float, count: int) -> bool:
    return sweeps.iterate(fields, width, MOST, TAU, np.float32(limit), count, *sweeps.new_scratch())


@pytest.mark.parametrize("count", [2, 15, 16, 17, 50])
@pytest.mark.parametrize(("height", "width", "still_rows"), [(16, 16, 0), (40, 33, 0), (40, 33, 30), (40, 33, 39)])
def test_sweeps_that_go_together_are_the_same_as_one_after_the_other(
    height: int, width: int, still_rows: int, count: int
) -> None:
    together, in_turn = (some_fields(height, width, still_rows) for _ in range(2))
    assert not iterate(together, width, 1e-9, count)
    for _ in range(count):
        assert not iterate(in_turn, width, 1e-9, 1)
    np.testing.assert_array_equal(together, in_turn)


@pytest.mark.parametrize("limit", [1e-1, 1e-2, 1e-3])
def test_no_sweep_follows_one_that_changed_little(limit: float) -> None:
    together, in_turn = (some_fields(40, 33) for _ in range(2))
    assert iterate(together, 33, limit, 10_000)
    count = 1
    while not iterate(in_turn, 33, limit, 1):
        count += 1
    assert count > 16  # more than go together
    np.testing.assert_array_equal(together, in_turn)


def test_subnormal_numbers_are_zeros_in_sweeps_and_nowhere_else() -> None:
    tiny = np.float32(1e-40)
    fields = new_fields(16, 16)
    fields[:, :BY_X] = tiny
    iterate(fields, 16, 1e-9, 2)
    assert not fields[1:-1, :BY_X, :16].any()
    assert tiny * np.float32(0.5) > 0
