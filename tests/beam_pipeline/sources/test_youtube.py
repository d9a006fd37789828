"""Visits by the real yt-dlp: of files on a server with faults, and of YouTube as the extractor sees it."""

from __future__ import annotations

import math
import pickle
from concurrent.futures import wait
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.pool import ChildPool, Task
from beam_pipeline.sources.settings import YouTube
from beam_pipeline.sources.youtube import FetchedClip, Visited, VisitTask, check_options, prepare_visits, visit
from beam_pipeline.sources.youtube_errors import FetchError
from beam_pipeline.sources.youtube_options import check_js_runtime, load_yt_dlp, parameters
from beam_pipeline.store import fetched_uri
from tests.beam_pipeline import fake_youtube as site
from tests.beam_pipeline import object_files  # noqa: F401 - Beam finds its file systems among what is loaded
from tests.beam_pipeline.fake_youtube import FakeYouTube, Stream, Video
from tests.beam_pipeline.faulty_server import Fault, FaultyServer

VIDEO_ID = "-bcdefghij_"  # an option, to whom it is no whole URL
LENGTH_S, FPS = 30, 25
OPTIONS = {"socket_timeout": 1.0, "nocheckcertificate": True}


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    prepare_visits()


def write_media(path: Path, *, picture: bool = True, sound: str = "", **options: str) -> Path:
    """Writes 30 s of video, 25 fps, a key frame every 2 s, in which every frame differs, and a tone."""
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream("libx264", FPS, options={"g": "50", "crf": "18", "bf": "2"}) if picture else None
        audio = container.add_stream(sound, 48_000, layout="mono") if sound else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        random = np.random.default_rng(0)
        for number in range(LENGTH_S * FPS if video is not None else 0):
            pixels = random.integers(0, 80, (64, 96, 3), np.uint8) + np.uint8(number % 170)
            frame = VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        if audio is not None:
            resampler = av.AudioResampler(audio.format, "mono", 48_000, audio.codec_context.frame_size or 960)
            tone = np.sin(2 * math.pi * 440 * np.arange(LENGTH_S * 48_000) / 48_000).astype(np.float32)
            for begin in range(0, len(tone), 4800):
                frame = AudioFrame.from_ndarray(tone[None, begin : begin + 4800], "flt", "mono")
                frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
                for part in resampler.resample(frame):
                    container.mux(audio.encode(part))
            container.mux(audio.encode(None))
        if video is not None:
            container.mux(video.encode(None))
    return path


@pytest.fixture(scope="module")
def muxed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mp4 file whose index is at its end, with sound."""
    return write_media(tmp_path_factory.mktemp("media") / "muxed.mp4", sound="aac")


@pytest.fixture(scope="module")
def dash_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fragmented mp4 file with an index of its fragments, as YouTube's."""
    folder = tmp_path_factory.mktemp("media")
    return write_media(folder / "video.mp4", movflags="+dash+global_sidx+frag_keyframe+delay_moov")


@pytest.fixture(scope="module")
def dash_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("media") / "audio.webm", picture=False, sound="libopus")


def clip(start_s: float, end_s: float, video_id: str = VIDEO_ID) -> Clip:
    return Clip(video_id, round(start_s * 1e6), round(end_s * 1e6))


def frames_between(path: Path, start_s: float, end_s: float) -> list[bytes]:
    """The pictures of [start_s, end_s) by a plain decoder, which applies edit lists."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray().tobytes()
            for frame in container.decode(video=0)
            if start_s - 1e-6 <= frame.time < end_s - 1e-6
        ]


def files_under(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


class Direct:
    """Visits of `{id}.mp4` on a server of our own, by yt-dlp's generic extractor."""

    path = f"/{VIDEO_ID}.mp4"

    def __init__(self, server: FaultyServer, store: Path, media: Path):
        self.server = server
        self.store = store
        server.files[self.path] = media
        server.types[self.path] = "video/mp4"

    def visit(self, *clips: Clip, with_audio: bool = False, **settings: object) -> Visited:
        url = f"http://127.0.0.1:{self.server.port}/{{id}}.mp4"
        youtube = YouTube(url=url, options=OPTIONS, **settings)  # type: ignore[arg-type]
        return visit(VisitTask(VIDEO_ID, clips or (clip(11, 13),), youtube, 64, with_audio, str(self.store)))

    def failure(self) -> ClipError:
        """Why the visit brought nothing, be it of the whole video or of its clip."""
        try:
            (result,) = self.visit().values()
        except ClipError as error:
            return error
        assert isinstance(result, ClipError), result
        return result


