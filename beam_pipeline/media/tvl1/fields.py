"""What is known of every pixel of a level: ten numbers, row by row, each in a row of whole blocks.

Flow is kept as u·τ/θ and duals as p/(τ/θ), which saves six multiplications a pixel and sweep.
"""

from __future__ import annotations

import numpy as np

from beam_pipeline.media.tvl1.lanes import LANES, padded

U, V = 0, 1  # the flow to the right and downwards
PU_X, PU_Y, PV_X, PV_Y = 2, 3, 4, 5  # the duals of its derivatives, to the right and downwards
BY_X, BY_Y = 6, 7  # the gradient of the second image where the flow leads
INVERSE = 8  # −1 over its square
REST = 9  # what of the data term does not depend on the flow
NUM_FIELDS = 10


def new_fields(height: int, width: int) -> np.ndarray:
    """Zeros, float32 (height + 2, NUM_FIELDS, padded(width)): a row above the image's and one below it.

    Rows begin where vectors do, at multiples of 64 bytes: a load across two cache lines costs two.
    """
    shape = height + 2, NUM_FIELDS, padded(width)
    flat = np.zeros(int(np.prod(shape)) + LANES, np.float32)
    first = -flat.ctypes.data // flat.itemsize % LANES
    return flat[first : first + flat.size - LANES].reshape(shape)
