"""The loops of TV-L1, compiled by numba: no allocation in them, and the same bits on any x86-64 processor.

Of LLVM's fast-math flags none is set, and sums are made in fixed lanes (a column each), so that a wider processor adds
in the same order. Loops run over rows, which LLVM then vectorises; a row of duals carries a zero in front, a row of
flow its last value once more behind, so that none of them has a border to look out for.

Flow is kept as u·τ/θ and duals as p/(τ/θ), which saves six multiplications a pixel and sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

MARGIN = 4  # zeros around an image, which the taps of a cubic reach
CHANNELS = 4  # beside each other for a pixel: level, its gradient by x and by y, nothing
_FLAT = np.float32(np.finfo(np.float32).eps)  # a squared gradient of no more carries no information
_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)


def _compiled(function: Callable[..., Any]) -> Any:
    # Without reference counts, which cost a fifth of the sweeps: nothing is allocated here.
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that could keep it
        return njit(**options)(function)


@_compiled
def _lay_out_row(above, row, below, out, width):
    for x in range(1, width - 1):
        out[x, 0] = row[x]
        out[x, 1] = _HALF * (row[x + 1] - row[x - 1])
        out[x, 2] = _HALF * (below[x] - above[x])
        out[x, 3] = _ZERO
    for x in (0, width - 1):
        out[x, 0] = row[x]
        out[x, 1] = _HALF * (row[min(x + 1, width - 1)] - row[max(x - 1, 0)])
        out[x, 2] = _HALF * (below[x] - above[x])


@_compiled
def lay_out(image, channels):
    """Fills `channels`, (height + 2·MARGIN, width + 2·MARGIN, CHANNELS), with an image and its centred gradients."""
    height, width = image.shape
    for y in range(height):
        above, below = image[max(y - 1, 0)], image[min(y + 1, height - 1)]
        _lay_out_row(above, image[y], below, channels[y + MARGIN, MARGIN:], width)


@intrinsic
def _interpolate(typing_context, channels, offset, stride, weights, width, x):
    """All channels at once by 4 × 4 taps: what LLVM does not find by itself.

    `channels` is flat, `offset` its first tap and `stride` a row of it; `weights` holds, for each of the four columns
    and then of the four rows, `width` values, of which the x-th are taken.
    """
    signature = types.UniTuple(types.float32, CHANNELS)(channels, offset, stride, weights, width, x)

    def generate(context, builder, signature, arguments):
        channels, offset, stride, weights, width, x = arguments
        pixels, weight = (
            context.make_array(signature.args[number])(context, builder, array).data
            for number, array in ((0, channels), (3, weights))
        )
        i32, i64, single = ir.IntType(32), ir.IntType(64), ir.FloatType()

        def pick(first, second, lanes):
            return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(i32, len(lanes)), list(lanes)))

        def spread(number, lanes):
            place = builder.add(x, builder.mul(width, ir.Constant(i64, number)))
            undefined = ir.Constant(ir.VectorType(single, lanes), ir.Undefined)
            value = builder.load(builder.gep(weight, [place]))
            return pick(builder.insert_element(undefined, value, ir.Constant(i32, 0)), undefined, [0] * lanes)

        total = None
        for number in range(4):
            place = builder.add(offset, builder.mul(stride, ir.Constant(i64, number)))
            row = builder.bitcast(builder.gep(pixels, [place]), ir.VectorType(single, 4 * CHANNELS).as_pointer())
            part = builder.fmul(builder.load(row, align=4), spread(4 + number, 4 * CHANNELS))
            total = builder.fadd(total, part) if total else part
        left, right = (pick(spread(number, 4), spread(number + 1, 4), range(8)) for number in (0, 2))
        total = builder.fmul(total, pick(left, right, range(16)))
        for lanes in (8, 4):
            total = builder.fadd(pick(total, total, range(lanes)), pick(total, total, range(lanes, 2 * lanes)))
        values = [builder.extract_element(total, ir.Constant(i32, channel)) for channel in range(CHANNELS)]
        return context.make_tuple(builder, signature.return_type, values)

    return signature, generate


@_compiled
def _places_by_x(flow, per_px, places, width):
    for x in range(width):
        places[x] = np.float32(np.int32(x)) + flow[x] * per_px


@_compiled
def _places_by_y(y, flow, per_px, places, width):
    for x in range(width):
        places[x] = y + flow[x] * per_px


@_compiled
def _weigh(places, size, cells, weight0, weight1, weight2, weight3, width):
    """Keys's cubic with a = −3/4, OpenCV's: the cell that each place is in, and the weights around it."""
    a = np.float32(-0.75)
    lowest, highest = np.float32(1 - MARGIN), np.float32(size + MARGIN - 3)  # beyond, all taps are on zeros
    for x in range(width):
        cell = np.floor(places[x])
        t = places[x] - cell
        before, after = t + _ONE, _ONE - t
        first = ((a * before - np.float32(5) * a) * before + np.float32(8) * a) * before - np.float32(4) * a
        second = ((a + np.float32(2)) * t - (a + np.float32(3))) * t * t + _ONE
        third = ((a + np.float32(2)) * after - (a + np.float32(3))) * after * after + _ONE
        weight0[x], weight1[x], weight2[x], weight3[x] = first, second, third, _ONE - first - second - third
        cell = cell if cell > lowest else lowest
        cell = cell if cell < highest else highest
        cells[x] = np.int32(cell)


@_compiled
def _gather(channels, stride, cells_x, cells_y, weights, level, by_x, by_y, width):
    for x in range(width):
        row, column = np.int64(cells_y[x]) + (MARGIN - 1), np.int64(cells_x[x]) + (MARGIN - 1)
        level[x], by_x[x], by_y[x], _ = _interpolate(
            channels, row * stride + column * CHANNELS, stride, weights, width, x
        )


@_compiled
def _linearise_row(first, level, u, v, by_x, by_y, inverse, rest, step, width):
    per_px, square = _ONE / step, step * step
    for x in range(width):
        gx, gy = by_x[x], by_y[x]
        steepness = gx * gx + gy * gy
        rest[x] = square * (level[x] - gx * (u[x] * per_px) - gy * (v[x] * per_px) - first[x])
        by_x[x], by_y[x] = gx * step, gy * step
        inverse[x] = -_ONE / (square * (steepness if steepness > _FLAT else _ONE))


@_compiled
def linearise(first, channels, stride, u, v, by_x, by_y, inverse, rest, step, level, cells, weights, flat):
    """Warps the second image by the flow, and makes of it the linear data term around that flow.

    Args:
      first: the first image, (height, width).
      channels: what `lay_out` made of the second one, flat.
      stride: of a row of that.
      u: the flow to the right, times `step`, (height, width + 1).
      v: the flow downwards, alike.
      by_x: takes the gradient to the right, times `step`, (height, width) like the three that follow.
      by_y: takes the gradient downwards, alike.
      inverse: takes −1 over the squared gradient, by `step` squared.
      rest: takes what of the data term does not depend on the flow, times `step` squared.
      step: τ/θ.
      level: scratch, (width,).
      cells: scratch, int32 (2, width).
      weights: scratch, (8, width).
      flat: `weights`, flat.
    """
    height, width = first.shape
    per_px = _ONE / step
    for y in range(height):
        _places_by_x(u[y], per_px, level, width)
        _weigh(level, width, cells[0], weights[0], weights[1], weights[2], weights[3], width)
        _places_by_y(np.float32(np.int32(y)), v[y], per_px, level, width)
        _weigh(level, height, cells[1], weights[4], weights[5], weights[6], weights[7], width)
        _gather(channels, stride, cells[0], cells[1], flat, level, by_x[y], by_y[y], width)
        _linearise_row(first[y], level, u[y], v[y], by_x[y], by_y[y], inverse[y], rest[y], step, width)


@_compiled
def _primal_row(
    u, v, pu_x, pu_y, pu_y_above, pv_x, pv_y, pv_y_above, by_x, by_y, inverse, rest, change, most, tau, width
):
    """Thresholding and the step along the divergence, of one row; duals begin one column before it."""
    for x in range(width):
        a, b, gx, gy = u[x], v[x], by_x[x], by_y[x]
        # Zach et al. (2007), 3: three cases, which are one value cut off at ±λθ.
        along = (rest[x] + (gx * a + gy * b)) * inverse[x]
        along = along if along < most else most
        along = along if along > -most else -most
        c = (a + along * gx) + tau * ((pu_x[x + 1] - pu_x[x]) + (pu_y[x + 1] - pu_y_above[x + 1]))
        d = (b + along * gy) + tau * ((pv_x[x + 1] - pv_x[x]) + (pv_y[x + 1] - pv_y_above[x + 1]))
        u[x], v[x] = c, d
        change[x] += (c - a) * (c - a) + (d - b) * (d - b)


@_compiled
def _dual_row(u, u_below, v, v_below, pu_x, pu_y, pv_x, pv_y, width):
    for x in range(width):
        a = u[x]
        right, down = u[x + 1] - a, u_below[x] - a
        shrink = _ONE / (_ONE + np.sqrt(right * right + down * down))
        pu_x[x + 1] = (pu_x[x + 1] + right) * shrink
        pu_y[x + 1] = (pu_y[x + 1] + down) * shrink
        b = v[x]
        right, down = v[x + 1] - b, v_below[x] - b
        shrink = _ONE / (_ONE + np.sqrt(right * right + down * down))
        pv_x[x + 1] = (pv_x[x + 1] + right) * shrink
        pv_y[x + 1] = (pv_y[x + 1] + down) * shrink


@_compiled
def iterate(u, v, pu_x, pu_y, pv_x, pv_y, by_x, by_y, inverse, rest, change, most, tau, limit, count):
    """Sweeps until the flow changes little, at most `count` times; returns the last squared change, summed.

    Primal and dual variables are swept together: those duals follow whose row the flow has just left.

    Args:
      u: the flow to the right, times τ/θ, (height, width + 1); changed in place like all up to `pv_y`.
      v: the flow downwards, alike.
      pu_x: the dual of u's derivative to the right, (height + 1, width + 1), its first row and column zero.
      pu_y: that of u's derivative downwards, alike.
      pv_x: the same of v.
      pv_y: the same of v.
      by_x: of `linearise`.
      by_y: of `linearise`.
      inverse: of `linearise`.
      rest: of `linearise`.
      change: scratch, (width,).
      most: λθ.
      tau: τ.
      limit: the sum of squared changes at which to stop.
      count: sweeps at most.
    """
    height, width = by_x.shape
    total = np.float32(np.inf)
    for _ in range(count):
        for x in range(width):
            change[x] = _ZERO
        for y in range(height):
            _primal_row(
                *(u[y], v[y], pu_x[y + 1], pu_y[y + 1], pu_y[y], pv_x[y + 1], pv_y[y + 1], pv_y[y]),
                *(by_x[y], by_y[y], inverse[y], rest[y], change, most, tau, width),
            )
            u[y, width], v[y, width] = u[y, width - 1], v[y, width - 1]
            if y:
                _dual_row(u[y - 1], u[y], v[y - 1], v[y], pu_x[y], pu_y[y], pv_x[y], pv_y[y], width)
        u_last, v_last = u[height - 1], v[height - 1]
        duals = pu_x[height], pu_y[height], pv_x[height], pv_y[height]
        _dual_row(u_last, u_last, v_last, v_last, *duals, width)
        total = _ZERO
        for x in range(width):
            total += change[x]
        if total <= limit:
            break
    return total
