"""What a finished split leaves beside its shards: the ledger, the reader's index, and what the data set is."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable
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

    Of a run that fills the store alone there is a ledger and a count of what is there, in the store.

    Args:
      job: the run.
      split: the split's name.
      states: paths of the shards' states, in any order.

    Returns:
      The path of the split's `info-<split>.json`.

    Raises:
      RunError: a shard is missing, or the output can't be written.
    """
    directory = job.progress_directory
    with writing_to(directory):
        num_shards = job.num_shards[split]
        paths = [state_path(directory, split, shard, num_shards) for shard in range(num_shards)]
        if missing := set(paths) - set(states):
            raise RunError(f"{directory}: {len(missing)} shards of {split} were not made, such as {min(missing)}")
        info = _finalize_fetch(job, split, paths) if job.fetch_only else _finalize(job, split, paths)
        path = files.join(directory, contract.info_file(split))
        files.write_whole(path, (json.dumps(info, indent=1, ensure_ascii=False) + "\n").encode())
        return path


def _finalize(job: Job, split: str, paths: list[str]) -> dict[str, Any]:
    sizes: Counter[str] = Counter()
    shard_lengths, shard_bytes = [], []
    index: dict[str, list] = {name: [] for name in contract.INDEX_COLUMNS}

    def see(state: ShardState) -> None:
        records = [row for row in state.rows if row.row.status == "ok"]
        shard_lengths.append(len(records))
        shard_bytes.append(state.bytes)
        sizes.update(f"{row.row.width}x{row.row.height}" for row in records)
        _add_to_index(index, records)

    counts = _write_ledger(job, split, paths, see)
    _write_index(files.join(job.directory, contract.index_file(split)), index)
    before = json.loads(files.read_whole(files.join(job.directory, contract.info_file(split))) or b"{}")
    return {
        **_description(job, split),
        "complete": not counts["unfinished"]
        and (not job.is_limited(split) or _was_complete(before, counts["num_asked"])),
        **counts,
        "num_shards": len(paths),
        "shard_lengths": shard_lengths,
        "bytes": sum(shard_bytes),
        "frame_sizes": dict(sorted(sizes.items())),
    }


def _finalize_fetch(job: Job, split: str, paths: list[str]) -> dict[str, Any]:
    shard_bytes: list[int] = []
    counts = _write_ledger(job, split, paths, lambda state: shard_bytes.append(state.bytes))
    return {**counts, "num_shards": len(paths), "bytes": sum(shard_bytes)}


def _write_ledger(job: Job, split: str, paths: list[str], see: Callable[[ShardState], None]) -> dict[str, Any]:
    """Writes the ledger from the states, each of which `see` is shown; returns how many rows there are of what."""
    directory = job.progress_directory
    counts: Counter[str] = Counter()
    unfinished = ""
    ledger = files.join(directory, contract.STATE_DIR, f"{split}.{job.run_id}.ledger.partial")
    with files.create(ledger) as file, pq.ParquetWriter(file, SCHEMA) as writer:
        rows: list[LedgerRow] = []
        for path in paths:
            state = _sealed(path)
            see(state)
            counts.update(state.reasons)
            unfinished = unfinished or state.unfinished
            rows += [row.row for row in state.rows]
            if len(rows) >= _ROWS_PER_GROUP:
                writer.write_table(table(rows))
                rows = []
        writer.write_table(table(rows))
    files.publish(ledger, files.join(directory, contract.ledger_file(split)))
    return {
        "num_asked": counts.total(),
        "num_clips": counts.pop("", 0),
        "num_failed": dict(sorted(counts.items())),
        "unfinished": unfinished,
    }


def _was_complete(before: dict[str, Any], asked: int) -> bool:
    """Whether an earlier run had made all that is here, to which a limited one then has nothing to add."""
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
