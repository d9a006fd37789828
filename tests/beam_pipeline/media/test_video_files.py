"""What becomes of every real file, each taken whole, and why."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.video import Frames, read_frames

# file: (frames, flags, why they are so many, or why these flags), at 25 frames a second.
OK = {
    "R6llTwEh07w.mp4": (253, "", "10.1 s; a real Kinetics clip lasts longer than its row"),
    "TrumanShow_wave_f_nm_np1_fr_med_26.avi": (40, "upscaled", "48 frames of 1/30 s, without pts, 240 pixels high"),
    "WUzgd7C1pWA.mp4": (273, "", "327 frames at 29.97: 10.91 s"),
    "askanything_playing_guitar.mp4": (250, "", "10 s, 320 pixels high"),
    "askanything_yoga.mp4": (250, "", "10 s"),
    "decord_corrupted.mp4": (73, "damaged", "29 of 50 frames at 10 a second can be decoded before the break: 2.9 s"),
    "decord_flipping_a_pancake.mkv": (
        259,
        "upscaled",
        "the last of 310 frames ends at 10.333 s, the sound at 10.381 s",
    ),
    "fate_h264_interlaced_crop.mp4": (126, "interlaced", "126 frames at 25"),
    "filetype_fixture2.mkv": (40, "damaged", "37 frames of the 1132 s that its header announces: 1.584 s"),
    "gradio_playable_but_bad_container.mkv": (125, "", "Ogg, whatever its name says: 150 frames at 30"),
    "gradio_video_sample.webm": (125, "", "5 s, which begin at 0.007 s"),
    "imageio_cockatoo.mp4": (350, "", "14 s at 20 frames a second"),
    "intel_asl_book.mkv": (91, "", "3.633 s, which begin at 0.033 s"),
    "mdn_rabbit320.webm": (195, "upscaled", "7.8 s, 240 pixels high"),
    "mediabunny_frag_buck_bunny.mp4": (125, "upscaled", "fragmented, 120 frames at 24"),
    "mei_sample.3gp": (124, "upscaled", "74 frames at 15: 4.933 s"),
    "mei_with_gps.mov": (101, "rotated", "an upright phone's 4.002 s"),
    "mmaction2_demo.mp4": (250, "", "10 s at 28 frames a second"),
    "mmaction2_demo_skeleton.mp4": (65, "", "2.567 s with one gap of 0.2 s"),
    "mmaction2_demo_spatiotemporal_det.mp4": (238, "", "57 frames at 6 a second: 9.5 s"),
    "mmaction2_test.mp4": (250, "", "10 s"),
    "mmaction2_test_video_structuralize.mp4": (251, "upscaled", "10.01 s"),
    "psd_goldeneye_vfr_drop3.mp4": (251, "", "10.01 s: the last frame is shown until 10.010 s"),
    "torchcodec_av1_video.mkv": (125, "", "5 s of AV1"),
    "torchcodec_h264_10bits.mp4": (25, "upscaled", "1 s of 200x200"),
    "torchcodec_h265_video.mp4": (25, "upscaled", "1 s of 128x128"),
    "tuneavideo_man_skiing.mp4": (76, "", "91 frames at 29.97: 3.036 s"),
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi": (164, "upscaled", "164 frames at 25, without pts"),
    "v_GGSY1Qvo990.mp4": (453, "upscaled", "355 frames at 19.62: 18.09 s"),
    "v_SoccerJuggling_g23_c01.avi": (201, "upscaled", "240 frames at 29.97: 8.008 s"),
    "videollava_sample_demo_22.mp4": (908, "upscaled", "36.3 s, 204 pixels wide"),
}
FAILED = {
    "decord_unordered.mov": ("too_short", "4 frames"),
    "decord_video_0.mov": ("too_short", "3 frames"),
    "decord_video_90.mov": ("too_short", "3 frames"),
    "fate_h264_multi_stsd.mp4": ("too_short", "4 frames"),
    "filetype_fixture.avi": ("too_short", "1 frame"),
    "filetype_fixture.flv": ("too_short", "0.717 s"),
    "filetype_fixture_corrupt.mkv": ("unreadable", "its EBML header is broken"),
    "intel_one_by_one_person_detection.mp4": ("too_large", "139 s"),
    "mediabunny_eac3.mp4": ("no_video", "sound only"),
    "mmpose_nvgesture_sk_color.avi": ("too_short", "20 frames at 30"),
    "psd_delayed_start.mp4": ("too_short", "24 frames at 25: 0.96 s"),
}


def read_whole(path: Path, **encode: object) -> Frames:
    with open_container(str(path)) as container:
        return read_frames(container, 0, 10_000_000, "whole", Encode(**encode), keep_luma=False)


@pytest.fixture(scope="module")
def manifest(test_data) -> dict[str, dict[str, str]]:
    with (test_data / "manifest.csv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_the_tables_speak_of_every_file(manifest):
    assert set(OK) | set(FAILED) == set(manifest)
    assert len(OK) + len(FAILED) == 42


@pytest.mark.parametrize("name", OK)
def test_a_good_file_gives_its_frames(test_data, manifest, name):
    frames = read_whole(test_data / "videos" / name)
    num_frames, flags, _ = OK[name]
    assert len(frames.jpegs) == num_frames
    found = {name for name in ("short", "damaged", "interlaced", "upscaled") if getattr(frames, name)}
    assert found | ({"rotated"} if frames.rotation else set()) == set(flags.split())
    assert min(frames.width, frames.height) == 256
    row = manifest[name]
    assert (frames.source_width, frames.source_height) == (int(row["width"]), int(row["height"]))
    assert frames.codec == row["v_codec"]
    assert len(set(map(id, frames.jpegs))) == num_frames - frames.repeated_frames <= int(row["decoded_frames"])
    if not frames.damaged:
        shown_s = int(row["decoded_frames"]) / Fraction(row["avg_fps"])
        assert abs(frames.duration_s - shown_s) < 0.1


@pytest.mark.parametrize("name", FAILED)
def test_a_bad_file_fails_for_its_reason_in_one_line_that_names_no_path(test_data, name):
    with pytest.raises(ClipError) as failed:
        read_whole(test_data / "videos" / name)
    assert failed.value.reason == FAILED[name][0]
    assert failed.value.detail
    assert "\n" not in failed.value.detail
    assert name not in failed.value.detail
