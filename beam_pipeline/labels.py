"""Label lists: the names of classes in index order, one a line, and the subset that a run keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from beam_pipeline.annotations.names import did_you_mean, is_name
from beam_pipeline.annotations.opening import BOM, AnnotationError, numbered_lines, opened
from beam_pipeline.shipped import shipped

# Data sets that share the label list of another one.
_SAME_LABELS = {"k700_2020": "k700"}


def shipped_labels(name: str) -> tuple[str, ...] | None:
    """Returns the label list that comes with this project for a data set (k400, k600, k700, k700_2020), else None.

    An index then means the same whatever part of the annotations is at hand: the order is that of the maps published
    with I3D (K400, K600) and mmaction2 (K700), which is the code point order of the original names.
    """
    if not re.fullmatch(r"\w+", name, re.ASCII):
        return None
    file = shipped("labels", f"{_SAME_LABELS.get(name, name)}.txt")
    if not file.is_file():
        return None
    return tuple(file.read_text(encoding="utf-8").splitlines())


def read_label_list(path: str) -> tuple[str, ...]:
    """Returns the names in a file, one a line, in its order; blanks around a name are no part of it.

    Args:
      path: a file on any Beam file system, UTF-8, with line ends of either kind.

    Raises:
      ValueError: the file can't be read, or is empty, or a line is empty, not UTF-8, or repeats an earlier one.
    """
    try:
        with opened(path) as stream:
            lines = [line.removeprefix(BOM).strip() for _, line in numbered_lines(stream, path)]
    except AnnotationError as error:
        raise ValueError(str(error)) from error
    return _checked_names(lines, path, "line")


def written_labels(content: bytes) -> tuple[str, ...]:
    """Returns the names in a data set's own list, as readers take them: what a line feed ends is a name.

    No other character ends one, nor is any left out: that is how a run writes it, whatever a name has in it.
    """
    names = content.decode(errors="replace").split("\n")
    return tuple(names if names[-1] else names[:-1])


def read_class_list(value: str | Sequence[object]) -> tuple[str, ...]:
    """Returns the names of `classes`: a list of names, or the path of a file with one name a line.

    Raises:
      ValueError: as `read_label_list`; or an item of the list is not a string, is empty, or repeats an earlier one.
    """
    if isinstance(value, str):
        return read_label_list(value)
    names = []
    for position, name in enumerate(value, start=1):
        if not isinstance(name, str):
            raise ValueError(f"classes item {position} is {name!r}, expected a class name: put it in quotes")
        names.append(name.strip())
    return _checked_names(names, "classes", "item")


def check_classes(classes: Iterable[str], labels: Sequence[str]) -> None:
    """Checks that every class is in the label list.

    Raises:
      ValueError: names each class that is not, and the names nearest to it.
    """
    known = set(labels)
    if unknown := [name for name in classes if name not in known]:
        raise ValueError(f"not in the list of {len(known)} labels: {with_nearest(unknown, labels)}")


def with_nearest(unknown: Iterable[str], names: Sequence[str]) -> str:
    """Returns names that are not among `names` for an error, each with the nearest ones."""
    return "; ".join(f"{name!r}{did_you_mean(name, names)}" for name in unknown)


def _checked_names(names: Sequence[str], source: str, unit: str) -> tuple[str, ...]:
    first: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        place = f"{source} {unit} {position}"
        if not name:
            raise ValueError(f"{place} is empty: expected one class name a {unit}, and nothing after the last")
        if not is_name(name):
            raise ValueError(f"{place} holds a control character or bytes that are not UTF-8: {name!r}")
        if name in first:
            raise ValueError(f"{place} repeats {name!r} of {unit} {first[name]}: each name has one index, remove one")
        first[name] = position
    if not first:
        raise ValueError(f"{source} names no classes: expected one name a {unit}")
    return tuple(names)
