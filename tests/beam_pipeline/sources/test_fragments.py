"""Which fragments of a stream a section needs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.fragments import Fragment, Fragments, fragments_of

HLS = {"protocol": "m3u8_native", "url": "https://example.com/a/index.m3u8"}


def of_playlist(*lines: str) -> Fragments:
    return fragments_of(HLS, lambda url: (url, "\n".join(["#EXTM3U", *lines]).encode()))


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
        ("#EXTINF:4,", "#EXT-X-BYTERANGE:-5@10", "0.ts", "#EXT-X-ENDLIST"),
        ("#EXTINF:4,", "0.ts", "#X:" + "A" * 100_000, "#EXT-X-ENDLIST"),
        ("#EXT-X-MAP:" + "A" * 60_000, "#EXTINF:4,", "0.ts", "#EXT-X-ENDLIST"),
    ],
    ids=[
        *(
            "goes on",
            "empty",
            "encrypted",
            "local file",
            "local head",
            "word",
            "nan",
            "negative",
            "no head",
            "no range",
        ),
        *("negative range", "endless line", "endless attribute"),
    ],
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
    assert fragments_of(chosen, lambda url: (url, b"")) == Fragments(
        Fragment("https://example.com/v/init"),
        (Fragment("https://example.com/v/sq/0", 5.0), Fragment("https://b.com/1", 5.0)),
    )


def test_other_protocols_are_refused() -> None:
    with pytest.raises(ClipError, match="rtmp"):
        fragments_of({"protocol": "rtmp", "url": "rtmp://x/"}, lambda url: (url, b""))


def test_a_playlist_that_was_found_elsewhere_lists_what_is_there() -> None:
    playlist = fragments_of(HLS, lambda _: ("https://cdn.example.com/b/x.m3u8", b"#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST"))
    assert playlist.parts[0].url == "https://cdn.example.com/b/0.ts"


@pytest.mark.parametrize(
    "joint", ["#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="2.mp4"', '#EXT-X-MAP:URI="1.mp4",BYTERANGE="9@9"']
)
def test_a_playlist_is_read_up_to_where_clock_or_head_change(joint: str) -> None:
    playlist = of_playlist(
        "#EXT-X-DISCONTINUITY",  # before the first there is nothing to join
        *('#EXT-X-MAP:URI="1.mp4"', "#EXTINF:4,", "0.ts", '#EXT-X-MAP:URI="1.mp4"', "#EXTINF:4,", "1.ts"),
        *(joint, "#EXTINF:4,", "2.ts", "#EXT-X-ENDLIST"),
    )
    assert [part.url[-4:] for part in playlist.parts] == ["0.ts", "1.ts"]
    assert not playlist.is_whole


# Ten of 5 s, says the list.
TEN = Fragments(Fragment("head"), tuple(Fragment(str(number), 5.0) for number in range(10)))


def seconds(start_s: float, end_s: float) -> tuple[Fraction, Fraction]:
    return Fraction(start_s), Fraction(end_s)


@pytest.mark.parametrize(
    ("start_s", "end_s", "needed"),
    [
        (21, 24, range(4, 5)),
        (20, 25, range(4, 5)),
        (19, 26, range(3, 6)),
        (-1, 4, range(1)),
        (-3, -1, range(1)),
        (46, 60, range(9, 10)),
        (50, 60, range(9, 10)),
    ],
)
def test_a_section_needs_the_fragments_that_it_touches(start_s: float, end_s: float, needed: range) -> None:
    assert TEN.touching(*seconds(start_s, end_s)) == needed


def test_without_durations_a_section_needs_all() -> None:
    unknown = Fragments(None, (Fragment("0"), Fragment("1"), Fragment("2")))
    assert unknown.touching(*seconds(5, 6)) == range(3)


@pytest.mark.parametrize(
    ("window", "before", "held", "wanted", "instead"),
    [
        (range(4, 6), True, (20, 30), (21, 24), range(2, 6)),  # no key frame
        (range(2, 6), True, (10, 30), (21, 24), range(6)),  # still none
        (range(4, 6), True, None, (21, 24), range(2, 6)),
        (range(4, 5), True, (22, 27), (21, 24), range(3, 5)),
        (range(4, 5), False, (20, 25), (21, 25), range(4, 6)),
        (range(6, 7), True, (48, 56), (21, 25), range(2, 4)),  # they last 8 s
        (range(6, 7), False, (15, 17.5), (21, 24), range(8, 10)),  # they last 2.5 s
        (range(9, 10), True, (72, 74), (21, 25), range(2, 4)),  # 8 s, but for the last
    ],
)
def test_what_was_read_tells_what_to_read_instead(
    window: range, before: bool, held: tuple[float, float] | None, wanted: tuple[float, float], instead: range
) -> None:
    assert TEN.corrected(window, before, held and seconds(*held), seconds(*wanted)) == instead


def test_beyond_a_joint_nothing_is_read() -> None:
    joined = Fragments(None, TEN.parts, is_whole=False)
    with pytest.raises(ClipError, match="joint") as caught:
        joined.corrected(range(8, 10), False, seconds(40, 50), seconds(48, 52))
    assert caught.value.reason == "format_unavailable"


@pytest.mark.parametrize(
    ("window", "held"),
    [
        (range(4, 6), (20.4, 30.1)),
        (range(4, 6), (26, 31)),
        (range(6, 8), (48, 64)),
        (range(6, 8), (15, 20)),
        (range(1), (0, 5)),
    ],
    ids=["exact", "off by one", "longer", "shorter", "the first"],
)
def test_a_list_may_be_rounded(window: range, held: tuple[float, float]) -> None:
    TEN.check_clock(window, seconds(*held))


@pytest.mark.parametrize(
    ("window", "held"),
    [(range(6, 8), (5, 15)), (range(6, 8), (60, 70)), (range(6, 8), (-3, 7))],
    ids=["set back", "set forward", "before the beginning"],
)
def test_a_clock_that_was_set_is_not_trusted(window: range, held: tuple[float, float]) -> None:
    with pytest.raises(ClipError, match="clock") as caught:
        TEN.check_clock(window, seconds(*held))
    assert caught.value.reason == "format_unavailable"
