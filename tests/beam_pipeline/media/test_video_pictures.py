"""Pictures are right: real files against ffmpeg's accurate RGB, and what is wrong is seen to be wrong."""

from __future__ import annotations

from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest

from beam_pipeline.media.container import open_container
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.video import Frames, read_frames
from tests.beam_pipeline.media.videos import ffmpeg_frames, ffmpeg_rgb, likeness

LEAST_PSNR_DB = 38.0
MOST_BIAS_LEVELS = 0.75


class Source(NamedTuple):
    file: str
    matrix: str
    color_range: str
    kind: str


SOURCES = [
    Source("R6llTwEh07w.mp4", "bt601", "limited", "SD H.264 with nothing said about its colours, a Kinetics clip"),
    Source("WUzgd7C1pWA.mp4", "bt601", "limited", "a Kinetics clip with a third of its pixels brighter than white"),
    Source("intel_asl_book.mkv", "bt601", "full", "full range (yuvj420p), scaled down"),
    Source("mei_sample.3gp", "bt601", "full", "MPEG-4 part 2, full range, scaled up"),
    Source("imageio_cockatoo.mp4", "bt709", "limited", "4:4:4, 720p"),
    Source("mmaction2_demo_skeleton.mp4", "bt709", "limited", "1080p that names no matrix, one gap"),
    Source("tuneavideo_man_skiing.mp4", "bt709", "limited", "718x718, says BT.709"),
    Source("psd_goldeneye_vfr_drop3.mp4", "bt709", "limited", "variable frame rate, 1280 wide"),
    Source("gradio_video_sample.webm", "bt601", "limited", "VP9, begins at 7 ms"),
    Source("mdn_rabbit320.webm", "bt601", "limited", "VP8"),
    Source("gradio_playable_but_bad_container.mkv", "bt601", "limited", "Theora"),
    Source("ucf101_v_ApplyEyeMakeup_g01_c01.avi", "bt601", "limited", "Xvid in AVI, no pts"),
    Source("mei_with_gps.mov", "bt709", "limited", "rotated by a phone"),
    Source("fate_h264_interlaced_crop.mp4", "bt601", "limited", "interlaced"),
]
DEINTERLACE = ",bwdif=mode=send_frame:deint=interlaced"


def read_three_seconds(test_data, file: str, keep_luma: bool = False) -> Frames:
    with open_container(str(test_data / "videos" / file)) as container:
        return read_frames(container, 0, 3_000_000, "true", Encode(), keep_luma=keep_luma)


def is_right(psnr_db: float, bias: np.ndarray) -> bool:
    return psnr_db >= LEAST_PSNR_DB and np.abs(bias).max() <= MOST_BIAS_LEVELS


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.file)
def test_frames_are_those_that_ffmpeg_makes_with_accurate_flags(test_data, source):
    frames = read_three_seconds(test_data, source.file)
    reference = ffmpeg_rgb(
        test_data / "videos" / source.file,
        frames.width,
        frames.height,
        source.matrix,
        source.color_range,
        frames="setpts=PTS-STARTPTS,fps=25" + (DEINTERLACE if "interlaced" in source.file else ""),
    )
    psnr_db, bias = likeness(frames.jpegs, reference)
    assert is_right(psnr_db, bias), (psnr_db, bias)


# The measure must be sharp enough to see each mistake that peers make: the reference is made wrong on purpose.
@pytest.mark.parametrize(
    ("file", "mistake"),
    [
        ("R6llTwEh07w.mp4", {"sws_flags": "area"}),
        ("mmaction2_demo_skeleton.mp4", {"sws_flags": "bicubic"}),
        ("tuneavideo_man_skiing.mp4", {"sws_flags": "area"}),
        ("R6llTwEh07w.mp4", {"matrix": "bt709"}),
        ("mmaction2_demo_skeleton.mp4", {"matrix": "bt601"}),
        ("R6llTwEh07w.mp4", {"color_range": "full"}),
        ("tuneavideo_man_skiing.mp4", {"color_range": "full"}),
        ("R6llTwEh07w.mp4", {"frames": "setpts=N/25/TB,fps=25"}),  # by index
        ("R6llTwEh07w.mp4", {"frames": "setpts=PTS-STARTPTS,fps=25:round=down"}),
        ("R6llTwEh07w.mp4", {"frames": "setpts=PTS-STARTPTS,fps=25:round=up"}),
        ("tuneavideo_man_skiing.mp4", {"frames": "setpts=PTS-STARTPTS,fps=25:round=up"}),
    ],
    ids=str,
)
def test_what_is_wrong_is_seen_to_be_wrong(test_data, file, mistake):
    source = next(source for source in SOURCES if source.file == file)
    frames = read_three_seconds(test_data, file)
    wrong = {"matrix": source.matrix, "color_range": source.color_range} | mistake
    reference = ffmpeg_rgb(test_data / "videos" / file, frames.width, frames.height, **wrong)
    psnr_db, bias = likeness(frames.jpegs, reference)
    assert not is_right(psnr_db, bias), (psnr_db, bias)


def full_range(luma: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((luma.astype(np.float64) - 16) * 255 / 219), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("file", ["R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4"])
def test_all_250_frames_of_a_kinetics_clip_are_those_of_ffmpegs_fps_filter(test_data, file):
    path = test_data / "videos" / file
    with open_container(str(path)) as container:
        frames = read_frames(container, 0, 10_000_000, "true", Encode(), keep_luma=True)
    height, width = frames.luma[0].shape
    reference = ffmpeg_frames(path, "fps=25", "yuv420p", height * width * 3 // 2)[:250, : height * width]
    expected = full_range(reference).reshape(-1, height, width)
    assert len(frames.luma) == 250
    assert [k for k in range(250) if not np.array_equal(frames.luma[k], expected[k])] == []


@pytest.mark.parametrize("rule", ["by index", "floor", "nearest"])
def test_another_frame_rule_would_show_other_frames(test_data, rule):
    with open_container(str(test_data / "videos" / "WUzgd7C1pWA.mp4")) as container:
        frames = read_frames(container, 0, 10_000_000, "true", Encode(), keep_luma=True)
    with av.open(str(test_data / "videos" / "WUzgd7C1pWA.mp4")) as container:
        decoded = [(float(frame.time), frame.to_ndarray()[:256]) for frame in container.decode(video=0)]
    times_s = np.array([time for time, _ in decoded])
    instants_s = np.arange(250) / 25
    chosen = {
        "by index": np.arange(250),
        "floor": np.searchsorted(times_s, instants_s + 1e-9, side="right") - 1,
        "nearest": np.abs(times_s[None] - instants_s[:, None]).argmin(1),
    }[rule]
    other = [k for k, index in enumerate(chosen) if not np.array_equal(frames.luma[k], full_range(decoded[index][1]))]
    assert len(other) >= 15


def test_luma_is_what_stands_in_the_jpegs(test_data):
    frames = read_three_seconds(test_data, "mei_with_gps.mov", keep_luma=True)
    for jpeg, luma in zip(frames.jpegs, frames.luma, strict=True):
        grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert grey.shape == luma.shape == (frames.height, frames.width)
        assert np.abs(grey.astype(np.int16) - luma).mean() < 2
    assert frames.mean_luma == pytest.approx(np.mean(frames.luma), abs=1e-9)
    assert np.abs(frames.middle_luma.astype(np.int16) - frames.luma[len(frames.luma) // 2]).mean() < 2
