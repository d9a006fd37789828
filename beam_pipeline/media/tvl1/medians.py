"""Median filters of 3×3 and 5×5 by networks of comparisons, sixteen pixels at once.

Each column of a window is sorted once, for all the windows that it is in. What is left is a network of comparators on
sorted columns, of which only those are listed without which some window's middle would not be its median. That a
network is right needs no more inputs than those of zeros and ones (Knuth, The Art of Computer Programming 3, 5.3.4:
the zero–one principle), of which sorted columns leave 6⁵: tests/beam_pipeline/media/tvl1/test_medians.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from beam_pipeline.media.tvl1.lanes import LANES, Code, Lanes, all_zero, compiled, padded

Network = tuple[tuple[int, int], ...]

SORT: dict[int, Network] = {
    3: ((0, 1), (1, 2), (0, 1)),
    5: ((0, 1), (3, 4), (2, 4), (2, 3), (1, 4), (0, 3), (0, 2), (1, 3), (1, 2)),
}
# Value number row · size + column, of columns sorted upwards, and where the median is at the end.
SELECT: dict[int, tuple[Network, int]] = {
    3: (
        (
            (0, 1),
            (1, 2),
            (3, 4),
            (4, 5),
            (3, 4),
            (7, 8),
            (6, 7),
            (2, 4),
            (4, 6),
            (2, 4),
        ),
        4,
    ),
    5: (
        (
            (0, 1),
            (3, 4),
            (2, 4),
            (2, 3),
            (1, 4),
            (0, 3),
            (1, 3),
            (5, 6),
            (8, 9),
            (7, 9),
            (7, 8),
            (6, 9),
            (5, 8),
            (6, 8),
            (6, 7),
            (10, 11),
            (13, 14),
            (12, 14),
            (12, 13),
            (11, 14),
            (10, 13),
            (10, 12),
            (11, 13),
            (11, 12),
            (15, 16),
            (17, 19),
            (17, 18),
            (16, 19),
            (15, 18),
            (15, 17),
            (16, 18),
            (16, 17),
            (20, 21),
            (23, 24),
            (22, 24),
            (22, 23),
            (20, 22),
            (21, 23),
            (21, 22),
            (3, 7),
            (12, 16),
            (8, 12),
            (16, 20),
            (17, 21),
            (4, 8),
            (12, 16),
            (7, 11),
            (11, 15),
            (13, 17),
            (8, 12),
            (16, 20),
            (9, 13),
            (20, 9),
            (15, 4),
            (16, 20),
            (4, 8),
            (12, 16),
            (8, 12),
            (16, 20),
            (12, 16),
        ),
        12,
    ),
}
_MOST = 5


def _compare(values: list[Lanes], network: Network) -> None:
    for low, high in network:
        values[low], values[high] = values[low].minimum(values[high]), values[low].maximum(values[high])


def _sort_columns(size: int) -> Any:
    @intrinsic
    def sort_columns(typing_context, fields, rows, field, columns, width):
        signature = types.void(fields, rows, field, columns, width)

        def generate(context, builder, signature, arguments):
            _, rows, field, _, width = arguments
            code = Code(context, builder, signature, arguments)
            numbers = range((_MOST - size) // 2, (_MOST + size) // 2)
            sources = [code.place(0, builder.extract_value(rows, number), field, 0) for number in numbers]
            targets = [code.place(3, number, LANES) for number in range(size)]
            with code.blocks(width) as x:
                values = [code.load(source, x) for source in sources]
                _compare(values, SORT[size])
                for value, target in zip(values, targets, strict=True):
                    code.store(value, target, x)
            return context.get_dummy_value()

        return signature, generate

    return sort_columns


def _select(size: int) -> Any:
    @intrinsic
    def select(typing_context, columns, results, row, width):
        signature = types.void(columns, results, row, width)

        def generate(context, builder, signature, arguments):
            _, _, row, width = arguments
            code = Code(context, builder, signature, arguments)
            sources = [code.place(0, number, LANES) for number in range(size)]
            target = code.place(1, row, 0)
            network, median = SELECT[size]
            shifts = [ir.Constant(width.type, column - size // 2) for column in range(size)]
            with code.blocks(width) as x:
                extremes = [
                    code.load(sources[row], builder.add(x, shifts[column])) for row in (0, -1) for column in (0, -1)
                ]
                with builder.if_else(all_zero(extremes, builder)) as (nothing, something):
                    with nothing:
                        code.store(code.constant(0), target, x)
                    with something:
                        values = [code.load(source, builder.add(x, shift)) for source in sources for shift in shifts]
                        _compare(values, network)
                        code.store(values[median], target, x)
            return context.get_dummy_value()

        return signature, generate

    return select


_sort_columns_3, _select_3 = _sort_columns(3), _select(3)
_sort_columns_5, _select_5 = _sort_columns(5), _select(5)


def new_scratch(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Room for the sorted columns of one row of windows, with margins, and for as many rows as wait to be stored."""
    return np.zeros((_MOST, padded(width) + 2 * LANES), np.float32), np.zeros(
        (_MOST // 2 + 1, padded(width)), np.float32
    )


@compiled
def filter_median(fields, field, width, size, columns, results):
    """Replaces each value of a field by the median of the window around it; the border's values reach on outwards.

    Args:
      fields: of a level (`fields.new_fields`).
      field: which of them.
      width: of the image.
      size: side of the window, 3 or 5.
      columns: scratch (`new_scratch`).
      results: scratch; a row is stored when no window needs what was there before.
    """
    height, reach, waiting = fields.shape[0] - 2, size // 2, len(results)
    for y in range(1, height + reach + 1):
        if y <= height:
            rows = (max(y - 2, 1), max(y - 1, 1), y, min(y + 1, height), min(y + 2, height))
            if size == 3:
                _sort_columns_3(fields, rows, field, columns, width)
            else:
                _sort_columns_5(fields, rows, field, columns, width)
            for number in range(size):
                row = columns[number]
                for step in range(reach):
                    row[LANES - 1 - step], row[LANES + width + step] = row[LANES], row[LANES + width - 1]
            if size == 3:
                _select_3(columns, results, y % waiting, width)
            else:
                _select_5(columns, results, y % waiting, width)
        if y > reach:
            done, result = fields[y - reach, field], results[(y - reach) % waiting]
            for x in range(width):
                done[x] = result[x]
