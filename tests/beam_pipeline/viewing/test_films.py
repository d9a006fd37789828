"""Films of pictures: every form plays at the exact rate, in the right colours, with the sound in its place."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from beam_pipeline.viewing.clip_record import Sound
from beam_pipeline.viewing.films import Form, write_film

CODECS = {"mp4": ["h264", "aac"], "webm": ["vp9", "opus"], "gif": ["gif"]}
COLOURS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (240, 240, 240)]
FORMS: list[Form] = ["mp4", "webm", "gif"]


def plain(count: int, size: tuple[int, int] = (48, 64)) -> Iterator[np.ndarray]:
    return (np.full((*size, 3), COLOURS[number % len(COLOURS)], np.uint8) for number in range(count))


def shown(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """Returns the pictures as a player shows them, and when."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pictures = [
        frame.reformat(format="rgb24", src_colorspace="ITU709" if frame.format.name == "yuv420p" else None).to_ndarray()
        for frame in frames
    ]
    return pictures, [float(frame.time or 0) for frame in frames]


def heard(path: Path) -> tuple[np.ndarray, int]:
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), frames[0].sample_rate


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (17, 200)])
def test_each_picture_is_shown_once_in_its_colours(form: Form, size: tuple[int, int], tmp_path: Path) -> None:
    write_film(tmp_path / "a", form, plain(8, size), Fraction(25))
    pictures, _ = shown(tmp_path / "a")
    assert len(pictures) == 8
    for number, picture in enumerate(pictures):
        height, width = size
        assert picture.shape[0] - height in (0, height % 2)
        assert np.abs(picture[:height, :width].astype(int) - COLOURS[number % 4]).max() < 12


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(25, 2), Fraction(1, 2)])
def test_pictures_are_shown_at_their_times(form: Form, rate: Fraction, tmp_path: Path) -> None:
    write_film(tmp_path / "a", form, plain(6), rate)
    precision_s = {"mp4": 1e-4, "webm": 5e-4, "gif": 5e-3}[form]
    assert shown(tmp_path / "a")[1] == pytest.approx([float(k / rate) for k in range(6)], abs=precision_s * 1.01)


@pytest.mark.parametrize("form", ["mp4", "webm"])
def test_the_rate_is_told_exactly(form: Form, tmp_path: Path) -> None:
    write_film(tmp_path / "a", form, plain(30), Fraction(30000, 1001))
    with av.open(str(tmp_path / "a")) as container:
        assert float(container.streams.video[0].average_rate or 0) == pytest.approx(30000 / 1001, rel=1e-3)


def test_a_gif_shows_its_last_picture_as_long_as_the_others_and_repeats_for_ever(tmp_path: Path) -> None:
    write_film(tmp_path / "a.gif", "gif", plain(5), Fraction(10))
    content = (tmp_path / "a.gif").read_bytes()
    assert b"NETSCAPE2.0\x03\x01\x00\x00\x00" in content
    delays = [content[at + 4] for at in range(len(content) - 8) if content[at : at + 3] == b"\x21\xf9\x04"]
    assert delays == [10] * 5


def test_a_gif_of_a_high_rate_leaves_out_what_browsers_would_show_too_long(tmp_path: Path) -> None:
    write_film(tmp_path / "a", "gif", plain(60), Fraction(60))
    _, times_s = shown(tmp_path / "a")
    assert min(np.diff(times_s)) >= 0.0199
    assert times_s[-1] == pytest.approx(59 / 60, abs=0.03)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_in_a_film_is_what_browsers_play(form: Form, tmp_path: Path) -> None:
    write_film(tmp_path / "a", form, plain(5), Fraction(25), Sound(np.ones(8000, np.float32), 16_000))
    with av.open(str(tmp_path / "a")) as container:
        assert [stream.codec_context.name.removeprefix("lib") for stream in container.streams] == CODECS[form]
        assert form == "gif" or container.streams.video[0].codec_context.pix_fmt == "yuv420p"


@pytest.mark.parametrize("form", ["mp4", "webm"])
@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_sound_is_heard_at_its_time(form: Form, rate: int, tmp_path: Path) -> None:
    times_s = np.arange(2 * rate) / rate
    tone = np.where((times_s >= 0.5) & (times_s < 0.7), np.sin(2 * np.pi * 440 * times_s), 0).astype(np.float32)
    write_film(tmp_path / "a", form, plain(50), Fraction(25), Sound(tone / 2, rate))
    samples, sample_rate = heard(tmp_path / "a")
    loud = np.flatnonzero(np.abs(samples) > 0.1) / sample_rate
    assert (loud[0], loud[-1]) == pytest.approx((0.5, 0.7), abs=0.01)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * sample_rate / len(samples) == pytest.approx(440, abs=5)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("form", ["mp4", "webm"])
def test_sound_ends_with_the_pictures(form: Form, tmp_path: Path) -> None:
    write_film(tmp_path / "a", form, plain(10), Fraction(10), Sound(np.full(32_000, 0.1, np.float32), 16_000))
    with av.open(str(tmp_path / "a")) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(1, abs=0.025)


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a film takes one picture or more"):
        write_film(tmp_path / "a", "mp4", iter([]), Fraction(25))


def test_a_place_where_nothing_can_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_film(tmp_path / "no" / "a", "mp4", plain(3), Fraction(25))
