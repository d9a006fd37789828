"""Every way of storing pixels gives the colours that were stored: made videos whose RGB is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from av.video.frame import VideoFrame

from beam_pipeline.clips import ClipError
from beam_pipeline.media.color import Encoding
from beam_pipeline.media.container import open_container
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.video import Frames, read_frames
from tests.beam_pipeline.media.test_color import ycbcr_of
from tests.beam_pipeline.media.videos import planar_frame, rgb_of, write_video

BARS = np.array(
    [
        [235, 235, 235],
        [200, 190, 40],
        [40, 190, 190],
        [50, 180, 60],
        [190, 60, 180],
        [200, 50, 60],
        [50, 60, 190],
        [9, 9, 9],
    ]
)
BAR_PX = 32
MATRIX_TAGS = {1: "BT.709", 4: "FCC", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
NUM_FRAMES = 3


def bars(width: int, height: int) -> np.ndarray:
    return np.broadcast_to(BARS[np.arange(width) // BAR_PX % len(BARS)], (height, width, 3))


def stored(pixel_format: str, encoding: Encoding, width: int, height: int) -> VideoFrame:
    """A frame of bars, in any planar YCbCr format of 8 to 16 bits."""
    probe = VideoFrame(width, height, pixel_format)
    samples = ycbcr_of(bars(width, height), encoding)
    bits = probe.format.components[0].bits
    if bits > 8:  # limited range scales by powers of two, full range to the largest level
        full = (2**bits - 1) / 255
        samples = np.where(encoding.full_range, samples * full, samples * 2 ** (bits - 8))
        samples[..., 1:] += np.where(encoding.full_range, 2 ** (bits - 1) - 128 * full, 0)
    dtype = np.uint16 if bits > 8 else np.uint8
    planes = []
    for index, plane in enumerate(probe.planes):
        across, down = -(-width // plane.width), -(-height // plane.height)
        planes.append(np.rint(samples[::down, ::across, index]).clip(0, 2**bits - 1).astype(dtype))
    frame = planar_frame(planes, pixel_format)
    frame.colorspace, frame.color_range = encoding.matrix, 2 if encoding.full_range else 1
    return frame


def read(path, shorter_side: int, **encode) -> Frames:
    settings = Encode(shorter_side=shorter_side, jpeg_quality=100, min_duration_s=0, **encode)
    with open_container(str(path)) as container:
        return read_frames(container, 0, 0, "whole", settings, keep_luma=False)


def bar_centres(picture: np.ndarray, width: int) -> np.ndarray:
    """The mean colour in the middle of each bar, away from its borders."""
    scale = picture.shape[1] / width
    centres = (np.arange(width // BAR_PX) + 0.5) * BAR_PX * scale
    rows = slice(picture.shape[0] // 4, -picture.shape[0] // 4)
    return np.stack([picture[rows, int(c) - 2 : int(c) + 2].mean((0, 1)) for c in centres])


def assert_bars(frames: Frames, width: int, tolerance: float = 2.0, most_bias: float = 0.75) -> None:
    difference = bar_centres(rgb_of(frames.jpegs[-1]), width) - BARS[np.arange(width // BAR_PX) % len(BARS)]
    assert np.abs(difference).max() <= tolerance, difference.round(2)
    assert np.abs(difference.mean(0)).max() <= most_bias


@pytest.mark.parametrize(("matrix", "full"), list(itertools.product(MATRIX_TAGS, (False, True))))
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le"])
def test_each_matrix_and_range(tmp_path, matrix, full, pixel_format):
    frame = stored(pixel_format, Encoding(matrix, full), 256, 64)
    path = write_video(tmp_path / "bars.mkv", [frame] * NUM_FRAMES)
    assert_bars(read(path, 64), 256)


FORMATS = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv410p",
    "yuv411p",
    "yuv440p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p12le",
]


@pytest.mark.parametrize("resize", ["area", "bilinear", "bicubic"])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_each_pixel_format_scaled_down(tmp_path, pixel_format, resize):
    frame = stored(pixel_format, Encoding(6, False), 256, 96)
    frames = read(write_video(tmp_path / "bars.mkv", [frame] * NUM_FRAMES), 64, resize=resize)
    assert (frames.width, frames.height) == (170, 64)
    assert_bars(frames, 256)


@pytest.mark.parametrize(("width", "height"), [(257, 63), (255, 65), (259, 64)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p"])
def test_odd_sizes_are_kept_where_the_shorter_side_is_right(tmp_path, pixel_format, width, height):
    frame = stored(pixel_format, Encoding(1, False), width, height)
    frames = read(write_video(tmp_path / "bars.mkv", [frame] * NUM_FRAMES), height)
    assert rgb_of(frames.jpegs[0]).shape == (height, width, 3)
    assert_bars(frames, width)


def test_an_unnamed_matrix_is_high_definitions_at_1280_columns(tmp_path):
    wide = stored("yuv420p", Encoding(1, False), 1280, 64)
    wide.colorspace = 2
    assert_bars(read(write_video(tmp_path / "wide.mkv", [wide] * NUM_FRAMES), 64), 1280)
    narrow = stored("yuv420p", Encoding(6, False), 256, 64)
    narrow.colorspace = 2
    assert_bars(read(write_video(tmp_path / "narrow.mkv", [narrow] * NUM_FRAMES), 64), 256)


@pytest.mark.parametrize(
    ("pixel_format", "codec", "options"),
    [("bgr0", "ffv1", {}), ("gbrp10le", "ffv1", {}), ("rgb24", "libx264rgb", {"qp": "0"})],
)
@pytest.mark.parametrize("height", [64, 96])
def test_rgb(tmp_path, pixel_format, codec, options, height):
    picture = np.ascontiguousarray(bars(256, height), np.uint8)
    frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format)
    frame.colorspace = 0
    path = write_video(tmp_path / "bars.mkv", [frame] * NUM_FRAMES, codec, options=options)
    assert_bars(read(path, 64), 256, most_bias=1.0)


def test_a_palette(tmp_path):
    picture = np.ascontiguousarray(bars(256, 64), np.uint8)
    frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(format="rgb8", interpolation="POINT")
    path = write_video(tmp_path / "bars.gif", [frame] * NUM_FRAMES, "gif")
    palette = bar_centres(frame.to_ndarray(format="rgb24"), 256)
    assert np.abs(bar_centres(rgb_of(read(path, 64).jpegs[0]), 256) - palette).max() <= 3


@pytest.mark.parametrize(("color_range", "white"), [(1, 235), (2, 255)])
@pytest.mark.parametrize("shorter_side", [64, 32])
def test_grey_formats_take_the_range_they_say_they_have(tmp_path, color_range, white, shorter_side):
    frame = planar_frame([np.full((64, 64), white, np.uint8)], "gray")
    frame.color_range = color_range
    path = write_video(tmp_path / "grey.mkv", [frame] * NUM_FRAMES)
    picture = rgb_of(read(path, shorter_side).jpegs[0])
    assert picture.shape[-1] == 3
    assert picture.min() >= 254


def test_a_matrix_that_cannot_be_converted_is_refused_and_named(tmp_path):
    frame = stored("yuv444p", Encoding(6, False), 64, 64)
    frame.colorspace = 8
    path = write_video(tmp_path / "ycgco.mkv", [frame] * NUM_FRAMES)
    with pytest.raises(ClipError, match="YCgCo") as refused:
        read(path, 64)
    assert refused.value.reason == "unsupported"
