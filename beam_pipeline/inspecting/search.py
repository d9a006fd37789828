"""Which clips a reader asks for, and in which order; and a clip's row as the page takes it.

A page that is served asks here. A page from a disk searches by the same rules itself (`assets/stored.js`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipeline.inspecting.links import source_link
from beam_pipeline.inspecting.rows import FLAGS, STATUSES, Rows
from beam_pipeline.web import without_secrets

_DIGITS = {"duration_s": 2, "bytes": 0, "frames": 0, "width": 0, "height": 0, "brightness": 1, "motion": 2}
_OF_FAILED = ("detail", "transient", "attempts", "attempted_at", "source_uri")
_OF_LINK = ("video_id", "start_s")
_MOST_CHARACTERS = 200
MOST_ROWS = 100  # of a page


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: clips that all of this is true of.

    Attributes:
      text: a part of the id or of the label, in whatever case.
      label: index of the class in `Rows.labels`; None: any.
      status: index into `STATUSES`; None: any.
      reason: of the failure; empty: any or none.
      flag: one of `FLAGS`; empty: any.
      sort: a column: `id`, `label`, `status` (then by reason) or one of `Rows.numbers`; empty: in the ledger's order.
      descending: whether the largest comes first. Clips without a value are the last in either order.
    """

    text: str = ""
    label: int | None = None
    status: int | None = None
    reason: str = ""
    flag: str = ""
    sort: str = ""
    descending: bool = False


def parse_query(parameters: Mapping[str, str]) -> Query:
    """Returns the query of a request's parameters; raises `ValueError`, naming the first that can't be."""

    def index(name: str) -> int | None:
        value = parameters.get(name, "")
        if value and not (value.isascii() and value.isdecimal() and len(value) < 8):
            raise ValueError(f"{name} must be a number, got {value[:50]!r}")
        return int(value) if value else None

    def one_of(name: str, values: Sequence[str]) -> str:
        value = parameters.get(name, "")
        if value not in ("", *values):
            raise ValueError(f"{name} must be one of {', '.join(values)}, got {value[:50]!r}")
        return value

    status = one_of("status", STATUSES)
    return Query(
        text=parameters.get("text", "").strip()[:_MOST_CHARACTERS],
        label=index("label"),
        status=STATUSES.index(status) if status else None,
        reason=parameters.get("reason", ""),
        flag=one_of("flag", FLAGS),
        sort=one_of("sort", ("id", "label", "status", *_DIGITS)),
        descending=one_of("order", ("asc", "desc")) == "desc",
    )


def find_rows(rows: Rows, query: Query) -> np.ndarray:
    """Returns the numbers of the rows that are searched for, int64, in order."""
    wanted = np.ones(len(rows), bool)
    if query.text:
        text = query.text.lower()
        labels = [place for place, label in enumerate(rows.labels) if text in label.lower()]
        wanted &= pc.match_substring(rows.ids, text, ignore_case=True).to_numpy(zero_copy_only=False) | np.isin(
            rows.label, labels
        )
    if query.label is not None:
        wanted &= rows.label == query.label
    if query.status is not None:
        wanted &= rows.status == query.status
    if query.reason:
        wanted &= rows.reason == (rows.reasons.index(query.reason) if query.reason in rows.reasons else -2)
    if query.flag:
        wanted &= (rows.flags >> FLAGS.index(query.flag) & 1).astype(bool)
    found = np.flatnonzero(wanted)
    return found[_order(rows, found, query)] if query.sort else found


def _order(rows: Rows, found: np.ndarray, query: Query) -> np.ndarray:
    if query.sort == "id":
        way = "descending" if query.descending else "ascending"
        return pc.array_sort_indices(rows.ids.take(pa.array(found)), order=way).to_numpy()
    if query.sort == "label":
        keys = np.argsort(np.argsort(np.array(rows.labels)))[rows.label[found]].astype(np.float64)
    elif query.sort == "status":
        keys = rows.status[found] * float(len(rows.reasons) + 1) + rows.reason[found]
    else:
        values = rows.numbers.get(query.sort)
        keys = values[found] if values is not None else np.full(len(found), np.nan)
    return np.argsort(-keys if query.descending else keys, kind="stable")


def clip_rows(rows: Rows, numbers: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
    """Returns some rows as the page takes them, as values that JSON knows."""
    columns = clip_columns(rows, np.asarray(numbers, np.int64))
    failed = columns.pop("failed")
    return [
        {"row": int(number), **{name: values[place] for name, values in columns.items()}, **failed.get(place, {})}
        for place, number in enumerate(numbers)
    ]


def clip_columns(rows: Rows, numbers: np.ndarray) -> dict[str, Any]:
    """Returns some rows as columns, and `failed`: what there is to tell of clips without a record, by place."""
    ids = rows.ids.take(pa.array(numbers)).to_pylist()
    columns: dict[str, Any] = {"id": ids}
    columns |= {name: getattr(rows, name)[numbers].tolist() for name in ("label", "status", "reason", "flags")}
    for name, digits in _DIGITS.items():
        if name in rows.numbers:
            columns[name] = _numbers(rows.numbers[name][numbers], digits)
    without = np.flatnonzero(rows.status[numbers] != 0)
    told = rows.split.clips.select(_OF_FAILED + _OF_LINK).take(pa.array(numbers[without])).to_pylist()
    columns["failed"] = {int(place): _told(row, rows.on_youtube) for place, row in zip(without, told, strict=True)}
    return columns


def _told(row: dict[str, Any], on_youtube: bool) -> dict[str, Any]:
    told = {name: row[name] for name in _OF_FAILED} | {"link": source_link(row, on_youtube)}
    return told | {"source_uri": without_secrets(row["source_uri"])}


def _numbers(values: np.ndarray, digits: int) -> list[float | int | None]:
    rounded = np.round(values, digits).tolist()
    return [None if value != value else value if digits else int(value) for value in rounded]
