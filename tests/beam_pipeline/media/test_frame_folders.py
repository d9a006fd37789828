"""A clip that is a folder of images: frames as they are, flow with its levels, and what is no clip."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.flow import FlowFrames
from beam_pipeline.media.frame_folders import checksum, list_folder, read_folder
from beam_pipeline.media.jpegs import decode_luma
from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.media.task import UnreadFileError
from beam_pipeline.media.video import Frames
from tests.beam_pipeline.denseflow import BOUND_PX, estimate, levels_of, pictures, write_folder

FPS = 10
FRAMES = pictures(12)
LEVELS = [levels_of(flow) for flow in estimate(FRAMES)]
PNG = Flow("imported", bound_px=BOUND_PX, storage="png")


def read(
    folder: Path, flow: Flow | None = PNG, trimmed: str = "whole", start_s: float = 0, end_s: float = 1, **encode: float
) -> tuple[Frames, FlowFrames | None]:
    clip = Clip("clip", round(start_s * 1e6), round(end_s * 1e6))
    settings = MediaSettings(Encode(fps=Fraction(FPS), **{"min_duration_s": 0.05} | encode), flow, None, trimmed)
    return read_folder(list_folder(str(folder), flow), clip, settings)


def reason(folder: Path, flow: Flow | None = PNG, **how: float | str) -> tuple[str, str]:
    with pytest.raises(ClipError) as caught:
        read(folder, flow, **how)
    return caught.value.reason, caught.value.detail


def levels_in(flow: FlowFrames | None) -> np.ndarray:
    assert flow
    images = [cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB) for image in flow.encoded]
    return np.stack(images) if images else np.empty((0, 48, 64, 3), np.uint8)


def stored(folder: Path, prefix: str) -> np.ndarray:
    """The levels that the images of a folder decode to."""
    paths = sorted(folder.glob(f"{prefix}*"))
    return np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("img_*"))


def cut_short(path: Path, keep: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "clip", FRAMES, LEVELS)


# -- Frames -----------------------------------------------------------------------------------------------------------


def test_frames_are_the_files_byte_for_byte_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clip", FRAMES, names=("img_", "", ""))
    for k in range(12):  # numbers without zeros, which sort otherwise as text
        (folder / f"img_{k:05d}.jpg").rename(folder / f"img_{k}.jpg")
    frames, flow = read(folder, None)
    assert frames.jpegs == [(folder / f"img_{k}.jpg").read_bytes() for k in range(12)]
    assert flow is None


def test_what_is_known_of_the_frames(folder: Path) -> None:
    frames, _ = read(folder)
    assert (frames.width, frames.height, frames.source_width, frames.codec) == (64, 48, 64, "mjpeg")
    assert (frames.duration_s, frames.short, frames.damaged, frames.repeated_frames) == (
        Fraction(12, 10),
        False,
        False,
        0,
    )
    assert frames.mean_luma == pytest.approx(np.mean([decode_luma(jpeg) for jpeg in frames.jpegs]), abs=1e-9)
    np.testing.assert_array_equal(frames.middle_luma, decode_luma(frames.jpegs[6]))


def test_frames_of_png_become_jpeg_of_the_asked_quality(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clip", FRAMES, LEVELS, suffix="png")
    grey = cv2.cvtColor(FRAMES[3], cv2.COLOR_BGR2GRAY).astype(float)
    errors, sizes = [], []
    for quality in (50, 95):
        frames, _ = read(folder, jpeg_quality=quality)
        jpeg = frames.jpegs[3]
        assert simplejpeg.decode_jpeg_header(jpeg)[2:] == ("YCbCr", "420")
        errors.append(np.abs(decode_luma(jpeg) - grey).mean())
        sizes.append(len(jpeg))
    assert errors[1] < 1.5 < errors[0]
    assert sizes[0] < sizes[1]
    assert frames.codec == "png"


def test_luma_is_there_where_flow_is_to_be_estimated(folder: Path) -> None:
    frames, flow = read(folder, Flow("dis"))
    assert flow is None
    np.testing.assert_array_equal(frames.luma, [decode_luma(jpeg) for jpeg in frames.jpegs])


def test_a_frame_that_repeats_the_one_before_is_counted(tmp_path: Path) -> None:
    assert read(write_folder(tmp_path / "clip", [*FRAMES[:3], FRAMES[2], FRAMES[2]]), None)[0].repeated_frames == 2


# -- Flow -------------------------------------------------------------------------------------------------------------


def test_levels_are_carried_over_unchanged_red_x_green_y_blue_nothing(folder: Path) -> None:
    levels = levels_in(read(folder)[1])
    np.testing.assert_array_equal(levels[..., 0], stored(folder, "flow_x_"))
    np.testing.assert_array_equal(levels[..., 1], stored(folder, "flow_y_"))
    assert not levels[..., 2].any()


def test_jpeg_storage_loses_little(folder: Path) -> None:
    flow = read(folder, Flow("imported", bound_px=BOUND_PX, storage="jpeg444", quality=95))[1]
    assert flow
    images = np.stack([simplejpeg.decode_jpeg(image) for image in flow.encoded]).astype(float)
    error = np.abs(images[..., 0] - stored(folder, "flow_x_"))
    assert error.mean() < 1.5
    assert simplejpeg.decode_jpeg_header(flow.encoded[0])[3] == "444"


def test_flow_of_png_is_what_was_estimated_to_half_a_level(tmp_path: Path) -> None:
    vectors = estimate(FRAMES)
    folder = write_folder(tmp_path / "clip", FRAMES, LEVELS, suffix="png")
    px = levels_in(read(folder)[1])[..., :2] * (2 * BOUND_PX / 255) - BOUND_PX
    assert np.abs(px - np.clip(vectors, -BOUND_PX, BOUND_PX)).max() <= BOUND_PX / 255 + 1e-6


def test_what_lies_at_the_bound_is_counted_and_the_mean_is_in_pixels(tmp_path: Path) -> None:
    levels = np.full((48, 64, 2), 204, np.uint8)  # 12 px to the right and 12 downwards
    levels[:24, :, 0] = 255
    levels[24:36, :, 1] = 0
    folder = write_folder(tmp_path / "clip", FRAMES[:2], [levels], suffix="png")
    flow = read(folder)[1]
    assert flow
    assert flow.clipped == (1 / 2 + 1 / 4) / 2
    assert flow.mean_px == pytest.approx((np.hypot(20, 12) / 2 + np.hypot(12, 20) / 4 + np.hypot(12, 12) / 4), rel=1e-6)


@pytest.mark.parametrize(
    ("first_frame", "first_flow", "prefixes"),
    [
        (0, 0, ("img_", "flow_x_", "flow_y_")),  # denseflow
        (1, 0, ("img_", "flow_x_", "flow_y_")),  # mmaction2: frames by OpenCV, flow by denseflow
        (1, 1, ("img_", "x_", "y_")),  # mmaction2's tools/misc/flow_extraction.py
    ],
)
def test_pair_k_leads_from_frame_k_to_the_next_wherever_the_numbers_begin(
    tmp_path: Path, first_frame: int, first_flow: int, prefixes: tuple[str, str, str]
) -> None:
    levels = [np.full((48, 64, 2), 10 * k, np.uint8) for k in range(11)]
    folder = write_folder(
        tmp_path / "clip", FRAMES, levels, first_frame=first_frame, first_flow=first_flow, names=prefixes, suffix="png"
    )
    assert levels_in(read(folder)[1])[:, 0, 0, 0].tolist() == [10 * k for k in range(11)]


def test_of_as_many_pairs_as_frames_the_first_leads_to_the_first_frame(tmp_path: Path) -> None:
    """TSN's extractor writes, under number k, the flow from frame k − 1 of the video to frame k, and frame k."""
    levels = [np.full((48, 64, 2), 10 * k, np.uint8) for k in range(12)]
    folder = write_folder(tmp_path / "clip", FRAMES, levels, first_frame=1, first_flow=1, suffix="png")
    frames, flow = read(folder)
    assert len(frames.jpegs) == 12
    assert levels_in(flow)[:, 0, 0, 0].tolist() == [10 * k for k in range(1, 12)]


