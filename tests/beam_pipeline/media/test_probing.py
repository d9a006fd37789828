"""What a look at a stored file finds: that it can be a record, or why it can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.container import open_container
from beam_pipeline.media.probing import probe_clip
from beam_pipeline.media.process import run_probe_task
from beam_pipeline.media.section import cut_section
from beam_pipeline.media.settings import Encode, MediaSettings
from beam_pipeline.media.task import Probed, ProbeTask

SECOND_US = 1_000_000


def task(path: Path, start_s: float = 0, end_s: float = 10, trimmed: str = "true", **encode: float) -> ProbeTask:
    clip = Clip("some_video1", round(start_s * SECOND_US), round(end_s * SECOND_US))
    return ProbeTask(str(path), clip, MediaSettings(Encode(**encode), trimmed=trimmed))  # type: ignore[arg-type]


def reason(asked: ProbeTask) -> str:
    with pytest.raises(ClipError) as failed:
        probe_clip(asked)
    return failed.value.reason


def test_it_finds_size_length_and_sound(test_data: Path) -> None:
    assert run_probe_task(task(test_data / "videos" / "R6llTwEh07w.mp4")) == Probed(10.0, 340, 256, True)


def test_footage_that_ends_early_is_as_long_as_it_is(test_data: Path) -> None:
    probed = probe_clip(task(test_data / "videos" / "mmaction2_demo_spatiotemporal_det.mp4"))
    assert probed == Probed(9.5, 340, 256, False)


def test_a_section_is_as_long_as_what_it_presents(test_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with open_container(str(test_data / "videos" / "videollava_sample_demo_22.mp4")) as container:
        cut_section(container, container, 17_500_000, 22_500_000, path)
    assert probe_clip(task(path, 17.5, 22.5)) == Probed(5.0, 204, 360, True)


def test_a_section_at_the_videos_end_is_as_long_as_what_there_is(test_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with open_container(str(test_data / "videos" / "R6llTwEh07w.mp4")) as container:
        cut_section(container, container, 8_000_000, 18_000_000, path)
    assert probe_clip(task(path, 8, 18)) == Probed(2.1, 340, 256, True)


def test_a_whole_video_is_looked_at_where_the_clip_is(test_data: Path) -> None:
    path = test_data / "videos" / "intel_one_by_one_person_detection.mp4"
    assert probe_clip(task(path, 100, 110, "false")).duration_s == 10
    assert probe_clip(task(path, 135, 145, "false")).duration_s == pytest.approx(4.4)
    assert reason(task(path, 140, 150, "false")) == "no_overlap"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("mediabunny_eac3.mp4", "no_video"),
        ("filetype_fixture_corrupt.mkv", "unreadable"),
        ("decord_video_0.mov", "too_short"),  # 0.1 s
        ("intel_one_by_one_person_detection.mp4", "too_large"),  # 139 s
        ("no_such_file.mp4", "not_found"),
    ],
)
@pytest.mark.parametrize("trimmed", ["true", "whole"])
def test_what_is_no_clip_says_why(test_data: Path, file: str, expected: str, trimmed: str) -> None:
    assert reason(task(test_data / "videos" / file, trimmed=trimmed)) == expected


def test_a_file_of_something_else_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"<html>Sign in to confirm you are not a bot</html>")
    assert reason(task(path)) == "unreadable"


def test_video_that_does_not_decode_is_unreadable(test_data: Path, tmp_path: Path) -> None:
    content = bytearray((test_data / "videos" / "mmaction2_demo.mp4").read_bytes())
    begin = content.index(b"mdat") + 4
    length = int.from_bytes(content[begin - 8 : begin - 4], "big") - 8
    content[begin : begin + length] = bytes(length)
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert reason(task(path)) == "unreadable"


@pytest.mark.parametrize(("end_s", "expected"), [(2.6, False), (2.5, True)])
def test_a_clips_file_may_be_twice_as_long_and_five_seconds(test_data: Path, end_s: float, expected: bool) -> None:
    asked = task(test_data / "videos" / "R6llTwEh07w.mp4", 0, end_s)  # 10.1 s
    if expected:
        assert reason(asked) == "too_large"
    else:
        assert probe_clip(asked).duration_s == end_s


def test_less_than_the_shortest_clip_is_too_short(test_data: Path) -> None:
    path = test_data / "videos" / "mmaction2_demo_skeleton.mp4"  # 2.6 s
    assert reason(task(path, min_duration_s=3)) == "too_short"
    assert probe_clip(task(path, min_duration_s=2)).duration_s == pytest.approx(2.57, abs=0.01)
