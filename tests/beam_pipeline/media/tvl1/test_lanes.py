"""Multiplying and adding at once gives the same bits with and without an instruction for it."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

TIES = """
import sys
import numpy as np
from numba import types
from numba.extending import intrinsic
from beam_pipeline.media.tvl1.lanes import Code, compiled
from tests.beam_pipeline.media.tvl1.test_lanes import operands

@intrinsic
def times_plus(typing_context, factors, others, addends, results):
    def generate(context, builder, signature, arguments):
        code = Code(context, builder, signature, arguments)
        left, right, added = (code.load(code.place(number, 0)) for number in range(3))
        code.store(left.times_plus(right, added), code.place(3, 0))
        return context.get_dummy_value()
    return types.void(factors, others, addends, results), generate

@compiled
def all_of(factors, others, addends, results):
    for row in range(len(results)):
        times_plus(factors[row], others[row], addends[row], results[row])

results = np.empty_like(operands()[0])
all_of(*operands(), results)
sys.stdout.buffer.write(results.tobytes())
"""


def operands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors and addends, (rows, 16): products halfway between two numbers, moved a little or not; and any."""
    ties = [
        (sign * left, right, sign * moved)
        for left, right in ((24929, 673), (10831, 1549), (5592407, 3), (148471, 113))  # 2**24 + 1, 3, 5, 7
        for moved in (0, 2.0**-30, -(2.0**-30), 2.0**-5, -(2.0**-5), 1, -1)
        for sign in (1, -1)
    ]
    random = np.random.default_rng(0)
    exponents = random.integers(-12, 12, (5000, 3)) * [[1, 1, 2]]
    values = np.concatenate([ties, random.normal(size=(5000, 3)) * 2.0**exponents]).astype(np.float32)
    return tuple(np.ascontiguousarray(values[: len(values) // 16 * 16, n].reshape(-1, 16)) for n in range(3))


def rounded(value: Fraction) -> np.float32:
    """The float32 next to a number, of two the even one."""
    near = np.float32(float(value))
    candidates = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(candidates, key=lambda number: (abs(Fraction(float(number)) - value), int(number.view(np.uint32)) & 1))


@pytest.mark.parametrize("features", [None, ""], ids=["of this machine", "of any machine"])
def test_products_and_sums_are_rounded_once(features: str | None) -> None:
    chosen = {} if features is None else {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", TIES], env=os.environ | chosen, check=True, capture_output=True)
    results = np.frombuffer(done.stdout, np.float32)
    expected = [
        rounded(Fraction(float(left)) * Fraction(float(right)) + Fraction(float(added)))
        for left, right, added in zip(*(of.ravel() for of in operands()), strict=True)
    ]
    np.testing.assert_array_equal(results, expected)
