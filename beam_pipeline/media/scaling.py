"""From a decoded frame to small 8-bit 4:2:0 planes: output size, orientation, and swscale's exact flags."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from beam_pipeline.clips import ClipError
from beam_pipeline.media.color import JPEG_ENCODING, Encoding, Planes, encoding_of, is_full_range

MAX_OUTPUT_SIDE_PX = 4096
MAX_SOURCE_SIDE_PX = 8192

# Without ACCURATE_RND swscale darkens by up to a level and gives other bits with AVX2 than without; with it the same
# bits everywhere at the same cost. The chroma flags matter for RGB sources only.
_EXACT = (
    Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INP | Interpolation.FULL_CHR_H_INT
)
_INTERPOLATION = {
    "area": Interpolation.AREA | _EXACT,
    "bilinear": Interpolation.BILINEAR | _EXACT,
    "bicubic": Interpolation.BICUBIC | _EXACT,
}
_PLANAR_420 = ("yuv420p", "yuvj420p")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored frames differ from displayed ones: transposed first, then flipped left-right, then top-bottom."""

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    @property
    def clockwise_degrees(self) -> int:
        """The rotation's part of it: 0, 90, 180 or 270; what else there is, is a left-right mirror applied first."""
        if not self.transpose:
            return 180 if self.flip_vertical else 0
        return 270 if self.flip_vertical else 90


@dataclass(frozen=True, slots=True)
class OutputSize:
    """The size that frames are scaled to, before they are turned, and whether that makes them larger."""

    width: int
    height: int
    upscaled: bool


def orientation_of(frame: VideoFrame) -> Orientation:
    """Returns how a frame must be turned for display, by its display matrix; upright without one.

    Raises:
      ClipError: `unsupported` where the matrix turns by anything but a multiple of 90°.
    """
    side_data = cast(Iterable[SideData], frame.side_data)  # PyAV's stub has it a mapping
    matrix = next((data for data in side_data if data.type == SideDataType.DISPLAYMATRIX), None)
    if matrix is None:
        return Orientation()
    # x' = a·x + c·y, y' = b·x + d·y in 16.16 fixed point (libavutil/display.h)
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if b == c == 0 and a and d:
        return Orientation(False, a < 0, d < 0)
    if a == d == 0 and b and c:
        return Orientation(True, c < 0, b < 0)
    raise ClipError("unsupported", f"it is to be shown rotated by {-frame.rotation}°, which is no multiple of 90°")


def turned(plane: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Returns a plane as it is displayed."""
    if orientation.transpose:
        plane = cv2.transpose(plane)
    if orientation.flip_horizontal and orientation.flip_vertical:
        return cv2.flip(plane, -1)
    if orientation.flip_horizontal:
        return cv2.flip(plane, 1)
    return cv2.flip(plane, 0) if orientation.flip_vertical else plane


def output_size(
    width: int, height: int, transposed: bool, shorter_side: int, sample_aspect_ratio: Fraction | None
) -> OutputSize:
    """Returns the size to scale stored frames to, so that they are displayed with the asked shorter side.

    Args:
      width: of the stored frames, pixels.
      height: likewise.
      transposed: whether frames are displayed on their side.
      shorter_side: pixels of the displayed frame's shorter side. The longer one becomes the nearest even number.
      sample_aspect_ratio: a stored pixel's width / height where it is to be applied, else None.

    A source that has the asked shorter side already (and square pixels) keeps its size, even an odd one.

    Raises:
      ClipError: `too_large` for a source side over 8192 or an output side over 4096 pixels.
    """
    if max(width, height) > MAX_SOURCE_SIDE_PX:
        raise ClipError("too_large", f"frames of {width}x{height} pixels; at most {MAX_SOURCE_SIDE_PX} a side are read")
    shown_width = width * (sample_aspect_ratio or 1)
    shorter = min(shown_width, height)
    if (shown_width, shorter) == (width, shorter_side):
        size = OutputSize(width, height, False)
    else:
        longer = _nearest_even(Fraction(max(shown_width, height)) * shorter_side / shorter)
        wide = shown_width >= height
        size = OutputSize(*((longer, shorter_side) if wide else (shorter_side, longer)), shorter < shorter_side)
    if max(size.width, size.height) > MAX_OUTPUT_SIDE_PX:
        shown = (size.height, size.width) if transposed else (size.width, size.height)
        raise ClipError(
            "too_large", f"frames would be {shown[0]}x{shown[1]} pixels; at most {MAX_OUTPUT_SIDE_PX} a side"
        )
    return size


def _nearest_even(length: Fraction) -> int:
    return 2 * max(1, int(length / 2 + Fraction(1, 2)))


def scaler(size: OutputSize, resize: str) -> Callable[[VideoFrame], tuple[Planes, Encoding]]:
    """Returns a function from a frame to 8-bit 4:2:0 planes of `size`, and the encoding that they are in.

    YCbCr keeps its range and matrix (both are changed later, when there are fewer pixels); RGB and palettes come out
    as JPEG's YCbCr. Chroma stays where it was sited: the left-sited chroma of most video is half a pixel off in a JPEG
    file, as in every pipeline that doesn't resample it. The planes may be views of the frame's own memory.

    Raises:
      ClipError: `unsupported`, from that function, for a pixel format or matrix that can't be converted.
    """
    reformatter = VideoReformatter()
    interpolation = _INTERPOLATION[resize]
    neutral: list[np.ndarray] = []

    def reformat(frame: VideoFrame, format_name: str, full_range: bool, **colorspaces: Colorspace) -> VideoFrame:
        try:
            return reformatter.reformat(
                frame,
                size.width,
                size.height,
                format_name,
                interpolation=interpolation,
                src_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
                threads=1,
                **colorspaces,
            )
        except OSError as error:  # av.FFmpegError is one of these, and so is what PyAV makes of ENOSYS
            raise ClipError("unsupported", f"swscale can't read pixel format {frame.format.name}") from error

    def scale(frame: VideoFrame) -> tuple[Planes, Encoding]:
        pixel_format = frame.format
        name = pixel_format.name
        if pixel_format.is_rgb or pixel_format.has_palette:
            small = reformat(frame, "yuv420p", True, dst_colorspace=Colorspace.ITU601)
            return _planes(small), JPEG_ENCODING
        full_range = is_full_range(name, frame.color_range)
        encoding = encoding_of(frame.colorspace, full_range, frame.width, frame.height)
        if len(pixel_format.components) < 3:  # grey, perhaps with alpha
            luma = _plane(reformat(frame, "gray", full_range).planes[0])
            if not neutral:
                neutral.append(np.full(((size.height + 1) // 2, (size.width + 1) // 2), 128, np.uint8))
            return (luma, neutral[0], neutral[0]), encoding
        if name in _PLANAR_420 and (frame.width, frame.height) == (size.width, size.height):
            return _planes(frame), encoding
        return _planes(reformat(frame, "yuv420p", full_range)), encoding

    return scale


def _planes(frame: VideoFrame) -> Planes:
    y, cb, cr = frame.planes
    return _plane(y), _plane(cb), _plane(cr)


def _plane(plane: object) -> np.ndarray:
    # Rows are padded, and from the last to the first in frames that a codec stores upside down.
    line = plane.line_size  # type: ignore[attr-defined]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, abs(line))[:, : plane.width]  # type: ignore
    return rows if line > 0 else rows[::-1]