@pytest.fixture
def direct(tmp_path: Path, muxed: Path):
    with FaultyServer() as server:
        yield Direct(server, tmp_path / "store", muxed)


def test_a_direct_files_section_decodes_to_the_originals_frames(direct: Direct, muxed: Path) -> None:
    (fetched,) = direct.visit(clip(11.3, 14)).values()
    assert isinstance(fetched, FetchedClip)
    stored = direct.store / fetched.uri
    assert frames_between(stored, 0, 2.7) == frames_between(muxed, 11.3, 14)
    assert fetched.size == stored.stat().st_size
    assert (fetched.width, fetched.height, fetched.has_audio) == (96, 64, False)
    assert files_under(direct.store) == [fetched_uri(clip(11.3, 14))]


def test_sound_is_stored_where_it_is_asked_for(direct: Direct) -> None:
    (fetched,) = direct.visit(with_audio=True).values()
    assert isinstance(fetched, FetchedClip)
    assert fetched.has_audio


def test_only_a_part_of_a_long_file_is_sent(direct: Direct, muxed: Path) -> None:
    direct.visit(clip(20, 21))
    extraction, *media = direct.server.requests
    assert "Range" not in extraction.headers
    assert sum(request.sent for request in media) < muxed.stat().st_size / 2


def test_clips_of_a_video_are_one_extraction_and_nothing_comes_twice(direct: Direct, muxed: Path) -> None:
    clips = [clip(start, start + 3) for start in (0, 5, 5.5, 26)]
    results = direct.visit(*clips)
    assert [type(results[each.clip_id]) for each in clips] == [FetchedClip] * 4
    unranged = [request for request in direct.server.requests if "Range" not in request.headers]
    assert len(unranged) == 1
    assert direct.server.sent(direct.path) - unranged[0].sent <= muxed.stat().st_size


def test_a_clip_beyond_the_end_has_no_overlap_and_costs_no_other(direct: Direct) -> None:
    results = direct.visit(clip(40, 42), clip(1, 3))
    assert results[clip(40, 42).clip_id].reason == "no_overlap"
    assert isinstance(results[clip(1, 3).clip_id], FetchedClip)


def test_a_clip_that_the_videos_end_cuts_short_is_kept_as_it_is(direct: Direct, muxed: Path) -> None:
    (fetched,) = direct.visit(clip(28, 38)).values()
    assert isinstance(fetched, FetchedClip)
    assert fetched.duration_s == pytest.approx(2)
    assert frames_between(direct.store / fetched.uri, 0, 10) == frames_between(muxed, 28, 38)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "network"), (404, "not_found"), (410, "removed"), (451, "geo_blocked"), (503, "network")],
)
def test_http_errors_have_their_classes(direct: Direct, status: int, reason: str) -> None:
    direct.server.always[direct.path] = Fault(status=status)
    error = direct.failure()
    assert error.reason == reason
    assert f"HTTP Error {status}" in error.detail
    assert "127.0.0.1" not in error.detail


def test_a_429_says_how_long_to_wait(direct: Direct) -> None:
    direct.server.always[direct.path] = Fault(status=429, headers={"Retry-After": "17"})
    error = direct.failure()
    assert isinstance(error, FetchError)
    assert (error.reason, error.retry_after_s) == ("rate_limited", 17)


def test_a_429_on_the_media_says_so_too(direct: Direct) -> None:
    direct.server.faults[direct.path] = [None]
    direct.server.always[direct.path] = Fault(status=429, headers={"Retry-After": "17"})
    error = direct.failure()
    assert isinstance(error, FetchError)
    assert (error.reason, error.retry_after_s) == ("rate_limited", 17)