def test_a_clip_of_one_frame_has_no_flow(tmp_path: Path) -> None:
    frames, flow = read(write_folder(tmp_path / "clip", FRAMES[:1]))
    assert flow
    assert (len(frames.jpegs), flow.encoded, flow.clipped, flow.mean_px) == (1, [], 0.0, 0.0)


def test_flow_is_not_looked_at_where_it_is_not_asked_for(folder: Path) -> None:
    (folder / "flow_x_00003.jpg").unlink()
    assert len(read(folder, None)[0].jpegs) == 12


# -- Which part of them -----------------------------------------------------------------------------------------------


def test_a_folder_that_is_the_clip_ends_where_the_clip_does(folder: Path) -> None:
    frames, flow = read(folder, trimmed="true", start_s=100, end_s=100.5)
    assert frames.jpegs == [(folder / name).read_bytes() for name in names(folder)[:5]]
    assert levels_in(flow).shape[0] == 4
    assert (frames.duration_s, frames.short) == (Fraction(1, 2), False)


def test_a_folder_that_ends_before_its_clip_is_short(folder: Path) -> None:
    frames, _ = read(folder, trimmed="true", end_s=2)
    assert (len(frames.jpegs), frames.duration_s, frames.short) == (12, Fraction(12, 10), True)


def test_of_a_whole_video_the_clip_s_frames_and_flow_are_taken(folder: Path) -> None:
    frames, flow = read(folder, trimmed="false", start_s=0.3, end_s=0.8)
    assert frames.jpegs == [(folder / name).read_bytes() for name in names(folder)[3:8]]
    np.testing.assert_array_equal(levels_in(flow)[..., 0], stored(folder, "flow_x_")[3:7])


