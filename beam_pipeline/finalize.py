"""What a finished split leaves beside its shards: the ledger, the reader's index, and what the data set is."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from beam_pipeline import files
from beam_pipeline.job import Job, RunError, writing_to
from beam_pipeline.ledger import SCHEMA, LedgerRow, ShardState, StateRow, read_state, state_path, table
from beam_pipeline.media.settings import MediaSettings
from tf_data import contract

_ROWS_PER_GROUP = 65_536
_TOOLS = ("apache-beam", "av", "opencv-contrib-python-headless", "simplejpeg", "numpy")


def finalize(job: Job, split: str, states: Iterable[str]) -> str:
    """Merges the states of all shards of a split into its ledger, its index and its metadata.

    Args:
      job: the run.
      split: the split's name.
      states: paths of the shards' states, in any order.

    Returns:
      The path of the split's `info-<split>.json`.

    Raises:
      RunError: a shard is missing, or the output can't be written.
    """
    with writing_to(job.directory):
        return _finalize(job, split, states)


def _finalize(job: Job, split: str, states: Iterable[str]) -> str:
    num_shards = job.num_shards[split]
    paths = [state_path(job.directory, split, shard, num_shards) for shard in range(num_shards)]
    if missing := set(paths) - set(states):
        raise RunError(f"{job.directory}: {len(missing)} shards of {split} were not made, such as {min(missing)}")

    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    shard_lengths, shard_bytes = [], []
    index: dict[str, list] = {name: [] for name in contract.INDEX_COLUMNS}
    ledger = files.join(job.directory, contract.STATE_DIR, f"{split}.{job.run_id}.ledger.partial")
    with files.create(ledger) as file, pq.ParquetWriter(file, SCHEMA) as writer:
        rows: list[LedgerRow] = []
        for path in paths:
            state = _sealed(path)
            records = [row for row in state.rows if row.row.status == "ok"]
            shard_lengths.append(len(records))
            shard_bytes.append(state.bytes)
            counts.update(state.reasons)
            sizes.update(f"{row.row.width}x{row.row.height}" for row in records)
            _add_to_index(index, records)
            rows += [row.row for row in state.rows]
            if len(rows) >= _ROWS_PER_GROUP:
                writer.write_table(table(rows))
                rows = []
        writer.write_table(table(rows))
    files.publish(ledger, files.join(job.directory, contract.ledger_file(split)))
    _write_index(files.join(job.directory, contract.index_file(split)), index)
    path = files.join(job.directory, contract.info_file(split))
    info = {
        **_description(job, split),
        "complete": not counts["not_attempted"] and (not job.is_limited(split) or _was_complete(path, counts.total())),
        "num_asked": counts.total(),
        "num_clips": counts.pop("", 0),
        "num_failed": dict(sorted(counts.items())),
        "num_shards": num_shards,
        "shard_lengths": shard_lengths,
        "bytes": sum(shard_bytes),
        "frame_sizes": dict(sorted(sizes.items())),
    }
    files.write_whole(path, (json.dumps(info, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def _was_complete(path: str, asked: int) -> bool:
    """Whether an earlier run had made all that is here, to which a limited one then has nothing to add."""
    before = json.loads(files.read_whole(path) or b"{}")
    return bool(before.get("complete")) and before["num_asked"] == asked


def _sealed(path: str) -> ShardState:
    state = read_state(path)
    if state is None or not state.sealed:
        raise RunError(f"{path}: the shard was not finished; run again to go on")
    return state


def _add_to_index(index: dict[str, list], records: list[StateRow]) -> None:
    for record in records:
        row = record.row
        index["offset"].append(record.offset)
        index["length"].append(row.bytes)
        index["clip_key"].append(contract.clip_key(row.clip_id))
        index["label"].append(row.label_index)
        for name in ("shard", "num_frames", "short", "damaged", "rotated", "has_audio"):
            index[name].append(getattr(row, name))


def _write_index(path: str, index: dict[str, list]) -> None:
    columns = {name: np.array(index[name], dtype=dtype) for name, dtype in contract.INDEX_COLUMNS.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    files.write_whole(path, buffer.getvalue())


def _description(job: Job, split: str) -> dict[str, Any]:
    media = job.media
    return {
        "name": job.name,
        "config": job.configuration["config"],
        "version": job.configuration["version"],
        "split": split,
        "labels": len(job.selections[split].label_list),
        "frame_rate": float(media.encode.fps),
        "features": features(media),
        "flow": dataclasses.asdict(media.flow) if media.flow else None,
        "audio": dataclasses.asdict(media.audio) if media.audio else None,
        "configuration": job.configuration,
        "tools": {name: importlib.metadata.version(name) for name in _TOOLS},
    }


def features(media: MediaSettings) -> dict[str, dict[str, Any]]:
    """Returns the dtype and shape of the features that a model reads; null is a length that differs by clip."""
    described: dict[str, dict[str, Any]] = {
        contract.EXAMPLE_ID: {"dtype": "string", "shape": []},
        contract.LABEL_INDEX: {"dtype": "int64", "shape": []},
        contract.LABEL_STRING: {"dtype": "string", "shape": []},
        contract.IMAGE_ENCODED: {"dtype": "string", "shape": [None]},
        contract.IMAGE_TIMESTAMP: {"dtype": "int64", "shape": [None]},
    }
    if media.flow:
        described |= {
            contract.FLOW_ENCODED: {"dtype": "string", "shape": [None]},
            contract.FLOW_TIMESTAMP: {"dtype": "int64", "shape": [None]},
        }
    if media.audio:
        described[contract.AUDIO_FLOATS] = {"dtype": "float32", "shape": [1, None]}
    return described
