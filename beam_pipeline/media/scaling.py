"""From a decoded frame to small 8-bit 4:2:0 planes: output size, orientation, and swscale's exact flags."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
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
    # Not frame.side_data: the frame would keep that, and that the frame, until the garbage collector comes round to it,
    # hundreds of clips later.
    side_data = SideDataContainer(frame)  # type: ignore[call-arg]  # its stub has no __init__
    matrix = next((data for data in side_data if data.type == SideDataType.DISPLAYMATRIX), None)
    if matrix is None:
        return Orientation()
    # x' = a·x + c·y, y' = b·x + d·y in 16.16 fixed point (libavutil/display.h)
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if b == c == 0 and a and d:
        return Orientation(False, a < 0, d < 0)
    if a == d == 0 and b and c:
        return Orientation(True, c < 0, b < 0)
    raise ClipError("unsupported", "its display matrix turns pictures by no multiple of 90°")


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
    width: int,
    height: int,
    transposed: bool,
    target_px: int,
    sample_aspect_ratio: Fraction | None,
    *,
    by_height: bool = False,
) -> OutputSize:
    """Returns the size to scale stored frames to, so that they are displayed with the asked shorter side or height.

    Args:
      width: of the stored frames, pixels.
      height: likewise.
      transposed: whether frames are displayed on their side.
      target_px: pixels of the displayed frame's shorter side. The longer one becomes the nearest even number.
      sample_aspect_ratio: a stored pixel's width / height where it is to be applied, else None.
      by_height: `target_px` are of the displayed frame's height, and the width becomes the even number at or below its
        share, as in MediaPipe's scale_image_utils.cc.

    A source that has the asked side already (and square pixels) keeps its size, even an odd one.

    Raises:
      ClipError: `too_large` for a source side over 8192 or an output side over 4096 pixels.
    """
    if max(width, height) > MAX_SOURCE_SIDE_PX:
        raise ClipError("too_large", f"frames of {width}x{height} pixels; at most {MAX_SOURCE_SIDE_PX} a side are read")
    shown_width = width * (sample_aspect_ratio or 1)
    given_is_width = transposed if by_height else shown_width < height
    given, other = (shown_width, height) if given_is_width else (height, shown_width)
    if (shown_width, given) == (width, target_px):
        size = OutputSize(width, height, False)
    else:
        scaled = Fraction(other) * target_px / given
        even = 2 * max(1, int(scaled / 2 if by_height else scaled / 2 + Fraction(1, 2)))
        size = OutputSize(*((target_px, even) if given_is_width else (even, target_px)), given < target_px)
    if max(size.width, size.height) > MAX_OUTPUT_SIDE_PX:
        shown = (size.height, size.width) if transposed else (size.width, size.height)
        raise ClipError(
            "too_large", f"frames would be {shown[0]}x{shown[1]} pixels; at most {MAX_OUTPUT_SIDE_PX} a side"
        )
    return size


class Scaler:
    """Makes small planes of frames; frames of another size or pixel format in mid-stream come out at the same size.

    YCbCr keeps its range and matrix (both are changed later, when there are fewer pixels); RGB and palettes come out
    as JPEG's YCbCr. Chroma stays where it was sited: the left-sited chroma of most video is half a pixel off in a JPEG
    file, as in every pipeline that doesn't resample it.
    """

    def __init__(self, size: OutputSize, resize: str):
        self._size = size
        self._interpolation = _INTERPOLATION[resize]
        self._reformatter = VideoReformatter()
        self._half = ((size.height + 1) // 2, (size.width + 1) // 2)
        self._plans: dict[tuple, _Plan] = {}

    def planes(self, frame: VideoFrame) -> tuple[Planes, Encoding]:
        """Returns 8-bit 4:2:0 planes, which may be views of the frame's own memory, and the encoding they are in.

        Raises:
          ClipError: `unsupported` for a pixel format or matrix that can't be converted.
        """
        layout = (frame.format.name, frame.width, frame.height, frame.color_range, frame.colorspace)
        plan = self._plans.get(layout)
        if plan is None:
            plan = self._plans[layout] = self._plan(frame)
        if plan.target is not None:
            frame = self._reformat(frame, plan)
        if plan.target == "gray":
            neutral = np.full(self._half, 128, np.uint8)
            return (_plane(frame.planes[0], self._size.height, self._size.width), neutral, neutral), plan.encoding
        y, cb, cr = frame.planes
        luma = _plane(y, self._size.height, self._size.width)
        return (luma, _plane(cb, *self._half), _plane(cr, *self._half)), plan.encoding

    def _plan(self, frame: VideoFrame) -> _Plan:
        name = frame.format.name
        if frame.format.is_rgb or frame.format.has_palette:
            return _Plan("yuv420p", JPEG_ENCODING, from_rgb=True)
        full_range = is_full_range(name, frame.color_range)
        encoding = encoding_of(frame.colorspace, full_range, frame.width, frame.height)
        if len(frame.format.components) < 3:  # grey, perhaps with alpha
            return _Plan("gray", encoding)
        same_size = (frame.width, frame.height) == (self._size.width, self._size.height)
        return _Plan(None if same_size and name in _PLANAR_420 else "yuv420p", encoding)

    def _reformat(self, frame: VideoFrame, plan: _Plan) -> VideoFrame:
        # The same range on both sides, or swscale would convert it, at the frame's full height.
        color_range = ColorRange.JPEG if plan.encoding.full_range else ColorRange.MPEG
        try:
            return self._reformatter.reformat(
                frame,
                self._size.width,
                self._size.height,
                plan.target,
                dst_colorspace=Colorspace.ITU601 if plan.from_rgb else None,
                interpolation=self._interpolation,
                src_color_range=color_range,
                dst_color_range=color_range,
                threads=1,
            )
        except av.error.MemoryError:
            raise
        except (av.FFmpegError, ValueError) as error:
            raise ClipError("unsupported", f"swscale can't read pixel format {frame.format.name}") from error


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do with frames of one layout: swscale's target format, None for none, and the encoding that results."""

    target: str | None
    encoding: Encoding
    from_rgb: bool = False


def _plane(plane: VideoPlane, height: int, width: int) -> np.ndarray:
    # Rows are padded; a codec that stores pictures upside down has them from the last to the first.
    line = plane.line_size
    if line > 0:
        return np.ndarray((height, width), np.uint8, memoryview(plane), 0, (line, 1))
    return np.ndarray((height, width), np.uint8, memoryview(plane), -line * (height - 1), (line, 1))
