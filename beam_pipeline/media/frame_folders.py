"""One clip that is a folder of images, as denseflow, mmaction2 and TSN's extractor leave it: frames, and flow.

    img_00000.jpg    img_00001.jpg    img_00002.jpg        T frames
           flow_x_00000.jpg  flow_x_00001.jpg              T − 1 pairs, the k-th from frame k to frame k + 1
           flow_y_00000.jpg  flow_y_00001.jpg

Frames are stored as they are, without decoding them to anything but a check; the flow's levels become those of our own
images (`media.flow`), unchanged. Nothing is resampled in time or in size.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import google_crc32c
import numpy as np
import simplejpeg

from beam_pipeline.clips import Clip, ClipError, too_short
from beam_pipeline.media.flow import FlowFrames, encode_levels
from beam_pipeline.media.frame_names import series_of
from beam_pipeline.media.jpegs import decode_luma
from beam_pipeline.media.png import is_png
from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.media.stored_file import reading
from beam_pipeline.media.task import UnreadFileError
from beam_pipeline.media.timing import HALF, num_outputs
from beam_pipeline.media.video import Frames

MAX_SIDE_PX = 4096  # of an image; frames of videos are stored with as many at most
MAX_IMAGES = 1_000_000  # of a folder: nine hours at 30 a second, or three with flow
MAX_BYTES = 512 << 20  # of a clip's images, which are held in memory
_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_KINDS = {(8, 0): "gray", (8, 2): "rgb24"}  # libavcodec's pixel format for PNG's (bits, colour type)
_NOT_A_FILE = -1
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Image:
    name: str
    size: int  # bytes; _NOT_A_FILE for a link, a folder or a device
    number: int


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A folder's images of the series that a record is made of, by name; nothing is known of their content yet.

    Attributes:
      path: of the folder.
      images: (name, bytes) of each.
    """

    path: str
    images: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        """Of all images."""
        return sum(max(size, 0) for _, size in self.images)


def list_folder(path: str, flow: Flow | None) -> FrameFolder:
    """Looks at the names and sizes of a clip's images. Links are not followed.

    Args:
      path: of a folder on this machine.
      flow: what is asked for; images of flow count where that is `imported`.

    Raises:
      UnreadFileError: `not_found`, there is no such folder any more; `unreadable`.
      ClipError: `too_large`, it has over a million images.
    """
    with_flow = _imported(flow) is not None
    images = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                series = series_of(entry.name)
                if series is None or (series[0] != "frame" and not with_flow):
                    continue
                is_file = entry.is_file(follow_symlinks=False)
                images.append((entry.name, entry.stat(follow_symlinks=False).st_size if is_file else _NOT_A_FILE))
                if len(images) > MAX_IMAGES:
                    raise ClipError("too_large", f"the folder has more than {MAX_IMAGES} images")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreadFileError("not_found", "the folder has gone since the store was listed") from error
    except OSError as error:
        raise UnreadFileError("unreadable", f"the folder can't be read: {error.strerror or error}") from error
    return FrameFolder(path, tuple(sorted(images)))


def checksum(folder: FrameFolder) -> int:
    """Returns the CRC-32C of the images' names, sizes and bytes.

    Raises:
      UnreadFileError: `not_found` or `unreadable`, an image can't be read to its end.
    """
    crc32c = google_crc32c.Checksum()
    with reading(folder.path):
        for name, size in folder.images:
            crc32c.update(b"%s\0%d\n" % (os.fsencode(name), size))
            if size == _NOT_A_FILE:
                continue
            with _open(folder.path, name) as file:
                while chunk := file.read(_CHUNK):
                    crc32c.update(chunk)
    return int.from_bytes(crc32c.digest(), "big")


