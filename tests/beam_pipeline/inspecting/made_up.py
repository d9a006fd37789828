"""Data sets of any size that were never made: a ledger, an index and metadata, without shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from beam_pipeline.ledger import LedgerRow, table
from beam_pipeline.tfrecord import FRAMING_BYTES
from tf_data import contract

NUM_SHARDS = 64
REASONS = {
    "removed": "This video has been removed by the uploader",
    "private": "Private video",
    "unreadable": "libavformat can't open it: Invalid data found when processing input",
}


def write_made_up(folder: Path, count: int, num_labels: int = 50) -> Path:
    """Writes a split `train` of that many clips, an eighth of which failed; returns the folder of the version."""
    rng = np.random.default_rng(0)
    labels = [f"class {number:03d}" for number in range(num_labels)]
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    ids = ["".join(row) for row in letters[rng.integers(0, 64, (count, 11))]]
    of_label = (num_labels * rng.random(count) ** 2).astype(int)  # some classes have many clips, others few
    shards = np.sort(rng.integers(0, NUM_SHARDS, count))
    seconds = np.where(rng.random(count) < 0.9, 10.0, rng.uniform(1, 10, count).round(2))
    failed = rng.random(count) < 1 / 8
    names = list(REASONS)
    rows = []
    position = 0
    for k, video_id in enumerate(ids):
        if k and shards[k] != shards[k - 1]:
            position = 0
        asked: dict[str, Any] = {
            "clip_id": f"{video_id}_000010_000020",
            "video_id": video_id,
            "start_s": 10.0,
            "end_s": 20.0,
            "label": labels[of_label[k]],
            "label_index": int(of_label[k]),
            "split": "train",
            "shard": int(shards[k]),
            "attempts": 1,
            "attempted_at": "2026-11-30T03:15:39+00:00",
        }
        if failed[k]:
            reason = names[k % len(names)]
            rows.append(LedgerRow(**asked, status="failed", reason=reason, detail=REASONS[reason]))
            continue
        size = int(seconds[k] * rng.normal(9e4, 1e4))
        made: dict[str, Any] = {"position": position, "num_frames": int(25 * seconds[k]), "bytes": size}
        made |= {"duration_s": float(seconds[k]), "width": 340, "height": 256, "short": bool(seconds[k] < 10)}
        rows.append(LedgerRow(**asked, **made, has_audio=k % 20 != 0))
        position += 1
    written = [row for row in rows if row.status == "ok"]
    qualities = {"mean_luma": rng.normal(110, 30, len(written)), "mean_flow_px": rng.gamma(2, 1, len(written))}
    return write_ledger(folder, rows, labels, qualities)


def write_ledger(
    folder: Path, rows: Sequence[LedgerRow], labels: Sequence[str], qualities: dict[str, np.ndarray] | None = None
) -> Path:
    """Writes the files of a split `train` that has these rows, which are in the order of their shards."""
    directory = folder / "made" / "1.0.0"
    directory.mkdir(parents=True)
    pq.write_table(table(list(rows)), directory / contract.ledger_file("train"))
    (directory / contract.LABELS_FILE).write_text("".join(f"{label}\n" for label in labels))
    written = [row for row in rows if row.status == "ok"]
    info = {
        "name": "made",
        "split": "train",
        "num_shards": NUM_SHARDS,
        "num_asked": len(rows),
        "complete": True,
        "configuration": {"name": "made", "config": None, "version": "1.0.0", "encode": {"fps": "25"}},
    }
    (directory / contract.info_file("train")).write_text(json.dumps(info))
    if qualities is not None:
        offsets, end, shard = [], 0, -1
        for row in written:
            end = end if row.shard == shard else 0
            offsets.append(end)
            end, shard = end + row.bytes + FRAMING_BYTES, row.shard
        np.savez(
            directory / contract.index_file("train"),
            shard=np.array([row.shard for row in written], np.int32),
            offset=np.array(offsets, np.int64),
            **{name: values.astype(np.float32) for name, values in qualities.items()},
        )
    return directory
