"""Links lead to the web and nowhere else."""

from __future__ import annotations

import pytest

from beam_pipeline.inspecting.links import source_link


@pytest.mark.parametrize(
    ("video_id", "source_uri", "link"),
    [
        ("-nRSDT1Q2m1", "/clips/a.mp4", "https://www.youtube.com/watch?v=-nRSDT1Q2m1&t=12s"),
        ("short", "/clips/a.mp4", None),
        ("javascript:", "javascript:alert(1)", None),
        ("short", "file:///etc/passwd", None),
        ("short", "gs://bucket/a.mp4", None),
        ("short", "https://user:secret@host/a.mp4?token=1", "https://host/a.mp4"),
    ],
)
def test_a_source_is_a_file_on_the_web_or_a_video_of_youtubes(video_id: str, source_uri: str, link: str | None) -> None:
    assert source_link({"video_id": video_id, "source_uri": source_uri, "start_s": 12.5}) == link
