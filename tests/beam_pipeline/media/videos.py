"""Makes small videos of known content, and decodes files with ffmpeg's command, independently of the code tested."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from av.video.frame import VideoFrame

ACCURATE = "area+accurate_rnd+full_chroma_int+full_chroma_inp"


def ffmpeg_command() -> str:
    """Path of the ffmpeg command that the PyPI package imageio-ffmpeg brings; tests are skipped without it."""
    return pytest.importorskip("imageio_ffmpeg", reason="needs an independent ffmpeg: imageio-ffmpeg").get_ffmpeg_exe()


def ffmpeg_frames(path: Path, filters: str, pixel_format: str, bytes_a_frame: int) -> np.ndarray:
    """Returns (T, bytes) uint8: what ffmpeg's command makes of a file's video."""
    command = [ffmpeg_command(), "-v", "fatal", "-flags", "bitexact", "-i", str(path), "-an", "-sn", "-vf", filters]
    command += ["-pix_fmt", pixel_format, "-f", "rawvideo", "-"]
    pixels = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(pixels, np.uint8).reshape(-1, bytes_a_frame)


def ffmpeg_rgb(
    path: Path,
    width: int,
    height: int,
    matrix: str,
    color_range: str,
    *,
    sws_flags: str = ACCURATE,
    frames: str = "setpts=PTS-STARTPTS,fps=25",
) -> np.ndarray:
    """Returns (T, height, width, 3): ffmpeg's RGB of a file at 25 frames a second, matrix and range said explicitly."""
    scale = f"scale={width}:{height}:flags={sws_flags}:in_color_matrix={matrix}:in_range={color_range}:out_range=full"
    rgb = ffmpeg_frames(path, f"{frames},{scale}", "rgb24", width * height * 3)
    return rgb.reshape(-1, height, width, 3)


def rgb_of(jpeg: bytes) -> np.ndarray:
    """Returns the (height, width, 3) picture of a JPEG image."""
    return simplejpeg.decode_jpeg(jpeg, "RGB")


def likeness(jpegs: Sequence[bytes], reference: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns (mean PSNR in decibels, mean difference of each of R, G, B in levels) of images and their reference."""
    psnr_db, bias = [], np.zeros(3)
    for jpeg, picture in zip(jpegs, reference, strict=False):
        difference = rgb_of(jpeg).astype(np.int16) - picture
        psnr_db.append(10 * np.log10(255**2 / max(1e-9, np.square(difference, dtype=np.int32).mean())))
        bias += difference.mean((0, 1))
    return float(np.mean(psnr_db)), bias / len(psnr_db)


def write_video(
    path: Path,
    frames: Iterable[VideoFrame],
    codec: str = "ffv1",
    *,
    rate: Fraction = Fraction(25),
    options: dict[str, str] | None = None,
    display_matrix: Sequence[int] | None = None,
    sample_aspect_ratio: Fraction | None = None,
) -> Path:
    """Writes frames with the times, format and colour tags that they carry; times default to k / rate."""
    with av.open(str(path), "w") as container:
        stream = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate, options=options or {})
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
                stream.codec_context.colorspace, stream.codec_context.color_range = frame.colorspace, frame.color_range
                stream.codec_context.time_base = frame.time_base or 1 / rate
                if sample_aspect_ratio:
                    stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
                if display_matrix:
                    stream.set_display_matrix(display_matrix)
            if frame.pts is None:
                frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def planar_frame(planes: Sequence[np.ndarray], pixel_format: str) -> VideoFrame:
    """Returns a frame of planes as they are stored: uint8, or uint16 for formats of more than 8 bits."""
    height, width = planes[0].shape
    frame = VideoFrame(width, height, pixel_format)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(plane, samples.dtype).reshape(plane.height, plane.line_size // samples.itemsize)
        rows[:, : samples.shape[1]] = samples
    return frame


def grey_frame(level: int, width: int = 64, height: int = 64) -> VideoFrame:
    """Returns a limited-range 4:2:0 frame of one grey."""
    half = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return planar_frame([np.full((height, width), level, np.uint8), half, half], "yuv420p")


def remux(source: Path, target: Path, *, offset_s: int = 0) -> Path:
    """Copies a file's video packets into another container, so much later on its clock."""
    options = {"output_ts_offset": str(offset_s)}
    with av.open(str(source)) as reader, av.open(str(target), "w", options=options) as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)
    return target
