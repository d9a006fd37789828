"""One clip to one record: what a decoding process does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2

from beam_pipeline.clips import ClipError
from beam_pipeline.media.audio import AudioTrack, read_audio
from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import FlowFrames, encode_flow
from beam_pipeline.media.frame_folders import FrameFolder, checksum, list_folder, read_folder
from beam_pipeline.media.phash import perceptual_hash
from beam_pipeline.media.settings import MediaSettings
from beam_pipeline.media.stored_file import stored_file
from beam_pipeline.media.task import ClipTask, EncodedClip, FileError
from beam_pipeline.media.video import Frames, read_frames
from beam_pipeline.records import sequence_example
from tf_data import contract

Source = str | BinaryIO | FrameFolder  # a local path, a file that came from a store, a folder of images
_TOO_LITTLE_MEMORY = "needs more memory than limits.memory_mib allows"


def encode_clip(task: ClipTask) -> EncodedClip:
    """Decodes and encodes one clip, unless its file or folder is the one that `task.known_crc32c` speaks of.

    Raises:
      FileError: the file can't become a record; the reason is a class of `clips.REASONS`.
      ClipError: `not_found`, `unreadable` or `network`, where not even its bytes can be read; `out_of_memory`, which is
        the limit's doing as much as the file's, so that the same file is tried again.
      OSError: there is no room for a temporary file.
    """
    settings = task.settings
    if settings.frame_folders:
        folder = list_folder(task.path, settings.flow)
        return _unless_known(replace(task, size=folder.bytes), folder, checksum(folder))
    with stored_file(task.path, task.size) as (file, crc32c):
        return _unless_known(task, file, crc32c)


def _unless_known(task: ClipTask, source: Source, crc32c: int) -> EncodedClip:
    if crc32c == task.known_crc32c:
        return EncodedClip(crc32c)
    try:
        return _encode(task, source, crc32c)
    except ClipError as error:
        raise FileError(error.reason, error.detail, crc32c) from error
    except (MemoryError, av.error.MemoryError) as error:
        raise ClipError("out_of_memory", _TOO_LITTLE_MEMORY) from error
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise ClipError("out_of_memory", _TOO_LITTLE_MEMORY) from error
        raise
    except av.error.FFmpegError as error:
        raise FileError("unreadable", f"libav: {error.strerror}", crc32c) from error
    except OSError as error:
        if not isinstance(source, FrameFolder):
            raise
        raise ClipError("unreadable", f"can't be read: {error.strerror or error}") from error


def _encode(task: ClipTask, source: Source, crc32c: int) -> EncodedClip:
    settings, clip = task.settings, task.clip
    audio = flow = None
    has_audio = False
    if isinstance(source, FrameFolder):
        frames, flow = read_folder(source, clip, settings)
    else:
        with open_container(source) as container:
            frames = read_frames(
                container,
                clip.start_us,
                clip.end_us,
                settings.trimmed,
                settings.encode,
                keep_luma=settings.flow is not None,
            )
            has_audio = bool(container.streams.audio)
    if settings.audio and not isinstance(source, FrameFolder):
        with open_container(source) as container:
            audio = read_audio(container, frames.start_s, frames.duration_s, settings.audio)
        has_audio = audio.has_audio
    if settings.flow and not flow:
        flow = encode_flow(frames.luma, settings.flow)
    context = _context(task, crc32c, frames, has_audio)
    interval_us = 1_000_000 / settings.encode.fps
    timestamps = [round(k * interval_us) for k in range(len(frames.jpegs))]
    lists: dict[str, Any] = {contract.IMAGE_ENCODED: frames.jpegs, contract.IMAGE_TIMESTAMP: timestamps}
    if flow and settings.flow:
        context |= _flow_context(flow, frames, settings)
        lists |= {contract.FLOW_ENCODED: flow.encoded, contract.FLOW_TIMESTAMP: timestamps[:-1]}
    if audio and settings.audio:
        context |= _audio_context(audio, settings)
        lists[contract.AUDIO_FLOATS] = [audio.samples]
    return EncodedClip(
        crc32c,
        sequence_example(context, lists),
        num_frames=len(frames.jpegs),
        duration_s=float(frames.duration_s),
        width=frames.width,
        height=frames.height,
        short=frames.short,
        damaged=frames.damaged,
        rotated=frames.rotation != 0,
        has_audio=has_audio,
        upscaled=frames.upscaled,
        repeated_frames=frames.repeated_frames,
        mean_luma=float(frames.mean_luma),
        clipped_flow=float(flow.clipped) if flow else None,
        mean_flow_px=float(flow.mean_px) if flow else None,
    )


def _context(task: ClipTask, crc32c: int, frames: Frames, has_audio: bool) -> dict[str, Any]:
    quality, source = contract.QUALITY_PREFIX, contract.SOURCE_PREFIX
    clip = task.clip
    return {
        contract.EXAMPLE_ID: clip.clip_id,
        contract.DATASET_NAME: task.dataset_name,
        contract.DATA_PATH: Path(task.uri).name,
        contract.MEDIA_ID: clip.video_id,
        contract.SPLIT: task.split,
        contract.CLIP_START: clip.start_us,
        contract.CLIP_END: clip.end_us,
        contract.LABEL_INDEX: task.label_index,
        contract.LABEL_STRING: clip.label,
        contract.LABEL_TEXT: clip.label,
        **_image_context(contract.IMAGE_PREFIX, "JPEG", frames, task.settings),
        f"{contract.IMAGE_PREFIX}/colorspace": "RGB",
        f"{source}/uri": task.uri,
        f"{source}/bytes": task.size,
        f"{source}/crc32c": crc32c,
        f"{source}/codec": frames.codec,
        f"{source}/width": frames.source_width,
        f"{source}/height": frames.source_height,
        f"{source}/rotation": frames.rotation,
        f"{source}/duration_s": float(frames.duration_s),
        f"{source}/interlaced": int(frames.interlaced),
        f"{quality}/short": int(frames.short),
        f"{quality}/damaged": int(frames.damaged),
        f"{quality}/upscaled": int(frames.upscaled),
        f"{quality}/has_audio": int(has_audio),
        f"{quality}/repeated_frames": frames.repeated_frames,
        f"{quality}/mean_luma": float(frames.mean_luma),
        f"{quality}/phash": perceptual_hash(frames.middle_luma),
    }


def _image_context(prefix: str, image_format: str, frames: Frames, settings: MediaSettings) -> dict[str, Any]:
    return {
        f"{prefix}/format": image_format,
        f"{prefix}/channels": 3,
        f"{prefix}/height": frames.height,
        f"{prefix}/width": frames.width,
        f"{prefix}/frame_rate": float(settings.encode.fps),
    }


def _flow_context(flow: FlowFrames, frames: Frames, settings: MediaSettings) -> dict[str, Any]:
    assert settings.flow
    image_format = "PNG" if settings.flow.storage == "png" else "JPEG"
    return {
        **_image_context(contract.FLOW_PREFIX, image_format, frames, settings),
        contract.FLOW_METHOD: settings.flow.method,
        contract.FLOW_PARAMETERS: json.dumps(settings.flow.parameters, sort_keys=True, separators=(",", ":")),
        contract.FLOW_ROUNDING: settings.flow.rounding,
        contract.FLOW_SATURATION: float(settings.flow.bound_px),
        f"{contract.QUALITY_PREFIX}/clipped_flow": float(flow.clipped),
        f"{contract.QUALITY_PREFIX}/mean_flow_px": float(flow.mean_px),
    }


def _audio_context(audio: AudioTrack, settings: MediaSettings) -> dict[str, Any]:
    assert settings.audio
    return {
        contract.AUDIO_SAMPLE_RATE: float(settings.audio.sample_rate),
        contract.AUDIO_NUM_CHANNELS: 1,
        contract.AUDIO_NUM_SAMPLES: len(audio.samples),
    }
