"""A row of an annotation list: what it asks for, where it stands, and what is wrong with it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from beam_pipeline.annotations.names import is_name
from beam_pipeline.clips import VIDEO_ID_RE, Clip
from tf_data import contract

MAX_TIME_S = 999_999  # what the six digits of a clip's file name hold; the longest real start is 14,846 s
_MAX_LABEL_CHARS = 512
_MAX_SHOWN_CHARS = 60
_MAX_ID_CHARS = 128  # as VIDEO_ID_RE: what a ledger keeps of text that should have been an id

_TIME_RE = re.compile(r"[+-]?(\d{1,64}\.?\d{0,64}|\.\d{1,64})([eE][+-]?\d{1,3})?", re.ASCII)
_ESCAPED_BYTE_RE = re.compile(r"\\udc([89a-f][0-9a-f])")  # how surrogateescape's characters are written out
_SPLIT_NAMES = {"training": "train", "testing": "test"}  # ActivityNet's subsets


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an annotation list, good or bad: [start_us, end_us) microseconds of a video.

    `label` and `split` are empty where the list has none; `split` is canonical (`contract.canonical_split`). `source`
    is the list's base name and `line` its 1-based line, or in JSON, where `unit` is `annotation`, the 1-based number of
    the annotation; `order` is the list's position among those of its split. `error` says what is wrong, naming file,
    line and value, and is empty for a good row. A bad row holds what could be read, its `video_id` the raw text, cut to
    128 characters.
    """

    video_id: str
    start_us: int
    end_us: int
    label: str
    split: str
    source: str
    line: int
    error: str = ""
    order: int = 0
    unit: str = "line"

    @property
    def where(self) -> str:
        """The row's place for people, as errors begin: `train.csv line 17`."""
        return f"{self.source} {self.unit} {self.line}"

    @property
    def clip(self) -> Clip:
        """The clip that the row asks for."""
        return Clip(self.video_id, self.start_us, self.end_us, self.label)

    @property
    def key(self) -> str:
        """What the ledger calls the row: the clip's id, or `{source}:{line}` for a bad row."""
        return f"{self.source}:{self.line}" if self.error else self.clip.clip_id


@dataclass(frozen=True, slots=True)
class Origin:
    """A list and what it calls its fields: makes rows of their texts, and says what is wrong in the list's own words.

    `unit` is what the list is counted in (`line` or `annotation`).
    """

    source: str
    order: int = 0
    unit: str = "line"
    id_name: str = "youtube_id"
    start_name: str = "time_start"
    end_name: str = "time_end"
    label_name: str = "label"

    def row(self, line: int, video_id: str, start: str, end: str, label: str, split: str) -> Row:
        """Returns the row of five texts, checked; times are in seconds. Blanks around a text are no part of it."""
        video_id = video_id.strip()
        label = label.strip()
        split = split_name(split)
        try:
            start_us = time_us(start)
            end_us = time_us(end)
        except ValueError:
            return self.bad(line, self._time_error(start, end), video_id, label, split)
        if end_us <= start_us:
            error = f"{self.end_name} {quoted(end)} is not after {self.start_name} {quoted(start)}"
        elif not VIDEO_ID_RE.fullmatch(video_id):
            error = (
                f"{self.id_name} {quoted(video_id)} is not a video id, which is 1–128 characters of letters, digits, "
                "'.', '_' and '-'"
            )
        elif not is_name(label):
            error = f"{self.label_name} {quoted(label)} holds a control character or bytes that are not UTF-8"
        elif len(label) > _MAX_LABEL_CHARS:
            error = (
                f"{self.label_name} {quoted(label)} has {len(label)} characters, at most {_MAX_LABEL_CHARS} are taken"
            )
        else:
            return Row(video_id, start_us, end_us, label, split, self.source, line, "", self.order, self.unit)
        return self.bad(line, error, video_id, label, split, start_us, end_us)

    def bad(
        self,
        line: int,
        error: str,
        video_id: str = "",
        label: str = "",
        split: str = "",
        start_us: int = 0,
        end_us: int = 0,
    ) -> Row:
        """Returns a bad row; `error` is what is wrong, to which this adds where."""
        return Row(
            printable(video_id.strip())[:_MAX_ID_CHARS],
            start_us,
            end_us,
            printable(label)[:_MAX_LABEL_CHARS],
            split,
            self.source,
            line,
            f"{self.source} {self.unit} {line}: {error}",
            self.order,
            self.unit,
        )

    def _time_error(self, start: str, end: str) -> str:
        for name, text in ((self.start_name, start), (self.end_name, end)):
            try:
                time_us(text)
            except ValueError as error:
                return f"{name} {quoted(text.strip())} {error}"
        raise AssertionError(f"both {start!r} and {end!r} are times")


@functools.lru_cache(maxsize=1 << 16)  # the rows of a list repeat a few thousand times of day
def time_us(text: str) -> int:
    """Returns the microseconds of a decimal number of seconds, exactly (rounded half to even below a microsecond).

    Raises:
      ValueError: what is wrong, to be read after the text itself, as in "'abc' is not a number of seconds".
    """
    text = text.strip()
    if len(text) <= 6 and text.isdigit() and text.isascii():
        return int(text) * 1_000_000
    if not _TIME_RE.fullmatch(text):
        raise ValueError("is not a number of seconds")
    seconds = Decimal(text)
    if seconds < 0:
        raise ValueError("is negative")
    if seconds > MAX_TIME_S:
        raise ValueError(f"is beyond {MAX_TIME_S} seconds, the largest time taken")
    return int(seconds.scaleb(6).to_integral_value(ROUND_HALF_EVEN))


@functools.lru_cache(maxsize=256)
def split_name(text: str) -> str:
    """Returns the canonical name of a split or an ActivityNet subset: `training` is `train`, `validation` is `val`."""
    split = contract.canonical_split(printable(text))
    return _SPLIT_NAMES.get(split, split)


def printable(text: str) -> str:
    r"""Returns text that any file can hold: bytes that were not UTF-8 become escapes (`\xe9`)."""
    if text.isascii():
        return text
    return _ESCAPED_BYTE_RE.sub(r"\\x\1", text.encode("utf-8", "backslashreplace").decode())


def quoted(text: str) -> str:
    """Returns text as an error shows it: in quotes, on one line, cut to 60 characters."""
    shown = text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"
    return _ESCAPED_BYTE_RE.sub(r"\\x\1", repr(shown))


def merge(rows: Iterable[Row]) -> list[Row]:
    """Settles the rows of one or more videos; all rows of a clip have to be there.

    Exact duplicates, the same clip and label again, are merged into the first: the lowest `order`, then `line`. A
    second label for the same clip becomes a bad row.

    Returns:
      The rows sorted by `key`.
    """
    first: dict[str, Row] = {}
    seen: set[tuple[str, str]] = set()
    settled: list[tuple[str, Row]] = []
    for row in sorted(rows, key=_place):
        key = row.key
        if not row.error:
            if (key, row.label) in seen:
                continue
            seen.add((key, row.label))
            if (earlier := first.setdefault(key, row)) is not row:
                row = _second_label(row, earlier)
                key = row.key
        settled.append((key, row))
    settled.sort(key=lambda pair: (pair[0], _place(pair[1])))
    return [row for _, row in settled]


def _place(row: Row) -> tuple[int, int]:
    return row.order, row.line


def _second_label(row: Row, earlier: Row) -> Row:
    error = (
        f"{row.where}: label {quoted(row.label)} for {row.key}, which has {quoted(earlier.label)} in {earlier.where}"
    )
    return replace(row, error=error)
