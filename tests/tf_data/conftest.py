"""Small data sets whose pixels say where they come from: frame number, row and column can be read off them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from beam_pipeline.records import SequenceExample, sequence_example
from beam_pipeline.tfrecord import ShardWriter
from tf_data import contract

HEIGHT, WIDTH = 32, 48
FPS = 25
SAMPLE_RATE = 1000
LEVELS_PER_FRAME = 6  # what a JPEG does to a flat colour is less than half of it
BLOCK = 8  # of constant colour, a JPEG block: it survives the encoder unchanged
FLAGS = {"quality/short": 0, "quality/damaged": 0, "quality/has_audio": 1, "source/rotation": 0}


@dataclass(frozen=True)
class FakeClip:
    """A clip that `picture` and `flow_picture` draw."""

    clip_id: str
    num_frames: int = 40
    label: int = 0
    height: int = HEIGHT
    width: int = WIDTH
    num_samples: int | None = None  # None: as long as the frames
    flags: Mapping[str, Any] = field(default_factory=dict)  # of the context, in place of `FLAGS` or beside them
    drop: tuple[str, ...] = ()  # keys left out of the record
    flow: tuple[bytes, ...] | None = None  # JPEG frames in place of `flow_picture`'s


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A frame: red says its number (below 43), green the block's row, blue the block's column."""
    rows, columns = np.indices((height, width)) // BLOCK
    return np.stack(
        [np.full((height, width), LEVELS_PER_FRAME * number % 256), 32 * rows, 32 * columns], axis=2
    ).astype(np.uint8)


def flow_picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A flow frame: x says the frame's number, y the block's column."""
    columns = np.indices((height, width))[1] // BLOCK
    channels = [np.full((height, width), LEVELS_PER_FRAME * number % 256), 32 * columns, np.zeros((height, width))]
    return np.stack(channels, axis=2).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=100, colorsubsampling="444")


def record(clip: FakeClip) -> bytes:
    samples = clip.num_frames * SAMPLE_RATE // FPS if clip.num_samples is None else clip.num_samples
    times_us = [k * 1_000_000 // FPS for k in range(clip.num_frames)]
    label = f"class {clip.label}" if clip.label >= 0 else ""
    context: dict[str, Any] = {
        contract.EXAMPLE_ID: clip.clip_id,
        contract.LABEL_INDEX: clip.label,
        contract.LABEL_STRING: label,
        contract.LABEL_TEXT: label,
        "image/frame_rate": float(FPS),
        contract.FLOW_SATURATION: 20.0,
        contract.AUDIO_SAMPLE_RATE: float(SAMPLE_RATE),
        **FLAGS,
        **clip.flags,
    }
    size = (clip.height, clip.width)
    lists: dict[str, Any] = {
        contract.IMAGE_ENCODED: [jpeg(picture(k, *size)) for k in range(clip.num_frames)],
        contract.IMAGE_TIMESTAMP: times_us,
        contract.FLOW_ENCODED: clip.flow or [jpeg(flow_picture(k, *size)) for k in range(clip.num_frames - 1)],
        contract.FLOW_TIMESTAMP: times_us[:-1],
        contract.AUDIO_FLOATS: [np.arange(samples, dtype=np.float32)],
    }
    return sequence_example(
        {key: value for key, value in context.items() if key not in clip.drop},
        {key: value for key, value in lists.items() if key not in clip.drop},
    )


def said_of(clip: FakeClip, column: str) -> Any:
    """What the index says of a clip: what its record says; None for what that leaves out."""
    if column == "rotated":
        return clip.flags.get("source/rotation", 0) != 0
    return clip.flags.get(f"{contract.QUALITY_PREFIX}/{column}", FLAGS.get(f"{contract.QUALITY_PREFIX}/{column}"))


def features_of(clip: FakeClip) -> dict[str, dict[str, Any]]:
    """The features of a clip's record as metadata describe them."""
    example = SequenceExample.FromString(record(clip))
    dtypes = {"bytes_list": "string", "int64_list": "int64", "float_list": "float32"}
    context = {key: [value, []] for key, value in example.context.feature.items()}
    lists = {key: [value.feature[0], [None]] for key, value in example.feature_lists.feature_list.items()}
    return {
        key: {"dtype": dtypes[value.WhichOneof("kind")], "shape": shape}
        for key, (value, shape) in (context | lists).items()
    }


def write_split(
    folder: Path,
    clips: Sequence[FakeClip],
    *,
    split: str = "train",
    num_shards: int = 2,
    streams: Sequence[str] = ("rgb", "flow", "audio"),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes shards, index, labels and metadata as a run of the job leaves them; clips go to the shards by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "fake"
    dtypes = contract.INDEX_COLUMNS | contract.INDEX_QUALITY_COLUMNS
    columns: dict[str, list[Any]] = {column: [] for column in dtypes}
    lengths = []
    for shard in range(num_shards):
        mine = clips[shard::num_shards]
        lengths.append(len(mine))
        with (folder / contract.shard_file(name, split, shard, num_shards)).open("wb") as file:
            writer = ShardWriter(file)
            for clip in mine:
                data = record(clip)
                row = {
                    "shard": shard,
                    "offset": writer.write(data),
                    "length": len(data),
                    "clip_key": contract.clip_key(clip.clip_id),
                    "label": clip.label,
                    "num_frames": clip.num_frames,
                }
                for column, values in columns.items():
                    values.append(row[column] if column in row else said_of(clip, column))
    buffer = io.BytesIO()
    np.savez(buffer, **{c: np.array(v, dtypes[c]) for c, v in columns.items() if None not in v})
    (folder / contract.index_file(split)).write_bytes(buffer.getvalue())
    labels = [f"class {label}" for label in range(1 + max((clip.label for clip in clips), default=-1))]
    (folder / contract.LABELS_FILE).write_text("\n".join(labels) + "\n")
    info = {
        "name": name,
        "config": None,
        "version": folder.name,
        "split": split,
        "complete": True,
        "num_clips": len(clips),
        "num_asked": len(clips) + 1,
        "num_failed": {"not_found": 1},
        "bytes": sum(columns["length"]),
        "shard_lengths": lengths,
        "num_shards": num_shards,
        "labels": len(labels),
        "frame_rate": FPS,
        "features": features_of(clips[0]) if clips else {},
        "flow": {"method": "tvl1", "bound_px": 20.0, "storage": "jpeg444", "quality": 95}
        if "flow" in streams
        else None,
        "audio": {"sample_rate": SAMPLE_RATE} if "audio" in streams else None,
        "configuration": {"encode": {"shorter_side": min(clips[0].height, clips[0].width) if clips else 256}},
        "tools": {},
    }
    (folder / contract.info_file(split)).write_text(json.dumps(info | dict(metadata or {})))


def make_clips(count: int, **values: Any) -> list[FakeClip]:
    return [FakeClip(f"video{k:06d}_000000_000010", label=k % 4, **values) for k in range(count)]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with `fake` 1.0.0: 11 clips of 40 frames to train on, 5 to validate."""
    root = tmp_path_factory.mktemp("data")
    write_split(root / "fake" / "1.0.0", make_clips(11), split="train", num_shards=3)
    write_split(root / "fake" / "1.0.0", make_clips(5), split="val", num_shards=2)
    return root


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Makes a data set `fake` 1.0.0 of the given clips and returns its data_dir."""

    def make(clips: Sequence[FakeClip], **keywords: Any) -> Path:
        write_split(tmp_path / "fake" / "1.0.0", clips, **keywords)
        return tmp_path

    return make
