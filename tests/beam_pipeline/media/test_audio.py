"""Sound: the samples of a clip's interval, on the container's clock, whatever the track is like."""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from beam_pipeline.media.audio import AudioTrack, read_audio
from beam_pipeline.media.container import open_container
from beam_pipeline.media.settings import Audio

TONE_HZ = 440.0


def tone(times_s: np.ndarray) -> np.ndarray:
    """A tone that swells slowly, so that a shift by any amount shows."""
    return (0.5 * np.sin(2 * np.pi * TONE_HZ * times_s) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.37 * times_s))).astype("f4")


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    """Noise below a quarter of the sample rate, which lossy codecs keep."""
    white = np.random.default_rng(seed).standard_normal(num_samples + 64)
    window = np.hanning(65) * np.sinc((np.arange(65) - 32) / 6)
    filtered = np.convolve(white, window, mode="valid")
    return (0.8 / np.abs(filtered).max() * filtered).astype("f4")


def write(
    path: Path,
    samples: np.ndarray,
    rate: int,
    codec: str = "pcm_f32le",
    layout: str = "mono",
    first_s: float = 0.0,
    frame_size: int = 1024,
    times: Callable[[int, int], int | None] = lambda index, pts: pts,
    options: dict[str, str] | None = None,
) -> Path:
    """Encodes samples (n,) or (channels, n); `times` moves frame `index` from `pts` samples, or drops it with None."""
    samples = np.atleast_2d(samples).astype("f4")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout, options=options or {})
        frame_format = stream.codec_context.codec.audio_formats[0].name
        resampler = av.AudioResampler(format=frame_format, layout=layout, rate=rate)
        stream.codec_context.open()
        size = stream.codec_context.frame_size or frame_size
        for index, begin in enumerate(range(0, samples.shape[1], size)):
            pts = times(index, begin)
            if pts is None:
                continue
            packed = np.ascontiguousarray(samples[:, begin : begin + size].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate = rate
            for converted in resampler.resample(frame):
                converted.pts = pts + round(first_s * rate)
                converted.time_base = Fraction(1, rate)
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path


def read(path: Path, start_s: object = 0, duration_s: object = 1, rate: int = 48_000) -> AudioTrack:
    with open_container(str(path)) as container:
        return read_audio(container, Fraction(str(start_s)), Fraction(str(duration_s)), Audio(rate))


def lag(heard: np.ndarray, expected: np.ndarray, most: int = 2000) -> int:
    """By how many samples `heard` is late."""
    size = 1 << (len(heard) + len(expected)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size))
    correlation = np.fft.irfft(spectrum, size)
    lags = np.arange(-most, most + 1)
    return int(lags[np.argmax(correlation[lags])])


# -- Time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000, 11_025])
@pytest.mark.parametrize("source_rate", [48_000, 44_100, 22_050, 8_000])
def test_sample_n_is_the_sound_at_start_plus_n_over_rate(tmp_path: Path, source_rate: int, rate: int) -> None:
    path = write(tmp_path / "tone.nut", tone(np.arange(4 * source_rate) / source_rate), source_rate)
    for start_s in ("0.5", "1/3", "1.000013"):
        samples = read(path, start_s, "1.25", rate).samples
        expected = tone(float(Fraction(start_s)) + np.arange(round(1.25 * rate)) / rate)
        half_a_sample = 2 * np.pi * TONE_HZ * 0.5 / rate * 0.5
        np.testing.assert_allclose(samples, expected, atol=half_a_sample + 2e-3)  # the window's edges included


@pytest.mark.parametrize(("source_rate", "rate"), [(44_100, 48_000), (48_000, 16_000), (8_000, 48_000)])
def test_rates_with_a_common_grid_are_aligned_far_below_a_sample(tmp_path: Path, source_rate: int, rate: int) -> None:
    path = write(tmp_path / "tone.nut", tone(np.arange(3 * source_rate) / source_rate), source_rate)
    samples = read(path, "0.37", 2, rate).samples
    np.testing.assert_allclose(samples, tone(0.37 + np.arange(2 * rate) / rate), atol=1e-3)


