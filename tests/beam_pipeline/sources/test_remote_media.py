"""Visits of streams in fragments whose lists, clocks or servers are not as they should be."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.audio import read_audio
from beam_pipeline.media.container import open_container
from beam_pipeline.media.section_tag import section_of
from beam_pipeline.media.settings import Audio, Encode
from beam_pipeline.media.video import read_frames
from beam_pipeline.sources.settings import YouTube
from beam_pipeline.sources.youtube import FetchedClip, Visited, VisitTask, prepare_visits, visit
from beam_pipeline.store import fetched_uri
from tests.beam_pipeline.faulty_server import Fault, FaultyServer
from tests.beam_pipeline.sources.test_youtube import (
    FPS,
    LENGTH_S,
    OPTIONS,
    VIDEO_ID,
    clip,
    frames_between,
    write_media,
    write_stream,
)

HLS_TYPE = "application/vnd.apple.mpegurl"


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    prepare_visits()


@dataclass
class Stream:
    """A stream in fragments: its files, all of them joined, and where the clock of that begins."""

    folder: Path
    whole: Path
    origin_s: float = 0
    playlist: str = field(init=False)

    def __post_init__(self) -> None:
        self.playlist = (self.folder / "index.m3u8").read_text()

    def frames(self, wanted: Clip) -> list[bytes]:
        return frames_between(self.whole, self.origin_s + wanted.start_us / 1e6, self.origin_s + wanted.end_us / 1e6)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("media") / "media.mp4")


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory, media: Path) -> dict[str, Stream]:
    folder = tmp_path_factory.mktemp("streams")
    found = {}
    for kind in ("mpegts", "fmp4"):
        whole = write_stream(folder / kind, media, kind)
        with av.open(str(whole)) as container:
            origin_s = container.start_time / 1e6 if kind == "mpegts" else 0.0
        found[kind] = Stream(folder / kind, whole, origin_s)
    return found


class Visitor:
    """Visits a stream on a server of our own."""

    def __init__(self, server: FaultyServer, store: Path):
        self.server = server
        self.store = store

    def serve(self, stream: Stream, playlist: str | None = None) -> None:
        for path in stream.folder.iterdir():
            self.server.files[f"/v/{path.name}"] = path
        self.server.files["/v/index.m3u8"] = (playlist or stream.playlist).encode()
        self.server.types["/v/index.m3u8"] = HLS_TYPE

    def visit(self, *clips: Clip, path: str = "/v/index.m3u8") -> Visited:
        youtube = YouTube(url=f"http://127.0.0.1:{self.server.port}{path}?{{id}}", options=OPTIONS)
        return visit(VisitTask(VIDEO_ID, clips, youtube, 64, False, str(self.store)))

    def stored(self, wanted: Clip, path: str = "/v/index.m3u8") -> list[bytes]:
        """Visits for a clip; returns the pictures that are presented of it."""
        (result,) = self.visit(wanted, path=path).values()
        assert isinstance(result, FetchedClip), result
        return frames_between(self.store / result.uri, 0, (wanted.end_us - wanted.start_us) / 1e6)

    def failure(self, wanted: Clip) -> ClipError:
        (result,) = self.visit(wanted).values()
        assert isinstance(result, ClipError), result
        return result

    def asked(self) -> Counter[str]:
        names = (request.path.rpartition("/")[2] for request in self.server.requests)
        return Counter(name for name in names if name.endswith((".ts", ".m4s")))


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    with FaultyServer() as server:
        yield Visitor(server, tmp_path / "store")


# -- Lists and clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
@pytest.mark.parametrize("duration", ["3", "2", "1.5"])  # of 1.96 s
@pytest.mark.parametrize("start_s", [1.2, 21, 27.3])
def test_a_list_whose_durations_are_off_leads_to_the_right_pictures(
    visitor: Visitor, streams: dict[str, Stream], kind: str, duration: str, start_s: float
) -> None:
    stream = streams[kind]
    visitor.serve(stream, re.sub(r"EXTINF:[0-9.]+", f"EXTINF:{duration}", stream.playlist))
    wanted = clip(start_s, start_s + 2)
    assert visitor.stored(wanted) == stream.frames(wanted)
    assert len(visitor.asked()) < 12


@pytest.mark.parametrize("duration", ["3", "1.5"])
def test_a_clip_behind_the_end_has_no_overlap_once_the_last_fragment_was_read(
    visitor: Visitor, streams: dict[str, Stream], duration: str
) -> None:
    stream = streams["mpegts"]
    visitor.serve(stream, re.sub(r"EXTINF:[0-9.]+", f"EXTINF:{duration}", stream.playlist))
    assert visitor.failure(clip(32, 34)).reason == "no_overlap"
    assert visitor.asked()["index14.ts"] == 1


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
@pytest.mark.parametrize(("start_s", "is_short"), [(28, True), (15, False)])
def test_a_clip_is_short_where_the_stream_ends_and_never_damaged(
    visitor: Visitor, streams: dict[str, Stream], kind: str, start_s: float, is_short: bool
) -> None:
    visitor.serve(streams[kind])
    wanted = clip(start_s, start_s + 5)
    assert visitor.stored(wanted) == streams[kind].frames(wanted)
    with open_container(str(visitor.store / fetched_uri(wanted))) as container:
        section = section_of(container)
        frames = read_frames(container, wanted.start_us, wanted.end_us, "true", Encode(), keep_luma=False)
    assert section is not None
    assert (section.ends_s is not None, section.damaged) == (is_short, False)
    assert (frames.short, frames.damaged) == (is_short, False)


@pytest.fixture(scope="module")
def few_key_frames(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A transport stream with a key frame every 6 s, in fragments of 2 s that begin anywhere."""
    folder = tmp_path_factory.mktemp("few") / "v"
    folder.mkdir()
    whole = folder / "whole"
    with av.open(str(whole), "w", format="mpegts") as container:
        video = container.add_stream("libx264", FPS, options={"g": "150", "bf": "0", "x264-params": "scenecut=0"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        noise = np.random.default_rng(0).integers(0, 80, (64, 96, 3), np.uint8)
        for number in range(LENGTH_S * FPS):
            frame = VideoFrame.from_ndarray(np.roll(noise, 2 * number, 1) + np.uint8(number % 170), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    data = whole.read_bytes()
    # Packets of 188 bytes (ISO/IEC 13818-1); those of the video that begin a frame.
    begins = [at for at in range(0, len(data), 188) if data[at + 1] & 0x5F == 0x41 and data[at + 2] == 0]
    assert len(begins) == LENGTH_S * FPS
    cuts = [0, *begins[50::50], len(data)]
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    for number, (begin, end) in enumerate(pairwise(cuts)):
        (folder / f"{number}.ts").write_bytes(data[begin:end])
        lines += ["#EXTINF:2.0,", f"{number}.ts"]
    (folder / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST"]))
    with av.open(str(whole)) as container:
        return Stream(folder, whole, container.start_time / 1e6)


@pytest.mark.parametrize("start_s", [2.5, 16.5, 17.9, 23])
def test_fragments_that_begin_with_no_key_frame_are_read_from_one_before(
    visitor: Visitor, few_key_frames: Stream, start_s: float
) -> None:
    visitor.serve(few_key_frames)
    wanted = clip(start_s, start_s + 1)
    assert visitor.stored(wanted) == few_key_frames.frames(wanted)
    assert len(visitor.asked()) < 9


def repeated(stream: Stream, folder: Path, first: int, tag: str) -> Stream:
    """The first fragments of a stream, and then, with a clock that begins anew, all of it."""
    folder.mkdir()
    for path in stream.folder.iterdir():
        shutil.copy(path, folder / path.name)
    header, *entries = re.split(r"(?=#EXTINF)", stream.playlist.replace("#EXT-X-ENDLIST", ""))
    (folder / "index.m3u8").write_text("".join([header, *entries[:first], tag, *entries, "#EXT-X-ENDLIST"]))
    return Stream(folder, stream.whole, stream.origin_s)


@pytest.mark.parametrize("tag", ["#EXT-X-DISCONTINUITY\n", ""], ids=["told", "untold"])
@pytest.mark.parametrize("start_s", [18.5, 19.3, 33])  # before the joint at 19.6 s, over it, and behind
def test_a_clip_is_cut_before_a_joint_only(
    visitor: Visitor, streams: dict[str, Stream], tmp_path: Path, tag: str, start_s: float
) -> None:
    stream = repeated(streams["mpegts"], tmp_path / "joined", 9, tag)
    visitor.serve(stream)
    before = clip(15, 17)
    assert visitor.stored(before) == stream.frames(before)
    assert visitor.failure(clip(start_s, start_s + 2)).reason == "format_unavailable"


# -- Servers ----------------------------------------------------------------------------------------------------------


def test_fragments_of_a_redirected_list_are_beside_what_it_led_to(visitor: Visitor, streams: dict[str, Stream]) -> None:
    visitor.serve(streams["mpegts"])
    visitor.server.files["/master.m3u8"] = (
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=96x64\nx/list.m3u8\n"
    )
    visitor.server.types["/master.m3u8"] = HLS_TYPE
    visitor.server.always["/x/list.m3u8"] = Fault(status=302, headers={"Location": "/v/index.m3u8"})
    assert visitor.stored(clip(21, 23), "/master.m3u8") == streams["mpegts"].frames(clip(21, 23))


@pytest.mark.parametrize(
    "fault",
    [Fault(truncate=True, after=3000), Fault(reset=True, after=3000), Fault(status=503)],
    ids=["truncated", "reset", "503"],
)
def test_a_fragment_that_breaks_is_asked_for_again(visitor: Visitor, streams: dict[str, Stream], fault: Fault) -> None:
    visitor.serve(streams["mpegts"])
    visitor.server.faults["/v/index9.ts"] = [fault]
    assert visitor.stored(clip(21, 23)) == streams["mpegts"].frames(clip(21, 23))
    assert visitor.asked()["index9.ts"] == 2


@pytest.mark.parametrize("status", [401, 403, 404, 410, 416, 451])
def test_a_fragment_that_is_refused_may_be_had_another_time(
    visitor: Visitor, streams: dict[str, Stream], status: int
) -> None:
    visitor.serve(streams["mpegts"])
    visitor.server.always["/v/index9.ts"] = Fault(status=status)
    failure = visitor.failure(clip(21, 23))
    assert failure.reason == "network"
    assert f"HTTP Error {status}" in failure.detail


def test_clips_that_overlap_share_their_fragments(visitor: Visitor, streams: dict[str, Stream]) -> None:
    visitor.serve(streams["mpegts"])
    clips = [clip(21, 23), clip(21.5, 23.5), clip(22, 24)]
    results = visitor.visit(*clips)
    for each in clips:
        fetched = results[each.clip_id]
        assert isinstance(fetched, FetchedClip)
        assert frames_between(visitor.store / fetched.uri, 0, 2) == streams["mpegts"].frames(each)
    assert set(visitor.asked().values()) == {1}


# -- Sound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "late_s"), [("mpegts", 0.4), ("fmp4", 0)])  # the sound begins later
@pytest.mark.parametrize("start_s", [1.7, 6.3, 14])
def test_sound_in_a_stream_of_its_own_is_heard_with_its_pictures(
    visitor: Visitor, test_data: Path, tmp_path: Path, kind: str, late_s: float, start_s: float
) -> None:
    source = test_data / "videos" / "v_GGSY1Qvo990.mp4"
    master = ["#EXTM3U", '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="audio/index.m3u8"']
    master += ['#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.42c01e,mp4a.40.2",AUDIO="a"', "video/index.m3u8"]
    visitor.server.files["/master.m3u8"] = "\n".join(master).encode()
    visitor.server.types["/master.m3u8"] = HLS_TYPE
    for name, from_s in (("video", 0), ("audio", late_s)):
        write_hls_of(source, tmp_path / name, name, kind, from_s)
        for path in (tmp_path / name).iterdir():
            visitor.server.files[f"/{name}/{path.name}"] = path
        visitor.server.types[f"/{name}/index.m3u8"] = HLS_TYPE
    wanted = clip(start_s, start_s + 2)
    url = f"http://127.0.0.1:{visitor.server.port}/master.m3u8?{{id}}"
    task = VisitTask(VIDEO_ID, (wanted,), YouTube(url=url, options=OPTIONS), 64, True, str(visitor.store))
    (fetched,) = visit(task).values()
    assert isinstance(fetched, FetchedClip), fetched
    assert fetched.has_audio
    expected = heard(source, Fraction(wanted.start_us, 1_000_000))
    np.testing.assert_array_equal(heard(visitor.store / fetched.uri, Fraction(0)), expected)


def write_hls_of(source: Path, folder: Path, name: str, kind: str, from_s: float) -> None:
    folder.mkdir()
    options = {"hls_time": "2", "hls_list_size": "0", "hls_segment_type": kind, "hls_playlist_type": "vod"}
    options |= {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as reader, av.open(str(folder / "index.m3u8"), "w", "hls", options=options) as writer:
        stream = getattr(reader.streams, name)[0]
        copy = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.size and packet.dts * packet.time_base >= from_s:
                packet.stream = copy
                writer.mux(packet)


def heard(path: Path, start_s: Fraction) -> np.ndarray:
    """The sound of 2 s."""
    with open_container(str(path)) as container:
        return read_audio(container, start_s, Fraction(2), Audio(48_000)).samples
