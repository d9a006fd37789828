"""Forty-two real files that nobody made for us, as one data set; and two Kinetics clips under their official rows."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import read_records

ROOT = Path(__file__).parents[2]


class Fate(NamedTuple):
    """What becomes of a file: a class of failure, or the frames at 25 a second and the flags."""

    reason: str
    num_frames: int = 0
    flags: str = ""


# Frames are the footage's seconds times 25, rounded up: manifest.csv's durations, decoded frames and remarks say why.
FATES = {
    "R6llTwEh07w.mp4": Fate("", 253, "has_audio"),
    "TrumanShow_wave_f_nm_np1_fr_med_26.avi": Fate("", 40),  # 49 packets decode to 48 frames at 30 a second
    "WUzgd7C1pWA.mp4": Fate("", 273, "has_audio"),
    "askanything_playing_guitar.mp4": Fate("", 250),
    "askanything_yoga.mp4": Fate("", 250),
    "decord_corrupted.mp4": Fate("", 73, "damaged"),  # what decodes before the corrupt packet
    "decord_flipping_a_pancake.mkv": Fate("", 259, "has_audio"),
    "decord_unordered.mov": Fate("too_short"),  # 4 frames
    "decord_video_0.mov": Fate("too_short"),  # 3 frames
    "decord_video_90.mov": Fate("too_short"),  # 3 frames
    "fate_h264_interlaced_crop.mp4": Fate("", 126),
    "fate_h264_multi_stsd.mp4": Fate("too_short"),  # 4 frames
    "filetype_fixture.avi": Fate("too_short"),  # 1 frame
    "filetype_fixture.flv": Fate("too_short"),  # 0.7 s
    "filetype_fixture2.mkv": Fate("", 40, "damaged has_audio"),  # cut off: its header announces 1,132 s
    "filetype_fixture_corrupt.mkv": Fate("unreadable"),
    "gradio_playable_but_bad_container.mkv": Fate("", 125, "has_audio"),  # Ogg under another name
    "gradio_video_sample.webm": Fate("", 125, "has_audio"),
    "imageio_cockatoo.mp4": Fate("", 350, "has_audio"),
    "intel_asl_book.mkv": Fate("", 91),
    "intel_one_by_one_person_detection.mp4": Fate("too_large"),  # 139 s, and max_duration_s is 60
    "mdn_rabbit320.webm": Fate("", 195, "has_audio"),
    "mediabunny_eac3.mp4": Fate("no_video"),
    "mediabunny_frag_buck_bunny.mp4": Fate("", 125, "has_audio"),
    "mei_sample.3gp": Fate("", 124, "has_audio"),
    "mei_with_gps.mov": Fate("", 101, "rotated has_audio"),
    "mmaction2_demo.mp4": Fate("", 250),
    "mmaction2_demo_skeleton.mp4": Fate("", 65),
    "mmaction2_demo_spatiotemporal_det.mp4": Fate("", 238),
    "mmaction2_test.mp4": Fate("", 250),
    "mmaction2_test_video_structuralize.mp4": Fate("", 251),
    "mmpose_nvgesture_sk_color.avi": Fate("too_short"),  # 0.7 s
    "psd_delayed_start.mp4": Fate("too_short"),  # 24 frames at 25 a second
    "psd_goldeneye_vfr_drop3.mp4": Fate("", 251),
    "torchcodec_av1_video.mkv": Fate("", 125),
    "torchcodec_h264_10bits.mp4": Fate("", 25),
    "torchcodec_h265_video.mp4": Fate("", 25),
    "tuneavideo_man_skiing.mp4": Fate("", 76, "has_audio"),
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi": Fate("", 164, "has_audio"),
    "v_GGSY1Qvo990.mp4": Fate("", 453, "has_audio"),
    "v_SoccerJuggling_g23_c01.avi": Fate("", 201),
    "videollava_sample_demo_22.mp4": Fate("", 908, "has_audio"),
}


def run(data_dir: Path, *settings: str) -> Path:
    words = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(data_dir), *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (folder,) = data_dir.glob("*/1.0.0")
    return folder


@pytest.fixture(scope="module")
def all_files(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("all_files")
    names = sorted(path.name for path in (test_data / "videos").iterdir())
    rows = ["video_id,start,end,label", *(f"{name},0,10,a file" for name in names)]
    (folder / "files.csv").write_text("\n".join(rows) + "\n")
    return run(
        folder,
        *("name=files", f"splits.test.annotations={folder / 'files.csv'}", "splits.test.shards=2"),
        *(f"source.store={test_data / 'videos'}", "source.trimmed=whole"),
    )


def test_every_file_ends_as_ok_or_with_the_right_reason(all_files: Path) -> None:
    rows = {row["video_id"]: row for row in pq.read_table(all_files / "clips-test.parquet").to_pylist()}
    flags = ("short", "damaged", "rotated", "has_audio")
    fates = {
        name: Fate(row["reason"], row["num_frames"], " ".join(flag for flag in flags if row[flag]))
        for name, row in rows.items()
    }
    assert fates == FATES


def test_frames_and_sizes_agree_with_the_manifest(all_files: Path, test_data: Path) -> None:
    with (test_data / "manifest.csv").open(newline="") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    rows = {row["video_id"]: row for row in pq.read_table(all_files / "clips-test.parquet").to_pylist()}
    assert rows.keys() == manifest.keys()
    for name, row in rows.items():
        if row["status"] != "ok":
            continue
        known = manifest[name]
        assert row["rotated"] == bool(known["rotation"]), name
        assert row["has_audio"] == (known["n_audio"] != "0"), name
        shorter, longer = sorted((int(known["width"]), int(known["height"])))
        assert sorted((row["width"], row["height"])) == [256, pytest.approx(256 * longer / shorter, abs=1)], name
        if not row["damaged"] and not known["remarks"].startswith(("video starts", "first pts")):
            start_s, end_s = float(known["v_start_s"]), float(known["duration_s"])
            # The header's end may be the sound's, and Matroska rounds to milliseconds.
            assert row["duration_s"] == pytest.approx(end_s - start_s, abs=0.08), name


def test_two_kinetics_clips_under_the_official_list(test_data: Path, tmp_path: Path) -> None:
    annotations = test_data / "annotations" / "activitynet_kinetics-400_val.csv"
    folder = run(
        tmp_path,
        *("name=k400", f"splits.val.annotations={annotations}", "splits.val.shards=4"),
        f"source.store={test_data / 'videos'}",
    )
    info = json.loads((folder / "info-val.json").read_text())
    assert (info["num_asked"], info["num_clips"], info["num_failed"]) == (19906, 2, {"not_found": 19904})
    records = [record for shard in sorted(folder.glob("*tfrecord*")) for record in read_records(os.fspath(shard))]
    contexts = [parse_sequence_example(record) for record in records]
    assert sorted(context["example/id"][0] for context, _ in contexts) == [
        b"R6llTwEh07w_000000_000010",
        b"WUzgd7C1pWA_000101_000111",
    ]
    for context, lists in contexts:
        assert context["clip/label/string"] == [b"using segway"]
        assert context["clip/label/index"] == [375]
        assert len(lists["image/encoded"]) == 250
        assert [t for (t,) in lists["image/timestamp"]] == [40_000 * k for k in range(250)]