def test_the_same_rate_passes_bits_through(tmp_path: Path) -> None:
    sound = noise(48_000)
    path = write(tmp_path / "noise.nut", sound, 48_000)
    np.testing.assert_array_equal(read(path, "0.25", "0.5").samples, sound[12_000:36_000])


@pytest.mark.parametrize("duration_s", ["1/3", "0.00001", "1.00001041", "2.5", "0"])
def test_the_number_of_samples_is_the_rounded_duration(tmp_path: Path, duration_s: str) -> None:
    path = write(tmp_path / "tone.nut", tone(np.arange(8_000) / 8_000), 8_000)
    for rate in (48_000, 44_100):
        samples = read(path, 0, duration_s, rate).samples
        assert samples.shape == (round(Fraction(duration_s) * rate),)
        assert samples.dtype == np.float32


@pytest.mark.parametrize(
    ("codec", "name", "rate"),
    [
        ("aac", "a.mp4", 44_100),
        ("aac", "a.mov", 48_000),
        ("aac", "a.mkv", 44_100),
        ("libopus", "a.webm", 48_000),
        ("libopus", "a.mp4", 48_000),
        ("libmp3lame", "a.mp4", 44_100),
        ("libmp3lame", "a.mkv", 44_100),
        ("flac", "a.mkv", 44_100),
        ("alac", "a.mov", 44_100),
        ("ac3", "a.mkv", 48_000),
        ("pcm_s24le", "a.mov", 44_100),
        ("pcm_u8", "a.avi", 22_050),
        ("pcm_s16le", "a.mkv", 8_000),
    ],
)
def test_coder_delay_and_edit_lists_leave_no_shift(tmp_path: Path, codec: str, name: str, rate: int) -> None:
    sound = noise(3 * rate)
    path = write(tmp_path / name, sound, rate, codec)
    heard = read(path, 1, 1, rate).samples
    expected = sound[rate : 2 * rate]
    assert lag(heard, expected) == 0
    assert np.corrcoef(heard, expected)[0, 1] > 0.98


def test_an_mpeg_transport_stream_is_read_on_its_own_clock(tmp_path: Path) -> None:
    sound = noise(3 * 48_000)
    path = write(tmp_path / "a.ts", sound, 48_000, "mp2", first_s=2.5)
    assert lag(read(path, "3.5", 1).samples, sound[48_000:96_000]) == 0


@pytest.mark.parametrize("name", ["late.nut", "late.mkv", "late.mov"])
def test_a_track_that_begins_late_is_silent_before(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, tone(np.arange(48_000) / 48_000), 48_000, "pcm_s16le", first_s=0.3)
    track = read(path, 0, 1)
    assert track.has_audio
    assert not track.samples[:14_399].any()
    np.testing.assert_allclose(track.samples[14_400:], tone(np.arange(33_600) / 48_000), atol=1e-3)


def test_what_lies_beyond_the_end_is_silent(tmp_path: Path) -> None:
    path = write(tmp_path / "short.nut", tone(np.arange(24_000) / 48_000), 48_000)
    samples = read(path, 0, 2).samples
    np.testing.assert_array_equal(samples[:24_000], tone(np.arange(24_000) / 48_000))
    assert not samples[24_000:].any()


def test_a_window_after_the_end_of_the_track_has_no_audio(tmp_path: Path) -> None:
    path = write(tmp_path / "short.nut", tone(np.arange(24_000) / 48_000), 48_000)
    track = read(path, 5, 1)
    assert not track.has_audio
    assert not track.samples.any()


@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_a_gap_is_silent_and_what_follows_is_where_it_belongs(tmp_path: Path, rate: int) -> None:
    sound = tone(np.arange(96_000) / 48_000)
    lost = range(10, 14)  # of 1024 samples each
    path = write(tmp_path / "gap.nut", sound, 48_000, times=lambda i, pts: None if i in lost else pts)
    samples = read(path, 0, 2, rate).samples
    expected = tone(np.arange(2 * rate) / rate)
    begin, end = round(10 * 1024 / 48_000 * rate), round(14 * 1024 / 48_000 * rate)
    edge = rate // 250  # what the resampler's filter reaches
    assert not samples[begin + edge : end - edge].any()
    np.testing.assert_allclose(samples[end + edge : -edge], expected[end + edge : -edge], atol=2e-3)
    np.testing.assert_allclose(samples[edge : begin - edge], expected[edge : begin - edge], atol=2e-3)


