"""A clip cut out of a whole video by seeking is what decoding from the beginning gives."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.deinterlacing import deinterlaced
from beam_pipeline.media.jpegs import FrameEncoder
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.streams import Health, choose_stream, clock_origin_s, pictures, rewind
from beam_pipeline.media.timing import num_outputs
from beam_pipeline.media.video import Frames, read_frames
from tests.beam_pipeline.media.videos import grey_frame, remux, write_video

SMALL = Encode(shorter_side=64, min_duration_s=0)
SECOND_US = 1_000_000


def cut(path: Path, start_s: float, end_s: float, trimmed: str = "false") -> Frames:
    with open_container(str(path)) as container:
        return read_frames(
            container, round(start_s * SECOND_US), round(end_s * SECOND_US), trimmed, SMALL, keep_luma=False
        )


@cache
def decoded_linearly(path: Path) -> tuple[list[Fraction], Fraction, list[bytes]]:
    """Returns (each source frame's time, the footage's end, each source frame as an image) of a whole file."""
    with open_container(str(path)) as container:
        stream = choose_stream(container)
        origin_s = clock_origin_s(container)
        encoder = None
        times_s, end_s = [], Fraction(0)
        for picture in deinterlaced(pictures(container, stream, Health())):
            encoder = encoder or FrameEncoder(picture.frame, SMALL, None, False)
            encoder.show(picture.frame, 1)
            times_s.append(picture.ticks * picture.time_base - origin_s)
            end_s = times_s[-1] + picture.duration_ticks * picture.time_base
    return times_s, end_s, encoder.jpegs


def cut_linearly(path: Path, start_s: float, end_s: float) -> list[bytes]:
    """The same clip, out of all frames, by the rule as the design words it."""
    times_s, footage_end_s, images = decoded_linearly(path)
    start = Fraction(round(start_s * SECOND_US), SECOND_US)
    end = min(Fraction(round(end_s * SECOND_US), SECOND_US), footage_end_s)
    shown = []
    for k in range(num_outputs(end - start, SMALL.fps)):
        instant_s = start + (k + Fraction(1, 2)) / SMALL.fps
        shown.append(images[max((n for n, time_s in enumerate(times_s) if time_s < instant_s), default=0)])
    return shown


WINDOWS = {  # file: how long it is, seconds
    "intel_one_by_one_person_detection.mp4": 139,
    "videollava_sample_demo_22.mp4": 36,
    "imageio_cockatoo.mp4": 14,
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi": 6,
    "v_SoccerJuggling_g23_c01.avi": 8,
    "TrumanShow_wave_f_nm_np1_fr_med_26.avi": 1.6,
    "psd_goldeneye_vfr_drop3.mp4": 10,
    "decord_flipping_a_pancake.mkv": 10,
    "gradio_playable_but_bad_container.mkv": 5,
    "mdn_rabbit320.webm": 7.8,
    "fate_h264_interlaced_crop.mp4": 5,
    "mediabunny_frag_buck_bunny.mp4": 5,
    "v_GGSY1Qvo990.mp4": 18,
}


@pytest.mark.parametrize("file", WINDOWS)
def test_windows_of_real_files_equal_a_linear_decode(test_data, file):
    path = test_data / "videos" / file
    chance = random.Random(file)
    for _ in range(4):
        start_s = chance.uniform(0, WINDOWS[file] - 0.4)
        end_s = start_s + chance.uniform(0.3, 2.5)
        assert cut(path, start_s, end_s).jpegs == cut_linearly(path, start_s, end_s), (start_s, end_s)


@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mkv", ".mov", ".nut"])
def test_windows_of_one_video_in_any_container_equal_a_linear_decode(test_data, tmp_path, suffix):
    path = remux(test_data / "videos" / "WUzgd7C1pWA.mp4", tmp_path / f"clip{suffix}")
    for start_s, end_s in ((0.02, 1.5), (4.9, 6.0), (8.34, 9.0), (10.2, 13.0)):
        assert cut(path, start_s, end_s).jpegs == cut_linearly(path, start_s, end_s), (start_s, end_s)


@pytest.mark.parametrize("suffix", [".mpg", ".ts", ".mkv"])
def test_windows_of_open_gops_equal_a_linear_decode(test_data, tmp_path, suffix):
    with av.open(str(test_data / "videos" / "WUzgd7C1pWA.mp4")) as container:
        frames = [frame.reformat(96, 64) for frame in islice(container.decode(video=0), 200)]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, 25)
    options = {"g": "12", "bf": "2", "b": "400000"}
    path = write_video(tmp_path / f"open{suffix}", frames, "mpeg2video", options=options)
    for start_s, end_s in ((0.1, 0.5), (1.93, 2.3), (4.01, 5.0), (6.6, 9.0)):
        assert cut(path, start_s, end_s).jpegs == cut_linearly(path, start_s, end_s), (start_s, end_s)


def test_a_broadcast_streams_clock_counts_from_its_start(test_data, tmp_path):
    original = test_data / "videos" / "WUzgd7C1pWA.mp4"
    stream = remux(original, tmp_path / "clip.ts", offset_s=3600)
    with open_container(str(stream)) as container:
        assert clock_origin_s(container) >= 3600
    assert cut(stream, 5, 7).jpegs == cut(original, 5, 7).jpegs
    assert cut(stream, 5, 7).start_s == cut(original, 5, 7).start_s + clock_origin(stream)


def clock_origin(path: Path) -> Fraction:
    with open_container(str(path)) as container:
        return clock_origin_s(container)


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".flv", ".mkv", ".mov", ".nut"])
def test_rewinding_goes_back_to_the_first_frame_in_any_container(test_data, tmp_path, suffix):
    path = remux(test_data / "videos" / "WUzgd7C1pWA.mp4", tmp_path / f"clip{suffix}", offset_s=100)
    assert_rewinds(path)


@pytest.mark.parametrize(
    "file",
    [
        "ucf101_v_ApplyEyeMakeup_g01_c01.avi",
        "gradio_playable_but_bad_container.mkv",
        "gradio_video_sample.webm",
        "mei_sample.3gp",
        "mediabunny_frag_buck_bunny.mp4",
        "filetype_fixture.flv",
        "mmpose_nvgesture_sk_color.avi",
    ],
)
def test_rewinding_goes_back_to_the_first_frame_of_real_files(test_data, file):
    assert_rewinds(test_data / "videos" / file)


def assert_rewinds(path: Path) -> None:
    with open_container(str(path)) as container:
        stream = choose_stream(container)
        packets = container.demux(stream)
        first = [(packet.dts, packet.size) for packet in islice(packets, 5)]
        for _ in packets:
            pass
        rewind(container, stream)
        assert [(packet.dts, packet.size) for packet in islice(container.demux(stream), 5)] == first


def test_a_cut_section_is_the_original_section(test_data):
    # `true` counts from the file's first frame and `false` from its clock's zero; here both are the same.
    path = test_data / "videos" / "R6llTwEh07w.mp4"
    assert cut(path, 100, 105, "true").jpegs == cut(path, 0, 5).jpegs


def test_a_video_that_ends_before_the_clip_has_no_overlap(test_data):
    with pytest.raises(ClipError) as failed:
        cut(test_data / "videos" / "videollava_sample_demo_22.mp4", 100, 110)
    assert failed.value.reason == "no_overlap"


def test_a_video_that_begins_after_the_clip_has_no_overlap(test_data):
    with pytest.raises(ClipError) as failed:
        cut(test_data / "videos" / "psd_delayed_start.mp4", 0, 1)  # begins at 1.075 s
    assert failed.value.reason == "no_overlap"


def test_before_the_first_frame_the_first_frame_is_shown(test_data):
    frames = cut(test_data / "videos" / "psd_delayed_start.mp4", 0.5, 2)
    assert frames.start_s == Fraction(1, 2)
    assert len(set(map(id, frames.jpegs[:14]))) == 1  # up to 0.5 + 13.5 / 25 = 1.04 s, before 1.075 s
    assert len(frames.jpegs) == 38


def test_a_clip_that_runs_past_the_end_keeps_what_there_is_and_is_short(test_data):
    frames = cut(test_data / "videos" / "R6llTwEh07w.mp4", 8, 18)
    assert frames.short
    assert frames.duration_s == Fraction(21, 10)
    assert len(frames.jpegs) == 53


def test_a_clip_that_ends_within_half_an_interval_of_the_footage_is_not_short(test_data):
    assert not cut(test_data / "videos" / "R6llTwEh07w.mp4", 8, 10.119).short
    assert cut(test_data / "videos" / "R6llTwEh07w.mp4", 8, 10.121).short


def test_reading_stops_when_the_clip_is_covered(test_data):
    with open_container(str(test_data / "videos" / "intel_one_by_one_person_detection.mp4")) as container:
        read_frames(container, 60 * SECOND_US, 62 * SECOND_US, "false", SMALL, keep_luma=False)
        following = next(packet for packet in container.demux(video=0) if packet.pts is not None)
        assert 62 <= following.pts * following.time_base < 64


def test_times_that_go_back_neither_crash_nor_reorder(tmp_path):
    levels = (40, 80, 120, 160, 200)
    path = tmp_path / "back.mkv"
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("rawvideo", 25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number, (level, milliseconds) in enumerate(zip(levels, (0, 400, 200, 800, 1200), strict=True)):
            frame = grey_frame(level)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                packet.time_base = Fraction(1, 1000)
                packet.pts, packet.dts, packet.duration = milliseconds, number, 40
                writer.mux(packet)
    with open_container(str(path)) as container:
        frames = read_frames(container, 0, 0, "whole", SMALL, keep_luma=True)
    shown = [round(int(plane[0, 0]) * 219 / 255 + 16) for plane in frames.luma]
    assert shown == [40] * 10 + [120] * 10 + [160] * 10 + [200]
