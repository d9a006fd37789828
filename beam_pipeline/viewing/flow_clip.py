"""A clip and its flow to look at: a video's or frames' as a run would make it, a record's as it is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.errors import RequestError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import decode_flow, flow_estimator
from beam_pipeline.media.frame_folders import list_folder, read_folder
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.media.timing import HALF, num_outputs
from beam_pipeline.media.video import read_frames
from beam_pipeline.tfrecord import CorruptRecordError, read_records
from beam_pipeline.viewing.clip_record import ClipRecord, id_of, parse_clip
from beam_pipeline.viewing.image_files import decode_image, image_size, read_frame


@dataclass(frozen=True, slots=True)
class Span:
    """What of a source is looked at: so many seconds from a time on; `start_s` None is its beginning."""

    start_s: float | None = None
    duration_s: float = 10.0

    @property
    def trimmed(self) -> Literal["true", "false"]:
        """What a run would be told of the source: just the clip, or the whole video where a beginning is given."""
        return "true" if self.start_s is None else "false"

    def as_clip(self) -> Clip:
        """Returns what a run would be asked for."""
        start_us = round((self.start_s or 0) * 1_000_000)
        return Clip("look", start_us, start_us + round(self.duration_s * 1_000_000))

    def frames(self, num_frames: int, frame_rate: Fraction) -> slice:
        """Returns which of a source's frames those are, frame k being at k / frame_rate; as `read_frames` chooses."""
        clip = self.as_clip()
        first = math.ceil(Fraction(clip.start_us, 1_000_000) * frame_rate + HALF) - 1
        count = num_outputs(Fraction(clip.end_us - clip.start_us, 1_000_000), frame_rate)
        return slice(first, min(num_frames, first + count))


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

    def some_pairs(self, most: int) -> list[int]:
        """Returns up to `most` pairs from the first to the last, those aside whose frame is repeated."""
        return spread(self.frames[: self.num_pairs + 1], most)

    def picture(self, number: int) -> np.ndarray:
        """Returns a frame's pixels, uint8 RGB (height, width, 3); raises `ClipError` for one that is damaged."""
        try:
            return decode_image(self.frames[number])
        except ClipError as error:
            raise ClipError(error.reason, f"frame {number}: {error.detail}") from error


def flow_of_video(path: str, span: Span, media: MediaSettings) -> FlowClip:
    """Decodes a video as a run does, and estimates its flow as a run does, pair by pair when asked.

    Args:
      path: of a local file.
      span: from a beginning that is given, as of a whole video by its own clock; else as of a file that is the clip.
      media: its `encode` and `flow` count; a clip may be as short as two frames.

    Raises:
      ClipError: the file is none, or there is no flow to be had of it: the reason is a class of `clips.REASONS`.
    """
    encode = replace(media.encode, min_duration_s=0.0)
    clip = span.as_clip()
    try:
        with open_container(path) as container:
            frames = read_frames(container, clip.start_us, clip.end_us, span.trimmed, encode, keep_luma=True)
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libav: {error.strerror}") from error
    start_s = span.start_s or 0.0
    return _estimated(Path(path).name, start_s, frames.jpegs, frames.luma, media, frames.damaged)


def flow_of_folder(path: str, span: Span, media: MediaSettings) -> FlowClip:
    """Reads a folder of frames as a run does (`source.kind: frames`), and its flow or estimates one.

    Args:
      path: of a local folder.
      span: in seconds at `encode.fps`.
      media: `encode` and `flow`; of the method `imported` the folder's own flow is taken, as a record would store it.

    Raises:
      ClipError: as `media.frame_folders.read_folder`, and `too_short`.
      OSError: a file can't be read.
    """
    media = replace(media, encode=replace(media.encode, min_duration_s=0.0), trimmed=span.trimmed, frame_folders=True)
    frames, flow = read_folder(list_folder(path, media.flow), span.as_clip(), media)
    name, start_s = Path(path).resolve().name, float(frames.start_s)
    if flow is None or media.flow is None:
        return _estimated(name, start_s, frames.jpegs, frames.luma, media, frames.damaged)
    return _stored(name, start_s, media.encode.fps, frames.jpegs, flow.encoded, media.flow.bound_px)


def flow_of_images(paths: Sequence[Path], span: Span, media: MediaSettings) -> FlowClip:
    """Reads frames that lie in files of any names, and estimates their flow.

    Args:
      paths: JPEG and PNG files in the order of the frames.
      span: in seconds at `encode.fps`.
      media: the frames' rate, the quality of those that are no JPEG yet, and how flow is estimated.

    Raises:
      ClipError: `unreadable`, `unsupported` or `too_large` for an image that can't be used; `too_short`.
      OSError: a file can't be read.
    """
    encode = media.encode
    taken = span.frames(len(paths), encode.fps)
    jpegs: list[bytes] = []
    luma: list[np.ndarray] = []
    for path in paths[taken]:
        try:
            jpeg, grey = read_frame(path, encode.jpeg_quality)
        except ClipError as error:
            raise ClipError(error.reason, f"{path.name}: {error.detail}") from error
        if luma and grey.shape != luma[0].shape:
            sizes = f"{grey.shape[1]}×{grey.shape[0]} pixels, and the first frame {luma[0].shape[1]}×{luma[0].shape[0]}"
            raise ClipError("unsupported", f"{path.name} has {sizes}")
        jpegs.append(jpeg)
        luma.append(grey)
    name = f"{paths[0].name} to {paths[-1].name}"
    return _estimated(name, float(taken.start / encode.fps), jpegs, luma, media, damaged=False)