def test_a_video_that_ends_before_the_clip_begins_does_not_overlap(folder: Path) -> None:
    assert reason(folder, trimmed="false", start_s=1.2, end_s=2)[0] == "no_overlap"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"max_duration_s": 1.1}, "too_large"),
        ({"trimmed": "true", "end_s": 90}, "too_large"),
        ({"min_duration_s": 1.3}, "too_short"),
    ],
)
def test_limits_on_the_footage(folder: Path, how: dict[str, float | str], expected: str) -> None:
    assert reason(folder, **how)[0] == expected


# -- Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["img_00007.jpg", "flow_x_00006.jpg", "flow_y_00006.jpg"])
def test_a_clip_ends_before_an_image_that_is_damaged(folder: Path, name: str) -> None:
    cut_short(folder / name)
    frames, flow = read(folder)
    assert frames.damaged
    assert (len(frames.jpegs), levels_in(flow).shape[0], frames.duration_s) == (7, 6, Fraction(7, 10))


@pytest.mark.parametrize("keep", [0, 0.1, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_image_cut_off_anywhere_is_damaged(tmp_path: Path, suffix: str, keep: float) -> None:
    folder = write_folder(tmp_path / "clip", FRAMES, LEVELS, suffix=suffix)
    cut_short(folder / f"img_00005.{suffix}", keep)
    frames, _ = read(folder)
    assert (frames.damaged, len(frames.jpegs)) == (True, 5)


def test_what_is_no_image_is_damaged(folder: Path) -> None:
    (folder / "img_00002.jpg").write_bytes(b"GIF89a" + bytes(100))
    assert len(read(folder)[0].jpegs) == 2


def test_a_first_frame_that_is_damaged_makes_it_unreadable(folder: Path) -> None:
    cut_short(folder / "img_00000.jpg")
    assert reason(folder) == ("unreadable", "img_00000.jpg is damaged: Premature end of JPEG file")


def test_too_little_before_the_damage_says_both(folder: Path) -> None:
    cut_short(folder / "img_00003.jpg")
    why, detail = reason(folder, min_duration_s=1)
    assert why == "too_short"
    assert detail.startswith("0.30 s of footage, less than encode.min_duration_s: 1; img_00003.jpg is damaged")


# -- What can't be a clip ---------------------------------------------------------------------------------------------


def _remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def _add(name: str, picture: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: cv2.imwrite(str(folder / name), picture) and None


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


GREY = FRAMES[0][..., 0]


@pytest.mark.parametrize(
    ("change", "why", "detail"),
    [
        (_remove("flow_x_00004.jpg"), "unreadable", "between flow_x_00003.jpg and flow_x_00005.jpg images are missing"),
        (_remove("flow_y_00010.jpg"), "unreadable", "flow_x_00010.jpg is there without the other half of its pair"),
        (
            _remove("flow_x_00010.jpg", "flow_y_00010.jpg"),
            "unreadable",
            "12 frames need 11 pairs of flow images, flow_x_… and flow_y_…, found 10",
        ),
        (_remove("img_00004.jpg"), "unreadable", "between img_00003.jpg and img_00005.jpg images are missing"),
        (
            _add("img_00006.jpg", FRAMES[0][:40]),
            "unsupported",
            "img_00006.jpg has 64×40 pixels, and the first frame 64×48",
        ),
        (
            _add("flow_x_00006.jpg", GREY[:40]),
            "unsupported",
            "flow_x_00006.jpg has 64×40 pixels, and the first frame 64×48",
        ),
        (_add("img_00006.jpg", GREY), "unsupported", "img_00006.jpg is JPEG of colour space Gray, expected YCbCr"),
        (_add("img_6.png", FRAMES[6]), "unsupported", "img_00006.jpg and img_6.png have one number"),
        (
            _add("image_00012.jpg", FRAMES[6]),
            "unsupported",
            "the folder has two series of images, that of image_00012.jpg and that of img_00000.jpg",
        ),
        (
            _add("flow_x_p2_00000.jpg", GREY),
            "unsupported",
            "flow_x_p2_00000.jpg is flow of another step than from each frame to the next",
        ),
        (
            _add("flow_00000.png", FRAMES[6]),
            "unsupported",
            "flow_00000.png is flow with a bound of its own; expected flow_x_… and flow_y_…",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(
    folder: Path, change: Callable[[Path], None], why: str, detail: str
) -> None:
    change(folder)
    assert reason(folder) == (why, detail)


def test_a_folder_without_frames_has_no_video(tmp_path: Path) -> None:
    assert reason(write_folder(tmp_path / "clip", [], LEVELS))[0] == "no_video"


@pytest.mark.parametrize("picture", [FRAMES[6].astype(np.uint16) * 200, np.dstack([FRAMES[6], GREY]), GREY])
def test_png_of_other_kinds_is_told(tmp_path: Path, picture: np.ndarray) -> None:
    folder = write_folder(tmp_path / "clip", FRAMES, suffix="png")
    cv2.imwrite(str(folder / "img_00006.png"), picture)
    assert reason(folder, None) == (
        "unsupported",
        "img_00006.png is PNG, but not of 8 bits and RGB without transparency",
    )


@pytest.mark.parametrize(("name", "picture"), [("img_00006", FRAMES[6]), ("flow_x_00006", GREY)])
def test_png_of_which_one_colour_is_transparent_is_told(tmp_path: Path, name: str, picture: np.ndarray) -> None:
    folder = write_folder(tmp_path / "clip", FRAMES, LEVELS, suffix="png")
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), picture)
    content = path.read_bytes()
    chunk = b"tRNS" + bytes(6 if picture.ndim == 3 else 2)
    transparent = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    after_header = 33
    path.write_bytes(content[:after_header] + transparent + content[after_header:])
    why, detail = reason(folder)
    assert (why, detail.partition(",")[0]) == ("unsupported", f"{name}.png is PNG")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_frames_of_absurd_size_are_not_even_decoded(tmp_path: Path, suffix: str) -> None:
    folder = write_folder(tmp_path / "clip", [np.zeros((8, 5000, 3), np.uint8)], suffix=suffix)
    cut_short(folder / f"img_00000.{suffix}", 0.9)
    assert reason(folder, None)[0] == "too_large"


def test_more_bytes_than_a_record_can_hold_are_not_read(folder: Path) -> None:
    os.truncate(folder / "img_00003.jpg", 1 << 30)  # sparse
    assert reason(folder) == ("too_large", "the clip's images have more than 512 MiB")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_links_devices_and_folders_are_no_images(folder: Path, make: Callable[[Path], None]) -> None:
    (folder / "img_00003.jpg").unlink()
    make(folder / "img_00003.jpg")
    assert reason(folder) == ("unsupported", "img_00003.jpg is no file but a link or the like, which is not followed")


def test_a_folder_that_is_gone_is_not_found(tmp_path: Path) -> None:
    assert reason(tmp_path / "gone")[0] == "not_found"


def test_a_folder_that_cannot_be_read_is_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert reason(folder) == ("unreadable", "the folder can't be read: Permission denied")


# -- Whether it is the same folder ------------------------------------------------------------------------------------


def crc32c(folder: Path, flow: Flow | None = PNG) -> int:
    return checksum(list_folder(str(folder), flow))


def _swap(name: str, other: str) -> Callable[[Path], None]:
    def swap(folder: Path) -> None:
        first, second = (folder / name).read_bytes(), (folder / other).read_bytes()
        (folder / name).write_bytes(second)
        (folder / other).write_bytes(first)

    return swap


def _flip_last_byte(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    return flip


@pytest.mark.parametrize(
    "change",
    [
        _remove("img_00011.jpg"),
        _write("img_00003.jpg", b"x"),
        _add("img_00012.jpg", GREY),
        _flip_last_byte("img_00003.jpg"),
        _flip_last_byte("flow_y_00010.jpg"),
        _swap("img_00003.jpg", "img_00004.jpg"),
    ],
)
def test_a_folder_is_another_when_names_or_bytes_change(folder: Path, change: Callable[[Path], None]) -> None:
    before = crc32c(folder)
    change(folder)
    assert crc32c(folder) != before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_links_devices_and_folders_are_not_read_for_it(folder: Path, make: Callable[[Path], None]) -> None:
    before = crc32c(folder)
    (folder / "img_00003.jpg").unlink()
    make(folder / "img_00003.jpg")
    assert crc32c(folder) != before


def test_an_image_that_is_gone_since_the_folder_was_listed_is_not_found(folder: Path) -> None:
    listed = list_folder(str(folder), PNG)
    (folder / "img_00003.jpg").unlink()
    with pytest.raises(UnreadFileError, match="not_found"):
        checksum(listed)


def test_times_and_other_files_make_no_difference(folder: Path) -> None:
    before = crc32c(folder)
    os.utime(folder / "img_00003.jpg", (0, 0))
    (folder / "Thumbs.db").write_bytes(b"1")
    assert crc32c(folder) == before


def test_flow_makes_no_difference_to_frames_alone(folder: Path) -> None:
    before = crc32c(folder, None)
    (folder / "flow_x_00003.jpg").unlink()
    assert crc32c(folder, None) == before
    assert list_folder(str(folder), None).bytes == sum(path.stat().st_size for path in folder.glob("img_*"))
