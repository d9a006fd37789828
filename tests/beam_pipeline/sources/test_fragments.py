"""Which fragments of a stream a section needs."""

from __future__ import annotations

import io
from typing import Any

import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.fragments import Fragment, Fragments, fragments_of, join

HLS = {"protocol": "m3u8_native", "url": "https://example.com/a/index.m3u8"}


def of_playlist(*lines: str) -> Fragments:
    return fragments_of(HLS, lambda _: "\n".join(["#EXTM3U", *lines]).encode())


def test_a_playlist_lists_urls_and_durations() -> None:
    playlist = of_playlist("#EXTINF:4.5,title", "0.ts", "#EXTINF:3,", "/b/1.ts?x=1", "#EXT-X-ENDLIST")
    assert playlist == Fragments(
        None, (Fragment("https://example.com/a/0.ts", 4.5), Fragment("https://example.com/b/1.ts?x=1", 3.0))
    )


def test_a_playlist_may_list_ranges_of_one_file() -> None:
    playlist = of_playlist(
        '#EXT-X-MAP:URI="v.mp4",BYTERANGE="100@0"',
        *("#EXTINF:2,", "#EXT-X-BYTERANGE:50@100", "v.mp4"),
        *("#EXTINF:2,", "#EXT-X-BYTERANGE:60", "v.mp4"),
        "#EXT-X-ENDLIST",
    )
    assert playlist.head == Fragment("https://example.com/a/v.mp4", 0.0, 0, 100)
    assert [(part.first, part.end) for part in playlist.parts] == [(100, 150), (150, 210)]


@pytest.mark.parametrize(
    "lines",
    [
        ("#EXTINF:4,", "0.ts"),
        ("#EXT-X-ENDLIST",),
        ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x"', "#EXTINF:4,", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXTINF:4,", "file:///etc/passwd", "#EXT-X-ENDLIST"),
        ('#EXT-X-MAP:URI="file:///etc/passwd"', "#EXTINF:4,", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXTINF:four,", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXTINF:nan,", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXTINF:-3,", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXT-X-MAP:", "#EXTINF:4,", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXTINF:4,", "#EXT-X-BYTERANGE:x@y", "0.ts", "#EXT-X-ENDLIST"),
    ],
    ids=["goes on", "empty", "encrypted", "local file", "local head", "word", "nan", "negative", "no head", "no range"],
)
def test_a_playlist_that_is_of_no_use_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ClipError) as caught:
        of_playlist(*lines)
    assert caught.value.reason == "format_unavailable"


def test_a_list_of_yt_dlps_begins_with_a_head_if_that_has_no_duration() -> None:
    chosen: dict[str, Any] = {
        "protocol": "http_dash_segments",
        "url": "https://example.com/index.mpd",
        "fragment_base_url": "https://example.com/v/",
        "fragments": [{"path": "init"}, {"path": "sq/0", "duration": 5.0}, {"url": "https://b.com/1", "duration": 5.0}],
    }
    assert fragments_of(chosen, lambda _: b"") == Fragments(
        Fragment("https://example.com/v/init"),
        (Fragment("https://example.com/v/sq/0", 5.0), Fragment("https://b.com/1", 5.0)),
    )


def test_other_protocols_are_refused() -> None:
    with pytest.raises(ClipError, match="rtmp"):
        fragments_of({"protocol": "rtmp", "url": "rtmp://x/"}, lambda _: b"")


TEN = Fragments(Fragment("head"), tuple(Fragment(str(number), 5.0) for number in range(10)))


@pytest.mark.parametrize(
    ("start_s", "end_s", "needed"),
    [
        (21, 24, ["head", "0", "3", "4", "5"]),
        (20, 25, ["head", "0", "3", "4", "5"]),
        (19, 26, ["head", "0", "2", "3", "4", "5", "6"]),
        (0, 4, ["head", "0", "1"]),
        (46, 60, ["head", "0", "8", "9"]),
        (50, 60, ["head", "0", "8", "9"]),
    ],
)
def test_a_section_needs_the_first_fragment_and_those_around_it(
    start_s: float, end_s: float, needed: list[str]
) -> None:
    assert [part.url for part in TEN.around(start_s, end_s)] == needed


def test_without_durations_a_section_needs_all() -> None:
    unknown = Fragments(None, (Fragment("0"), Fragment("1"), Fragment("2")))
    assert [part.url for part in unknown.around(5, 6)] == ["0", "1", "2"]


def test_joining_ends_at_the_limit() -> None:
    with pytest.raises(ClipError, match="more than") as caught:
        join(TEN.around(21, 24), io.BytesIO(), lambda _: io.BytesIO(bytes(1 << 20)), limit=3 << 20)
    assert caught.value.reason == "too_large"


def test_joining_keeps_the_order() -> None:
    file = io.BytesIO()
    join(TEN.around(21, 24), file, lambda part: io.BytesIO(part.url.encode()), limit=100)
    assert file.getvalue() == b"head0345"
