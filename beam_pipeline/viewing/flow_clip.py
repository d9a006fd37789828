"""A clip and its flow to look at: a video's or image files' as a run would estimate it, a record's as it is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from google.protobuf.message import DecodeError

from beam_pipeline.clips import ClipError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import decode_flow, estimate_flow
from beam_pipeline.media.jpegs import FrameEncoder
from beam_pipeline.media.settings import Encode, Flow
from beam_pipeline.media.timing import num_outputs
from beam_pipeline.media.video import read_frames
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import CorruptRecordError, read_records
from beam_pipeline.viewing.image_files import decode_image, image_size, images_of, read_image
from tf_data import contract

_FRAME_RATES = (0.01, 1000)  # of a record: others' may say anything


@dataclass(frozen=True, slots=True)
class Span:
    """What of a source is looked at: so many seconds from a time on; `start_s` None is its beginning."""

    start_s: float | None = None
    duration_s: float = 10.0

    @property
    def start_us(self) -> int:
        """The beginning in microseconds."""
        return round((self.start_s or 0) * 1_000_000)

    @property
    def duration_us(self) -> int:
        """Its length in microseconds."""
        return round(self.duration_s * 1_000_000)

    def frames(self, num_frames: int, frame_rate: Fraction) -> slice:
        """Returns which of a source's frames those are, frame k being at k / frame_rate; as `read_frames` chooses."""
        first = math.ceil(Fraction(self.start_us, 1_000_000) * frame_rate + Fraction(1, 2)) - 1
        return slice(first, min(num_frames, first + num_outputs(Fraction(self.duration_us, 1_000_000), frame_rate)))


@dataclass(frozen=True, slots=True)
class FlowClip:
    """Frames, and the flow from each to the next.

    Attributes:
      name: what it was read from, in a few words.
      how: where its flow comes from, in a few words.
      frame_rate: frames a second.
      start_s: time of the first frame in the source.
      width: of the frames.
      height: of the frames.
      frames: two or more images as they are stored.
      num_pairs: how many vector fields there are; field k is the flow from frame k on.
      level_px: what a level of a stored field stands for, in pixels; 0 for fields that were never stored.
      flow: gives field k, float32 (height, width, 2): (x, y) in pixels. It may take long.
    """

    name: str
    how: str
    frame_rate: Fraction
    start_s: float
    width: int
    height: int
    frames: Sequence[bytes]
    num_pairs: int
    level_px: float
    flow: Callable[[int], np.ndarray]

    def time_s(self, pair: int) -> float:
        """Returns the time of a pair's first frame in the source."""
        return self.start_s + float(pair / self.frame_rate)

    def picture(self, number: int) -> np.ndarray:
        """Returns a frame's pixels, uint8 RGB (height, width, 3); raises `ClipError` for one that is damaged."""
        try:
            return decode_image(self.frames[number])
        except ClipError as error:
            raise ClipError(error.reason, f"frame {number}: {error.detail}") from error


def flow_of_video(path: str, span: Span, encode: Encode, flow: Flow) -> FlowClip:
    """Decodes a video as a run does, and estimates its flow as a run does, pair by pair when asked.

    Args:
      path: of a local file.
      span: from a beginning that is given, as of a whole video by its own clock; else as of a file that is the clip.
      encode: rate, size and quality of the frames; a clip may be as short as two frames.
      flow: the method and its parameters.

    Raises:
      ClipError: the file is none, or there is no flow to be had of it: the reason is a class of `clips.REASONS`.
    """
    end_us = span.start_us + span.duration_us
    trimmed = "true" if span.start_s is None else "false"
    try:
        with open_container(path) as container:
            frames = read_frames(
                container, span.start_us, end_us, trimmed, replace(encode, min_duration_s=0.0), keep_luma=True
            )
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libav: {error.strerror}") from error
    return _estimated(Path(path).name, span, encode.fps, frames.jpegs, frames.luma, flow)


def flow_of_images(paths: Sequence[Path], span: Span, encode: Encode, flow: Flow) -> FlowClip:
    """Reads frames that lie in files of their own, and estimates their flow as that of a video's RGB frames.

    Args:
      paths: JPEG and PNG files in the order of the frames, or one folder of them (`images_of`).
      span: in seconds at `encode.fps`.
      encode: at what rate the frames follow each other; size and quality of what is shown.
      flow: the method and its parameters.

    Raises:
      ClipError: `unreadable`, `unsupported` or `too_large` for an image that can't be used; `too_short`.
      OSError: a file can't be read.
    """
    name = paths[0].name if paths[0].is_dir() else f"{paths[0].name} to {paths[-1].name}"
    files = images_of(paths[0]) if paths[0].is_dir() else list(paths)
    shown = files[span.frames(len(files), encode.fps)]
    encoder: FrameEncoder | None = None
    for file in shown:
        try:
            frame = VideoFrame.from_ndarray(read_image(file), format="rgb24")
            encoder = encoder or FrameEncoder(frame, encode, None, keep_luma=True)
            if (frame.width, frame.height) != (encoder.source_width, encoder.source_height):
                before = f"{encoder.source_width}×{encoder.source_height}"
                raise ClipError("unsupported", f"has {frame.width}×{frame.height} pixels, {shown[0].name} {before}")
            encoder.show(frame, 1)
        except ClipError as error:
            raise ClipError(error.reason, f"{file.name}: {error.detail}") from error
    jpegs, luma = (encoder.jpegs, encoder.luma) if encoder else ([], [])
    return _estimated(name, span, encode.fps, jpegs, luma, flow)