def test_one_lost_frame_does_not_shift_the_rest(tmp_path: Path) -> None:
    sound = noise(96_000)
    path = write(tmp_path / "gap.nut", sound, 48_000, times=lambda i, pts: None if i == 40 else pts)
    expected = sound.copy()
    expected[40 * 1024 : 41 * 1024] = 0
    np.testing.assert_array_equal(read(path, 0, 2).samples, expected)


def test_jittering_timestamps_neither_cut_nor_move_the_sound(tmp_path: Path) -> None:
    sound = noise(96_000)
    jitter = np.random.default_rng(1).integers(-480, 480, 200)  # ±10 ms
    jitter[0] = 0
    path = write(tmp_path / "jitter.nut", sound, 48_000, times=lambda i, pts: pts + int(jitter[i]))
    np.testing.assert_array_equal(read(path, 0, 2).samples, sound)


def test_single_frames_far_off_but_not_for_long_are_jitter(tmp_path: Path) -> None:
    sound = noise(96_000)
    path = write(tmp_path / "jitter.nut", sound, 48_000, times=lambda i, pts: pts + (900 if i % 7 == 3 else 0))
    np.testing.assert_array_equal(read(path, 0, 2).samples, sound)


def test_frames_that_overlap_for_good_are_heard_once(tmp_path: Path) -> None:
    sound = noise(96_000)
    path = write(tmp_path / "again.nut", sound, 48_000, times=lambda i, pts: pts - (1000 if i >= 40 else 0))
    samples = read(path, 0, 2).samples
    joint = 40 * 1024
    np.testing.assert_array_equal(samples[:joint], sound[:joint])
    np.testing.assert_array_equal(samples[joint:-1000], sound[joint + 1000 :])


# -- Seeking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "name", "rate"),
    [
        ("aac", "long.mp4", 44_100),
        ("libmp3lame", "long.mp4", 44_100),
        ("libmp3lame", "long.avi", 44_100),
        ("flac", "long.mkv", 48_000),
        ("pcm_s16le", "long.mov", 22_050),
    ],
)
def test_a_window_far_in_sounds_as_when_read_from_the_start(tmp_path: Path, codec: str, name: str, rate: int) -> None:
    options = {"aac_pns": "0"} if codec == "aac" else {}  # the decoder fills perceptual noise in at random
    path = write(tmp_path / name, noise(40 * rate), rate, codec, options=options)
    whole = read(path, 0, 40, rate).samples
    window = read(path, 30, 5, rate).samples
    np.testing.assert_allclose(window, whole[30 * rate : 35 * rate], atol=1e-6)


@pytest.mark.parametrize(
    ("codec", "name", "rate", "most_s"),
    [("aac", "long.mkv", 44_100, 0.00003), ("libopus", "long.webm", 48_000, 0.0005)],
)
def test_in_mid_stream_a_clock_of_milliseconds_costs_half_of_one_at_most(
    tmp_path: Path, codec: str, name: str, rate: int, most_s: float
) -> None:
    path = write(tmp_path / name, noise(40 * rate), rate, codec)
    whole = read(path, 0, 40, rate).samples
    window = read(path, 30, 5, rate).samples
    expected = whole[30 * rate : 35 * rate]
    late = lag(window, expected)
    assert abs(late) <= most_s * rate
    assert np.corrcoef(np.roll(window, -late), expected)[0, 1] > 0.98


class CountingFile(io.FileIO):
    """A file that knows how much of it was read."""

    bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


@pytest.mark.parametrize("name", ["long.mov", "long.mkv", "long.avi"])
def test_a_window_far_in_is_reached_without_reading_what_is_before(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(60 * 44_100), 44_100, "pcm_s16le")
    with CountingFile(path) as file, av.open(file) as container:
        track = read_audio(container, Fraction(50), Fraction(1), Audio(44_100))
    assert track.has_audio
    assert file.bytes_read < path.stat().st_size / 4


