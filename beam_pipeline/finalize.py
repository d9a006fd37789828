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
from beam_pipeline.errors import RunError
from beam_pipeline.job import Job, writing_to
from beam_pipeline.json_files import read_object
from beam_pipeline.ledger import SCHEMA, LedgerRow, ShardState, StateRow, read_state, state_path, table
from beam_pipeline.media.settings import Flow, MediaSettings
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
    index = empty_index()

    def see(state: ShardState) -> None:
        records = [row for row in state.rows if row.row.status == "ok"]
        shard_lengths.append(len(records))
        shard_bytes.append(state.bytes)
        sizes.update(f"{row.row.width}x{row.row.height}" for row in records)
        add_to_index(index, records)

    counts = _write_ledger(job, split, paths, see)
    _write_index(files.join(job.directory, contract.index_file(split)), index)
    before = read_object(files.join(job.directory, contract.info_file(split))) or {}
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


def empty_index() -> dict[str, list]:
    """Returns the columns of an index without rows, for `add_to_index` and `index_arrays`."""
    return {name: [] for name in (*contract.INDEX_COLUMNS, *contract.INDEX_QUALITY_COLUMNS)}


def add_to_index(index: dict[str, list], records: list[StateRow]) -> None:
    """Appends the rows of a shard's records."""
    for record in records:
        row = record.row
        index["offset"].append(record.offset)
        index["length"].append(row.bytes)
        index["clip_key"].append(contract.clip_key(row.clip_id))
        index["label"].append(row.label_index)
        for name in ("shard", "num_frames", *contract.FLAGS):
            index[name].append(getattr(row, name))
        for name in contract.INDEX_QUALITY_COLUMNS:
            index[name].append(getattr(record, name))


def index_arrays(index: dict[str, list]) -> dict[str, np.ndarray]:
    """Returns an index's columns as `index-<split>.npz` has them."""
    columns = {name: np.array(index[name], dtype=dtype) for name, dtype in contract.INDEX_COLUMNS.items()}
    for name, dtype in contract.INDEX_QUALITY_COLUMNS.items():
        if None not in index[name]:  # a column with gaps would let a reader's filter drop what it knows nothing of
            columns[name] = np.array(index[name], dtype=dtype)
    return columns


def _write_index(path: str, index: dict[str, list]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **index_arrays(index))
    files.write_whole(path, buffer.getvalue())


def _description(job: Job, split: str) -> dict[str, Any]:
    return {
        "name": job.name,
        "config": job.configuration["config"],
        "version": job.configuration["version"],
        "split": split,
        "labels": len(job.selections[split].label_list),
        **describe_media(job.media),
        "configuration": job.configuration,
        "tools": {name: importlib.metadata.version(name) for name in _TOOLS},
    }


def describe_media(media: MediaSettings) -> dict[str, Any]:
    """Returns what the metadata says of how records were made, and of what is in them."""
    return {
        "frame_rate": float(media.encode.fps),
        "features": features(media),
        "flow": _flow_description(media.flow) if media.flow else None,
        "audio": dataclasses.asdict(media.audio) if media.audio else None,
    }


def _flow_description(flow: Flow) -> dict[str, Any]:
    """What readers want to know, in the same form for each method: `tvl1` is within `parameters`."""
    settings = {key: value for key, value in dataclasses.asdict(flow).items() if key != "tvl1"}
    quality = None if flow.storage == "png" else flow.quality
    return settings | {"quality": quality, "parameters": flow.parameters}


def features(media: MediaSettings) -> dict[str, dict[str, Any]]:
    """Returns the dtype and shape of every feature of a record; null is a length that differs by clip."""
    context = _CONTEXT | (_FLOW_CONTEXT if media.flow else {}) | (_AUDIO_CONTEXT if media.audio else {})
    described: dict[str, dict[str, Any]] = {
        **{key: {"dtype": dtype, "shape": []} for key, dtype in context.items()},
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


def _dtypes(dtype: str, prefix: str, *names: str) -> dict[str, str]:
    return {f"{prefix}/{name}": dtype for name in names}


_QUALITY, _SOURCE = contract.QUALITY_PREFIX, contract.SOURCE_PREFIX
# Of the context, which has one value a key (`media.encoding`).
_CONTEXT = {
    **dict.fromkeys((contract.EXAMPLE_ID, contract.DATASET_NAME, contract.DATA_PATH), "string"),
    **dict.fromkeys((contract.MEDIA_ID, contract.SPLIT, contract.LABEL_STRING, contract.LABEL_TEXT), "string"),
    **dict.fromkeys((contract.CLIP_START, contract.CLIP_END, contract.LABEL_INDEX), "int64"),
    **_dtypes("string", contract.IMAGE_PREFIX, "format", "colorspace"),
    **_dtypes("int64", contract.IMAGE_PREFIX, "channels", "height", "width"),
    **_dtypes("float32", contract.IMAGE_PREFIX, "frame_rate"),
    **_dtypes("string", _SOURCE, "uri", "codec"),
    **_dtypes("int64", _SOURCE, "bytes", "crc32c", "width", "height", "rotation", "interlaced"),
    **_dtypes("float32", _SOURCE, "duration_s"),
    **_dtypes("int64", _QUALITY, "short", "damaged", "upscaled", "has_audio", "repeated_frames", "phash"),
    **_dtypes("float32", _QUALITY, "mean_luma"),
}
_FLOW_CONTEXT = {
    **dict.fromkeys((contract.FLOW_METHOD, contract.FLOW_PARAMETERS, contract.FLOW_ROUNDING), "string"),
    **_dtypes("string", contract.FLOW_PREFIX, "format"),
    **_dtypes("int64", contract.FLOW_PREFIX, "channels", "height", "width"),
    **_dtypes("float32", contract.FLOW_PREFIX, "frame_rate"),
    **dict.fromkeys((contract.FLOW_SATURATION, f"{_QUALITY}/clipped_flow", f"{_QUALITY}/mean_flow_px"), "float32"),
}
_AUDIO_CONTEXT = {
    contract.AUDIO_SAMPLE_RATE: "float32",
    contract.AUDIO_NUM_CHANNELS: "int64",
    contract.AUDIO_NUM_SAMPLES: "int64",
}