@pytest.mark.parametrize(
    "fault",
    [Fault(stall_s=3), Fault(reset=True, after=70_000), Fault(reset=True), Fault(truncate=True, after=70_000)],
    ids=["stall", "reset midway", "reset", "truncated"],
)
def test_a_connection_that_breaks_once_is_taken_up_again(direct: Direct, muxed: Path, fault: Fault) -> None:
    direct.server.faults[direct.path] = [None, fault]
    (fetched,) = direct.visit().values()
    assert isinstance(fetched, FetchedClip)
    assert frames_between(direct.store / fetched.uri, 0, 2) == frames_between(muxed, 11, 13)


def test_a_server_that_breaks_every_connection_is_the_network_and_may_heal(direct: Direct) -> None:
    direct.server.faults[direct.path] = [None]
    direct.server.always[direct.path] = Fault(reset=True)
    assert direct.failure().reason == "network"
    assert files_under(direct.store) == []
    del direct.server.always[direct.path]
    (fetched,) = direct.visit().values()
    assert isinstance(fetched, FetchedClip)


def test_a_slow_drip_is_waited_for(direct: Direct) -> None:
    direct.server.faults[direct.path] = [None]
    direct.server.always[direct.path] = Fault(drip=2_000_000)
    (fetched,) = direct.visit().values()
    assert isinstance(fetched, FetchedClip)


def test_no_server_is_the_network(direct: Direct) -> None:
    direct.server.stop()
    error = direct.failure()
    assert error.reason == "network"
    assert str(direct.server.port) not in error.detail


def test_the_same_failure_has_the_same_detail(direct: Direct) -> None:
    direct.server.stop()
    assert direct.failure().detail == direct.failure().detail


def test_a_server_without_ranges_serves_too(direct: Direct, muxed: Path) -> None:
    direct.server.always[direct.path] = Fault(no_range=True)
    (fetched,) = direct.visit().values()
    assert isinstance(fetched, FetchedClip)
    assert frames_between(direct.store / fetched.uri, 0, 2) == frames_between(muxed, 11, 13)


def test_a_web_page_instead_of_a_video_is_unsupported(direct: Direct) -> None:
    direct.server.files[direct.path] = b"<!DOCTYPE html><html><body>Hello</body></html>"
    direct.server.types[direct.path] = "text/html"
    error = direct.failure()
    assert (error.reason, error.detail) == ("unsupported", "Unsupported URL")


def test_garbage_that_is_called_a_video_is_unreadable(direct: Direct) -> None:
    direct.server.files[direct.path] = bytes(range(256)) * 1000
    assert direct.failure().reason == "unreadable"
    assert files_under(direct.store) == []


def test_a_store_that_cant_be_written_is_the_runs_failure(direct: Direct) -> None:
    direct.store.write_text("a file, no folder")
    with pytest.raises(OSError, match="store"):
        direct.visit()


def test_a_clip_that_is_there_is_replaced_whole(direct: Direct, muxed: Path) -> None:
    stored = direct.store / fetched_uri(clip(11, 13))
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"an old one")
    direct.visit()
    assert frames_between(stored, 0, 2) == frames_between(muxed, 11, 13)


def test_clips_that_an_earlier_try_has_stored_are_not_fetched_again(direct: Direct, muxed: Path) -> None:
    (first,) = direct.visit(clip(3, 5)).values()
    direct.server.requests.clear()
    assert isinstance(first, FetchedClip)
    (again,) = direct.visit(clip(3, 5)).values()
    assert isinstance(again, FetchedClip)
    assert (again.uri, again.size, again.duration_s) == (first.uri, first.size, first.duration_s)
    assert direct.server.requests == []
    results = direct.visit(clip(3, 5), clip(7, 9))
    assert [type(result) for result in results.values()] == [FetchedClip] * 2
    assert frames_between(direct.store / fetched_uri(clip(7, 9)), 0, 2) == frames_between(muxed, 7, 9)


