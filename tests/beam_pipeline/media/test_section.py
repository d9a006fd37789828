"""Sections of real videos: the frames and the sound are the video's, and little more is fetched than they need."""

from __future__ import annotations

import hashlib
import random
import resource
import struct
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.media import section as section_module
from beam_pipeline.media.audio import read_audio
from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import encode_flow
from beam_pipeline.media.section import Stretch, StretchError, cut_section, span_s
from beam_pipeline.media.section_file import boxes, last_box, make_box
from beam_pipeline.media.section_tag import TAG, Section, SectionSound, section_of
from beam_pipeline.media.settings import Audio, Encode, Flow
from beam_pipeline.media.video import Frames, read_frames
from beam_pipeline.sources.range_file import RangeFile
from tests.beam_pipeline.faulty_server import Fault, FaultyServer
from tests.beam_pipeline.media.videos import remux

SECOND_US = 1_000_000
SMALL = Encode(shorter_side=96, min_duration_s=0.1)
SLACK_BYTES = 8 << 20

Shown = list[tuple[Fraction, str]]


def cut(source: Path, target: Path, start_us: int, end_us: int, with_sound: bool = True) -> Path:
    with open_container(str(source)) as container:
        cut_section(container, container if with_sound else None, start_us, end_us, target)
    return target


