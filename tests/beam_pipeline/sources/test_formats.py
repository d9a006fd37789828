"""Which format is chosen, of such lists as YouTube really offers."""

from __future__ import annotations

from typing import Any

import pytest

from beam_pipeline.sources.formats import choose, is_direct


def video(format_id: str, height: int, codec: str = "avc1.4d401e", size: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "format_id": format_id,
        "protocol": "https",
        "vcodec": codec,
        "acodec": "none",
        "width": height * 16 // 9,
        "height": height,
        "filesize": size or height * 10_000,
        **more,
    }


def sound(format_id: str, abr: float, size: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "format_id": format_id,
        "protocol": "https",
        "vcodec": "none",
        "acodec": "opus",
        "asr": 48_000,
        "abr": abr,
        "filesize": size or int(abr * 10_000),
        **more,
    }


STORYBOARD = {"format_id": "sb0", "protocol": "mhtml", "vcodec": "none", "acodec": "none", "width": 160, "height": 90}
YOUTUBE = [
    STORYBOARD,
    sound("139", 49, acodec="mp4a.40.5", asr=22_050),
    sound("249", 52),
    sound("140", 129, acodec="mp4a.40.2", asr=44_100),
    video("18", 360, acodec="mp4a.40.2", size=9_000_000),
    video("160", 144),
    video("133", 240),
    video("134", 360, size=3_000_000),
    video("243", 360, "vp9", size=2_500_000),
    video("396", 360, "av01.0.01M.08", size=2_000_000),
    video("135", 480),
    video("137", 1080),
]


def chosen(formats: list[dict[str, Any]], target_px: int = 256, with_audio: bool = False) -> str:
    return "+".join(each["format_id"] for each in choose(formats, target_px, with_audio))


def test_the_smallest_that_is_tall_enough_with_fewest_bytes_and_no_av1() -> None:
    assert chosen(YOUTUBE) == "243"


@pytest.mark.parametrize(("target_px", "format_id"), [(100, "160"), (144, "160"), (145, "133"), (720, "137")])
def test_the_target_decides_the_height(target_px: int, format_id: str) -> None:
    assert chosen(YOUTUBE, target_px) == format_id


def test_the_largest_where_none_is_tall_enough() -> None:
    assert chosen(YOUTUBE, 1440) == "137"


def test_upright_videos_are_measured_by_their_width() -> None:
    upright = [video("a", 480, width=270), video("b", 426, width=240)]
    assert chosen(upright, 256) == "a"


def test_av1_where_there_is_nothing_else_of_that_height() -> None:
    assert chosen([video("396", 360, "av01.0.01M.08"), video("137", 1080)]) == "396"


@pytest.mark.parametrize("codec", ["vp8.0", "vp08.00.41.08", "theora"])
def test_what_no_mp4_file_holds_only_where_there_is_nothing_else(codec: str) -> None:
    assert chosen([video("43", 360, codec, size=1), video("18", 240)]) == "18"
    assert chosen([video("43", 360, codec)]) == "43"


def test_sound_is_the_smallest_that_is_no_telephones() -> None:
    assert chosen(YOUTUBE, with_audio=True) == "243+249"


def test_of_dubbed_sound_the_originals_language_is_taken() -> None:
    tracks = [sound("249-0", 52, language_preference=-1), sound("249-1", 60, language_preference=10)]
    assert chosen([video("134", 360), *tracks], with_audio=True) == "134+249-1"


def test_sound_with_compressed_range_is_not_what_was_uploaded() -> None:
    tracks = [sound("249-drc", 50, format_note="low, DRC"), sound("249", 52)]
    assert chosen([video("134", 360), *tracks], with_audio=True) == "134+249"


def test_one_file_with_both_where_sound_comes_only_so() -> None:
    formats = [video("134", 360), video("18", 360, acodec="mp4a.40.2", size=9_000_000)]
    assert chosen(formats, with_audio=True) == "18"
    assert chosen(formats) == "134"


def test_a_silent_video_is_better_than_none() -> None:
    assert chosen([video("134", 360)], with_audio=True) == "134"


def test_what_is_encrypted_is_left_alone() -> None:
    assert chosen([video("134", 360, has_drm=True)]) == ""
    assert chosen([video("134", 360, has_drm=True), video("133", 240)]) == "133"


def test_only_sound_and_storyboards_are_no_video() -> None:
    assert choose([STORYBOARD, sound("140", 129)], 256, True) == []


def test_one_file_rather_than_fragments_of_the_same_height() -> None:
    fragments = video("230", 360, protocol="m3u8_native", size=1)
    assert chosen([fragments, video("134", 360)]) == "134"
    assert chosen([fragments, video("133", 240)]) == "230"


@pytest.mark.parametrize(
    "altered",
    [{"format_note": "360p, AI-upscaled"}, {"preference": -10}, {"dynamic_range": "HDR10"}],
)
def test_what_was_altered_comes_last(altered: dict[str, Any]) -> None:
    assert chosen([video("a", 360, **altered), video("b", 1080)]) == "b"


def test_a_file_of_which_nothing_is_known_is_taken_as_it_is() -> None:
    assert chosen([{"format_id": "mp4", "protocol": "http", "url": "http://127.0.0.1/a.mp4"}], with_audio=True) == "mp4"


@pytest.mark.parametrize(
    ("each", "direct"),
    [
        ({"protocol": "https"}, True),
        ({"protocol": "http"}, True),
        ({"protocol": "m3u8_native"}, False),
        ({"protocol": "http_dash_segments"}, False),
        ({"protocol": "https", "fragments": [{"url": "https://a/"}]}, False),
    ],
)
def test_direct_is_one_file_over_http(each: dict[str, Any], direct: bool) -> None:
    assert is_direct(each) is direct