def test_in_an_object_store_clips_are_whole_and_found_again(
    direct: Direct, muxed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECTS", str(tmp_path / "objects"))
    FileSystems.set_options(PipelineOptions())
    direct.store = "objects://clips"  # type: ignore[assignment]
    (first,) = direct.visit(clip(3, 5)).values()
    assert isinstance(first, FetchedClip)
    direct.server.requests.clear()
    (again,) = direct.visit(clip(3, 5)).values()
    assert isinstance(again, FetchedClip)
    assert (again.uri, again.size) == (first.uri, first.size)
    assert direct.server.requests == []
    (stored,) = (path for path in (tmp_path / "objects").rglob("*") if path.is_file())
    assert frames_between(stored, 0, 2) == frames_between(muxed, 3, 5)


def test_a_rate_limit_changes_nothing_but_the_pace(direct: Direct, muxed: Path) -> None:
    (fetched,) = direct.visit(rate_kib_s=10_000).values()
    assert isinstance(fetched, FetchedClip)
    assert frames_between(direct.store / fetched.uri, 0, 2) == frames_between(muxed, 11, 13)


def test_the_user_agent_goes_with_every_request(direct: Direct) -> None:
    direct.visit(user_agent="kinetics/1")
    assert {request.headers["User-Agent"] for request in direct.server.requests} == {"kinetics/1"}


def test_a_proxy_is_used(direct: Direct, tmp_path: Path) -> None:
    youtube = YouTube(url="http://example.com/{id}.mp4", options=OPTIONS)
    with FakeYouTube() as proxy, pytest.raises(FetchError) as caught:
        visit(VisitTask(VIDEO_ID, (clip(0, 2),), youtube, 64, False, str(tmp_path), proxy=proxy.proxy))
    assert caught.value.reason == "not_found"
    assert proxy.asked == [f"example.com/{VIDEO_ID}.mp4"]


def test_cookies_are_sent_and_their_file_is_never_written(direct: Direct, tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4102444800\tsession\tabc\n")
    before = cookies.read_bytes()
    direct.server.always[direct.path] = Fault(headers={"Set-Cookie": "other=1; Max-Age=1000"})
    direct.visit(cookies_file=str(cookies))
    assert all("session=abc" in request.headers["Cookie"] for request in direct.server.requests)
    with load_yt_dlp().YoutubeDL(parameters(YouTube(cookies_file=str(cookies)), None, 64, False)) as downloader:
        downloader.urlopen(direct.server.url(direct.path)).close()  # whose end is when yt-dlp writes cookies
    assert cookies.read_bytes() == before


@pytest.mark.parametrize("video_id", ["-o/etc/x..", "short", "../../../../", "abcdefghij\n", "abcdefghijk\n"])
def test_what_is_no_id_of_youtubes_is_not_visited(direct: Direct, video_id: str) -> None:
    youtube = YouTube(url=f"http://127.0.0.1:{direct.server.port}/{{id}}.mp4")
    with pytest.raises(FetchError) as caught:
        visit(VisitTask(video_id, (clip(0, 2, video_id),), youtube, 64, False, str(direct.store)))
    assert caught.value.reason == "bad_annotation"
    assert direct.server.requests == []


def test_a_clip_of_another_video_is_not_fetched(direct: Direct) -> None:
    with pytest.raises(FetchError) as caught:
        direct.visit(clip(0, 2, "../../evil"))
    assert caught.value.reason == "bad_annotation"


# -- YouTube ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def youtube():
    with FakeYouTube() as fake:
        yield fake


def visit_youtube(
    fake: FakeYouTube, store: Path, *clips: Clip, with_audio: bool = False, **settings: object
) -> Visited:
    task = VisitTask(
        video_id=VIDEO_ID,
        clips=clips or (clip(11, 13),),
        youtube=YouTube(options=OPTIONS, **settings),  # type: ignore[arg-type]
        target_px=64,
        with_audio=with_audio,
        store=str(store),
        proxy=fake.proxy,
    )
    return visit(pickle.loads(pickle.dumps(task)))


@pytest.mark.parametrize(
    ("playability", "reason", "detail"),
    [
        (site.BOT_CHECK, "bot_check", "Sign in to confirm you\u2019re not a bot."),
        (site.PRIVATE, "private", "Private video. Sign in if you've been granted access to this video."),
        (site.REMOVED, "removed", "Video unavailable. This video has been removed by the uploader"),
        (site.TERMINATED, "removed", "account associated with this video has been terminated"),
        (site.UNAVAILABLE, "removed", "Video unavailable"),
        (site.COPYRIGHT, "copyright", "due to a copyright claim by Example Records"),
        (site.GEO_BLOCKED, "geo_blocked", "The uploader has not made this video available in your country"),
        (site.AGE_RESTRICTED, "age_restricted", "Sign in to confirm your age."),
        (site.MEMBERS_ONLY, "login_required", "Join this channel to get access to members-only content"),
        (site.RATE_LIMITED, "rate_limited", "This content isn't available, try again later."),
        (site.UPCOMING, "format_unavailable", "This live event will begin later."),
        (site.OK, "format_unavailable", "No video formats found!"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_what_youtube_says_has_its_class(
    youtube: FakeYouTube, tmp_path: Path, playability: dict, reason: str, detail: str
) -> None:
    youtube.videos[VIDEO_ID] = Video(playability)
    with pytest.raises(FetchError) as caught:
        visit_youtube(youtube, tmp_path)
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.reason == reason
    assert detail in error.detail
    assert VIDEO_ID not in error.detail
    assert "--" not in error.detail


def test_a_video_that_is_let_through_later_is_fetched(youtube: FakeYouTube, tmp_path: Path, dash_video: Path) -> None:
    youtube.videos[VIDEO_ID] = Video(site.BOT_CHECK)
    with pytest.raises(FetchError):
        visit_youtube(youtube, tmp_path)
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video),))
    (fetched,) = visit_youtube(youtube, tmp_path).values()
    assert isinstance(fetched, FetchedClip)


def test_a_429_that_yt_dlp_passes_over_is_found(youtube: FakeYouTube, tmp_path: Path) -> None:
    youtube.videos[VIDEO_ID] = Video(player_status=429, player_headers={"Retry-After": "40"})
    with pytest.raises(FetchError) as caught:
        visit_youtube(youtube, tmp_path)
    assert (caught.value.reason, caught.value.retry_after_s) == ("rate_limited", 40)


def test_another_video_than_was_asked_for_is_refused(youtube: FakeYouTube, tmp_path: Path, dash_video: Path) -> None:
    youtube.videos[VIDEO_ID] = Video(answered_as="other-video", streams=(h264(134, dash_video),))
    with pytest.raises(FetchError) as caught:
        visit_youtube(youtube, tmp_path)
    assert caught.value.reason == "bot_check"


def test_a_trailer_in_place_of_the_video_is_not_taken_for_it(
    youtube: FakeYouTube, tmp_path: Path, dash_video: Path
) -> None:
    youtube.videos[VIDEO_ID] = Video(site.TRAILER)
    youtube.videos["trailer-123"] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video),))
    with pytest.raises(FetchError) as caught:
        visit_youtube(youtube, tmp_path)
    assert caught.value.reason == "login_required"
    assert files_under(tmp_path) == []


