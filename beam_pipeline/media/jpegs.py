"""Encodes a clip's frames as JPEG, all to one size, never by way of RGB."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import simplejpeg
from av.video.frame import VideoFrame

from beam_pipeline.media.color import Planes, conversion_to_jpeg, to_jpeg_ycbcr
from beam_pipeline.media.scaling import Orientation, OutputSize, Scaler, orientation_of, output_size, turned
from beam_pipeline.media.settings import Encode


class FrameEncoder:
    """Collects a clip's JPEG images. The first frame decides the size and the orientation of all.

    `jpegs` and `luma` grow with every `show`; `luma` only where it is asked for.

    Raises:
      ClipError: from the constructor and from `show`, `unsupported` or `too_large` for frames that can't be stored.
    """

    def __init__(self, first: VideoFrame, encode: Encode, sample_aspect_ratio: Fraction | None, keep_luma: bool):
        self.orientation: Orientation = orientation_of(first)
        self.size: OutputSize = output_size(
            first.width,
            first.height,
            self.orientation.transpose,
            encode.target_px,
            sample_aspect_ratio,
            by_height=encode.height is not None,
        )
        self.source_width: int = first.width
        self.source_height: int = first.height
        self.jpegs: list[bytes] = []
        self.luma: list[np.ndarray] = []
        self.repeated_frames = 0
        self._scale = Scaler(self.size, encode.resize).planes
        self._quality = encode.jpeg_quality
        self._keep_luma = keep_luma
        self._luma_sum = 0
        half = ((self.size.height + 1) // 2, (self.size.width + 1) // 2)
        self._buffers: Planes = (
            np.empty((self.size.height, self.size.width), np.uint8),
            np.empty(half, np.uint8),
            np.empty(half, np.uint8),
        )

    def show(self, frame: VideoFrame, count: int) -> None:
        """Appends a frame, `count` times over; it is scaled and encoded once, and not at all for 0 or less."""
        if count <= 0:
            return
        y, cb, cr = self._jpeg_planes(frame)
        self.jpegs += [simplejpeg.encode_jpeg_yuv_planes(y, cb, cr, self._quality)] * count
        self.repeated_frames += count - 1
        self._luma_sum += int(cv2.sumElems(y)[0]) * count
        if self._keep_luma:
            self.luma += [y.copy()] * count

    @property
    def width(self) -> int:
        """Of the stored frames, pixels."""
        return self.size.height if self.orientation.transpose else self.size.width

    @property
    def height(self) -> int:
        """Of the stored frames, pixels."""
        return self.size.width if self.orientation.transpose else self.size.height

    @property
    def mean_luma(self) -> float:
        """The mean of the stored luma over all frames shown, in levels 0–255."""
        return self._luma_sum / (len(self.jpegs) * self.size.width * self.size.height)

    def _jpeg_planes(self, frame: VideoFrame) -> Planes:
        planes, encoding = self._scale(frame)
        conversion = conversion_to_jpeg(encoding)
        if conversion is not None:
            planes = to_jpeg_ycbcr(planes, conversion, *self._buffers)
        if self.orientation != Orientation():
            y, cb, cr = planes
            planes = turned(y, self.orientation), turned(cb, self.orientation), turned(cr, self.orientation)
        return planes


def decode_luma(jpeg: bytes) -> np.ndarray:
    """Returns the uint8 (height, width) luma plane of a JPEG image, as any reader of the record gets it."""
    return simplejpeg.decode_jpeg(jpeg, colorspace="GRAY")[..., 0]
