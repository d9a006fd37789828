"""Two copies of a data set, compared clip by clip and by what they were made with."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipeline import files
from beam_pipeline.checking.lines import text_of
from beam_pipeline.checking.record_marks import Marks, differing_bits, read_marks
from beam_pipeline.data_set import Split, open_data_set
from beam_pipeline.json_files import read_object
from beam_pipeline.labels import written_labels
from beam_pipeline.summary import plural
from tf_data import contract

SAME_PICTURE_BITS = 10
"""Up to so many of the 64 bits of their hashes, two pictures are taken for the same (docs/comparing.md)."""

KINDS = ("only_a", "only_b", "split", "label", "length", "size", "picture", "bytes")
"""How a clip may differ; `bytes`: in nothing else, and yet its record is another."""

_TITLES = ("only in A", "only in B", "other split", "other label", "other length", "other size", "other picture")
_SHOWN = 20  # classes
_COLUMNS = ("split", "label", "num_frames", "width", "height", "reason")
_NO_CLIP = -1


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that two data sets were made with, and where they differ; None where one says nothing of it."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Diff:
    """What two data sets, A and B, differ in.

    Attributes:
      a: the folder of A.
      b: the folder of B.
      records: of A, and of B.
      failed: clips that are only in B and failed in A, and the other way about.
      identical: clips of which both have the same record, byte for byte; None where records were not read.
      counts: clips by how they differ, a key of `KINDS`; one clip may differ in several ways.
      classes: the same by class, in which A has the clip, or else B.
      settings: what they were made with.
      label_lists: what of their label lists is not the same, for people; '' for nothing.
      tools: versions of libraries, which need not show.
      clips: a row for each clip that differs: `clip_id`, `differences` joined by `;`, the columns of both, and
        `picture_bits`, in which the hashes of their middle frames differ, -1 where that is not known.
    """

    a: str
    b: str
    records: tuple[int, int]
    failed: tuple[int, int]
    identical: int | None
    counts: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    settings: tuple[Setting, ...]
    label_lists: str
    tools: tuple[Setting, ...]
    clips: pa.Table

    @property
    def same(self) -> bool:
        """Whether there is no difference but in versions of tools."""
        return not (self.counts or self.settings or self.label_lists)

    def as_json(self) -> str:
        """Returns all but the single clips as one JSON object on one line."""
        values = {
            name: getattr(self, name) for name in ("a", "b", "records", "failed", "identical", "counts", "classes")
        }
        for name in ("settings", "tools"):
            values[name] = [dataclasses.asdict(setting) for setting in getattr(self, name)]
        return json.dumps(values | {"label_lists": self.label_lists, "same": self.same}, ensure_ascii=False)

    def write_csv(self, file: TextIO) -> None:
        """Writes a row for each clip that differs."""
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.clips.column_names)
        for batch in self.clips.to_batches(10_000):
            writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))

    def as_text(self) -> str:
        """Returns it for people."""
        lines = [
            f"A: {self.a}, {plural(self.records[0], 'record')}",
            f"B: {self.b}, {plural(self.records[1], 'record')}",
        ]
        if self.identical is not None:
            lines.append(f"{self.identical:>9,} the same, byte for byte")
        for kind, title in zip(KINDS, (*_TITLES, "other bytes"), strict=True):
            if count := self.counts.get(kind):
                lines.append(f"{count:>9,} {title}{self._more_of(kind)}")
        if self.settings or self.label_lists:
            lines += ["", "Made with other settings"]
            for setting in self.settings:
                lines.append(f"  {setting.key}: {_value_text(setting.a)} in A, {_value_text(setting.b)} in B")
            lines += [f"  labels: {self.label_lists}"] if self.label_lists else []
        if self.tools:
            tools = ", ".join(f"{setting.key} {setting.a} and {setting.b}" for setting in self.tools)
            lines += ["", f"Versions: {tools}"]
        if self.classes:
            lines += ["", *self._class_lines()]
        return text_of(lines)

    def _more_of(self, kind: str) -> str:
        if kind == "bytes":
            return ": in flow, sound, compression or label index, and nothing of the above"
        failed = {"only_a": self.failed[1], "only_b": self.failed[0]}.get(kind)
        return f", {failed:,} of which failed in {'B' if kind == 'only_a' else 'A'}" if failed else ""

    def _class_lines(self) -> list[str]:
        kinds = [kind for kind in KINDS if kind in self.counts]
        titles = [dict(zip(KINDS, (*_TITLES, "other bytes"), strict=True))[kind] for kind in kinds]
        lines = ["".join(f"{title:>15}" for title in titles) + "  class"]
        ordered = sorted(self.classes.items(), key=lambda item: (-sum(item[1].values()), item[0]))
        for label, counts in ordered[:_SHOWN]:
            lines.append("".join(f"{counts.get(kind, 0):>15,}" for kind in kinds) + f"  {label or '(no label)'}")
        if len(ordered) > _SHOWN:
            lines.append(f"and {len(ordered) - _SHOWN:,} classes more; --json has all, --csv each clip")
        return lines


def _value_text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def diff(folder_a: str, folder_b: str, splits: Sequence[str] = (), read_records: bool = True) -> Diff:
    """Compares two data sets.

    Args:
      folder_a: of a version of a data set, or above it.
      folder_b: likewise.
      splits: only these; none: all of each.
      read_records: whether to look into records, of which each costs some kilobytes; else pictures and bytes are not
        compared.

    Raises:
      DataSetError: one is none, or its ledger is damaged.
      CorruptRecordError, OSError: a shard can't be read.
    """
    a, b = open_data_set(folder_a, splits), open_data_set(folder_b, splits)
    clips_a, clips_b = (_joined(of) for of in (a, b))
    rows_a, rows_b = _pairs(clips_a, clips_b)
    found = {kind: np.zeros(len(rows_a), bool) for kind in KINDS}
    columns = {}
    for name in _COLUMNS:
        columns[f"{name}_a"], columns[f"{name}_b"] = _taken(clips_a[name], rows_a), _taken(clips_b[name], rows_b)
    made_a, made_b = _has_record(clips_a, rows_a), _has_record(clips_b, rows_b)
    # A clip that failed is not there, whatever is known of it.
    found["only_a"], found["only_b"] = made_a & ~made_b, made_b & ~made_a
    both = made_a & made_b
    for kind, names in (
        ("split", ("split",)),
        ("label", ("label",)),
        ("length", ("num_frames",)),
        ("size", ("width", "height")),
    ):
        for name in names:
            unequal = pc.not_equal(columns[f"{name}_a"], columns[f"{name}_b"]).fill_null(False)
            found[kind] |= both & unequal.to_numpy(zero_copy_only=False)
    bits = np.full(len(rows_a), -1, np.int64)
    identical = None
    if read_records:
        identical = np.zeros(len(rows_a), bool)
        marks_a, marks_b = _marks(a, rows_a[both]), _marks(b, rows_b[both])
        of_a, of_b = rows_a[both], rows_b[both]
        bits[both] = differing_bits(marks_a.hashes[of_a], marks_b.hashes[of_b])
        found["picture"] = bits > SAME_PICTURE_BITS
        equal = marks_a.checksums[of_a] == marks_b.checksums[of_b]
        equal &= clips_a["bytes"].to_numpy()[of_a] == clips_b["bytes"].to_numpy()[of_b]
        identical[both] = equal
        others = np.logical_or.reduce([found[kind] for kind in KINDS[:-1]])
        found["bytes"] = both & ~identical & ~others
    return _summarised(a, b, clips_a, clips_b, rows_a, rows_b, found, columns, bits, identical)


def _summarised(
    a: Sequence[Split],
    b: Sequence[Split],
    clips_a: pa.Table,
    clips_b: pa.Table,
    rows_a: np.ndarray,
    rows_b: np.ndarray,
    found: Mapping[str, np.ndarray],
    columns: Mapping[str, pa.Array],
    bits: np.ndarray,
    identical: np.ndarray | None,
) -> Diff:
    differs = np.flatnonzero(np.logical_or.reduce(list(found.values())))
    labels = pc.coalesce(columns["label_a"], columns["label_b"]).take(differs).to_pylist()
    classes: dict[str, Counter[str]] = {}
    words: list[list[str]] = [[] for _ in differs]
    for kind in KINDS:
        for place in np.flatnonzero(found[kind][differs]).tolist():
            words[place].append(kind)
            classes.setdefault(labels[place], Counter())[kind] += 1
    ids = pc.coalesce(_taken(clips_a["clip_id"], rows_a), _taken(clips_b["clip_id"], rows_b))
    clips = pa.table({"clip_id": ids, **columns, "picture_bits": bits}).take(differs)
    clips = clips.add_column(1, "differences", pa.array([";".join(each) for each in words], pa.string()))
    settings, tools = _settings(a[0], b[0])
    return Diff(
        a=a[0].directory,
        b=b[0].directory,
        records=(_num_records(clips_a), _num_records(clips_b)),
        failed=(
            _num_failed(found["only_b"], columns["reason_a"]),
            _num_failed(found["only_a"], columns["reason_b"]),
        ),
        identical=None if identical is None else int(identical.sum()),
        counts={kind: int(found[kind].sum()) for kind in KINDS if found[kind].any()},
        classes=classes,
        settings=settings,
        label_lists=_label_lists(a[0].directory, b[0].directory),
        tools=tools,
        clips=clips,
    )


def _joined(splits: Sequence[Split]) -> pa.Table:
    return pa.concat_tables([split.clips for split in splits]).combine_chunks()


def _num_records(clips: pa.Table) -> int:
    return int(np.count_nonzero(clips["offset"].to_numpy() >= 0))


def _num_failed(only_elsewhere: np.ndarray, reasons: pa.Array) -> int:
    has_failed = pc.not_equal(reasons, "").fill_null(False).to_numpy(zero_copy_only=False)
    return int(np.count_nonzero(only_elsewhere & has_failed))


def _pairs(a: pa.Table, b: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows of A and of B that are the same clip, -1 where one has none: by split and id, then by id alone."""
    keys_a, keys_b = (
        pc.binary_join_element_wise(of["split"].combine_chunks(), of["clip_id"].combine_chunks(), "\t") for of in (a, b)
    )
    rows_b = pc.index_in(keys_a, value_set=keys_b).fill_null(_NO_CLIP).to_numpy().astype(np.int64)
    left = np.setdiff1d(np.arange(len(b)), rows_b)
    alone = np.flatnonzero(rows_b == _NO_CLIP)
    ids_a, ids_b = a["clip_id"].combine_chunks().take(alone), b["clip_id"].combine_chunks().take(left)
    moved = pc.index_in(ids_a, value_set=ids_b).fill_null(_NO_CLIP).to_numpy()
    _, first = np.unique(moved, return_index=True)
    first = first[moved[first] != _NO_CLIP]
    rows_b[alone[first]] = left[moved[first]]
    left = np.setdiff1d(left, rows_b)
    return np.r_[np.arange(len(a)), np.full(len(left), _NO_CLIP)], np.r_[rows_b, left]