def h264(itag: int, file: Path, height: int = 64) -> Stream:
    return Stream(itag, file, 'video/mp4; codecs="avc1.4d401e"', height * 3 // 2, height, height * 10_000)


def opus(file: Path) -> Stream:
    return Stream(251, file, 'audio/webm; codecs="opus"', bitrate=130_000)


def test_separate_video_and_audio_are_cut_from_where_they_are(
    youtube: FakeYouTube, tmp_path: Path, dash_video: Path, dash_audio: Path
) -> None:
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video), opus(dash_audio)))
    results = visit_youtube(youtube, tmp_path, clip(11.3, 14), clip(20, 22), with_audio=True)
    for each in (clip(11.3, 14), clip(20, 22)):
        fetched = results[each.clip_id]
        assert isinstance(fetched, FetchedClip)
        assert (fetched.format_id, fetched.has_audio) == ("134+251", True)
        start_s, end_s = each.start_us / 1e6, each.end_us / 1e6
        assert frames_between(tmp_path / fetched.uri, 0, end_s - start_s) == frames_between(dash_video, start_s, end_s)
    assert youtube.asked.count("www.youtube.com/watch") == 1
    assert files_under(tmp_path) == sorted(fetched_uri(each) for each in (clip(11.3, 14), clip(20, 22)))


def test_no_sound_comes_where_none_is_asked_for(
    youtube: FakeYouTube, tmp_path: Path, dash_video: Path, dash_audio: Path
) -> None:
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video), opus(dash_audio)))
    (fetched,) = visit_youtube(youtube, tmp_path).values()
    assert isinstance(fetched, FetchedClip)
    assert (fetched.format_id, fetched.has_audio) == ("134", False)
    assert youtube.sent(f"/videoplayback/{VIDEO_ID}/251") == 0


