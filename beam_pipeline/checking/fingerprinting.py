"""The few lines by which a paper says which data set it means, and by which others tell whether theirs is the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from beam_pipeline import files
from beam_pipeline.checking.lines import text_of
from beam_pipeline.checking.record_marks import read_marks
from beam_pipeline.data_set import DataSetError, Split, open_data_set
from beam_pipeline.json_files import read_object
from beam_pipeline.summary import plural
from tf_data import contract

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class SplitFingerprint:
    """A split: clips with a record, clips asked for, classes of these records, hours of footage, and their digest.

    `finished` is whether no job is at work on it or was stopped, `complete` whether all that its annotations list has
    been asked for and tried.
    """

    split: str
    finished: bool
    complete: bool
    clips: int
    asked: int
    classes: int
    hours: float
    digest: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a data set is. `digest` is that of its label list and of all splits' records."""

    name: str
    config: str | None
    version: str
    splits: tuple[SplitFingerprint, ...]
    settings: tuple[str, ...]
    digest: str

    def as_json(self) -> str:
        """Returns it as one JSON object on one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    def as_text(self) -> str:
        """Returns it as lines that can be quoted."""
        name = "/".join(part for part in (self.name, self.config) if part)
        lines = [f"{name} {self.version}, made with kinetics-tfrecords"]
        for split in self.splits:
            share = f" of {split.asked:,} asked for ({split.clips / split.asked:.1%})" if split.asked else ""
            part = "" if split.complete else ", though only a part of its list was asked for, or done"
            if not split.finished:
                share, part = " so far", ", NOT FINISHED: it will have another digest"
            lines.append(
                f"{split.split}: {plural(split.clips, 'clip')}{share}, {plural(split.classes, 'class')}, "
                f"{split.hours:,.4g} hours{part}; blake2b {split.digest}"
            )
        return text_of([*lines, *self.settings, f"in all: blake2b {self.digest}"])


def fingerprint(folder: str, splits: Sequence[str] = ()) -> Fingerprint:
    """Returns the fingerprint of a data set.

    Digests are BLAKE2b of 128 bits, over a line for each record in the order of ids: split, id, bytes and masked
    CRC-32C, with tabs between them. They are the same for the same records, in however many shards, whenever and in
    however many tries they were made, and whatever other clips failed.

    Args:
      folder: of a version of a data set, or above it.
      splits: only these; none: all.

    Raises:
      DataSetError: there is none, or its ledger or metadata is damaged.
      CorruptRecordError, OSError: a shard can't be read.
    """
    opened = sorted(open_data_set(folder, splits), key=lambda split: split.split)  # in whatever order they are given
    directory = opened[0].directory
    infos = [read_object(files.join(directory, contract.info_file(split.split))) or {} for split in opened]
    info = next(filter(None, infos), {})
    labels = files.read_whole(files.join(directory, contract.LABELS_FILE)) or b""
    parts = tuple(_of_split(split, bool(info.get("complete"))) for split, info in zip(opened, infos, strict=True))
    whole = "".join(f"{part.split}\t{part.digest}\n" for part in parts).encode() + labels
    try:
        settings = tuple(_settings(info))
    except (KeyError, TypeError, ValueError) as error:
        path = files.join(directory, contract.info_file(info.get("split", opened[0].split)))
        raise DataSetError(f"{path}: {error!r:.100} in its settings; run again to write it anew") from error
    return Fingerprint(
        name=opened[0].name,
        config=info.get("config"),
        version=info.get("version", "?"),
        splits=parts,
        settings=settings,
        digest=_digest(whole),
    )


def _of_split(split: Split, complete: bool) -> SplitFingerprint:
    checksums = read_marks(split, with_hashes=False).checksums
    made = np.flatnonzero(split.clips["offset"].to_numpy() >= 0)
    records = split.clips.take(made)
    ids, sizes = records["clip_id"].to_pylist(), records["bytes"].to_pylist()
    lines = sorted(
        f"{split.split}\t{clip_id}\t{size}\t{checksum:08x}\n"
        for clip_id, size, checksum in zip(ids, sizes, checksums[made].tolist(), strict=True)
    )
    return SplitFingerprint(
        split=split.split,
        finished=split.is_finished,
        complete=split.is_finished and complete,
        clips=len(made),
        asked=len(split.clips),
        classes=len(pc.unique(records["label_index"].filter(pc.greater_equal(records["label_index"], 0)))),
        hours=float(records["duration_s"].to_numpy().sum()) / 3600,
        digest=_digest("".join(lines).encode()),
    )


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def _settings(info: Mapping[str, Any]) -> list[str]:
    configuration = info.get("configuration", {})
    encode, flow, audio = configuration.get("encode", {}), info.get("flow"), info.get("audio")
    if not encode:
        return []
    side = f"height {encode['height']}" if encode.get("height") else f"shorter side {encode['shorter_side']}"
    rate, quality = info.get("frame_rate", 0), encode["jpeg_quality"]
    lines = [f"frames: {rate:g} a second, {side} ({encode['resize']}), JPEG quality {quality}"]
    if flow:
        of_jpeg = f", quality {flow['quality']}" if flow.get("quality") else ""
        parameters = json.dumps(flow.get("parameters", {}), sort_keys=True)
        lines.append(
            f"flow: {flow['method']} {parameters}, ±{flow['bound_px']:g} pixels, {flow['storage']}{of_jpeg}, "
            f"levels {flow['rounding']}"
        )
    if audio:
        lines.append(f"sound: mono, {audio['sample_rate']:,} samples a second")
    return lines