def read_folder(folder: FrameFolder, clip: Clip, settings: MediaSettings) -> tuple[Frames, FlowFrames | None]:
    """Reads and checks a clip's frames and, where `flow.method` is `imported`, its flow.

    A folder's frame k is shown at k / `encode.fps`. Of a folder that is just the clip, the first end - start seconds
    are taken; of a `whole` one all; of one that is a video, the frames from the last one with time < start + ½ / fps
    on. They end before the first image that is damaged, and the clip is flagged.

    Args:
      folder: from `list_folder`, for the same flow.
      clip: which part of a video it is.
      settings: of `encode`, rate, limits and the quality of what is no JPEG yet count; of `flow`, bound and storage.

    Returns:
      The frames, JPEG files byte for byte as they are, PNG files as 4:2:0 JPEG; `luma` where flow is to be estimated.
      And the flow, of which `clipped` is the share of levels 0 and 255, and `mean_px` comes from the levels.

    Raises:
      ClipError: `no_video`, there is no frame; `unreadable`, the first image is damaged, or one is missing;
        `unsupported`, images that differ in size or kind, or flow of other steps than from each frame to the next;
        `no_overlap`, `too_short`, `too_large`.
      OSError: a file can't be read.
    """
    encode, imported = settings.encode, _imported(settings.flow)
    frames, pairs = _ordered(folder, imported is not None)
    first, wanted, asked_s = _taken(len(frames), clip, settings.trimmed, encode)
    frames, pairs = frames[first : first + wanted], pairs[first : first + wanted - 1]
    used = [*frames, *(image for pair in pairs for image in pair)]
    if sum(image.size for image in used) > MAX_BYTES:
        raise ClipError("too_large", f"the clip's images have more than {MAX_BYTES >> 20} MiB")
    reader = _FrameReader(folder.path, encode, keep_luma=settings.flow is not None and imported is None)
    damage = reader.read(frames)
    flow = None
    if imported:
        reading = _FlowReader(folder.path, imported, reader.size)
        damage = reading.read(pairs[: len(reader.jpegs) - 1]) or damage
        reader.cut(len(reading.encoded) + 1)
        flow = reading.flow_frames()
    found_s = len(reader.jpegs) / encode.fps
    duration_s = found_s if asked_s is None else min(found_s, asked_s)
    if duration_s < Fraction(encode.min_duration_s):
        raise too_short(float(duration_s), encode.min_duration_s, damage)
    short = asked_s is not None and asked_s - duration_s > 1 / (2 * encode.fps)
    return reader.frames(first / encode.fps, duration_s, short, damaged=bool(damage)), flow


def _imported(flow: Flow | None) -> Flow | None:
    return flow if flow and flow.method == "imported" else None


# -- Which images, in which order -------------------------------------------------------------------------------------


def _ordered(folder: FrameFolder, with_flow: bool) -> tuple[list[_Image], list[tuple[_Image, _Image]]]:
    """Returns T frames and, with flow, T − 1 pairs of flow images, in order and without gaps."""
    series: dict[str, list[_Image]] = {"frame": [], "x": [], "y": []}
    prefixes: dict[str, str] = {}
    for name, size in folder.images:
        place = series_of(name)
        assert place
        kind, prefix, number = place
        if kind == "other_step":
            raise ClipError("unsupported", f"{name} is flow of another step than from each frame to the next")
        if kind == "packed":
            raise ClipError("unsupported", f"{name} is flow with a bound of its own; expected flow_x_… and flow_y_…")
        if size == _NOT_A_FILE:
            raise ClipError("unsupported", f"{name} is no file but a link or the like, which is not followed")
        if prefixes.setdefault(kind, prefix) != prefix:
            other = series[kind][0].name
            raise ClipError("unsupported", f"the folder has two series of images, that of {other} and that of {name}")
        series[kind].append(_Image(name, size, number))
    if not series["frame"]:
        raise ClipError("no_video", "the folder has no frames, which are called img_00001.jpg and so on")
    frames, x, y = (_without_gaps(images) for images in series.values())
    if not with_flow:
        return frames, []
    if alone := {image.number for image in x} ^ {image.number for image in y}:
        name = next(image.name for image in (*x, *y) if image.number == min(alone))
        raise ClipError("unreadable", f"{name} is there without the other half of its pair")
    pairs = list(zip(x, y, strict=True))
    if len(pairs) == len(frames) and frames[0].number == x[0].number == 1:
        # TSN's extractor writes a pair and the frame that it leads to under one number, and the first frame not at all.
        pairs = pairs[1:]
    if len(pairs) != len(frames) - 1:
        expected = f"{len(frames)} frames need {len(frames) - 1} pairs of flow images"
        raise ClipError("unreadable", f"{expected}, flow_x_… and flow_y_…, found {len(pairs)}")
    return frames, pairs


def _without_gaps(images: list[_Image]) -> list[_Image]:
    images.sort(key=lambda image: image.number)
    for before, after in pairwise(images):
        if after.number == before.number:
            raise ClipError("unsupported", f"{before.name} and {after.name} have one number")
        if after.number != before.number + 1:
            raise ClipError("unreadable", f"between {before.name} and {after.name} images are missing")
    return images