def test_a_selector_of_the_users_is_obeyed(youtube: FakeYouTube, tmp_path: Path, dash_video: Path) -> None:
    streams = (h264(134, dash_video), h264(136, dash_video, height=720))
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=streams)
    (fetched,) = visit_youtube(youtube, tmp_path, format="bestvideo").values()
    assert isinstance(fetched, FetchedClip)
    assert fetched.format_id == "136"


def test_a_selector_that_nothing_fits_finds_no_format(youtube: FakeYouTube, tmp_path: Path, dash_video: Path) -> None:
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video),))
    with pytest.raises(FetchError) as caught:
        visit_youtube(youtube, tmp_path, format="bestvideo[height>2000]")
    assert caught.value.reason == "format_unavailable"


def test_a_clip_beyond_the_announced_end_asks_for_no_media(
    youtube: FakeYouTube, tmp_path: Path, dash_video: Path
) -> None:
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video),))
    (result,) = visit_youtube(youtube, tmp_path, clip(100, 110)).values()
    assert isinstance(result, ClipError)
    assert result.reason == "no_overlap"
    assert youtube.sent(f"/videoplayback/{VIDEO_ID}/134") == 0


@pytest.mark.parametrize("status", [401, 403, 404, 410, 416, 451])
def test_a_refusal_of_the_media_may_pass_and_ends_the_visit(
    youtube: FakeYouTube, tmp_path: Path, dash_video: Path, status: int
) -> None:
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video),))
    youtube.always[f"/videoplayback/{VIDEO_ID}/134"] = Fault(status=status)
    results = visit_youtube(youtube, tmp_path, clip(1, 3), clip(5, 7))
    assert [result.reason for result in results.values() if isinstance(result, ClipError)] == ["network", "network"]
    assert youtube.asked.count("rr1---sn-example.googlevideo.com/videoplayback") == 1


def test_clients_are_those_of_the_setting(youtube: FakeYouTube, tmp_path: Path, dash_video: Path) -> None:
    youtube.videos[VIDEO_ID] = Video(length_s=LENGTH_S, streams=(h264(134, dash_video),))
    visit_youtube(youtube, tmp_path, player_clients=("visionos",))
    assert youtube.asked.count("www.youtube.com/youtubei/v1/player") == 1


# -- Fragments --------------------------------------------------------------------------------------------------------


def write_stream(folder: Path, media: Path, kind: str) -> Path:
    """Writes a file as a stream in fragments of a key frame or more; returns all of them joined.

    Args:
      folder: where; the list of fragments is `index.m3u8`, or `index.mpd`.
      media: what.
      kind: `mpegts` or `fmp4` by HLS, or `dash`.
    """
    folder.mkdir()
    options = {"hls_time": "2", "hls_list_size": "0", "hls_segment_type": kind, "hls_playlist_type": "vod"}
    if kind == "dash":
        options = {"seg_duration": "2", "use_template": "1", "use_timeline": "1"}
    name, muxer = ("index.mpd", "dash") if kind == "dash" else ("index.m3u8", "hls")
    with av.open(str(media)) as source, av.open(str(folder / name), "w", muxer, options=options) as target:
        wanted = source.streams.video if kind == "dash" else source.streams
        streams = {stream.index: target.add_stream_from_template(stream) for stream in wanted}
        for packet in source.demux(*wanted):
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    parts = sorted(folder.glob("*.ts")) + sorted(folder.glob("*.m4s"))
    parts.sort(key=lambda path: ("init" not in path.name, len(path.name), path.name))
    whole = folder / "whole"
    whole.write_bytes(b"".join(path.read_bytes() for path in [*folder.glob("init.mp4"), *parts]))
    return whole


