"""A record as a film: what is stored, each frame in its place, its flow in colour in step with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.viewing.clip_film import Layout, write_clip_film
from beam_pipeline.viewing.clip_record import ClipRecord, Sound, parse_clip
from tests.beam_pipeline.viewing.moving import record

RED = np.array((255, 0, 0))  # of motion to the right


def film(path: Path, clip: ClipRecord, layout: Layout, height: int | None = None) -> list[np.ndarray]:
    write_clip_film(path, "mp4", clip, layout, height=height, full_px=3.2)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray().astype(int) for frame in frames]


def shows_frame(picture: np.ndarray, clip: ClipRecord, number: int) -> bool:
    return bool(np.abs(picture - clip.picture(number)).mean() < 6)


def shows_motion_to_the_right(picture: np.ndarray) -> bool:
    return bool(np.abs(np.median(picture, axis=(0, 1)) - RED).max() < 40)


def test_frames_are_those_of_the_record(tmp_path: Path) -> None:
    clip = parse_clip(record(num_frames=6))
    pictures = film(tmp_path / "a.mp4", clip, "frames")
    assert [shows_frame(picture, clip, number) for number, picture in enumerate(pictures)] == [True] * 6
    assert not shows_frame(pictures[0], clip, 3)


@pytest.mark.parametrize("layout", ["beside", "below"])
def test_flow_is_beside_or_below_the_frame_that_it_begins_with_and_stays_at_the_end(
    layout: Layout, tmp_path: Path
) -> None:
    clip = parse_clip(record(num_frames=4))
    pictures = film(tmp_path / "a.mp4", clip, layout)
    assert len(pictures) == 4
    for number, picture in enumerate(pictures):
        frame, flow = np.split(picture, 2, axis=1 if layout == "beside" else 0)
        assert shows_frame(frame, clip, number)
        assert shows_motion_to_the_right(flow)


def test_flow_can_be_alone(tmp_path: Path) -> None:
    pictures = film(tmp_path / "a.mp4", parse_clip(record(num_frames=4)), "flow")
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 4
    assert all(map(shows_motion_to_the_right, pictures))


def test_a_height_keeps_the_proportions(tmp_path: Path) -> None:
    assert film(tmp_path / "a.mp4", parse_clip(record()), "frames", height=96)[0].shape == (96, 128, 3)
    assert film(tmp_path / "b.mp4", parse_clip(record()), "beside", height=24)[0].shape == (24, 64, 3)


def test_sound_is_there_where_there_is_something_to_hear(tmp_path: Path) -> None:
    silent = replace(parse_clip(record()), sound=Sound(np.zeros(4000, np.float32), 16_000))
    loud = replace(silent, sound=Sound(np.ones(4000, np.float32) / 2, 16_000))
    kinds = []
    for name, clip in {"silent": silent, "loud": loud}.items():
        write_clip_film(tmp_path / name, "mp4", clip)
        with av.open(str(tmp_path / name)) as container:
            kinds.append([stream.type for stream in container.streams])
    assert kinds == [["video"], ["video", "audio"]]


def test_a_clip_of_one_frame_is_a_film(tmp_path: Path) -> None:
    assert len(film(tmp_path / "a.mp4", parse_clip(record(num_frames=1, flow=None)), "frames")) == 1


def test_flow_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="record a_000000_000001 has no flow"):
        write_clip_film(tmp_path / "a.mp4", "mp4", parse_clip(record(flow=None)), "beside")


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    clip = parse_clip(record())
    frames = [*clip.frames[:2], clip.frames[2][:40], *clip.frames[3:]]
    with pytest.raises(ClipError, match="record a_000000_000001: frame 2: "):
        write_clip_film(tmp_path / "a.mp4", "mp4", replace(clip, frames=frames))


def test_frames_of_several_sizes_are_an_error(tmp_path: Path) -> None:
    clip = parse_clip(record(flow=None))
    with pytest.raises(ClipError, match="its frames are of several sizes"):
        write_clip_film(tmp_path / "a.mp4", "mp4", replace(clip, frames=[*clip.frames, png_of_another_size()]))


def png_of_another_size() -> bytes:
    from beam_pipeline.media.png import encode_png

    return encode_png(np.zeros((50, 64, 3), np.uint8))
