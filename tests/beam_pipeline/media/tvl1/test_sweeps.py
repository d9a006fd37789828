from __future__ import annotations

import numpy as np
import pytest

from beam_pipeline.media.tvl1 import sweeps
from beam_pipeline.media.tvl1.fields import (
    BY_X,
    BY_Y,
    INVERSE,
    PU_X,
    PU_Y,
    PV_X,
    PV_Y,
    REST,
    U,
    V,
    new_fields,
)

MOST, TAU = np.float32(0.045), np.float32(0.25)
TOGETHER = len(sweeps.new_scratch()[0])


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


def swept(fields: np.ndarray, width: int, count: int) -> np.ndarray:
    """What so many sweeps make of flow and duals, by the formulas, in float64."""
    of = {field: fields[1:-1, field, :width].astype(np.float64) for field in range(fields.shape[1])}
    for _ in range(count):
        along = np.clip((of[REST] + of[BY_X] * of[U] + of[BY_Y] * of[V]) * of[INVERSE], -MOST, MOST)
        for flow, slope, p_x, p_y in ((U, BY_X, PU_X, PU_Y), (V, BY_Y, PV_X, PV_Y)):
            divergence = np.diff(of[p_x], axis=1, prepend=0) + np.diff(of[p_y], axis=0, prepend=0)
            of[flow] = of[flow] + along * of[slope] + TAU * divergence
            right = np.diff(of[flow], axis=1, append=of[flow][:, -1:])
            down = np.diff(of[flow], axis=0, append=of[flow][-1:])
            divisor = 1 + np.hypot(right, down)
            of[p_x], of[p_y] = (of[p_x] + right) / divisor, (of[p_y] + down) / divisor
    return np.stack([of[field] for field in range(BY_X)], axis=1)


@pytest.mark.parametrize("count", [1, 5, TOGETHER + 1])
@pytest.mark.parametrize("width", [1, 15, 16, 17, 32, 33, 48, 70])
@pytest.mark.parametrize("height", [2, 20])
def test_sweeps_are_what_the_formulas_say(height: int, width: int, count: int) -> None:
    fields = some_fields(height, width)
    expected = swept(fields, width, count)
    iterate(fields, width, 0, count)
    np.testing.assert_allclose(fields[1:-1, :BY_X, :width], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", [1, 16, 17, 33])
def test_what_is_beside_an_image_does_not_count(width: int) -> None:
    clean, dirty = (some_fields(20, width) for _ in range(2))
    dirty[:, :, width:] = np.nan
    dirty[0, :PU_Y] = np.nan
    dirty[-1] = np.nan
    for fields in (clean, dirty):
        iterate(fields, width, 1e-3, 40)
    np.testing.assert_array_equal(clean[1:-1, :, :width], dirty[1:-1, :, :width])


@pytest.mark.parametrize("count", [2, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER])
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
    assert count > TOGETHER
    np.testing.assert_array_equal(together, in_turn)


def test_subnormal_numbers_are_zeros_in_sweeps_and_nowhere_else() -> None:
    tiny = np.float32(1e-40)
    fields = new_fields(16, 16)
    fields[:, :BY_X] = tiny
    iterate(fields, 16, 1e-9, 2)
    assert not fields[1:-1, :BY_X, :16].any()
    assert tiny * np.float32(0.5) > 0