@pytest.mark.parametrize("kind", ["mpegts", "fmp4", "dash"])
def test_of_a_stream_in_fragments_only_those_of_the_clip_are_fetched(tmp_path: Path, muxed: Path, kind: str) -> None:
    folder = tmp_path / "stream"
    whole = write_stream(folder, muxed, kind)
    with av.open(str(whole)) as container:
        origin_s = container.start_time / 1e6 if kind == "mpegts" else 0.0  # such streams' clocks start anywhere
    index = "index.mpd" if kind == "dash" else "index.m3u8"
    with FaultyServer() as server:
        for path in folder.iterdir():
            server.files[f"/{VIDEO_ID}/{path.name}"] = path
        server.types[f"/{VIDEO_ID}/{index}"] = (
            "application/dash+xml" if kind == "dash" else "application/vnd.apple.mpegurl"
        )
        youtube = YouTube(url=f"http://127.0.0.1:{server.port}/{{id}}/{index}", options=OPTIONS)
        clips = (clip(15.3, 17.2), clip(28.5, 29.5))
        results = visit(VisitTask(VIDEO_ID, clips, youtube, 64, True, str(tmp_path / "store")))
        asked = {request.path for request in server.requests}
    for each in clips:
        fetched = results[each.clip_id]
        assert isinstance(fetched, FetchedClip), fetched
        start_s, end_s = each.start_us / 1e6, each.end_us / 1e6
        stored = frames_between(tmp_path / "store" / fetched.uri, 0, end_s - start_s)
        assert stored == frames_between(whole, origin_s + start_s, origin_s + end_s)
    assert len([path for path in asked if path.endswith((".ts", ".m4s"))]) < 10 < len(list(folder.iterdir()))


def test_a_stream_of_ranges_needs_a_server_that_has_them(direct: Direct, muxed: Path) -> None:
    playlist = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:30"]
    playlist += ["#EXTINF:15,", "#EXT-X-BYTERANGE:90000@0", direct.path, "#EXTINF:15,", "#EXT-X-BYTERANGE:90000"]
    direct.server.files["/list.m3u8"] = "\n".join([*playlist, direct.path, "#EXT-X-ENDLIST"]).encode()
    direct.server.types["/list.m3u8"] = "application/vnd.apple.mpegurl"
    direct.server.always[direct.path] = Fault(no_range=True)
    youtube = YouTube(url=f"http://127.0.0.1:{direct.server.port}/list.m3u8?{{id}}", options=OPTIONS)
    (result,) = visit(VisitTask(VIDEO_ID, (clip(1, 2),), youtube, 64, False, str(direct.store))).values()
    assert isinstance(result, ClipError)
    assert result.reason == "unsupported"


# -- In its process ---------------------------------------------------------------------------------------------------


def test_visits_run_in_child_processes(direct: Direct) -> None:
    url = f"http://127.0.0.1:{direct.server.port}/{{id}}.mp4"
    pool = ChildPool(1, None, prepare_visits)
    outcomes = []
    try:
        for video_id in (VIDEO_ID, "not-there-1"):
            argument = VisitTask(video_id, (clip(3, 5, video_id),), YouTube(url=url), 64, False, str(direct.store))
            task = Task(visit, argument, cpu_s=60, wall_s=60)
            future = pool.submit(task)
            wait([future])
            outcomes.append(pool.outcome(task, future))
    finally:
        pool.close()
    assert isinstance(outcomes[0][clip(3, 5).clip_id], FetchedClip)
    assert isinstance(outcomes[1], FetchError)
    assert outcomes[1].reason == "not_found"


def test_yt_dlp_has_its_javascript_runtime_whatever_the_path_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with load_yt_dlp().YoutubeDL(parameters(YouTube(), None, 256, False)) as downloader:
        deno = downloader._js_runtimes["deno"].info
    assert deno.supported
    assert parameters(YouTube(), None, 256, False)["js_runtimes"] == {"deno": {"path": deno.path}}


