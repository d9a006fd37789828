"""One video is preprocessed as the job and the reader would: the same pixels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tf_data
from beam_pipeline.clips import ClipError
from examples.i3d.one_video import load_record, media_settings, record_of
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

ROOT = Path(__file__).parents[3]
CLIP = "-a_-clip0000_000000_000010"
ENCODE = {"shorter_side": 48, "height": None, "fps": "12.5"}
VIEWS: dict[str, Any] = {"sampling": "all", "crop_size": 32, "preset": "i3d"}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / f"{CLIP}.mp4"
    write_clip(path, seconds=1.5)
    return path


def test_pixels_are_those_of_the_record_of_a_run(video: Path, tmp_path: Path) -> None:
    write_list(tmp_path / "val.csv", [CLIP], split="val")
    settings = {
        "name": "one",
        "splits.val.annotations": tmp_path / "val.csv",
        "splits.val.shards": 1,
        "source.store": video.parent,
        "encode.shorter_side": 48,
        "encode.fps": 12.5,
        "flow.method": "dis",
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    run = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(tmp_path), *sets]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    stored: Any = tf_data.load("one", split="val", data_dir=tmp_path, streams=("rgb", "flow"), **VIEWS)
    (theirs,) = stored.batch(1)

    media = media_settings(ENCODE, {"method": "dis"}, with_flow=True)
    ours = load_record(record_of(video, media), ("rgb", "flow"), **VIEWS)
    assert ours["rgb"].shape == (1, 19, 32, 32, 3)
    for stream in ("rgb", "flow"):
        np.testing.assert_array_equal(ours[stream], theirs[stream])


def test_a_part_of_a_video_is_taken_by_its_own_clock(video: Path) -> None:
    media = media_settings(ENCODE, None, with_flow=False)
    whole = load_record(record_of(video, media), ("rgb",), **VIEWS)["rgb"]
    part = load_record(record_of(video, media, start_s=0.4, duration_s=1.0), ("rgb",), **VIEWS)["rgb"]
    assert part.shape[1] == 13
    np.testing.assert_allclose(part, whole[:, 5:18], atol=0.02)  # frames are encoded anew, to the same JPEG


def test_i3d_is_the_default_way_to_encode(video: Path) -> None:
    media = media_settings(None, None, with_flow=True)
    assert (media.encode.fps, media.encode.shorter_side, media.flow and media.flow.method) == (25, 256, "tvl1")


def test_real_videos_become_clips_of_25_frames_a_second(test_data: Path) -> None:
    video = test_data / "videos" / "v_SoccerJuggling_g23_c01.avi"
    record = record_of(video, media_settings({"shorter_side": 64}, None, with_flow=False))
    frames = load_record(record, ("rgb",), preset="i3d", sampling="all", crop_size=64)["rgb"]
    assert frames.shape[0] == 1 and frames.shape[1] > 25
    assert -1 <= frames.numpy().min() < frames.numpy().max() <= 1


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not a video" * 100)
    media = media_settings(None, None, with_flow=False)
    with pytest.raises(ClipError) as error:
        record_of(tmp_path / "clip.mp4", media)
    assert error.value.reason == "unreadable"
    with pytest.raises(ClipError) as error:
        record_of(tmp_path / "nothing.mp4", media)
    assert error.value.reason == "not_found"