def shown(path: Path) -> Shown:
    """What libavformat and libavcodec show of a file by themselves: (time, checksum) of each frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.flags |= av.codec.context.Flags.bitexact.value
        return [
            (frame.pts * frame.time_base, hashlib.blake2b(frame.to_ndarray().tobytes(), digest_size=8).hexdigest())
            for frame in container.decode(stream)
        ]


all_shown = cache(shown)


def within(frames: Shown, start_us: int, end_us: int) -> Shown:
    start_s, end_s = Fraction(start_us, SECOND_US), Fraction(end_us, SECOND_US)
    return [(time_s - start_s, checksum) for time_s, checksum in frames if start_s <= time_s < end_s]


# -- Real files -------------------------------------------------------------------------------------------------------

FILES = {  # how long, seconds
    "R6llTwEh07w.mp4": 10,
    "WUzgd7C1pWA.mp4": 10.9,
    "askanything_playing_guitar.mp4": 10,
    "askanything_yoga.mp4": 10,
    "decord_flipping_a_pancake.mkv": 10.3,
    "fate_h264_interlaced_crop.mp4": 5,
    "filetype_fixture2.mkv": 1.5,
    "gradio_video_sample.webm": 5,
    "imageio_cockatoo.mp4": 14,
    "intel_asl_book.mkv": 3.6,
    "intel_one_by_one_person_detection.mp4": 139,
    "mediabunny_frag_buck_bunny.mp4": 5,
    "mei_with_gps.mov": 4,
    "mmaction2_test_video_structuralize.mp4": 10,
    "psd_delayed_start.mp4": 2,
    "psd_goldeneye_vfr_drop3.mp4": 9.9,
    "torchcodec_av1_video.mkv": 5,
    "torchcodec_h264_10bits.mp4": 1,
    "torchcodec_h265_video.mp4": 1,
    "tuneavideo_man_skiing.mp4": 3,
    "v_GGSY1Qvo990.mp4": 18,
    "videollava_sample_demo_22.mp4": 36,
}


def windows(file: str) -> list[tuple[int, int]]:
    chance = random.Random(file)
    length_us = round(FILES[file] * SECOND_US)
    starts = [0, length_us // 2 // SECOND_US * SECOND_US, chance.randrange(round(0.7 * length_us))]
    return [(start, start + chance.choice([SECOND_US, 1_234_567])) for start in starts]


@dataclass
class Read:
    frames: Frames
    sound: list[np.ndarray]
    has_audio: list[bool]


def read(path: Path, start_us: int, end_us: int, trimmed: str) -> Read | str:
    """All that a record is made of."""
    try:
        with open_container(str(path)) as container:
            frames = read_frames(container, start_us, end_us, trimmed, SMALL, keep_luma=True)
    except ClipError as error:
        return error.reason
    sound = []
    for rate in (48_000, 16_000):
        with open_container(str(path)) as container:
            sound.append(read_audio(container, frames.start_s, frames.duration_s, Audio(rate)))
    return Read(frames, [track.samples for track in sound], [track.has_audio for track in sound])


@pytest.mark.parametrize("file", FILES)
def test_a_section_shows_the_videos_frames_at_their_times(test_data: Path, tmp_path: Path, file: str) -> None:
    source = test_data / "videos" / file
    for start_us, end_us in windows(file):
        wanted = within(all_shown(source), start_us, end_us)
        if wanted:
            assert shown(cut(source, tmp_path / "clip.mp4", start_us, end_us)) == wanted, (start_us, end_us)


@pytest.mark.parametrize("file", FILES)
def test_a_record_of_a_section_is_that_of_the_video(test_data: Path, tmp_path: Path, file: str) -> None:
    source = test_data / "videos" / file
    for start_us, end_us in windows(file):
        expected = read(source, start_us, end_us, "false")
        try:
            section = cut(source, tmp_path / "clip.mp4", start_us, end_us)
        except ClipError as error:
            assert error.reason == expected
            continue
        got = read(section, start_us, end_us, "true")
        if isinstance(expected, str) or isinstance(got, str):
            assert got == expected
            continue
        assert got.has_audio == expected.has_audio
        for samples, wanted in zip(got.sound, expected.sound, strict=True):
            np.testing.assert_array_equal(samples, wanted)
        assert got.frames.jpegs == expected.frames.jpegs
        assert same_but_start(got.frames) == same_but_start(expected.frames)


def same_but_start(frames: Frames) -> Frames:
    nothing = np.zeros(0)
    return replace(frames, start_s=Fraction(0), luma=[], middle_luma=nothing.tobytes())  # type: ignore[arg-type]


def test_the_flow_of_a_section_is_that_of_the_video(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "videos" / "v_GGSY1Qvo990.mp4"
    section = cut(source, tmp_path / "clip.mp4", 7_123_456, 8_123_456)
    expected, got = read(source, 7_123_456, 8_123_456, "false"), read(section, 7_123_456, 8_123_456, "true")
    assert isinstance(expected, Read)
    assert isinstance(got, Read)
    flow = Flow(method="dis")
    assert encode_flow(got.frames.luma, flow).encoded == encode_flow(expected.frames.luma, flow).encoded


def test_a_low_rate_shows_the_frame_just_after_the_end(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "videos" / "v_GGSY1Qvo990.mp4"
    section = cut(source, tmp_path / "clip.mp4", 5 * SECOND_US, 7_600_000)
    slow = replace(SMALL, fps=Fraction(1))
    with open_container(str(source)) as container:
        expected = read_frames(container, 5 * SECOND_US, 7_600_000, "false", slow, keep_luma=False)
    with open_container(str(section)) as container:
        assert read_frames(container, 0, 2_600_000, "true", slow, keep_luma=False).jpegs == expected.jpegs


def test_a_section_taken_whole_is_the_clip(test_data: Path, tmp_path: Path) -> None:
    section = cut(test_data / "videos" / "v_GGSY1Qvo990.mp4", tmp_path / "clip.mp4", 5_500_000, 7_500_000)
    clip, whole = read(section, 5_500_000, 7_500_000, "true"), read(section, 0, SECOND_US, "whole")
    assert isinstance(clip, Read)
    assert isinstance(whole, Read)
    assert len(clip.frames.jpegs) == 50
    assert whole.frames.jpegs == clip.frames.jpegs


def test_sound_of_another_file_keeps_its_clock(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "videos" / "v_GGSY1Qvo990.mp4"
    silent = remux(source, tmp_path / "video.mp4")
    start_us, end_us = 12_345_678, 14 * SECOND_US
    with open_container(str(silent)) as video, open_container(str(source)) as audio:
        cut_section(video, audio, start_us, end_us, tmp_path / "clip.mp4")
    expected, got = read(source, start_us, end_us, "false"), read(tmp_path / "clip.mp4", start_us, end_us, "true")
    assert isinstance(expected, Read)
    assert isinstance(got, Read)
    np.testing.assert_array_equal(got.sound[0], expected.sound[0])


def test_sound_of_another_transport_stream_is_on_the_videos_clock(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "videos" / "v_GGSY1Qvo990.mp4"
    both = in_transport_stream(source, tmp_path / "both.ts", ("video", "audio"))
    video = in_transport_stream(source, tmp_path / "video.ts", ("video",))
    late = in_transport_stream(source, tmp_path / "audio.ts", ("audio",), from_s=0.5)
    start_us, end_us = 12_345_678, 14 * SECOND_US
    with open_container(str(video)) as pictures, open_container(str(late)) as audio:
        cut_section(pictures, audio, start_us, end_us, tmp_path / "clip.mp4")
    expected, got = read(both, start_us, end_us, "false"), read(tmp_path / "clip.mp4", start_us, end_us, "true")
    assert isinstance(expected, Read)
    assert isinstance(got, Read)
    np.testing.assert_array_equal(got.sound[0], expected.sound[0])


def in_transport_stream(source: Path, target: Path, kinds: tuple[str, ...], from_s: float = 0) -> Path:
    with av.open(str(source)) as reader, av.open(str(target), "w", options={"avoid_negative_ts": "disabled"}) as writer:
        wanted = [stream for stream in reader.streams if stream.type in kinds]
        copies = {stream.index: writer.add_stream_from_template(stream) for stream in wanted}
        for packet in reader.demux(wanted):
            if packet.size and packet.dts * packet.time_base >= from_s:
                packet.stream = copies[packet.stream.index]
                writer.mux(packet)
    return target


# Of a file of 18 s: (seconds that are shown, from which second of what it has), one after another.
EDITS = {
    "leaves something out": [(5, 0), (10, 7.3)],
    "shows something again": [(5, 4), (5, 4)],
    "goes back": [(5, 10.4), (5, 0.6)],
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_where_an_edit_list_goes_to_another_place_it_cannot_be_cut(
    test_data: Path, tmp_path: Path, edits: list[tuple[float, float]]
) -> None:
    source = edited(remux(test_data / "videos" / "v_GGSY1Qvo990.mp4", tmp_path / "video.mp4"), edits)
    with pytest.raises(ClipError, match="edit list") as failed:
        cut(source, tmp_path / "clip.mp4", 4_500_000, 7 * SECOND_US)
    assert failed.value.reason == "unsupported"


@pytest.mark.parametrize("edits", [[(8, 3.3)], [(2, -1), (8, 0)]], ids=["one part", "begins later"])
def test_what_an_edit_list_shows_in_one_piece_is_cut(
    test_data: Path, tmp_path: Path, edits: list[tuple[float, float]]
) -> None:
    source = edited(remux(test_data / "videos" / "v_GGSY1Qvo990.mp4", tmp_path / "video.mp4"), edits)
    for start_us, end_us in ((2_100_000, 3_500_000), (6_500_000, 9_000_000)):
        wanted = within(shown(source), start_us, end_us)
        assert wanted
        assert shown(cut(source, tmp_path / "clip.mp4", start_us, end_us)) == wanted


def edited(path: Path, edits: list[tuple[float, float]]) -> Path:
    """Gives an mp4 file of one track another edit list: (seconds shown, from which on), -1 for nothing."""

    def timescale(header: bytes) -> int:
        return struct.unpack_from(">I", header, 28 if header[8] else 20)[0]

    with path.open("r+b") as file:
        offset, moov = last_box(file)
        top = dict(boxes(moov, 8))
        media = dict(boxes(top[b"trak"], 8))[b"mdia"]
        ticks = timescale(dict(boxes(media, 8))[b"mdhd"])
        entries = [
            struct.pack(">Qqhh", round(length * timescale(top[b"mvhd"])), round(at * ticks) if at >= 0 else -1, 1, 0)
            for length, at in edits
        ]
        edit_list = make_box(b"edts", make_box(b"elst", struct.pack(">II", 1 << 24, len(entries)), *entries))
        track = [box for name, box in boxes(top[b"trak"], 8) if name != b"edts"]
        top[b"trak"] = make_box(b"trak", track[0], edit_list, *track[1:])
        file.seek(offset)
        file.write(make_box(b"moov", *top.values()))
        file.truncate()
    return path


def test_more_than_memory_should_hold_is_too_large(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section_module, "_MAX_BYTES", 100_000)
    with pytest.raises(ClipError) as failed:
        cut(test_data / "videos" / "v_GGSY1Qvo990.mp4", tmp_path / "clip.mp4", 5 * SECOND_US, 15 * SECOND_US)
    assert failed.value.reason == "too_large"


@pytest.mark.parametrize(("start_us", "before"), [(2 * SECOND_US, True), (17_800_000, False)])
def test_of_a_stretch_that_lacks_something_nothing_is_cut(
    test_data: Path, tmp_path: Path, start_us: int, before: bool
) -> None:
    source = in_transport_stream(test_data / "videos" / "v_GGSY1Qvo990.mp4", tmp_path / "part.ts", ("video",), from_s=6)
    with open_container(str(source)) as container:
        origin_s = Fraction(container.start_time, SECOND_US) - 6
        begin_s, end_s = span_s(container, origin_s, of_sound=False) or (0, 0)
    assert (begin_s, end_s) == (pytest.approx(6, abs=0.2), pytest.approx(18, abs=0.2))
    with open_container(str(source)) as container:  # whose clock has 33 bits, and may have begun before it was at 0
        assert span_s(container, origin_s + Fraction(1 << 33, 90_000), of_sound=False) == (begin_s, end_s)
    with open_container(str(source)) as container, pytest.raises(StretchError) as failed:
        stretch = Stretch(origin_s, from_beginning=False, to_end=False)
        cut_section(container, None, start_us, start_us + SECOND_US, tmp_path / "clip.mp4", stretch)
    assert failed.value.before is before


def test_a_container_is_cut_again_and_again(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "videos" / "decord_flipping_a_pancake.mkv"
    places = [(6_000_000, 7_000_000), (0, 1_000_000), (3_141_592, 4_000_000), (0, 1_000_000)]
    with open_container(str(source)) as container:
        for number, (start_us, end_us) in enumerate(places):
            cut_section(container, container, start_us, end_us, tmp_path / f"{number}.mp4")
    for number, (start_us, end_us) in enumerate(places):
        alone = cut(source, tmp_path / "alone.mp4", start_us, end_us)
        assert (tmp_path / f"{number}.mp4").read_bytes() == alone.read_bytes()


@pytest.mark.parametrize(
    ("file", "start_s", "reason"),
    [
        ("v_GGSY1Qvo990.mp4", 100, "no_overlap"),
        ("psd_delayed_start.mp4", 0, "no_overlap"),  # begins at 1.075 s
        ("mediabunny_eac3.mp4", 0, "no_video"),
        ("mdn_rabbit320.webm", 1, "unsupported"),  # VP8
        ("TrumanShow_wave_f_nm_np1_fr_med_26.avi", 0, "unsupported"),  # no pts
    ],
)
def test_what_cannot_be_cut_says_why(test_data: Path, tmp_path: Path, file: str, start_s: int, reason: str) -> None:
    with pytest.raises(ClipError) as failed:
        cut(test_data / "videos" / file, tmp_path / "clip.mp4", start_s * SECOND_US, (start_s + 1) * SECOND_US)
    assert failed.value.reason == reason


def test_a_file_that_cannot_be_written_is_an_error_of_the_run(test_data: Path, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            cut(test_data / "videos" / "v_GGSY1Qvo990.mp4", tmp_path / "clip.mp4", 0, 10 * SECOND_US)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


VALID_TAG = Section(0, SECOND_US, ends_s=Fraction(1), sound=SectionSound(Fraction(0), Fraction(1, 44100), 0)).to_tag()


@pytest.mark.parametrize(
    ("tag", "is_section"),
    [
        (VALID_TAG, True),
        (VALID_TAG.replace('"1/44100"', '"0"'), False),
        (VALID_TAG.replace('"1/44100"', '"1/0"'), False),
        (VALID_TAG.replace('"1/44100"', '"1e999999999"'), False),
        (VALID_TAG.replace('"end_us":1000000', '"end_us":-1'), False),
        (VALID_TAG.replace("unspecified", "threads=64"), False),
        ("[" * 100_000, False),
        ("clip", False),
        ("{}", False),
    ],
)
def test_a_strangers_tag_makes_no_section(test_data: Path, tmp_path: Path, tag: str, is_section: bool) -> None:
    path = tmp_path / "clip.mp4"
    source = test_data / "videos" / "R6llTwEh07w.mp4"
    with av.open(str(source)) as reader, av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as writer:
        writer.metadata[TAG] = tag
        stream = writer.add_stream_from_template(reader.streams.video[0], opaque=True)
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    with open_container(str(path)) as container:
        assert (section_of(container) is not None) is is_section
        assert len(read_frames(container, 0, SECOND_US, "true", SMALL, keep_luma=False).jpegs) == 25


# -- Long files over HTTP ---------------------------------------------------------------------------------------------

UNIT_FRAMES = 900
GOPS = (250, 600, 50)  # frames; together a unit
REPEATS = 38


@pytest.fixture(scope="module")
def unit(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine hundred frames of real clips, 30 a second, in three groups of pictures with B-frames; 9 MB or more."""
    path = tmp_path_factory.mktemp("unit") / "unit.mp4"
    begins = {sum(GOPS[:number]) for number in range(len(GOPS))}
    with av.open(str(path), "w") as writer:
        options = {"preset": "superfast", "tune": "fastdecode", "qp": "16", "bf": "3"}
        options |= {"g": "1000", "sc_threshold": "0", "forced-idr": "1"}
        stream = writer.add_stream("libx264", 30, options=options)
        stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
        number = 0
        while number < UNIT_FRAMES:
            for file in ("R6llTwEh07w.mp4", "mmaction2_demo.mp4", "mmaction2_test.mp4"):
                with av.open(str(test_data / "videos" / file)) as reader:
                    for frame in reader.decode(video=0):
                        if number == UNIT_FRAMES:
                            break
                        frame = frame.reformat(340, 256, "yuv420p")
                        frame.pts, frame.time_base = number, Fraction(1, 30)
                        frame.pict_type = av.video.frame.PictureType.I if number in begins else 0
                        writer.mux(stream.encode(frame))
                        number += 1
        writer.mux(stream.encode(None))
    return path


