"""Sizes, orientation, streams that change midway, limits: which frames are stored, before any question of colour."""

from __future__ import annotations

import gc
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from beam_pipeline.clips import ClipError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.scaling import OutputSize, output_size
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.streams import choose_stream
from beam_pipeline.media.video import Frames, read_frames
from tests.beam_pipeline.media.videos import ffmpeg_rgb, grey_frame, likeness, planar_frame, rgb_of, write_video


def read(path, **encode) -> Frames:
    settings = Encode(**({"min_duration_s": 0} | encode))
    with open_container(str(path)) as container:
        return read_frames(container, 0, 10_000_000, "whole", settings, keep_luma=True)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (340, 256, OutputSize(340, 256, False)),
        (341, 256, OutputSize(341, 256, False)),  # has the asked side already: kept, even odd
        (1280, 720, OutputSize(456, 256, False)),  # 455.1
        (1920, 1080, OutputSize(456, 256, False)),
        (720, 1280, OutputSize(256, 456, False)),
        (426, 240, OutputSize(454, 256, True)),  # 454.4
        (718, 718, OutputSize(256, 256, False)),
    ],
)
def test_the_shorter_side_is_as_asked_and_the_longer_the_nearest_even_number(width, height, expected):
    assert output_size(width, height, False, 256, None) == expected


@pytest.mark.parametrize(
    ("width", "height", "transposed", "expected"),
    [
        (340, 256, False, OutputSize(340, 256, False)),
        (320, 240, False, OutputSize(340, 256, True)),  # 341.3: MediaPipe takes the even number below
        (1280, 720, False, OutputSize(454, 256, False)),  # 455.1
        (720, 1280, False, OutputSize(144, 256, False)),
        (1280, 720, True, OutputSize(256, 144, False)),  # a phone's: displayed on its side
        (718, 718, False, OutputSize(256, 256, False)),
        (3000, 16, False, None),
    ],
)
def test_by_height_the_width_is_the_even_number_below_whatever_the_shape(width, height, transposed, expected):
    if expected is None:
        with pytest.raises(ClipError, match="frames would be 48000x256 pixels"):
            output_size(width, height, transposed, 256, None, by_height=True)
    else:
        assert output_size(width, height, transposed, 256, None, by_height=True) == expected


def test_a_video_that_a_phone_took_upright_is_as_high_as_asked(test_data):
    frames = read(test_data / "videos" / "decord_video_90.mov", shorter_side=None, height=128)
    assert (frames.width, frames.height) == (72, 128)
    assert rgb_of(frames.jpegs[0]).shape == (128, 72, 3)


def test_an_applied_aspect_ratio_widens_the_picture_at_its_height():
    assert output_size(340, 256, False, 256, Fraction(64, 51)) == OutputSize(426, 256, False)


@pytest.mark.parametrize(("width", "height"), [(8194, 256), (64, 9000), (8000, 256)])
def test_absurd_sizes_are_too_large(width, height):
    with pytest.raises(ClipError, match="pixels") as failed:
        output_size(width, height, False, 256, None)
    assert failed.value.reason == "too_large"


def test_the_stored_aspect_ratio_is_applied_only_when_asked_for(test_data):
    path = test_data / "videos" / "mmaction2_demo_spatiotemporal_det.mp4"
    assert read(path, apply_sar=True).width == 340  # it has none
    squeezed = test_data / "videos" / "mmaction2_demo.mp4"  # 64:51
    assert read(squeezed).width == 340
    assert read(squeezed, apply_sar=True).width == 426


@pytest.mark.parametrize("file", ["R6llTwEh07w.mp4", "mei_with_gps.mov"])
def test_no_frame_waits_for_the_garbage_collector(test_data, file):
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, VideoFrame) for each in gc.get_objects())
        assert read(test_data / "videos" / file).jpegs
        assert sum(isinstance(each, VideoFrame) for each in gc.get_objects()) == before
    finally:
        gc.enable()


def test_a_phones_rotation_is_applied(test_data):
    path = test_data / "videos" / "decord_video_90.mov"
    frames = read(path)
    assert (frames.width, frames.height, frames.rotation) == (256, 454, 90)
    assert (frames.source_width, frames.source_height) == (568, 320)
    psnr_db, _ = likeness(frames.jpegs, ffmpeg_rgb(path, 256, 454, "bt709", "limited"))  # ffmpeg rotates by itself
    assert psnr_db > 38


