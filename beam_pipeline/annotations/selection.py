"""Which rows of a split are asked for, how labels are numbered, and a first look at lists before anything runs."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from beam_pipeline.annotations.names import did_you_mean
from beam_pipeline.annotations.reading import read_rows
from beam_pipeline.annotations.rows import Row, quoted
from tf_data import contract

_MAX_SUGGESTIONS = 1000  # unknown labels of one list for which the nearest names are looked up: 3 ms each


@dataclass(frozen=True)
class Selection:
    """What is asked for of a split's lists, and what its labels' indices are.

    `split` is canonical. `labels` is the whole label space in index order, `classes` the names kept of it (None: all);
    with `relabel` the kept names are numbered from 0, without it they keep their indices. Rows whose
    `contract.clip_key(row.key)` is above `limit_key` are not asked for (None: no limit).
    """

    split: str
    labels: tuple[str, ...]
    classes: frozenset[str] | None = None
    relabel: bool = False
    limit_key: int | None = None

    @property
    def label_list(self) -> tuple[str, ...]:
        """The names in the order of the indices that records carry."""
        if self.relabel and self.classes is not None:
            return tuple(name for name in self.labels if name in self.classes)
        return self.labels

    def label_index(self, name: str) -> int:
        """Returns a label's index in `label_list`; `contract.UNLABELLED` for '' and for what is not in the list."""
        return self._indices.get(name, contract.UNLABELLED)

    @functools.cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.label_list)}

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_indices"}


def selected_rows(path: str, selection: Selection, order: int = 0) -> Iterator[Row]:
    """Yields the rows of a list that are asked for, good and bad; a label outside the label space makes a bad row.

    Left out are rows of another split, of a class that is not kept (a bad row whose label could not be read stays),
    and beyond the limit.

    Raises:
      AnnotationError: the file can't be read, or is no annotation list.
    """
    known_label = _label_check(frozenset(selection.labels), selection.labels)
    for row in read_rows(path, order):
        if row.split and row.split != selection.split:
            continue
        row = known_label(row)
        if _of_another_class(row, selection.classes):
            continue
        if selection.limit_key is not None and contract.clip_key(row.key) > selection.limit_key:
            continue
        yield row


@dataclass(frozen=True)
class Scan:
    """What a split's lists hold: `rows` = `asked` + `duplicates` + `other_split` + `other_class` + `beyond_limit`.

    `asked` is what the ledger will hold, one a clip and one a bad row; `bad` of these are bad rows, second labels for
    the same clip among them. `label_names` are the names that occur in good rows of the split, of any class, in code
    point order. `limit_key` is what `Selection` takes; None, and `limited` False, where the limit leaves nothing out.
    """

    rows: int
    asked: int
    bad: int
    duplicates: int
    other_split: int
    other_class: int
    beyond_limit: int
    label_names: tuple[str, ...]
    limit_key: int | None
    limited: bool


def scan(
    paths: Sequence[str],
    split: str,
    labels: tuple[str, ...] | None,
    classes: frozenset[str] | None,
    limit: int | None,
) -> Scan:
    """Counts the rows of a split's lists and finds its labels and its limit, in about 20 bytes of memory a row.

    Args:
      paths: the lists of one split.
      split: its canonical name.
      labels: the label space; None: every name that occurs.
      classes: the names kept; None: all.
      limit: at most so many clips are asked for, those with the smallest `contract.clip_key`; None: all.

    Raises:
      AnnotationError: a file can't be read, or is no annotation list.
      ValueError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a limit must be at least 1 clip, got {limit}")
    known_label = _label_check(None if labels is None else frozenset(labels), labels or ())
    clip_keys, pair_keys, bad_keys = array("q"), array("q"), array("q")
    names: set[str] = set()
    rows = other_split = other_class = 0
    for order, path in enumerate(paths):
        for row in read_rows(path, order):
            rows += 1
            if row.split and row.split != split:
                other_split += 1
                continue
            row = known_label(row)
            if not row.error:
                names.add(row.label)
            if _of_another_class(row, classes):
                other_class += 1
                continue
            key = row.key
            if row.error:
                bad_keys.append(contract.clip_key(key))
            else:
                clip_keys.append(contract.clip_key(key))
                pair_keys.append(hash((key, row.label)))
    clips, pairs, broken = (np.frombuffer(keys, np.int64) for keys in (clip_keys, pair_keys, bad_keys))
    distinct = np.unique(np.concatenate([clips, broken]))
    duplicates = len(clips) - len(np.unique(pairs))
    limited = limit is not None and len(distinct) > limit
    limit_key = int(distinct[limit - 1]) if limit is not None and limited else None
    if limit_key is not None:
        within = clips <= limit_key
        clips, pairs, broken = clips[within], pairs[within], broken[broken <= limit_key]
    good, different = len(np.unique(clips)), len(np.unique(pairs))
    asked = different + len(broken)
    return Scan(
        rows=rows,
        asked=asked,
        bad=len(broken) + different - good,
        duplicates=duplicates,
        other_split=other_split,
        other_class=other_class,
        beyond_limit=rows - other_split - other_class - duplicates - asked,
        label_names=tuple(sorted(names - {""})),
        limit_key=limit_key,
        limited=limited,
    )


def _of_another_class(row: Row, classes: frozenset[str] | None) -> bool:
    if classes is None or row.label in classes:
        return False
    return not row.error or bool(row.label)


def _label_check(known: frozenset[str] | None, labels: Sequence[str]) -> Callable[[Row], Row]:
    """Returns a function that makes a row bad whose label is not in `known`; None knows every label."""
    suggestions: dict[str, str] = {}

    def check(row: Row) -> Row:
        if known is None or row.label in known or not row.label or row.error:
            return row
        suggestion = suggestions.get(row.label)
        if suggestion is None:
            suggestion = did_you_mean(row.label, labels) if len(suggestions) < _MAX_SUGGESTIONS else ""
            suggestions[row.label] = suggestion
        return replace(row, error=f"{row.where}: label {quoted(row.label)} is not in the label list{suggestion}")

    return check
