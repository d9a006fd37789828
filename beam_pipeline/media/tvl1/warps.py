"""Warping the second image by the flow, and the linear data term around that flow."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from beam_pipeline.media.tvl1.fields import BY_X, BY_Y, INVERSE, REST, U, V
from beam_pipeline.media.tvl1.lanes import LANES, Code, all_zero, compiled, padded

MARGIN = 4  # zeros around an image, which the taps of a cubic reach
CHANNELS = 4  # beside each other for a pixel: level, its gradient by x and by y, nothing
_TAPS = 4
_FLAT = np.float32(np.finfo(np.float32).eps)  # a squared gradient of no more carries no information
_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)


def new_scratch(width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Room for one row: the taps around the places that flow leads to, their weights, and what is read there."""
    length = padded(width)
    cells = np.zeros((2, length), np.int32)
    return cells, np.zeros((2, length, _TAPS), np.float32), np.zeros((length, CHANNELS), np.float32)


@compiled
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


@compiled
def lay_out(image, width, channels):
    """Fills `channels`, (height + 2·MARGIN, width + 2·MARGIN, CHANNELS), with an image and its centred gradients."""
    height = image.shape[0]
    for y in range(height):
        above, below = image[max(y - 1, 0)], image[min(y + 1, height - 1)]
        _lay_out_row(above, image[y], below, channels[y + MARGIN, MARGIN:], width)


@intrinsic
def _weigh(typing_context, fields, y, x, width, height, step, cells, weights):
    """Where the flow of a block of row `y` of `fields` leads: the first of the taps around each place, and all weights.

    Keys's cubic (1981) with a = −3/4, OpenCV's. Beyond the margin of zeros, taps stay in it.
    """
    signature = types.void(fields, y, x, width, height, step, cells, weights)

    def generate(context, builder, signature, arguments):
        _, y, x, width, height, step, _, _ = arguments
        code = Code(context, builder, signature, arguments)
        one, a = code.constant(1), code.constant(-0.75)
        a_2, a_3, a_4, a_5, a_8 = (
            code.constant(value) for value in (-0.75 + 2, -0.75 + 3, 4 * -0.75, 5 * -0.75, 8 * -0.75)
        )
        per_px, row = one / code.spread(step), code.spread(builder.sitofp(builder.sub(y, y.type(1)), step.type))
        margin, lowest = code.constant(MARGIN - 1), code.constant(1 - MARGIN)
        for axis, (field, size) in enumerate(((U, width), (V, height))):
            highest = code.spread(builder.sitofp(size, step.type)) + code.constant(MARGIN - 3)
            place = (code.columns(x) if axis == 0 else row) + code.load(code.place(0, y, field, x)) * per_px
            cell = place.floor()
            t = place - cell
            before, after = t + one, one - t
            first = ((a * before - a_5) * before + a_8) * before - a_4
            second = (a_2 * t - a_3) * t * t + one
            third = (a_2 * after - a_3) * after * after + one
            code.store_channels([first, second, third, one - first - second - third], code.place(7, axis, x, 0))
            code.store_integers(cell.maximum(lowest).minimum(highest) + margin, code.place(6, axis, x))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _interpolate(typing_context, channels, cells, weights, x, values):
    """All channels of pixel `x` at once, by 4 × 4 taps around the place to which its flow leads.

    `cells` are its first column and row, `weights` those of four columns and of four rows.
    """
    signature = types.void(channels, cells, weights, x, values)

    def generate(context, builder, signature, arguments):
        x = arguments[3]
        code = Code(context, builder, signature, arguments)
        column, row = (builder.sext(builder.load(code.place(1, axis, x)), x.type) for axis in range(2))
        place, stride = code.place(0, row, column, 0), code.stride(0)
        by_row = code.place(2, 1, x, 0)
        total = None
        for _ in range(_TAPS):
            part = code.load(place, 0, _TAPS * CHANNELS) * code.spread(builder.load(by_row), _TAPS * CHANNELS)
            total = total + part if total else part
            place, by_row = builder.gep(place, [stride]), builder.gep(by_row, [x.type(1)])
        by_column = code.load(code.place(2, 0, x, 0), 0, _TAPS)
        total = total * by_column.pick([tap for tap in range(_TAPS) for _ in range(CHANNELS)])
        for lanes in (8, 4):
            total = total.pick(range(lanes)) + total.pick(range(lanes, 2 * lanes))
        code.store(total, code.place(4, x, 0))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _stands_still(typing_context, channels, fields, y, x, values):
    """Whether no flow of a block of row `y` of `fields` is anything but zero; then its pixels are their own values.

    So they would be by interpolation, whose weights are 0, 1, 0 and 0 there.
    """
    signature = types.boolean(channels, fields, y, x, values)

    def generate(context, builder, signature, arguments):
        _, _, y, x, _ = arguments
        code = Code(context, builder, signature, arguments)
        still = all_zero([code.load(code.place(1, y, field, x)) for field in (U, V)], builder)
        with builder.if_then(still):
            here = code.place(0, builder.add(y, y.type(MARGIN - 1)), builder.add(x, x.type(MARGIN)), 0)
            code.store(code.load(here, 0, CHANNELS * LANES), code.place(4, x, 0))
        return still

    return signature, generate


@intrinsic
def _linearise_row(typing_context, first, values, fields, y, width, step):
    """The data term of row `y` of `fields`, from the first image and what was read of the second."""
    signature = types.void(first, values, fields, y, width, step)

    def generate(context, builder, signature, arguments):
        _, _, _, y, width, step = arguments
        code = Code(context, builder, signature, arguments)
        at = [code.place(2, y, field, 0) for field in range(REST + 1)]
        first = code.place(0, builder.sub(y, y.type(1)), 0)
        one, scale, flat = code.constant(1), code.spread(step), code.constant(_FLAT)
        per_px, square = one / scale, scale * scale
        with code.blocks(width) as x:
            level, by_x, by_y = code.load_channels(code.place(1, x, 0), CHANNELS)[:3]
            steepness = by_x * by_x + by_y * by_y
            moved_x, moved_y = (code.load(at[field], x) * per_px for field in (U, V))
            rest = level - by_x * moved_x - by_y * moved_y - code.load(first, x)
            code.store(square * rest, at[REST], x)
            code.store(by_x * scale, at[BY_X], x)
            code.store(by_y * scale, at[BY_Y], x)
            code.store(code.constant(-1) / (square * steepness.where(">", flat, one)), at[INVERSE], x)
        return context.get_dummy_value()

    return signature, generate


@compiled
def linearise(first, channels, fields, width, step, cells, weights, values):
    """Warps the second image by the flow, and makes of it the linear data term around that flow.

    Args:
      first: the first image, (height, padded(width)).
      channels: what `lay_out` made of the second one.
      fields: of the level; the flow is read, the data term written.
      width: of the images.
      step: τ/θ.
      cells: scratch, int32 (2, padded(width)).
      weights: scratch, (2, padded(width), 4).
      values: scratch, (padded(width), CHANNELS).
    """
    height = first.shape[0]
    for y in range(1, height + 1):
        for x in range(0, width, LANES):
            if not _stands_still(channels, fields, y, x, values):
                _weigh(fields, y, x, width, height, step, cells, weights)
                for column in range(x, min(x + LANES, width)):
                    _interpolate(channels, cells, weights, column, values)
        _linearise_row(first, values, fields, y, width, step)