CORNERS = np.array([[40, 90], [140, 220]], np.uint8)  # top left, top right; bottom left, bottom right
MATRICES = {  # display matrix (a, b, c, d): what CORNERS look like, and degrees clockwise
    (1, 0, 0, 1): (CORNERS, 0),
    (0, 1, -1, 0): (np.rot90(CORNERS, -1), 90),
    (-1, 0, 0, -1): (np.rot90(CORNERS, 2), 180),
    (0, -1, 1, 0): (np.rot90(CORNERS, 1), 270),
    (-1, 0, 0, 1): (CORNERS[:, ::-1], 0),
    (1, 0, 0, -1): (CORNERS[::-1], 180),
    (0, 1, 1, 0): (CORNERS.T, 90),
    (0, -1, -1, 0): (CORNERS.T[::-1, ::-1], 270),
}


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_each_display_matrix_turns_or_mirrors_the_picture(tmp_path, matrix):
    luma = np.repeat(np.repeat(CORNERS, 32, 0), 48, 1)
    half = np.full((32, 48), 128, np.uint8)
    a, b, c, d = (value * 65536 for value in matrix)
    path = write_video(
        tmp_path / "turned.mp4",
        [planar_frame([luma, half, half], "yuv420p")] * 2,
        "libx264",
        options={"qp": "0"},
        display_matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30),
    )
    frames = read(path, shorter_side=64)
    expected, degrees = MATRICES[matrix]
    height, width = frames.luma[0].shape
    corners = frames.luma[0][[height // 4, height * 3 // 4]][:, [width // 4, width * 3 // 4]]
    assert np.abs(corners - (expected.astype(float) - 16) * 255 / 219).max() < 2
    assert frames.rotation == degrees
    assert rgb_of(frames.jpegs[0]).shape[:2] == (height, width) == (frames.height, frames.width)


def test_a_size_that_changes_midway_keeps_the_first_frames_output_size(test_data):
    frames = read(test_data / "videos" / "fate_h264_multi_stsd.mp4")  # two frames of 256x128, two of 128x128
    assert {rgb_of(jpeg).shape for jpeg in frames.jpegs} == {(256, 512, 3)}
    assert len(set(frames.jpegs)) == 4


def test_frames_shown_twice_are_one_object_and_counted(tmp_path):
    path = write_video(tmp_path / "slow.mkv", [grey_frame(level) for level in (50, 100, 150)], rate=Fraction(10))
    frames = read(path, shorter_side=64)
    assert len(frames.jpegs) == len(frames.luma) == 8  # 0.3 s
    assert frames.repeated_frames == 5
    assert len(set(map(id, frames.jpegs))) == len(set(map(id, frames.luma))) == 3


def two_streams(path, sizes, default: int | None):
    with av.open(str(path), "w") as container:
        streams = []
        for number, (width, height) in enumerate(sizes):
            stream = container.add_stream("mpeg4", 25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            if number == default:
                stream.disposition = av.stream.Disposition.default
            streams.append(stream)
        for stream, (width, height) in zip(streams, sizes, strict=True):
            for number in range(3):
                frame = grey_frame(100, width, height)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("sizes", "default", "chosen"),
    [(((64, 64), (96, 64)), None, 1), (((64, 64), (96, 64)), 0, 0), (((64, 64), (64, 64)), None, 0)],
)
def test_of_several_streams_the_one_is_taken_that_ffmpeg_takes(tmp_path, sizes, default, chosen):
    path = two_streams(tmp_path / "two.mkv", sizes, default)
    with open_container(str(path)) as container:
        if default is None:  # Matroska marks streams as default of its own accord: the rule is about what is marked
            for stream in container.streams.video:
                stream.disposition = av.stream.Disposition(0)
        assert choose_stream(container).index == chosen


def test_a_cover_picture_is_no_video(tmp_path):
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", 1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = grey_frame(100)
        frame = frame.reformat(format="yuvj420p")
        frame.pts = 0
        container.mux(cover.encode(frame))
        container.mux(cover.encode())
    with pytest.raises(ClipError, match="cover") as failed:
        read(tmp_path / "song.m4a")
    assert failed.value.reason == "no_video"


def test_a_longer_file_than_allowed_is_too_large_and_a_longer_row_too(test_data):
    path = test_data / "videos" / "R6llTwEh07w.mp4"
    with pytest.raises(ClipError) as whole:
        read(path, max_duration_s=5)
    with open_container(str(path)) as container, pytest.raises(ClipError) as row:
        read_frames(container, 0, 61_000_000, "true", Encode(), keep_luma=False)
    assert whole.value.reason == row.value.reason == "too_large"


def test_a_file_that_was_cut_off_is_damaged_and_keeps_its_beginning(test_data, tmp_path):
    path = tmp_path / "partial.mkv"
    whole = (test_data / "videos" / "decord_flipping_a_pancake.mkv").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    frames = read(path)
    assert frames.damaged
    assert 2 < frames.duration_s < 8
    assert len(frames.jpegs) == -(-frames.duration_s * 25 // 1)


def test_a_name_says_nothing(test_data, tmp_path):
    shutil.copy(test_data / "videos" / "gradio_video_sample.webm", tmp_path / "clip.mp4")
    assert read(tmp_path / "clip.mp4").codec == "vp9"