# -- Channels, levels, streams -----------------------------------------------------------------------------------------


def test_stereo_becomes_its_mean(tmp_path: Path) -> None:
    left, right = noise(48_000, 1), noise(48_000, 2)
    path = write(tmp_path / "stereo.nut", np.stack([left, right]), 48_000, layout="stereo")
    np.testing.assert_allclose(read(path).samples, (left + right) / 2, atol=1e-7)


def test_surround_is_mixed_as_libswresample_does_into_16_bits(tmp_path: Path) -> None:
    channels = np.stack([noise(48_000, seed) for seed in range(6)])  # FL FR FC LFE BL BR
    path = write(tmp_path / "surround.mov", channels, 48_000, layout="5.1")
    weights = np.array([0.5**0.5, 0.5**0.5, 1, 0, 0.5, 0.5])
    np.testing.assert_allclose(read(path).samples, weights / weights.sum() @ channels, atol=1e-6)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
    frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="5.1")
    frame.sample_rate = 48_000
    mixed = np.concatenate([f.to_ndarray()[0] for f in [*resampler.resample(frame), *resampler.resample(None)]])
    np.testing.assert_allclose(read(path).samples, mixed / 32768, atol=3 / 32768)


@pytest.mark.parametrize(("codec", "layout"), [("aac", "7.1"), ("flac", "7.1"), ("wavpack", "9.1.6")])
def test_eight_channels_and_more_are_mixed_like_fewer(tmp_path: Path, codec: str, layout: str) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    loud = np.stack([noise(48_000) if name == "FC" else np.zeros(48_000, "f4") for name in names])
    samples = read(write(tmp_path / "cinema.mkv", loud, 48_000, codec, layout)).samples
    sides, rears = dict.fromkeys(["FL", "FR", "FLC", "FRC"], 0.5**0.5), dict.fromkeys(["SL", "SR", "BL", "BR"], 0.5)
    known = {"FC": 1.0, **sides, **rears}
    weight = 1 / sum(known.get(name, 0) for name in names)
    middle = slice(4800, -4800)
    assert np.corrcoef(samples[middle], noise(48_000)[middle])[0, 1] > 0.98
    assert samples[middle].std() == pytest.approx(weight * noise(48_000)[middle].std(), rel=0.05)


def test_channels_without_a_layout_become_their_mean(tmp_path: Path) -> None:
    channels = np.stack([noise(8_000, seed) for seed in range(16)])
    path = write(tmp_path / "many.nut", channels, 8_000, layout="hexadecagonal")  # NUT stores their number only
    np.testing.assert_allclose(read(path, rate=8_000).samples, channels.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_full_scale_of_every_sample_format_is_one(tmp_path: Path, codec: str) -> None:
    levels = np.repeat(np.array([-1, -0.5, 0, 0.25, 0.99], "f4"), 2000)
    path = write(tmp_path / "levels.nut", levels, 8_000, codec)
    np.testing.assert_allclose(read(path, 0, "1.25", 8_000).samples, levels, atol=1 / 127)


def test_what_is_no_number_is_silence_and_nothing_around_it_is_lost(tmp_path: Path) -> None:
    sound = tone(np.arange(48_000) / 48_000)
    broken = sound.copy()
    broken[20_000:20_010] = [np.nan, np.inf, -np.inf, np.nan, np.nan, np.inf, np.inf, np.nan, np.nan, np.nan]
    samples = read(write(tmp_path / "nan.nut", broken, 48_000), rate=44_100).samples
    assert np.isfinite(samples).all()
    far = np.abs(np.arange(44_100) / 44_100 - 20_000 / 48_000) > 0.005
    np.testing.assert_allclose(samples[far], tone(np.arange(44_100) / 44_100)[far], atol=2e-3)


def test_what_overshoots_is_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "loud.nut", np.repeat(np.array([3, -2, 0.5], "f4"), 8_000), 24_000)
    np.testing.assert_array_equal(read(path, 0, 1, 24_000).samples, np.repeat(np.array([1, -1, 0.5], "f4"), 8_000))


