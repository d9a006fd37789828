"""Checks of the values that augmentations are made with: an error names the parameter, its value and what is right."""

from __future__ import annotations

import math
import numbers
from typing import Any


def number(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Raises `ValueError` unless `value` is a finite real number from `low` to `high`, both included."""
    if not _is_real(value) or not low <= value <= high:
        span = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
        raise ValueError(f"{name} must be a number {span}, got {value!r}")


def count(name: str, value: Any) -> None:
    """Raises `ValueError` unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def span(name: str, value: Any, high: float = math.inf) -> None:
    """Raises `ValueError` unless `value` is a pair (least, most) of numbers above 0 and up to `high`."""
    pair = value if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(_is_real, pair)) or not 0 < pair[0] <= pair[1] <= high:
        limit = f" and at most {high:g}" if high < math.inf else ""
        raise ValueError(f"{name} must be (least, most), two numbers above 0{limit}, got {value!r}")


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
