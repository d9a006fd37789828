"""The film: a picture a pair at the clip's rate, the frame on the left and its flow in colour on the right."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.viewing.flow_clip import Span, flow_of_images, flow_of_record, flow_of_video
from beam_pipeline.viewing.flow_film import write_flow_film
from tests.beam_pipeline.viewing.moving import DIS, MEDIA, images, record, shard, video


def read(path: Path) -> tuple[list[VideoFrame], Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate
        return list(container.decode(stream)), Fraction(stream.average_rate)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(1, 2)])
def test_there_is_one_picture_a_pair_at_the_clips_rate(fps: Fraction, tmp_path: Path) -> None:
    clip = flow_of_images(images(tmp_path, 7), Span(None, 20.0), MediaSettings(Encode(fps=fps), DIS))
    write_flow_film(tmp_path / "film.mp4", clip, 3.0)
    frames, rate = read(tmp_path / "film.mp4")
    assert len(frames) == 6
    assert rate == fps
    assert [frame.time for frame in frames] == pytest.approx([float(k / fps) for k in range(6)], abs=1e-3)


def test_the_frame_is_on_the_left_and_motion_to_the_right_is_red_on_the_right(tmp_path: Path) -> None:
    clip = flow_of_images(images(tmp_path, 4), Span(), MEDIA)
    write_flow_film(tmp_path / "film.mp4", clip, 3.3)
    frames, _ = read(tmp_path / "film.mp4")
    picture = frames[1].reformat(format="rgb24", src_colorspace="ITU709").to_ndarray().astype(int)
    height, width = 48 * 6, 64 * 6
    left, right = picture[:height, :width], picture[:height, width + 4 : 2 * width + 4]
    shown = np.kron(clip.picture(1), np.ones((6, 6, 1))).astype(int)
    assert np.abs(left - shown).mean() < 8
    assert np.abs(np.median(right, axis=(0, 1)) - (255, 0, 0)).max() < 40


@pytest.mark.parametrize("size", [(16, 16), (47, 63), (16, 256), (256, 16)])
def test_any_shape_can_be_filmed(size: tuple[int, int], tmp_path: Path) -> None:
    path = str(video(tmp_path / "a.mkv", 3, size=size))
    write_flow_film(
        tmp_path / "film.mp4", flow_of_video(path, Span(), MediaSettings(Encode(shorter_side=16), DIS)), 3.0
    )
    frames, _ = read(tmp_path / "film.mp4")
    assert len(frames) == 2


def test_a_thin_clip_is_not_enlarged_beyond_what_players_show(tmp_path: Path) -> None:
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((2, 3000, 3), 90 * number, np.uint8))
    media = MediaSettings(flow=Flow("farneback"))
    clip = flow_of_images([tmp_path / "0.png", tmp_path / "1.png"], Span(), media)
    write_flow_film(tmp_path / "film.mp4", clip, 3.0)
    (frame,), _ = read(tmp_path / "film.mp4")
    assert frame.width == 2 * 3000 + 4


def test_a_record_can_be_filmed(tmp_path: Path) -> None:
    clip = flow_of_record(str(shard(tmp_path, record(num_frames=6))), None, Span())
    write_flow_film(tmp_path / "film.mp4", clip, 3.0)
    frames, rate = read(tmp_path / "film.mp4")
    assert (len(frames), rate) == (5, 25)