# -- Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exec_cmd", "rm -rf /"),
        ("postprocessors", [{"key": "Exec", "exec_cmd": "true"}]),
        ("outtmpl", "/etc/passwd"),
        ("paths", {"home": "/"}),
        ("netrc_cmd", "true"),
        ("external_downloader", "curl"),
        ("cookiefile", "/tmp/x"),
        ("cachedir", "/tmp/x"),
        ("enable_file_urls", True),
        ("remote_components", ["ejs:github"]),
        ("ffmpeg_location", "/tmp"),
        ("format", "best"),
        ("js_runtimes", {"deno": {"path": "/bin/sh"}}),
        ("js_runtimes", ["/bin/sh"]),
        ("socket_timeout", "10"),
        ("extractor_args", {"youtube": {"lang": "en"}}),
        ("http_headers", {"Accept": 1}),
        ("http_headers", {"authorization": "Bearer x"}),
        ("http_headers", {"Cookie ": "a=b"}),
    ],
)
def test_an_option_that_is_not_taken_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"options.{name} "):
        check_options(YouTube(options={name: value}))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "https://example.com/"}, "url must be"),
        ({"url": "file:///{id}"}, "url must be"),
        ({"url": "https://example.com/{id}/{id}"}, "url must be"),
        ({"proxies": ("example.com:80",)}, "proxies must be"),
        ({"cookies_from_browser": "fire fox"}, "cookies_from_browser must be"),
        ({"cookies_from_browser": "firefox:/nowhere"}, "cookies_from_browser 'firefox:/nowhere'"),
        ({"cookies_file": "/nowhere/cookies.txt"}, "cookies_file"),
        ({"format": "best[height"}, "format"),
        ({"options": {"impersonate": "netscape"}}, "impersonate"),
    ],
)
def test_a_setting_that_cant_work_is_named(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_options(YouTube(**settings))


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("proxies", {"proxies": ("http://proxy:80", "me:SECRET@proxy:80")}),
        ("options.password", {"options": {"password": ["SECRET"]}}),
        ("options.videopassword", {"options": {"videopassword": {"SECRET": 1}}}),
        ("options.username", {"options": {"username": ["SECRET"]}}),
        ("options.http_headers", {"options": {"http_headers": ["X-Token: SECRET"]}}),
        ("options.http_headers", {"options": {"http_headers": {"Authorization": "Bearer SECRET"}}}),
        ("options.extractor_args", {"options": {"extractor_args": {"youtube": {"po_token": "web.gvs+SECRET"}}}}),
    ],
)
def test_a_complaint_names_the_key_and_shows_no_secret(key: str, settings: dict) -> None:
    with pytest.raises(ValueError, match=f"^{key} (must|may)") as caught:
        check_options(YouTube(**settings))
    assert "SECRET" not in str(caught.value)


@pytest.fixture
def broken_deno(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deno"
    path.write_text("#!/bin/sh\nexit 127\n")
    path.chmod(0o755)
    monkeypatch.setattr("deno.find_deno_bin", lambda: str(path))
    return path


@pytest.mark.parametrize("host", ["www.youtube.com", "youtu.be", "www.youtube-nocookie.com"])
def test_without_a_javascript_runtime_no_run_begins(broken_deno: Path, host: str) -> None:
    with pytest.raises(ValueError, match="JavaScript runtime") as caught:
        check_js_runtime(YouTube(url=f"https://{host}/{{id}}"))
    assert f"deno ({broken_deno}) is missing or does not run" in str(caught.value)


def test_a_javascript_runtime_that_is_too_old_is_none(broken_deno: Path) -> None:
    broken_deno.write_text("#!/bin/sh\necho 'deno 1.40.0 (release)'\n")
    with pytest.raises(ValueError, match=r"is too old, 1\.40\.0"):
        check_js_runtime(YouTube())


def test_other_sites_need_no_javascript_runtime(broken_deno: Path) -> None:
    check_js_runtime(YouTube(url="https://notyoutube.com/{id}"))


def test_a_worker_without_a_javascript_runtime_says_so(broken_deno: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="JavaScript runtime") as caught:
        visit(VisitTask(VIDEO_ID, (clip(1, 2),), YouTube(), 64, False, str(tmp_path)))
    assert caught.value.reason == "crashed"


def test_cookies_in_another_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cookies.json"
    path.write_text('[{"domain": ".youtube.com"}]')
    with pytest.raises(ValueError, match="line 1"):
        check_options(YouTube(cookies_file=str(path)))


def test_sensible_settings_are_taken() -> None:
    check_options(
        YouTube(
            format="bestvideo[height<=480]",
            proxies=("http://user:secret@proxy.example:3128", "socks5h://127.0.0.1:9050"),
            options={
                "extractor_args": {"youtube": {"lang": ["en"]}},
                "socket_timeout": 30,
                "js_runtimes": ["deno", "node"],
                "nocheckcertificate": False,
            },
        )
    )
