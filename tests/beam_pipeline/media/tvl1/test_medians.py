"""The networks find medians, and rows and borders are OpenCV's."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest

from beam_pipeline.media.tvl1 import medians
from beam_pipeline.media.tvl1.fields import V, new_fields


@pytest.mark.parametrize("size", [3, 5])
def test_columns_are_sorted(size: int) -> None:
    """By the zero–one principle: what sorts all zeros and ones sorts everything."""
    for column in product((0, 1), repeat=size):
        values = list(column)
        for low, high in medians.SORT[size]:
            values[low], values[high] = min(values[low], values[high]), max(values[low], values[high])
        assert values == sorted(column)


@pytest.mark.parametrize("size", [3, 5])
def test_the_median_of_sorted_columns_is_selected(size: int) -> None:
    network, median = medians.SELECT[size]
    ones = np.array(list(product(range(size + 1), repeat=size)))  # of each column
    values = [ones[:, column] >= size - row for row in range(size) for column in range(size)]
    for low, high in network:
        values[low], values[high] = values[low] & values[high], values[low] | values[high]
    assert np.array_equal(values[median], ones.sum(axis=1) > size * size // 2)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(2, 2), (3, 16), (16, 3), (33, 31), (20, 32)])
def test_filtered_rows_are_opencvs(shape: tuple[int, int], size: int) -> None:
    height, width = shape
    fields = new_fields(height, width)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    fields[1:-1, V, :width] = image
    others = np.delete(fields, V, axis=1).copy()
    medians.filter_median(fields, V, width, size, *medians.new_scratch(width))
    assert np.array_equal(fields[1:-1, V, :width], cv2.medianBlur(image, size))
    assert np.array_equal(np.delete(fields, V, axis=1), others)
