"""Checks of keywords' values; each returns the value, or raises a ValueError that names keyword, value and what is."""

from __future__ import annotations

import difflib
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def nearest(word: object, words: Iterable[str]) -> str:
    """Returns ` (did you mean 'flow'?)` for a misspelt word, or nothing where none of `words` is near."""
    near = difflib.get_close_matches(str(word), list(words), n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(repr(other) for other in near)}?)" if near else ""


def positive(keyword: str, value: Any) -> int:
    """Returns a keyword's value as an int of 1 or more.

    Raises:
      ValueError: it is not one.
    """
    try:
        count = operator.index(value)  # takes NumPy's integers too, and neither floats nor strings
    except TypeError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise ValueError(f"{keyword} must be an integer of 1 or more, got {value!r}")
    return count


def one_of(choices: Sequence[Any]) -> Callable[[str, Any], Any]:
    """Returns a check that a keyword's value is one of `choices`."""

    def check(keyword: str, value: Any) -> Any:
        if value not in choices or isinstance(value, bool | float):
            raise ValueError(f"{keyword} must be one of {', '.join(map(str, choices))}, got {value!r}")
        return value

    return check


def number(keyword: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Returns a finite number from `low` to `high`, both included, as a float."""
    if not _is_real(value) or not low <= value <= high:
        limits = f" from {low:g} to {high:g}" if high < math.inf else f" of at least {low:g}" if low > -math.inf else ""
        raise ValueError(f"{keyword} must be a number{limits}, got {value!r}")
    return float(value)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def probability(keyword: str, value: Any) -> float:
    """Returns a number from 0 to 1."""
    return number(keyword, value, 0, 1)


def rate(keyword: str, value: Any) -> float:
    """Returns a number above 0."""
    if number(keyword, value) <= 0:
        raise ValueError(f"{keyword} must be above 0, got {value!r}")
    return float(value)


def pair(what: str, check: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, Any]]:
    """Returns a check for one value that stands for both ends, or for two; `what` describes them."""

    def check_pair(keyword: str, value: Any) -> tuple[Any, Any]:
        ends = value if isinstance(value, tuple | list) else (value, value)
        if len(ends) != 2:
            raise ValueError(f"{keyword} must be {what}, got {value!r}")
        return check(keyword, ends[0]), check(keyword, ends[1])

    return check_pair


def range_of(what: str, check: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, Any]]:
    """Returns a check like `pair`, for two values in ascending order."""

    def check_range(keyword: str, value: Any) -> tuple[Any, Any]:
        low, high = pair(what, check)(keyword, value)
        if low > high:
            raise ValueError(f"{keyword} must be a range in ascending order, got {value!r}")
        return low, high

    return check_range


def span(keyword: str, value: Any, high: float = math.inf) -> tuple[float, float]:
    """Returns (least, most), two numbers above 0 and up to `high`."""
    ends = value if isinstance(value, tuple | list) else ()
    if len(ends) != 2 or not all(map(_is_real, ends)) or not 0 < ends[0] <= ends[1] <= high:
        limit = f" and at most {high:g}" if high < math.inf else ""
        raise ValueError(f"{keyword} must be (least, most), two numbers above 0{limit}, got {value!r}")
    return float(ends[0]), float(ends[1])


def share_span(keyword: str, value: Any) -> tuple[float, float]:
    """Returns (least, most), two shares above 0 and up to 1."""
    return span(keyword, value, 1)