def _taken(column: pa.ChunkedArray, rows: np.ndarray) -> pa.Array:
    """Returns a column's values of rows, null where there is none."""
    return column.combine_chunks().take(pa.array(rows, mask=rows == _NO_CLIP))


def _has_record(clips: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Returns of which rows there is a record, bool."""
    return (rows != _NO_CLIP) & (clips["offset"].to_numpy()[rows] >= 0) if len(clips) else np.zeros(len(rows), bool)


def _marks(splits: Sequence[Split], rows: np.ndarray) -> Marks:
    wanted = np.zeros(sum(len(split.clips) for split in splits), bool)
    wanted[rows] = True
    parts, begin = [], 0
    for split in splits:
        parts.append(read_marks(split, wanted[begin : begin + len(split.clips)]))
        begin += len(split.clips)
    return Marks(np.concatenate([part.checksums for part in parts]), np.concatenate([part.hashes for part in parts]))


def _settings(a: Split, b: Split) -> tuple[tuple[Setting, ...], tuple[Setting, ...]]:
    """Returns what decides records and differs, and what of tools."""
    of_a, of_b = (read_object(files.join(of.directory, contract.info_file(of.split))) or {} for of in (a, b))
    found: list[Setting] = []
    for section, get in _DECISIVE.items():
        value_a, value_b = get(of_a), get(of_b)
        if value_a is None or value_b is None:
            found += _unequal({section: value_a}, {section: value_b})
        else:
            found += _unequal(dict(_flattened({section: value_a})), dict(_flattened({section: value_b})))
    return tuple(found), _unequal(of_a.get("tools", {}), of_b.get("tools", {}))


_DECISIVE: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "source.trimmed": lambda info: info.get("configuration", {}).get("source", {}).get("trimmed"),
    "encode": lambda info: info.get("configuration", {}).get("encode"),
    "flow": lambda info: info.get("flow"),
    "audio": lambda info: info.get("audio"),
}


def _flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        pairs += _flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Setting, ...]:
    keys = dict.fromkeys([*a, *b])
    return tuple(Setting(key, a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key))


def _label_lists(a: str, b: str) -> str:
    lists = []
    for directory in (a, b):
        content = files.read_whole(files.join(directory, contract.LABELS_FILE)) or b""
        lists.append(written_labels(content))
    if lists[0] == lists[1]:
        return ""
    only = [sorted(set(one) - set(other)) for one, other in (lists, lists[::-1])]
    if not any(only):
        pairs = enumerate(itertools.zip_longest(*lists, fillvalue="nothing"))  # a damaged list may have a name twice
        place, names = next((place, names) for place, names in pairs if names[0] != names[1])
        return f"the same names in another order: {place} is {names[0]!r} in A, {names[1]!r} in B"
    told = [
        f"{len(names):,} only in {which}: " + ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")
        for which, names in zip("AB", only, strict=True)
        if names
    ]
    return "; ".join(told)