def flow_of_record(path: str, clip_id: str | None, span: Span) -> FlowClip:
    """Reads a clip and its flow out of a shard; nothing is estimated.

    Args:
      path: of a shard.
      clip_id: `example/id` of the record; None: the first.
      span: in seconds from the clip's beginning.

    Raises:
      RequestError: there is no such record.
      ClipError: `not_found` where there is none at all; `unreadable` for one that is damaged; `unsupported` for one
        without flow; `too_short`.
      OSError: the shard can't be read.
    """
    return flow_of_clip(_find_record(path, clip_id), span)


def flow_of_clip(clip: ClipRecord, span: Span | None = None) -> FlowClip:
    """Returns a record's frames and flow as they are stored.

    Args:
      clip: the record.
      span: in seconds from the clip's beginning; None: all of it.

    Raises:
      ClipError: `unsupported` for one without flow; `too_short`; `unreadable` for one whose images are damaged.
    """
    if not clip.flow:
        raise ClipError("unsupported", f"record {clip.clip_id} has no flow: look at its video instead")
    rate = clip.frame_rate
    taken = span.frames(len(clip.frames), rate) if span else slice(0, len(clip.frames))
    start_s = float(taken.start / rate)
    try:
        return _stored(clip.clip_id, start_s, rate, clip.frames[taken], clip.flow[taken], clip.bound_px)
    except ClipError as error:
        raise ClipError(error.reason, f"record {clip.clip_id}: {error.detail}") from error


def _estimated(
    name: str, start_s: float, jpegs: list[bytes], luma: list[np.ndarray], media: MediaSettings, damaged: bool
) -> FlowClip:
    _check_length(len(jpegs))
    flow = media.flow
    assert flow
    estimator = flow_estimator(flow)

    def estimate(pair: int) -> np.ndarray:
        return estimator(luma[pair], luma[pair + 1])

    height, width = luma[0].shape
    return FlowClip(
        name=name,
        how=f"{flow.method}, of a damaged source" if damaged else flow.method,
        frame_rate=media.encode.fps,
        start_s=start_s,
        width=width,
        height=height,
        frames=jpegs,
        num_pairs=len(jpegs) - 1,
        level_px=0.0,
        flow=estimate,
    )


def _stored(
    name: str, start_s: float, frame_rate: Fraction, frames: Sequence[bytes], fields: Sequence[bytes], bound_px: float
) -> FlowClip:
    num_pairs = min(len(fields), len(frames) - 1)
    _check_length(num_pairs + 1)
    sizes = {image_size(image) for image in frames}
    if len(sizes) > 1 or len({image_size(image) for image in fields}) > 1:
        raise ClipError("unsupported", "its images are of several sizes")
    ((width, height),) = sizes

    def flow(pair: int) -> np.ndarray:
        try:
            decode_image(fields[pair])  # says what is wrong with one that is damaged
            return decode_flow(fields[pair], bound_px)
        except ClipError as error:
            raise ClipError(error.reason, f"flow image {pair}: {error.detail}") from error

    return FlowClip(
        name=name,
        how=f"as stored, ±{bound_px:g} px",
        frame_rate=frame_rate,
        start_s=start_s,
        width=width,
        height=height,
        frames=frames,
        num_pairs=num_pairs,
        level_px=2 * bound_px / 255,
        flow=flow,
    )


def _check_length(num_frames: int) -> None:
    if num_frames < 2:
        found = f"got {max(0, num_frames)} in the time asked for"
        raise ClipError("too_short", f"flow takes two frames or more, {found}")


def _find_record(path: str, clip_id: str | None) -> ClipRecord:
    ids = []
    try:
        for record in read_records(path):
            found_id = id_of(record)
            if clip_id in (None, found_id):
                return parse_clip(record)
            ids.append(found_id)
    except CorruptRecordError as error:
        raise ClipError("unreadable", f"is no shard of sequence examples, or damaged: {error}") from error
    if not ids:
        raise ClipError("not_found", "holds no record")
    few = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    raise RequestError(f"{path}: none of its {len(ids)} records has the id {clip_id}; there are {few}")


def spread(frames: Sequence[bytes], most: int) -> list[int]:
    """Returns up to `most` pairs of neighbours at even distances, of those that differ, or of all where none does."""
    pairs = range(len(frames) - 1)
    moving = [pair for pair in pairs if frames[pair] != frames[pair + 1]] or pairs
    places = np.linspace(0, len(moving) - 1, min(len(moving), most))
    return sorted({moving[round(place)] for place in places})