def two_tracks(path: Path, layouts: Sequence[str], default: Sequence[bool]) -> Path:
    """Writes tracks of one second at constant levels of 0.1, 0.2, …"""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_f32le", rate=8_000, layout=layout) for layout in layouts]
        for stream, is_default in zip(streams, default, strict=True):
            stream.disposition = av.stream.Disposition.default if is_default else av.stream.Disposition(0)
        for level, (stream, layout) in enumerate(zip(streams, layouts, strict=True), start=1):
            channels = stream.codec_context.channels
            samples = np.full((1, 8_000 * channels), level / 10, "f4")
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            frame.sample_rate, frame.pts = 8_000, 0
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize(
    ("layouts", "default", "expected"),
    [
        (["mono", "stereo"], [False, False], 0.2),
        (["stereo", "mono"], [False, False], 0.1),
        (["mono", "stereo"], [True, False], 0.1),
        (["stereo", "stereo"], [False, True], 0.2),
        (["mono", "mono"], [False, False], 0.1),
    ],
)
def test_of_several_tracks_the_one_that_ffmpeg_would_take(
    tmp_path: Path, layouts: list[str], default: list[bool], expected: float
) -> None:
    path = two_tracks(tmp_path / "two.mkv", layouts, default)
    np.testing.assert_allclose(read(path, 0, 1, 8_000).samples, expected, atol=1e-6)


# -- What is missing or broken -----------------------------------------------------------------------------------------


def test_a_file_without_a_track_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    track = read(path, 0, "1.5")
    assert not track.has_audio
    np.testing.assert_array_equal(track.samples, np.zeros(72_000, "f4"))


def test_a_track_of_an_unknown_codec_is_silent(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.mov", tone(np.arange(8_000) / 8_000), 8_000, "pcm_s16le")
    data = path.read_bytes()
    assert data.count(b"sowt") == 1
    path.write_bytes(data.replace(b"sowt", b"zzzz"))
    track = read(path)
    assert not track.has_audio
    assert not track.samples.any()


def test_a_track_of_which_no_packet_decodes_is_silent(tmp_path: Path) -> None:
    path = write(tmp_path / "noise.mp4", noise(44_100), 44_100, "aac")
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[begin:end] = b"\xff" * (end - begin)
    path.write_bytes(data)
    track = read(path)
    assert not track.has_audio
    assert not track.samples.any()


def test_a_file_that_breaks_off_keeps_what_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "noise.mkv", noise(4 * 44_100), 44_100, "aac")
    whole = read(path, 0, 4, 44_100).samples
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    track = read(cut, 0, 4, 44_100)
    assert track.has_audio
    there = np.flatnonzero(track.samples)[-1] + 1
    assert 1.5 < there / 44_100 < 2.5
    np.testing.assert_array_equal(track.samples[: there - 2048], whole[: there - 2048])


def test_a_damaged_stretch_does_not_silence_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "noise.mp4", noise(4 * 44_100), 44_100, "libmp3lame")
    whole = read(path, 0, 4, 44_100).samples
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    middle = (begin + data.index(b"moov")) // 2
    data[middle : middle + 2000] = b"\x00" * 2000
    path.write_bytes(data)
    samples = read(path, 0, 4, 44_100).samples
    np.testing.assert_array_equal(samples[: int(1.5 * 44_100)], whole[: int(1.5 * 44_100)])
    np.testing.assert_allclose(samples[int(2.8 * 44_100) :], whole[int(2.8 * 44_100) :], atol=1e-6)


# -- Real files --------------------------------------------------------------------------------------------------------

REAL = {  # file: what its sound may differ by from ffmpeg's: rounding, but for E-AC-3's random noise filling
    "R6llTwEh07w.mp4": 1e-6,
    "WUzgd7C1pWA.mp4": 1e-6,
    "decord_flipping_a_pancake.mkv": 1e-6,
    "filetype_fixture2.mkv": 1e-6,
    "imageio_cockatoo.mp4": 1e-6,
    "mediabunny_eac3.mp4": 1e-4,
    "mediabunny_frag_buck_bunny.mp4": 1e-6,
    "mei_sample.3gp": 1e-6,
    "mei_with_gps.mov": 1e-6,
    "tuneavideo_man_skiing.mp4": 1e-6,
    "ucf101_v_ApplyEyeMakeup_g01_c01.avi": 1e-6,
    "v_GGSY1Qvo990.mp4": 1e-6,
    "videollava_sample_demo_22.mp4": 2e-6,
}


