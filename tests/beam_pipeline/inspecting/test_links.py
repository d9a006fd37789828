"""Links lead to the web and nowhere else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from beam_pipeline.inspecting.links import are_on_youtube, source_link


@pytest.mark.parametrize(
    ("video_id", "source_uri", "link"),
    [
        ("-nRSDT1Q2m0", "/clips/a.mp4", "https://www.youtube.com/watch?v=-nRSDT1Q2m0&t=12s"),
        ("short", "/clips/a.mp4", None),
        ("-nRSDT1Q2m1", "/clips/a.mp4", None),
        ("javascript:", "javascript:alert(1)", None),
        ("short", "file:///etc/passwd", None),
        ("short", "gs://bucket/a.mp4", None),
        ("short", "https://user:secret@host/a.mp4?token=1", "https://host/a.mp4"),
    ],
)
def test_a_source_is_a_file_on_the_web_or_a_video_of_youtubes(video_id: str, source_uri: str, link: str | None) -> None:
    assert source_link({"video_id": video_id, "source_uri": source_uri, "start_s": 12.5}, on_youtube=True) == link


def test_a_data_set_from_elsewhere_has_no_links_to_youtube() -> None:
    row = {"video_id": "-nRSDT1Q2m0", "source_uri": "/clips/a.mp4", "start_s": 12.5}
    assert source_link(row, on_youtube=False) is None


@pytest.mark.parametrize(
    ("video_ids", "on_youtube"),
    [
        (["-nRSDT1Q2m0"] * 19 + ["bad row"], True),
        ([f"frisbee{number:04d}" for number in range(1000)], False),  # eleven characters
        (["-nRSDT1Q2m0", "mine1", "mine2"], False),
        ([], False),
    ],
)
def test_videos_are_on_youtube_where_nearly_all_ids_are_such_as_it_gives(
    video_ids: list[str], on_youtube: bool
) -> None:
    assert are_on_youtube(pa.chunked_array([pa.array(video_ids, pa.string())])) is on_youtube
