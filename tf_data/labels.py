"""Label spaces: one list of names for several data sets, found by name, and what a mirrored clip is labelled.

Kinetics renumbers and rewrites its classes from version to version, so only a name says which class is meant. Between
K400, K600 and K700 one name differs by its spelling alone, and is found: K600's `passing american football (not in
game)` has a capital in the others. What was renamed is another name, and no rule tells that it is the same class:
K400's `dying hair` is `dyeing hair` later, `making bed` is `making the bed`, `tying tie` is `tying necktie`, `garbage
collecting` is `person collecting garbage`; `hugging` became `hugging (not baby)` beside the new `hugging baby`. To
join those, give `load` a list in which the names are as they are in one of the data sets.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_data import contract
from tf_data.checks import nearest

UNION = "union"
NEVER_FLIP = -1
_LOOKALIKES = str.maketrans(dict.fromkeys("‘’‛ʼ´`", "'") | dict.fromkeys("“”„", '"') | dict.fromkeys("‐‑‒–—−", "-"))


def folded(name: str) -> str:
    """Returns what is left of a name when case, quotation marks, dashes, underscores and blanks make no difference."""
    plain = unicodedata.normalize("NFKC", name).translate(_LOOKALIKES)
    return re.sub(r"[\s_]+", " ", plain.casefold()).strip(' "')


def finder(names: Sequence[str]) -> Callable[[str], int | None]:
    """Returns a function from a name to its index: as it is written, else of the only one that is `folded` to the same.

    It returns None for a name that is not among `names`.
    """
    exact = {name: index for index, name in enumerate(names)}
    by_folded: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        by_folded.setdefault(folded(name), []).append(index)

    def find(name: str) -> int | None:
        alike = by_folded.get(folded(name), [])
        return exact.get(name, alike[0] if len(alike) == 1 else None)

    return find


def shared_names(
    spaces: Mapping[str, Sequence[str]], wanted: str | os.PathLike[str] | Sequence[str] | None
) -> tuple[str, ...]:
    """Returns the names of the label space that data sets are read in.

    Args:
      spaces: the label names in index order of each data set, by the title that errors give it.
      wanted: None for the data sets' own, which must be the same; 'union' for those of all data sets in code point
        order; a sequence of names; or the path of a file with one name a line.

    Raises:
      ValueError: the data sets' own differ, a data set has none, or the names that are wanted can't be read, are
        empty, or name a class twice.
    """
    if wanted is None:
        return _own_names(spaces)
    for title, names in spaces.items():
        if not names:
            raise ValueError(
                f"label_names={wanted!r}: {title} has no list of label names, by which its labels could be found; "
                f"put its {contract.LABELS_FILE} beside its shards, one name a line in index order"
            )
    if isinstance(wanted, str) and wanted == UNION:
        # Of two spellings of a name it is always the same one that stays, in whatever order the data sets come.
        checked = [_checked(names, f"label_names='union': {title}") for title, names in spaces.items()]
        spellings = sorted((name for names in checked for name in names), reverse=True)
        return tuple(sorted({folded(name): name for name in spellings}.values()))
    if isinstance(wanted, str | os.PathLike):
        path = os.fspath(wanted)
        return _checked(_read_names(path), f"label_names: {path}")
    return _checked(list(wanted), "label_names")


def label_map(own_names: Sequence[str], shared: Sequence[str]) -> np.ndarray:
    """Returns the label in a shared space of each label of a data set: int64 [len(own_names)], -1 where it has none."""
    find = finder(shared)
    found = (find(name) for name in own_names)
    return np.array([-1 if index is None else index for index in found], np.int64)


def flip_targets(names: Sequence[str], flip_labels: Mapping[str, str | None]) -> np.ndarray:
    """Returns the label that a clip of each class has when it is mirrored, for classes that tell left from right.

    Args:
      names: the label names in index order.
      flip_labels: the mirrored class of a class by name, or None for one whose clips must not be flipped. Mirroring
        twice changes nothing, so each pair counts both ways, however often it is given.

    Returns:
      int64 [len(names)]: the label after a flip, which is the same for every class not named, or -1 for never.

    Raises:
      ValueError: a name is not a class's, or a class would have two mirrored ones.
    """
    find = finder(names)
    targets: dict[int, int] = {}

    def index_of(name: object) -> int:
        index = find(name) if isinstance(name, str) else None
        if index is None:
            raise ValueError(f"flip_labels: {name!r} is none of the {len(names)} label names{nearest(name, names)}")
        return index

    def add(label: int, target: int) -> None:
        if targets.setdefault(label, target) != target:
            one, other = (None if at == NEVER_FLIP else names[at] for at in (targets[label], target))
            raise ValueError(
                f"flip_labels: {names[label]!r} would become both {one!r} and {other!r} when mirrored; a pair counts "
                "both ways, so give each class one partner, or None"
            )

    for name, mirrored in flip_labels.items():
        label = index_of(name)
        if mirrored is None:
            add(label, NEVER_FLIP)
        else:
            target = index_of(mirrored)
            add(label, target)
            add(target, label)
    result = np.arange(len(names), dtype=np.int64)
    result[list(targets)] = list(targets.values())
    return result


def _own_names(spaces: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    (first, names), *others = spaces.items()
    for title, own in others:
        if tuple(own) != tuple(names):
            apart = next(
                f"label {index} is {a!r} in the first, {b!r} in the other"
                for index, (a, b) in enumerate(zip([*names, None], [*own, None], strict=False))
                if a != b
            )
            raise ValueError(
                f"{first} and {title} have different labels: {len(names)} and {len(own)} names, and {apart}. To read "
                "them together, pass label_names='union', or a list or file of the names that are wanted"
            )
    return tuple(names)


def _read_names(path: str) -> list[str]:
    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read().removeprefix("\ufeff").splitlines()
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise ValueError(
            f"label_names: {path!r} can't be read ({error}); it must be None, 'union', a sequence of names, or the "
            "path of a text file with one name a line"
        ) from error


def _checked(names: Iterable[object], source: str) -> tuple[str, ...]:
    checked: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{source}: name {number} is {name!r}, expected the name of a class")
        if (other := checked.get(folded(name))) is not None:
            raise ValueError(f"{source}: name {number}, {name!r}, is {other!r} once more; take one of them out")
        checked[folded(name)] = name.strip()
    if not checked:
        raise ValueError(f"{source}: names no class, expected one or more")
    return tuple(checked.values())
