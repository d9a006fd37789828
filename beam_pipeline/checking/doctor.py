"""Who can read a data set, how it meets I3D's preprocessing, and what in its ledger looks wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from beam_pipeline import files
from beam_pipeline.checking.i3d_preset import Facts, Item, items
from beam_pipeline.checking.lines import text_of
from beam_pipeline.checking.public_readers import Tried, try_readers, unexpected
from beam_pipeline.checking.record_marks import open_shard
from beam_pipeline.checking.suspicions import Balance, Suspicion, balances, suspicions
from beam_pipeline.data_set import Split, open_data_set
from beam_pipeline.json_files import read_object
from beam_pipeline.labels import written_labels
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.summary import plural
from beam_pipeline.tfrecord import read_record_at
from tf_data import contract


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` found.

    Attributes:
      name: of the data set.
      directory: of its version.
      splits: that were looked at.
      clips: asked for.
      made: of which there is a record.
      looked_at: records that were read.
      readers: what came of each public reader's try; none without a record.
      i3d: the items of its preprocessing; none without a record.
      balance: of classes, by split.
      suspicions: what looks wrong.
    """

    name: str
    directory: str
    splits: tuple[str, ...]
    clips: int
    made: int
    looked_at: int
    readers: tuple[Tried, ...]
    i3d: tuple[Item, ...]
    balance: tuple[Balance, ...]
    suspicions: tuple[Suspicion, ...]

    def as_json(self) -> str:
        """Returns all of it as one JSON object on one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    def as_text(self) -> str:
        """Returns it for people."""
        splits = ", ".join(self.splits)
        lines = [
            f"{self.name} in {self.directory} ({splits}): {plural(self.clips, 'clip')} asked for, "
            f"{plural(self.made, 'record')}, {self.looked_at:,} of which were read",
            "",
            "Public readers"
            if self.readers
            else "No record: nothing to try public readers on, or to compare with I3D's",
        ]
        for tried in self.readers:
            lines.append(f"  {'yes' if tried.reads else 'no':<8}{tried.reader}: {tried.gives}")
            why = (tried.why if tried.expected else f"{tried.why} ({tried.clip_id})",) if tried.why else ()
            lines += [f"{'':10}{remark}" for remark in (*why, *tried.remarks)]
        lines += ["", "I3D's preprocessing"] if self.i3d else []
        for item in self.i3d:
            mark = {"yes": "same", "no": "other", "unknown": "–"}[item.met]
            original = "" if item.met == "yes" else f" (I3D's: {item.original})"
            lines.append(f"  {mark:<8}{item.name}: {item.found}{original}")
        lines += ["", "Classes"]
        for balance in self.balance:
            of_each = f"{balance.smallest:,} to " if balance.smallest < balance.largest else ""
            lines.append(
                f"  {balance.split}: {plural(balance.classes, 'class')} with {of_each}"
                f"{plural(balance.largest, 'record')}, median {balance.median:,.0f}; {balance.short:.1%} short, "
                f"{balance.damaged:.1%} damaged, median length {balance.seconds:.3g} s"
            )
            if balance.thin:
                some = ", ".join(map(repr, balance.thin[:5])) + (", …" if len(balance.thin) > 5 else "")
                lines.append(f"    {len(balance.thin):,} with less than a tenth of that: {some}")
        lines += ["", "What looks wrong"]
        for each in self.suspicions:
            chance = "" if each.p is None else f" (by chance: {each.p:.0e})" if each.p else " (by chance: below 1e-300)"
            lines.append(f"  {each.split + ': ' if each.split else ''}{each.what}{chance}")
        return text_of(lines if self.suspicions else [*lines, "  nothing"])


def diagnose(folder: str, splits: Sequence[str] = (), sample: int = 16) -> Diagnosis:
    """Looks at a data set.

    Args:
      folder: of a version of a data set, or above it.
      splits: only these; none: all.
      sample: how many records to read, spread over all of them.

    Raises:
      DataSetError: there is none, or its ledger is damaged.
      CorruptRecordError, OSError: a record can't be read.
    """
    opened = open_data_set(folder, splits)
    directory = opened[0].directory
    clips = pa.concat_tables(split.clips for split in opened)
    records = {clip_id: record for split in opened for clip_id, record in _sample(split, sample // len(opened) or 1)}
    labels = files.read_whole(files.join(directory, contract.LABELS_FILE))
    info = read_object(files.join(directory, contract.info_file(opened[0].split))) or {}
    facts = Facts(
        info,
        None if labels is None else written_labels(labels),
        clips,
        [parse_sequence_example(record) for record in records.values()],
    )
    bounds = [value for context, _ in facts.records for value in context.get(contract.FLOW_SATURATION, ())]
    readers = try_readers(records, bounds[0] if bounds else None) if records else []
    return Diagnosis(
        name=opened[0].name,
        directory=directory,
        splits=tuple(split.split for split in opened),
        clips=len(clips),
        made=int(np.count_nonzero(clips["offset"].to_numpy() >= 0)),
        looked_at=len(records),
        readers=tuple(readers),
        i3d=tuple(items(facts)) if records else (),
        balance=tuple(balances(clips)),
        suspicions=(
            *suspicions(clips),
            *(Suspicion("reader", "", f"{tried.reader} can't read {tried.clip_id}") for tried in unexpected(readers)),
        ),
    )


def _sample(split: Split, count: int) -> list[tuple[str, bytes]]:
    """Reads records at equal distances over all shards."""
    rows = np.flatnonzero(split.clips["offset"].to_numpy() >= 0)
    chosen = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.int64)]
    found = []
    for row in split.clips.take(chosen).select(["clip_id", "file", "offset", "bytes"]).to_pylist():
        path = files.join(split.directory, row["file"])
        with open_shard(path) as file:
            found.append((row["clip_id"], read_record_at(file, row["offset"], row["bytes"], path)))
    return found
