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
from beam_pipeline.media.tvl1.lanes import LANES, Code, Lanes, compiled, flush_subnormals, restore_subnormals

_MEASURE_ROWS = 8  # how often it is asked whether the flow has changed too much to stop
_TOGETHER = 16  # sweeps that go over the rows together: more bring nothing (benchmarks/flow.py)


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
            p_x_before = code.variables(zero, zero)  # the duals pu_x and pv_x of the block before
            total = code.variables(code.load(sums) if measured else one)

            def moved(flow: Lanes, slope: Lanes, along: Lanes, p_x: Lanes, p_x_left: Lanes, p_y_rise: Lanes) -> Lanes:
                return tau_.times_plus((p_x - p_x_left) + p_y_rise, along.times_plus(slope, flow))

            def sweep_flow(x: Any, u: Lanes, v: Lanes, pu_y_above: Lanes, pv_y_above: Lanes) -> tuple[Lanes, Lanes]:
                by_x, by_y, inverse, rest = (code.load(here_at[field], x) for field in (BY_X, BY_Y, INVERSE, REST))
                pu_x, pu_y, pv_x, pv_y = (code.load(here_at[field], x) for field in (PU_X, PU_Y, PV_X, PV_Y))
                # Three cases in the paper, which are one value cut off at ±λθ.
                along = (by_y.times_plus(v, by_x.times_plus(u, rest)) * inverse).minimum(high).maximum(low)
                pu_x_before, pv_x_before = p_x_before.get()
                new_u = moved(u, by_x, along, pu_x, pu_x.behind(pu_x_before), pu_y - pu_y_above)
                new_v = moved(v, by_y, along, pv_x, pv_x.behind(pv_x_before), pv_y - pv_y_above)
                p_x_before.set(pu_x, pv_x)
                code.store(new_u, here_at[U], x)
                code.store(new_v, here_at[V], x)
                if measured:
                    change_u, change_v = new_u - u, new_v - v
                    squares = change_u.times_plus(change_u, change_v * change_v)
                    (so_far,) = total.get()
                    total.set(so_far + code.columns(x).where("<", end, zero, squares))
                return new_u, new_v

            def follow(flow: int, p_x: int, below: Lanes, p_y: Lanes, x: Any) -> list[Lanes]:
                """The duals of one component plus its gradient, and the square of that."""
                centre = code.load(above_at[flow], x)
                right = code.load(above_at[flow], builder.add(x, x.type(1))) - centre
                down = below - centre
                return [code.load(above_at[p_x], x) + right, p_y + down, down.times_plus(down, right * right)]

            def sweep_block(x: Any) -> list[Lanes]:
                u, v = code.load(here_at[U], x), code.load(here_at[V], x)
                pu_y_above, pv_y_above = code.load(above_at[PU_Y], x), code.load(above_at[PV_Y], x)
                if primal:
                    u, v = sweep_flow(x, u, v, pu_y_above, pv_y_above)
                return follow(U, PU_X, u, pu_y_above, x) + follow(V, PV_X, v, pv_y_above, x) if dual else []

            def find_divisors(values: list[Lanes]) -> list[Lanes]:
                pu_x, pu_y, square_u, pv_x, pv_y, square_v = values
                divisor_u, divisor_v = one + square_u.sqrt(), one + square_v.sqrt()
                return [pu_x, pu_y, divisor_u, pv_x, pv_y, divisor_v, divisor_u * divisor_v]

            def divide(x: Any, values: list[Lanes]) -> None:
                """Each dual by its divisor: by one quotient, which takes longest, and the other's divisor."""
                pu_x, pu_y, divisor_u, pv_x, pv_y, divisor_v, both = values
                quotient = one / both
                by_u, by_v = divisor_v * quotient, divisor_u * quotient
                for field, value in (
                    (PU_X, pu_x * by_u),
                    (PU_Y, pu_y * by_u),
                    (PV_X, pv_x * by_v),
                    (PV_Y, pv_y * by_v),
                ):
                    code.store(value, above_at[field], x)

            if dual:
                code.pipeline(width, sweep_block, find_divisors, divide)
            else:
                with code.blocks(width) as x:
                    sweep_block(x)
            if measured:
                code.store(*total.get(), sums)
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
    is in the cache is swept several times: one sweep after the other would wait for memory. Subnormal numbers, which a
    flow that dies away in what rests is full of, are taken for zeros.

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
    subnormals = flush_subnormals()
    done, little = 0, False
    while done < count and not little:
        made = _sweep_together(fields, width, most, tau, limit, min(count - done, len(rows)), rows, within, changes)
        little = within[made - 1]
        done += made
    restore_subnormals(subnormals)
    return little


@compiled
def at_rest(fields, width):
    """Returns whether the flow and the duals are zero everywhere."""
    for y in range(1, fields.shape[0] - 1):
        moving = False
        for field in range(BY_X):
            for x in range(width):
                moving |= fields[y, field, x] != 0
        if moving:
            return False
    return True


def new_scratch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Room for what is known of sweeps that go over the rows together."""
    return np.zeros(_TOGETHER, np.int64), np.zeros(_TOGETHER, np.bool_), np.zeros((_TOGETHER, LANES), np.float32)