def _taken(found: int, clip: Clip, trimmed: str, encode: Encode) -> tuple[int, int, Fraction | None]:
    """Returns the first frame of a clip, how many there are of it, and the seconds asked for, None for all."""
    if trimmed == "whole":
        if found > encode.max_duration_s * encode.fps:
            raise ClipError("too_large", f"the folder holds more than {encode.max_duration_s:g} s of frames")
        return 0, found, None
    asked_s = Fraction(clip.end_us - clip.start_us, 1_000_000)
    if asked_s > encode.max_duration_s:
        raise ClipError("too_large", f"the clip lasts {float(asked_s):.2f} s, more than {encode.max_duration_s:g} s")
    if trimmed == "true":
        return 0, min(found, num_outputs(asked_s, encode.fps)), asked_s
    start = Fraction(clip.start_us, 1_000_000) * encode.fps
    if start >= found:
        raise ClipError("no_overlap", "the frames end before the clip begins")
    first = min(ceil(start + HALF) - 1, found - 1)
    return first, min(found - first, num_outputs(asked_s, encode.fps)), asked_s


# -- What is in them --------------------------------------------------------------------------------------------------


class _BadImageError(Exception):
    """An image that does not decode to its end; says which and why."""


def _read(folder: str, image: _Image) -> bytes:
    with _open(folder, image.name) as file:
        return file.read(image.size)


def _open(folder: str, name: str) -> BinaryIO:
    return open(Path(folder, name), "rb", opener=_open_no_link)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _checked_size(width: int, height: int, name: str, expected: tuple[int, int] | None) -> tuple[int, int]:
    if max(width, height) > MAX_SIDE_PX:
        raise ClipError("too_large", f"{name} has {width}×{height} pixels; at most {MAX_SIDE_PX} a side are stored")
    if expected and (width, height) != expected:
        raise ClipError(
            "unsupported", f"{name} has {width}×{height} pixels, and the first frame {expected[0]}×{expected[1]}"
        )
    return width, height