def flow_of_record(path: str, clip_id: str | None, span: Span) -> FlowClip:
    """Reads a clip and its flow out of a shard; nothing is estimated.

    Args:
      path: of a shard.
      clip_id: `example/id` of the record; None: the first.
      span: in seconds from the clip's beginning.

    Raises:
      ClipError: `not_found` where there is no such record; `unreadable` for one that is damaged; `unsupported` for one
        without flow; `too_short`.
      OSError: the shard can't be read.
    """
    try:
        found_id, context, lists = _find_record(path, clip_id)
    except (CorruptRecordError, DecodeError) as error:
        raise ClipError("unreadable", f"is no shard of sequence examples, or damaged: {error}") from error
    frames, fields = (_images(lists, key) for key in (contract.IMAGE_ENCODED, contract.FLOW_ENCODED))
    if not fields:
        raise ClipError("unsupported", f"record {found_id} has no flow: look at its video instead")
    bound_px = _number(context, contract.FLOW_SATURATION)
    rate = _number(context, f"{contract.IMAGE_PREFIX}/frame_rate")
    if not 0 < bound_px < math.inf or not _FRAME_RATES[0] <= rate <= _FRAME_RATES[1]:
        raise ClipError(
            "unsupported",
            f"record {found_id}: {contract.FLOW_SATURATION} and image/frame_rate must be above 0, "
            f"got {bound_px:g} and {rate:g}",
        )
    frame_rate = Fraction(rate).limit_denominator(1001)
    shown = span.frames(len(frames), frame_rate)
    frames, fields = frames[shown], fields[shown]
    _check_length(len(frames))
    try:
        sizes = {image_size(image) for image in frames}
        sizes_of_flow = {image_size(image) for image in fields}
    except ClipError as error:
        raise ClipError(error.reason, f"record {found_id}: an image {error.detail}") from error
    if len(sizes) > 1 or len(sizes_of_flow) > 1:
        raise ClipError("unsupported", f"record {found_id}: its images are of several sizes")

    def flow(pair: int) -> np.ndarray:
        try:
            return decode_flow(fields[pair], bound_px)
        except (ValueError, TypeError) as error:
            raise ClipError("unreadable", f"record {found_id}: flow image {shown.start + pair}: {error}") from error

    ((width, height),) = sizes
    return FlowClip(
        name=found_id,
        how=f"as stored, ±{bound_px:g} px",
        frame_rate=frame_rate,
        start_s=float(shown.start / frame_rate),
        width=width,
        height=height,
        frames=frames,
        num_pairs=min(len(fields), len(frames) - 1),
        level_px=2 * bound_px / 255,
        flow=flow,
    )


def _estimated(
    name: str, span: Span, fps: Fraction, jpegs: list[bytes], luma: list[np.ndarray], flow: Flow
) -> FlowClip:
    _check_length(len(jpegs))

    def estimate(pair: int) -> np.ndarray:
        return estimate_flow(luma[pair], luma[pair + 1], flow)

    height, width = luma[0].shape
    return FlowClip(
        name=name,
        how=flow.method,
        frame_rate=fps,
        start_s=span.start_s or 0.0,
        width=width,
        height=height,
        frames=jpegs,
        num_pairs=len(jpegs) - 1,
        level_px=0.0,
        flow=estimate,
    )


def _check_length(num_frames: int) -> None:
    if num_frames < 2:
        raise ClipError("too_short", f"flow takes two frames or more, got {num_frames} in the time asked for")


def _find_record(path: str, clip_id: str | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    ids = []
    for record in read_records(path):
        context, lists = parse_sequence_example(record)
        found_id = b"".join(context.get(contract.EXAMPLE_ID, [])[:1]).decode(errors="replace")
        if clip_id in (None, found_id):
            return found_id, context, lists
        ids.append(found_id)
    if not ids:
        raise ClipError("not_found", "holds no record")
    few = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    raise ClipError("not_found", f"--clip {clip_id}: none of its {len(ids)} records has that id; there are {few}")


def _images(lists: dict[str, Any], key: str) -> list[bytes]:
    return [image for step in lists.get(key, []) for image in step[:1] if isinstance(image, bytes)]


def _number(context: dict[str, Any], key: str) -> float:
    values = context.get(key, [])
    return float(values[0]) if values and isinstance(values[0], int | float) else 0.0


def spread(num_pairs: int, most: int) -> list[int]:
    """Returns up to `most` pairs, from the first to the last at even distances."""
    return sorted({round(pair) for pair in np.linspace(0, num_pairs - 1, min(num_pairs, most))})