def repeated(unit: Path, target: Path, repeats: int, options: dict[str, str] | None = None) -> Path:
    with av.open(str(unit)) as reader, av.open(str(target), "w", options=options or {}) as writer:
        pairs = {s.index: writer.add_stream_from_template(s, opaque=True) for s in reader.streams}
        packets = [packet for packet in reader.demux() if packet.size]
        video = [packet for packet in packets if packet.stream.type == "video"]
        tick_s = video[0].time_base
        length_s = (max(p.pts + p.duration for p in video) - min(p.pts for p in video)) * tick_s
        times = [(packet.stream.index, packet.pts, packet.dts, packet.time_base, packet.duration) for packet in packets]
        for repeat in range(repeats):
            for packet, (index, pts, dts, time_base, duration) in zip(packets, times, strict=True):
                shift = round(repeat * length_s / time_base)
                packet.stream = pairs[index]
                packet.pts, packet.dts, packet.duration, packet.time_base = (
                    pts + shift,
                    dts + shift,
                    duration,
                    time_base,
                )
                writer.mux(packet)
    return target


@pytest.fixture(scope="module")
def long_video(unit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = repeated(unit, tmp_path_factory.mktemp("long") / "long.mp4", REPEATS)
    assert path.stat().st_size >= 300_000_000
    return path


@pytest.fixture(scope="module")
def fragmented_video(unit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof+global_sidx"}
    return repeated(unit, tmp_path_factory.mktemp("fragmented") / "fragmented.mp4", 10, flags)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def range_file(url: str, timeout_s: float = 10) -> RangeFile:
    def open_range(start: int, end: int | None) -> Any:
        last = "" if end is None else end - 1
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{last}"})
        return urllib.request.urlopen(request, timeout=timeout_s)

    return RangeFile(open_range, 1 << 30, first_wait_s=0.01)


def cut_remotely(
    server: FaultyServer, path: Path, target: Path, start_us: int, end_us: int, timeout_s: float = 10
) -> int:
    """Cuts a section out of what the server has; returns how many bytes it sent."""
    server.files["/video"] = path
    before = server.sent("/video")
    with range_file(server.url("/video"), timeout_s) as file, open_container(file) as container:
        cut_section(container, container, start_us, end_us, target)
    return server.sent("/video") - before


@dataclass(frozen=True)
class Gops:
    """Groups of pictures in order of time: when each begins, and its bytes; and the bytes of all that is no packet."""

    begins_s: list[Fraction]
    sizes: list[int]
    index_size: int

    def size(self, start_us: int, end_us: int) -> int:
        """Bytes of those that a section touches."""
        start_s, end_s = Fraction(start_us, SECOND_US), Fraction(end_us, SECOND_US)
        ends_s = [*self.begins_s[1:], Fraction(1 << 40)]
        touched = zip(self.begins_s, ends_s, self.sizes, strict=True)
        return sum(size for begin_s, ends_s, size in touched if begin_s < end_s and ends_s > start_s)


def gops(path: Path) -> Gops:
    begins_s, sizes, total = [], [], 0
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.stream.type == "video" and packet.is_keyframe and packet.size:
                begins_s.append(packet.pts * packet.time_base)
                sizes.append(0)
            if sizes:
                sizes[-1] += packet.size
            total += packet.size
    return Gops(begins_s, sizes, path.stat().st_size - total)


def repeated_frames(unit: Path, video: Path) -> Shown:
    """The frames of a video that repeats a unit: what they show is what the unit's do."""
    checksums = [checksum for _, checksum in shown(unit)]
    with av.open(str(video)) as container:
        times_s = sorted(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.size)
    assert len(times_s) % len(checksums) == 0
    return [(time_s, checksums[number % len(checksums)]) for number, time_s in enumerate(times_s)]


def test_fifty_sections_of_a_long_video(server: FaultyServer, unit: Path, long_video: Path, tmp_path: Path) -> None:
    frames, groups = repeated_frames(unit, long_video), gops(long_video)
    assert len(groups.sizes) == 3 * REPEATS
    chance = random.Random(50)
    for number in range(50):
        start_us = chance.randrange(1120) * SECOND_US if number % 2 else chance.randrange(1120 * SECOND_US)
        end_us = start_us + chance.choice([10 * SECOND_US, 10 * SECOND_US, 3_141_592])
        sent = cut_remotely(server, long_video, tmp_path / "clip.mp4", start_us, end_us)
        assert sent <= groups.size(start_us, end_us) + groups.index_size + SLACK_BYTES, (start_us, end_us)
        assert shown(tmp_path / "clip.mp4") == within(frames, start_us, end_us), (start_us, end_us)


def test_sections_of_a_fragmented_video(
    server: FaultyServer, unit: Path, fragmented_video: Path, tmp_path: Path
) -> None:
    frames, groups = repeated_frames(unit, fragmented_video), gops(fragmented_video)
    for start_us in (0, 33_333_333, 123_000_000, 285_000_000, 297_123_456):
        end_us = start_us + 5 * SECOND_US
        sent = cut_remotely(server, fragmented_video, tmp_path / "clip.mp4", start_us, end_us)
        assert sent <= groups.size(start_us, end_us) + groups.index_size + SLACK_BYTES, start_us
        assert shown(tmp_path / "clip.mp4") == within(frames, start_us, end_us), start_us


def test_sections_of_a_webm_video(server: FaultyServer, test_data: Path, tmp_path: Path) -> None:
    unit = test_data / "videos" / "gradio_video_sample.webm"
    path = repeated(unit, tmp_path / "long.webm", 40)
    assert path.stat().st_size > SLACK_BYTES // 2
    frames, groups = repeated_frames(unit, path), gops(path)
    for start_us in (0, 33_333_333, 100_000_000, 195_123_456):
        end_us = start_us + 3 * SECOND_US
        sent = cut_remotely(server, path, tmp_path / "clip.mp4", start_us, end_us)
        assert sent <= groups.size(start_us, end_us) + SLACK_BYTES // 4, start_us
        assert shown(tmp_path / "clip.mp4") == within(frames, start_us, end_us), start_us


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(after=40_000, reset=True),
        Fault(after=40_000, truncate=True),
        Fault(after=40_000, stall_s=1.5),
    ],
    ids=["503", "reset", "truncate", "stall"],
)
def test_a_section_comes_through_faults(
    server: FaultyServer, unit: Path, long_video: Path, tmp_path: Path, fault: Fault
) -> None:
    server.faults["/video"] = [None, None, fault, None, fault, None, None, fault]
    cut_remotely(server, long_video, tmp_path / "clip.mp4", 512_345_678, 515_345_678, timeout_s=0.5)
    assert not server.faults["/video"]
    wanted = within(repeated_frames(unit, long_video), 512_345_678, 515_345_678)
    assert shown(tmp_path / "clip.mp4") == wanted
