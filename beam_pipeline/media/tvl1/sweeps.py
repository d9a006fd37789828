"""The sweeps of TV-L1, which are nearly all of its time: primal and dual variables in one pass over the rows.

Zach, Pock and Bischof (2007), section 3: the flow is thresholded against the data term and moved along the divergence
of the duals; then the duals follow the flow's derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from beam_pipeline.media.tvl1.fields import BY_X, BY_Y, INVERSE, PU_X, PU_Y, PV_X, PV_Y, REST, U, V
from beam_pipeline.media.tvl1.lanes import LANES, Code, Lanes, compiled

_MEASURE_ROWS = 8  # how often it is asked whether the flow has changed too much to stop
_TOGETHER = 8  # sweeps that go over the rows together: more bring nothing (benchmarks/flow.py)


def _row(*, primal: bool, dual: bool, measured: bool = False) -> Any:
    """Makes a function that sweeps the flow of row `y` and the duals of the row above it, or one of the two.

    It takes `fields`, `y`, `width`, λθ, τ and `change`, LANES sums to which it adds, if `measured`, the squared changes
    of the flow. The column after the last one has to repeat the last one's flow in the row above.
    """

    @intrinsic
    def sweep(typing_context, fields, y, width, most, tau, change):
        signature = types.void(fields, y, width, most, tau, change)

        def generate(context, builder, signature, arguments):
            _, y, width, most, tau, _ = arguments
            code = Code(context, builder, signature, arguments)
            above = builder.sub(y, y.type(1))
            here_at, above_at = ([code.place(0, row, field, 0) for field in range(REST + 1)] for row in (y, above))
            sums = code.place(5, 0)
            tau_, high, low = code.spread(tau), code.spread(most), code.spread(builder.fneg(most))
            one, zero = code.constant(1), code.constant(0)
            end = code.spread(builder.sitofp(width, most.type))
            pu_x_before, pv_x_before = (code.variable(zero) for _ in range(2))
            total = code.variable(code.load(sums) if measured else one)

            def moved(flow: Lanes, slope: Lanes, along: Lanes, p_x: Lanes, p_x_left: Lanes, p_y_rise: Lanes) -> Lanes:
                return (flow + along * slope) + tau_ * ((p_x - p_x_left) + p_y_rise)

            def follow(flow: int, p_x: int, p_y: int, below: Lanes, p_y_old: Lanes, x: Any) -> None:
                centre = code.load(above_at[flow], x)
                right = code.load(above_at[flow], builder.add(x, x.type(1))) - centre
                down = below - centre
                shrink = one / (one + (right * right + down * down).sqrt())
                code.store((code.load(above_at[p_x], x) + right) * shrink, above_at[p_x], x)
                code.store((p_y_old + down) * shrink, above_at[p_y], x)

            with code.blocks(width) as x:
                u, v = code.load(here_at[U], x), code.load(here_at[V], x)
                pu_y_above, pv_y_above = code.load(above_at[PU_Y], x), code.load(above_at[PV_Y], x)
                if primal:
                    by_x, by_y, inverse, rest = (code.load(here_at[field], x) for field in (BY_X, BY_Y, INVERSE, REST))
                    pu_x, pu_y, pv_x, pv_y = (code.load(here_at[field], x) for field in (PU_X, PU_Y, PV_X, PV_Y))
                    # Three cases in the paper, which are one value cut off at ±λθ.
                    along = ((rest + (by_x * u + by_y * v)) * inverse).minimum(high).maximum(low)
                    new_u = moved(u, by_x, along, pu_x, pu_x.behind(pu_x_before.get()), pu_y - pu_y_above)
                    new_v = moved(v, by_y, along, pv_x, pv_x.behind(pv_x_before.get()), pv_y - pv_y_above)
                    pu_x_before.set(pu_x)
                    pv_x_before.set(pv_x)
                    code.store(new_u, here_at[U], x)
                    code.store(new_v, here_at[V], x)
                    if measured:
                        by_u, by_v = new_u - u, new_v - v
                        squares = by_u * by_u + by_v * by_v
                        total.set(total.get() + code.columns(x).where("<", end, zero, squares))
                    u, v = new_u, new_v
                if dual:
                    follow(U, PU_X, PU_Y, u, pu_y_above, x)
                    follow(V, PV_X, PV_Y, v, pv_y_above, x)
            if measured:
                code.store(total.get(), sums)
            return context.get_dummy_value()

        return signature, generate

    return sweep


_first = _row(primal=True, dual=False, measured=True)
_next_measured, _next = (_row(primal=True, dual=True, measured=measured) for measured in (True, False))
_last = _row(primal=False, dual=True)


@compiled
def _sweep_row(fields, y, width, most, tau, limit, measured, change):
    """Sweeps row `y`, or what is left to do after the last one; returns whether the change so far is within the limit.

    Changes are summed in fixed lanes, and only while they are `measured`: until they exceed the limit, since what
    follows can only add to them.
    """
    height = fields.shape[0] - 2
    if y > height:
        for x in range(width):
            fields[y, U, x], fields[y, V, x] = fields[height, U, x], fields[height, V, x]
        _last(fields, y, width, most, tau, change)
        return measured
    if y == 1:
        change[:] = np.float32(0)
        _first(fields, y, width, most, tau, change)
    elif measured:
        _next_measured(fields, y, width, most, tau, change)
    else:
        _next(fields, y, width, most, tau, change)
    fields[y, U, width], fields[y, V, width] = fields[y, U, width - 1], fields[y, V, width - 1]
    if measured and (y <= _MEASURE_ROWS or y % _MEASURE_ROWS == 0 or y == height):
        total = np.float32(0)
        for lane in range(LANES):
            total += change[lane]
        return total <= limit
    return measured


@compiled
def _sweep_together(fields, width, most, tau, limit, count, rows, within, changes):
    """Goes over the rows once, with up to `count` sweeps, each of them a row or more behind the one before.

    Returns how many there were: one begins when that before it has changed the flow too much to be the last.
    """
    end = fields.shape[0]
    begun = finished = 0
    while finished < begun or begun == 0:
        if begun == 0 or (begun < count and not within[begun - 1]):
            rows[begun], within[begun] = 1, True
            begun += 1
        until = rows[finished] + 1
        for sweep in range(finished, begun):
            while rows[sweep] < until:
                within[sweep] = _sweep_row(fields, rows[sweep], width, most, tau, limit, within[sweep], changes[sweep])
                rows[sweep] += 1
            until = rows[sweep] - 1
        if rows[finished] == end:
            finished += 1
    return begun


@compiled
def iterate(fields, width, most, tau, limit, count, rows, within, changes):
    """Sweeps until the flow changes little, at most `count` times; returns whether it did change little.

    Primal and dual variables are swept together: those duals follow whose row the flow has just left. And a row that
    is in the cache is swept several times: one sweep after the other would wait for memory.

    Args:
      fields: of a level (`fields.new_fields`); flow and duals are changed in place.
      width: of the image.
      most: λθ.
      tau: τ.
      limit: the sum of squared changes at which to stop.
      count: sweeps at most.
      rows: scratch (`new_scratch`): the next row of each sweep.
      within: scratch: whether a sweep has changed little so far.
      changes: scratch: how much it has changed.
    """
    done = 0
    while done < count:
        made = _sweep_together(fields, width, most, tau, limit, min(count - done, len(rows)), rows, within, changes)
        if within[made - 1]:
            return True
        done += made
    return False


def new_scratch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Room for what is known of sweeps that go over the rows together."""
    return np.zeros(_TOGETHER, np.int64), np.zeros(_TOGETHER, np.bool_), np.zeros((_TOGETHER, LANES), np.float32)
