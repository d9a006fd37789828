"""Split expressions as in TensorFlow Datasets: `train`, `train[:10%]`, `train[100:200]`, `train[-5%:]+val`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tf_data import contract

_BOUND = r"-?\d[\d_]*%?"
_PART_RE = re.compile(rf"(?P<split>\w+)\s*(?:\[\s*(?P<start>{_BOUND})?\s*:\s*(?P<stop>{_BOUND})?\s*\])?")


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a slice: a record's number, or a percentage of the records; negative ones count from the end."""

    value: int
    percent: bool

    def __str__(self) -> str:
        return f"{self.value}{'%' if self.percent else ''}"


@dataclass(frozen=True, slots=True)
class SplitPart:
    """A split, or the slice of it from `start` to before `stop`."""

    split: str
    start: Bound | None = None
    stop: Bound | None = None

    def __str__(self) -> str:
        if not self.is_slice:
            return self.split
        ends = ["" if bound is None else str(bound) for bound in (self.start, self.stop)]
        return f"{self.split}[{':'.join(ends)}]"

    @property
    def is_slice(self) -> bool:
        """Whether it is less than the whole split."""
        return self.start is not None or self.stop is not None

    def rows(self, num_records: int) -> slice:
        """Returns which of a split's records are meant, in the order of its index.

        Percentages are rounded to the nearest record, as TensorFlow Datasets does by default, so that `train[:p%]` and
        `train[p%:]` share nothing and leave nothing out.

        Raises:
          ValueError: a number beyond the split's records, or a slice with nothing in it.
        """
        start = 0 if self.start is None else self._row(self.start, num_records)
        stop = num_records if self.stop is None else self._row(self.stop, num_records)
        if self.is_slice and start >= stop:
            raise ValueError(f"split {self}: there is nothing in it: {self.split} has {num_records} records")
        return slice(start, stop)

    def _row(self, bound: Bound, num_records: int) -> int:
        row = round(bound.value * num_records / 100) if bound.percent else bound.value
        row = row + num_records if bound.value < 0 else row
        if not 0 <= row <= num_records:
            raise ValueError(f"split {self}: {bound} is beyond the {num_records} records of {self.split}")
        return row


def parse_split(expression: str) -> tuple[SplitPart, ...]:
    """Reads a split expression; the names in it come back as `contract.canonical_split` spells them.

    Raises:
      ValueError: it is none; the message shows the part that isn't understood, and examples.
    """
    if not isinstance(expression, str):
        raise ValueError(f"split must be a string such as 'train' or 'train[:10%]', got {expression!r}")
    return tuple(_parse_part(part.strip(), expression) for part in expression.split("+"))


def _parse_part(part: str, expression: str) -> SplitPart:
    match = _PART_RE.fullmatch(part)
    if not match:
        raise ValueError(
            f"split {expression!r}: {part!r} is not understood; write a split's name, or a slice of it by record or "
            "percent: 'train', 'train[:10%]', 'train[100:200]', 'train[-5%:]', 'train+val'"
        )
    start, stop = (_parse_bound(match[end], expression) for end in ("start", "stop"))
    return SplitPart(contract.canonical_split(match["split"]), start, stop)


def _parse_bound(text: str | None, expression: str) -> Bound | None:
    if text is None:
        return None
    bound = Bound(int(text.rstrip("%")), text.endswith("%"))
    if bound.percent and abs(bound.value) > 100:
        raise ValueError(f"split {expression!r}: a percentage is -100 to 100, got {text}")
    return bound