def _jpeg_header(data: bytes, name: str, expected: tuple[int, int] | None) -> tuple[tuple[int, int], str]:
    """Returns ((width, height), colour space) of a JPEG image."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise _BadImageError(f"{name} is damaged: {error}") from error
    return _checked_size(width, height, name, expected), colours


def _jpeg_luma(data: bytes, name: str) -> np.ndarray:
    """Returns the uint8 (height, width) luma of a JPEG image that decodes without a warning."""
    try:
        return decode_luma(data)
    except ValueError as error:
        raise _BadImageError(f"{name} is damaged: {error}") from error


def _png_pixels(data: bytes, name: str, kind: str, expected: tuple[int, int] | None) -> np.ndarray:
    """Returns uint8 (height, width) of a `gray` PNG image, or (height, width, 3) of an `rgb24` one."""
    if len(data) < 26 or data[12:16] != b"IHDR":
        raise _BadImageError(f"{name} is damaged: its header is cut off")
    width, height, bits, colours = struct.unpack(">IIBB", data[16:26])
    _checked_size(width, height, name, expected)
    wrong_kind = f"{name} is PNG, but not of 8 bits and {'grey' if kind == 'gray' else 'RGB'} without transparency"
    if _PNG_KINDS.get((bits, colours)) != kind:
        raise ClipError("unsupported", wrong_kind)
    codec = av.CodecContext.create("png", "r")
    codec.options = {"err_detect": "crccheck+explode"}
    codec.thread_count = 1
    try:
        decoded = codec.decode(av.Packet(data))
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise _BadImageError(f"{name} is damaged: {error.strerror}") from error
    if len(decoded) != 1:
        raise _BadImageError(f"{name} is damaged: it ends before its picture does")
    if decoded[0].format.name != kind:  # a transparent colour makes another channel
        raise ClipError("unsupported", wrong_kind)
    return decoded[0].to_ndarray()


def _unknown(name: str) -> _BadImageError:
    return _BadImageError(f"{name} is damaged: it is neither JPEG nor PNG")


class _FrameReader:
    """Collects a clip's JPEG images. The first decides the size of all."""

    def __init__(self, folder: str, encode: Encode, keep_luma: bool):
        self.jpegs: list[bytes] = []
        self.size: tuple[int, int] | None = None  # width, height
        self._folder = folder
        self._quality = encode.jpeg_quality
        self._keep_luma = keep_luma
        self._luma: list[np.ndarray] = []
        self._luma_sums: list[int] = []
        self._codec = ""

    def read(self, images: Sequence[_Image]) -> str:
        """Takes images up to the first that is damaged; returns what is wrong with that, or ''.

        Raises:
          ClipError: `unreadable`, it is the very first.
        """
        for image in images:
            try:
                jpeg, luma = self._take(image)
            except _BadImageError as error:
                if not self.jpegs:
                    raise ClipError("unreadable", str(error)) from error
                return str(error)
            self.jpegs.append(jpeg)
            self._luma_sums.append(int(cv2.sumElems(luma)[0]))
            if self._keep_luma:
                self._luma.append(luma)
        return ""

    def cut(self, count: int) -> None:
        """Drops all but the first `count` frames."""
        for values in (self.jpegs, self._luma, self._luma_sums):
            del values[count:]

    def frames(self, start_s: Fraction, duration_s: Fraction, short: bool, damaged: bool) -> Frames:
        """Returns what was read."""
        assert self.size
        width, height = self.size
        jpegs = self.jpegs
        return Frames(
            jpegs=jpegs,
            luma=self._luma,
            width=width,
            height=height,
            source_width=width,
            source_height=height,
            codec=self._codec,
            rotation=0,
            start_s=start_s,
            duration_s=duration_s,
            short=short,
            damaged=damaged,
            interlaced=False,
            upscaled=False,
            repeated_frames=sum(a == b for a, b in pairwise(jpegs)),
            mean_luma=sum(self._luma_sums) / (len(jpegs) * width * height),
            middle_luma=decode_luma(jpegs[len(jpegs) // 2]),
        )

    def _take(self, image: _Image) -> tuple[bytes, np.ndarray]:
        data, name = _read(self._folder, image), image.name
        if data.startswith(_JPEG_MAGIC):
            size, colours = _jpeg_header(data, name, self.size)
            if colours != "YCbCr":
                raise ClipError("unsupported", f"{name} is JPEG of colour space {colours}, expected YCbCr")
            jpeg, luma, codec = data, _jpeg_luma(data, name), "mjpeg"
        elif is_png(data):
            pixels = _png_pixels(data, name, "rgb24", self.size)
            size, codec = (pixels.shape[1], pixels.shape[0]), "png"
            jpeg = simplejpeg.encode_jpeg(
                np.ascontiguousarray(pixels), self._quality, "RGB", colorsubsampling="420", fastdct=False
            )
            luma = decode_luma(jpeg)
        else:
            raise _unknown(name)
        self.size = size
        self._codec = self._codec or codec
        return jpeg, luma


class _FlowReader:
    """Collects a clip's flow images."""

    def __init__(self, folder: str, flow: Flow, size: tuple[int, int] | None):
        self.encoded: list[bytes] = []
        self._folder = folder
        self._flow = flow
        self._size = size  # of the frames
        self._num_clipped = self._num_levels = 0
        self._sum_px = 0.0
        self._px = np.arange(256, dtype=np.float32) * np.float32(2 * flow.bound_px / 255) - np.float32(flow.bound_px)

    def read(self, pairs: Sequence[tuple[_Image, _Image]]) -> str:
        """Takes pairs up to the first that is damaged; returns what is wrong with that, or ''."""
        for pair in pairs:
            try:
                x, y = (self._levels(image) for image in pair)
            except _BadImageError as error:
                return str(error)
            levels = np.dstack([x, y, np.zeros_like(x)])
            self.encoded.append(encode_levels(levels, self._flow.storage, self._flow.quality))
            self._num_clipped += int(np.count_nonzero((levels[..., :2] == 0) | (levels[..., :2] == 255)))
            self._num_levels += 2 * x.size
            x_px, y_px = self._px[x], self._px[y]
            self._sum_px += float(np.sqrt(x_px * x_px + y_px * y_px).sum(dtype=np.float64))
        return ""

    def flow_frames(self) -> FlowFrames:
        """Returns what was read."""
        count = max(self._num_levels, 1)
        return FlowFrames(self.encoded, self._num_clipped / count, 2 * self._sum_px / count)

    def _levels(self, image: _Image) -> np.ndarray:
        data, name = _read(self._folder, image), image.name
        if data.startswith(_JPEG_MAGIC):
            _, colours = _jpeg_header(data, name, self._size)
            if colours not in ("Gray", "YCbCr"):
                raise ClipError("unsupported", f"{name} is JPEG of colour space {colours}, expected grey")
            return _jpeg_luma(data, name)
        if is_png(data):
            return _png_pixels(data, name, "gray", self._size)
        raise _unknown(name)
