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


def new_scratch(width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Room for one row: which blocks rest, the taps around where flow leads, their weights, and what is read there."""
    length, blocks = padded(width), -(-width // LANES)
    resting, cells = np.zeros(blocks, np.bool_), np.zeros((2, length), np.int32)
    return resting, cells, np.zeros((2, length, _TAPS), np.float32), np.zeros((length, CHANNELS), np.float32)


def new_unmoved(height: int, width: int) -> np.ndarray:
    """Which blocks' data term is that of images that did not move: none so far."""
    return np.zeros((height, -(-width // LANES)), np.bool_)


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
        a_2, a_3, minus_a_4, a_5, a_8 = (
            code.constant(value) for value in (-0.75 + 2, -0.75 + 3, -4 * -0.75, 5 * -0.75, 8 * -0.75)
        )
        per_px, row = one / code.spread(step), code.spread(builder.sitofp(builder.sub(y, y.type(1)), step.type))
        margin, lowest = code.constant(MARGIN - 1), code.constant(1 - MARGIN)
        for axis, (field, size) in enumerate(((U, width), (V, height))):
            highest = code.spread(builder.sitofp(size, step.type)) + code.constant(MARGIN - 3)
            place = (code.columns(x) if axis == 0 else row) + code.load(code.place(0, y, field, x)) * per_px
            cell = place.floor()
            t = place - cell
            before, after = t + one, one - t
            first = (a * before - a_5).times_plus(before, a_8).times_plus(before, minus_a_4)
            second = ((a_2 * t - a_3) * t).times_plus(t, one)
            third = ((a_2 * after - a_3) * after).times_plus(after, one)
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
            taps, weight = code.load(place, 0, _TAPS * CHANNELS), code.spread(builder.load(by_row), _TAPS * CHANNELS)
            total = taps.times_plus(weight, total) if total else taps * weight
            place, by_row = builder.gep(place, [stride]), builder.gep(by_row, [x.type(1)])
        by_column = code.load(code.place(2, 0, x, 0), 0, _TAPS)
        total = total * by_column.pick([tap for tap in range(_TAPS) for _ in range(CHANNELS)])
        for lanes in (8, 4):
            total = total.pick(range(lanes)) + total.pick(range(lanes, 2 * lanes))
        code.store(total, code.place(4, x, 0))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _rests(typing_context, fields, y, x):
    """Whether no flow of a block of row `y` of `fields` is anything but zero."""
    signature = types.boolean(fields, y, x)

    def generate(context, builder, signature, arguments):
        _, y, x = arguments
        code = Code(context, builder, signature, arguments)
        return all_zero([code.load(code.place(0, y, field, x)) for field in (U, V)], builder)

    return signature, generate


@intrinsic
def _take_over(typing_context, channels, y, x, values):
    """The pixels of a block that rests are their own values: so they are by weights of 0, 1, 0 and 0."""
    signature = types.void(channels, y, x, values)

    def generate(context, builder, signature, arguments):
        _, y, x, _ = arguments
        code = Code(context, builder, signature, arguments)
        here = code.place(0, builder.add(y, y.type(MARGIN - 1)), builder.add(x, x.type(MARGIN)), 0)
        code.store(code.load(here, 0, CHANNELS * LANES), code.place(3, x, 0))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _linearise_block(typing_context, first, values, fields, y, x, step):
    """The data term of a block of row `y` of `fields`, from the first image and what was read of the second."""
    signature = types.void(first, values, fields, y, x, step)

    def generate(context, builder, signature, arguments):
        _, _, _, y, x, step = arguments
        code = Code(context, builder, signature, arguments)
        at = [code.place(2, y, field, x) for field in range(REST + 1)]
        one, scale, flat = code.constant(1), code.spread(step), code.constant(_FLAT)
        per_px, square = one / scale, scale * scale
        level, by_x, by_y = code.load_channels(code.place(1, x, 0), CHANNELS)[:3]
        steepness = by_x * by_x + by_y * by_y
        moved_x, moved_y = (code.load(at[field]) * per_px for field in (U, V))
        rest = level - by_x * moved_x - by_y * moved_y - code.load(code.place(0, builder.sub(y, y.type(1)), x))
        code.store(square * rest, at[REST])
        code.store(by_x * scale, at[BY_X])
        code.store(by_y * scale, at[BY_Y])
        code.store(code.constant(-1) / (square * steepness.where(">", flat, one)), at[INVERSE])
        return context.get_dummy_value()

    return signature, generate


@compiled
def linearise(first, channels, fields, width, step, unmoved, resting, cells, weights, values):
    """Warps the second image by the flow, and makes of it the linear data term around that flow.

    Args:
      first: the first image, (height, padded(width)).
      channels: what `lay_out` made of the second one.
      fields: of the level; the flow is read, the data term written.
      width: of the images.
      step: τ/θ.
      unmoved: of which blocks the data term is that of these images without flow, bool (height, blocks of a row): they
        are left as they are where they still rest.
      resting: scratch (`new_scratch`): which blocks of a row rest.
      cells: scratch.
      weights: scratch.
      values: scratch.
    """
    height = first.shape[0]
    for y in range(1, height + 1):
        for block in range(len(resting)):
            resting[block] = _rests(fields, y, block * LANES)
            if not resting[block]:  # for the whole row at first, so that its pixels needn't wait for weights
                _weigh(fields, y, block * LANES, width, height, step, cells, weights)
        for block in range(len(resting)):
            x = block * LANES
            if not resting[block]:
                for column in range(x, min(x + LANES, width)):
                    _interpolate(channels, cells, weights, column, values)
            elif not unmoved[y - 1, block]:
                _take_over(channels, y, x, values)
            else:
                continue
            _linearise_block(first, values, fields, y, x, step)
            unmoved[y - 1, block] = resting[block]
