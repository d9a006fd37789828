"""One video file as a model sees the clips of a data set: encoded as the job does, decoded as the reader does."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import tensorflow as tf
from pydantic import TypeAdapter, ValidationError

import tf_data
from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.encoding import encode_clip
from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.media.task import ClipTask
from beam_pipeline.tfrecord import ShardWriter
from tf_data import contract


def record_of(video: Path, media: MediaSettings, start_s: float | None = None, duration_s: float = 10.0) -> bytes:
    """Returns the record that a run would write of a video, but for the label, which it has none of.

    Args:
      video: a local file.
      media: how it is encoded; `trimmed` is replaced.
      start_s: where the clip begins, by the file's own clock; None takes the whole file, however long.
      duration_s: how long it lasts, where it has a beginning.

    Raises:
      ClipError: the file can't become a record; the reason is one of docs/failures.md.
    """
    start_us = round((start_s or 0) * 1_000_000)
    clip = Clip("video", start_us, start_us + round(duration_s * 1_000_000))
    media = MediaSettings(media.encode, media.flow, None, "whole" if start_s is None else "false")
    if not video.is_file():
        raise ClipError("not_found", "there is no such file")
    task = ClipTask(
        clip,
        label_index=contract.UNLABELLED,
        split="test",
        dataset_name="video",
        path=str(video),
        uri=video.name,
        size=video.stat().st_size,
        known_crc32c=None,
        settings=media,
    )
    record = encode_clip(task).record
    assert record is not None  # there was none before
    return record


def media_settings(
    encode: Mapping[str, Any] | None, flow: Mapping[str, Any] | None, *, with_flow: bool
) -> MediaSettings:
    """Returns how a data set was encoded.

    Args:
      encode: of its configuration; None for I3D's, which is the job's default.
      flow: likewise.
      with_flow: whether flow is asked for at all.

    Raises:
      ValueError: the values are none of a configuration's.
    """
    try:
        return MediaSettings(
            TypeAdapter(Encode).validate_python(dict(encode or {})),
            TypeAdapter(Flow).validate_python(dict(flow or {})) if with_flow else None,
        )
    except ValidationError as error:
        raise ValueError(f"the run's encode or flow is no configuration's: {error}") from error


def load_record(record: bytes, streams: Sequence[str], **views: Any) -> dict[str, tf.Tensor]:
    """Returns a batch of one clip as `tf_data.load` makes it of a record in evaluation.

    Args:
      record: a serialised SequenceExample.
      streams: of `rgb` and `flow`.
      **views: `sampling`, `num_frames`, `crop_size`, `dtype` and so on, as `load` takes them.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        shard = Path(folder) / contract.shard_file("video", "test", 0, 1)
        with shard.open("wb") as file:
            ShardWriter(cast("Any", file)).write(record)
        warnings.filterwarnings("ignore", message=".*no record index")  # which one record needs none of
        batches = tf_data.load(str(shard), split="test", streams=streams, batch_size=1, training=False, **views)
        return next(iter(cast("tf.data.Dataset", batches)))
