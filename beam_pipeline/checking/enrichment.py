"""Whether something happens to a group's members more often than to the others, beyond chance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Enriched:
    """A group to whose members something happens too often.

    Attributes:
      group: its name.
      count: members that it happened to.
      size: members.
      rate: `count / size`.
      elsewhere: the rate among all who are not members.
      p: the probability of `count` or more by chance, corrected for the number of groups.
    """

    group: Any
    count: int
    size: int
    rate: float
    elsewhere: float
    p: float


def enriched(
    groups: Sequence[Hashable] | np.ndarray, happened: np.ndarray, p: float = 0.001, ratio: float = 2.0
) -> list[Enriched]:
    """Finds the groups to whose members something happens more often than to the others.

    By Fisher's exact test, one-sided (the tail of the hypergeometric distribution), with Holm's correction for the
    number of groups (Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure"); since with many members
    any difference is beyond chance, it has to be a large one, too.

    Args:
      groups: of each member.
      happened: bool, of each member.
      p: corrected probability up to which a group is returned.
      ratio: of its rate to that of the others, from which on.

    Returns:
      Groups, the most unlikely first.
    """
    if not len(happened) or not happened.any() or happened.all():
        return []
    names, of_member = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(of_member, minlength=len(names))
    counts = np.bincount(of_member[happened], minlength=len(names))
    total, all_counts = len(happened), int(happened.sum())
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    tails = np.array(
        [_tail(log_factorials, total, all_counts, size, count) for size, count in zip(sizes, counts, strict=True)]
    )
    order = np.argsort(tails, kind="stable")
    corrected = np.maximum.accumulate(tails[order] * (len(names) - np.arange(len(names)))).clip(max=1)
    found = []
    for place, corrected_p in zip(order, corrected, strict=True):
        size, count = int(sizes[place]), int(counts[place])
        others = total - size
        elsewhere = (all_counts - count) / others if others else 0.0
        if corrected_p <= p and count / size >= ratio * elsewhere:
            found.append(Enriched(names[place].item(), count, size, count / size, elsewhere, float(corrected_p)))
    return found


def _tail(log_factorials: np.ndarray, total: int, all_counts: int, size: int, count: int) -> float:
    """Returns the probability that of `size` members drawn from `total` at least `count` are of `all_counts`."""
    if not count:
        return 1.0

    def log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
        return log_factorials[n] - log_factorials[k] - log_factorials[np.subtract(n, k)]

    counts = np.arange(count, min(size, all_counts) + 1)
    counts = counts[size - counts <= total - all_counts]
    logs = log_choose(all_counts, counts) + log_choose(total - all_counts, size - counts) - log_choose(total, size)
    return float(min(1.0, np.exp(logs).sum()))