@pytest.mark.parametrize("rate", [48_000, 16_000])
@pytest.mark.parametrize("name", REAL)
def test_real_sound_is_what_ffmpeg_writes(test_data: Path, name: str, rate: int) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs the package imageio-ffmpeg").get_ffmpeg_exe()
    path = test_data / "videos" / name
    # first_pts pads from time 0, rematrix_maxval scales the mix to mono as for 16 bits, without their rounding.
    resampling = ["-af", "aresample=async=1:first_pts=0:rematrix_maxval=1", "-ac", "1", "-ar", str(rate)]
    command = [ffmpeg, "-v", "error", "-i", str(path), *resampling, "-f", "f32le", "-"]
    reference = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<f4")
    track = read(path, 0, Fraction(len(reference), rate), rate)
    assert track.has_audio
    end = len(reference) - 20  # behind the last sample the resampler's filter sees what either tool puts there
    np.testing.assert_allclose(track.samples[:end], np.clip(reference, -1, 1)[:end], atol=REAL[name])


def test_a_vorbis_track_with_jumping_timestamps_is_not_cut(test_data: Path) -> None:
    path = test_data / "videos" / "mdn_rabbit320.webm"
    with open_container(str(path)) as container:
        frames = [f.to_ndarray().mean(axis=0) for f in container.decode(audio=0)]
    sound = np.concatenate(frames)
    heard = read(path, Fraction(13, 1000), 7, 44_100).samples  # its first frame is at 13 ms
    loud = slice(2 * 44_100, 6 * 44_100)
    assert abs(lag(heard[loud], sound[loud])) < 44_100 // 40
    shift = lag(heard[loud], sound[loud])
    moved = np.roll(sound, shift)[: len(heard)]
    np.testing.assert_allclose(heard[loud], moved[loud], atol=1e-6)


# -- The same bits everywhere -----------------------------------------------------------------------------------------


def cpu_flags() -> int:
    return ctypes.CDLL(av._core.__file__).av_get_cpu_flags()


def test_libav_is_left_as_it_was(tmp_path: Path) -> None:
    before = cpu_flags()
    read(write(tmp_path / "tone.mp4", noise(44_100), 44_100, "aac"))
    assert cpu_flags() == before


def digests(folder: Path) -> str:
    """Of all sound in a folder, at a rate that nothing there has."""
    hashed = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with open_container(str(path)) as container:
            has_sound = bool(container.streams.audio)
        if has_sound:
            hashed.update(read(path, "0.1", 3, 32_000).samples.tobytes())
    return hashed.hexdigest()


def digests_on_a_lesser_processor(folder: Path) -> str:
    program = (
        "import ctypes, av, pathlib\n"
        "ctypes.CDLL(av._core.__file__).av_force_cpu_flags(0)\n"
        f"from {__name__} import digests\n"
        f"print(digests(pathlib.Path({str(folder)!r})))"
    )
    reduced = {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    }
    command = [sys.executable, "-W", "ignore", "-c", program]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, env=os.environ | reduced, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]


def test_a_lesser_processor_gives_the_same_bits(tmp_path: Path) -> None:
    for codec, name, rate in [
        ("aac", "a.mp4", 44_100),
        ("libopus", "b.webm", 48_000),
        ("libmp3lame", "c.mp4", 44_100),
        ("ac3", "d.mkv", 48_000),
        ("flac", "e.mkv", 48_000),
    ]:
        write(tmp_path / name, np.stack([noise(3 * rate, 3), noise(3 * rate, 4)]), rate, codec, "stereo")
    assert digests_on_a_lesser_processor(tmp_path) == digests(tmp_path)


def test_real_sound_is_the_same_on_a_lesser_processor(test_data: Path, tmp_path: Path) -> None:
    for name in [*REAL, "mdn_rabbit320.webm"]:
        (tmp_path / name).symlink_to(test_data / "videos" / name)
    assert digests_on_a_lesser_processor(tmp_path) == digests(tmp_path)
