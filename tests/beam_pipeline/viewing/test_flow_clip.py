"""What is looked at: the frames and flow that a run would make of a video, images in order, a record's own flow."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.errors import RequestError
from beam_pipeline.media.encoding import encode_clip
from beam_pipeline.media.flow import decode_flow
from beam_pipeline.media.png import encode_png
from beam_pipeline.media.settings import Encode, Flow, MediaSettings
from beam_pipeline.media.task import ClipTask
from beam_pipeline.records import parse_sequence_example, sequence_example
from beam_pipeline.viewing.flow_clip import Span, flow_of_folder, flow_of_images, flow_of_record, flow_of_video, spread
from tests.beam_pipeline.viewing.moving import DIS, MEDIA, grey_frames, images, record, shard, video
from tf_data import contract

# -- A video -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start_s", "trimmed"), [(None, "true"), (2.3, "false")])
@pytest.mark.parametrize("method", ["dis", "tvl1"])
def test_a_videos_frames_and_flow_are_those_that_a_run_stores(
    test_data: Path, start_s: float | None, trimmed: str, method: str
) -> None:
    path, encode = str(test_data / "videos" / "tuneavideo_man_skiing.mp4"), Encode(shorter_side=96, min_duration_s=0)
    flow = Flow(method, storage="png")  # type: ignore[arg-type]
    shown = flow_of_video(path, Span(start_s, 0.4), MediaSettings(encode, flow))

    start_us = round((start_s or 0) * 1e6)
    settings = MediaSettings(encode, flow, trimmed=trimmed)  # type: ignore[arg-type]
    task = ClipTask(Clip("a", start_us, start_us + 400_000), 0, "train", "x", path, "a.mp4", 1, None, settings)
    stored = encode_clip(task).record
    assert stored
    _, lists = parse_sequence_example(stored)
    assert list(shown.frames) == [step[0] for step in lists[contract.IMAGE_ENCODED]]
    assert shown.num_pairs == len(lists[contract.FLOW_ENCODED]) == 9
    for pair, step in enumerate(lists[contract.FLOW_ENCODED]):
        clipped = np.clip(shown.flow(pair), -flow.bound_px, flow.bound_px)
        assert np.abs(clipped - decode_flow(step[0], flow.bound_px)).max() <= 1.01 * flow.bound_px / 255


def test_without_a_start_it_begins_with_the_first_frame_and_takes_what_there_is(tmp_path: Path) -> None:
    clip = flow_of_video(str(video(tmp_path / "a.mkv", 5)), Span(), MEDIA)
    assert (len(clip.frames), clip.num_pairs, clip.frame_rate, clip.time_s(2)) == (5, 4, 25, 0.08)


def test_with_a_start_times_are_the_videos_own(tmp_path: Path) -> None:
    clip = flow_of_video(str(video(tmp_path / "a.mkv", 30)), Span(0.4, 0.2), MEDIA)
    assert len(clip.frames) == 5
    assert clip.time_s(1) == pytest.approx(0.44)
    first = cv2.resize(clip.picture(0), (64, 48))[..., 1].astype(int)
    expected = (grey_frames(30)[10].astype(float) - 16) * 255 / 219
    assert np.abs(first - expected).mean() < 3


@pytest.mark.parametrize(
    ("num_frames", "span", "reason"),
    [
        (1, Span(), "too_short"),
        (5, Span(None, 0.04), "too_short"),
        (5, Span(9.0), "no_overlap"),
    ],
)
def test_a_video_without_a_pair_is_an_error(num_frames: int, span: Span, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ClipError) as raised:
        flow_of_video(str(video(tmp_path / "a.mkv", num_frames)), span, MEDIA)
    assert raised.value.reason == reason


# -- Images ------------------------------------------------------------------------------------------------------------


def test_a_folders_frames_and_flow_are_those_that_a_run_stores(tmp_path: Path) -> None:
    images(tmp_path, 12, name="img_{}.jpg")
    (tmp_path / "notes.txt").write_text("no frame")
    media = MediaSettings(Encode(min_duration_s=0), Flow("dis", storage="png"), trimmed="whole", frame_folders=True)
    shown = flow_of_folder(str(tmp_path), Span(), media)
    task = ClipTask(Clip("a", 0, 1_000_000), 0, "train", "x", str(tmp_path), "a", 1, None, media)
    stored = encode_clip(task).record
    assert stored
    _, lists = parse_sequence_example(stored)
    assert list(shown.frames) == [step[0] for step in lists[contract.IMAGE_ENCODED]]
    assert shown.num_pairs == len(lists[contract.FLOW_ENCODED]) == 11
    for pair, step in enumerate(lists[contract.FLOW_ENCODED]):
        assert np.abs(shown.flow(pair) - decode_flow(step[0], 20.0)).max() <= 1.01 * 20 / 255


def test_a_folders_own_flow_is_shown_where_it_is_to_be_imported(tmp_path: Path) -> None:
    images(tmp_path, 3)
    for axis, level in (("x", 191), ("y", 64)):
        for number in (1, 2):
            cv2.imwrite(str(tmp_path / f"flow_{axis}_{number:05d}.png"), np.full((48, 64), level, np.uint8))
    media = MediaSettings(Encode(), Flow("imported", bound_px=10.0, storage="png"))
    clip = flow_of_folder(str(tmp_path), Span(), media)
    assert clip.num_pairs == 2
    np.testing.assert_allclose(clip.flow(1)[..., 0], 191 / 255 * 20 - 10, atol=1e-5)
    np.testing.assert_allclose(clip.flow(1)[..., 1], 64 / 255 * 20 - 10, atol=1e-5)


def test_files_are_taken_in_the_order_in_which_they_are_given_whatever_their_names(tmp_path: Path) -> None:
    first, second = images(tmp_path, 2, name="shot {} of us.png")
    assert np.median(flow_of_images([second, first], Span(), MEDIA).flow(0)[..., 0]) == pytest.approx(-3, abs=0.3)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_files_give_what_their_folder_gives(suffix: str, tmp_path: Path) -> None:
    paths = images(tmp_path, 3, name="img_{}." + suffix)
    of_files, of_folder = flow_of_images(paths, Span(), MEDIA), flow_of_folder(str(tmp_path), Span(), MEDIA)
    assert of_files.frames == of_folder.frames
    for pair in range(2):
        np.testing.assert_array_equal(of_files.flow(pair), of_folder.flow(pair))


@pytest.mark.parametrize(
    ("name", "channels", "depth"),
    [("{}.png", 1, np.uint8), ("{}.png", 4, np.uint8), ("{}.png", 3, np.uint16), ("{}.JPEG", 1, np.uint8)],
)
def test_files_may_be_grey_transparent_or_deep(name: str, channels: int, depth: type, tmp_path: Path) -> None:
    paths = [tmp_path / name.format(number) for number in range(2)]
    for path, grey in zip(paths, grey_frames(2), strict=True):
        picture = grey.astype(depth) * (257 if depth == np.uint16 else 1)
        cv2.imwrite(str(path), np.repeat(picture[..., np.newaxis], channels, axis=2))
    clip = flow_of_images(paths, Span(), MEDIA)
    assert np.median(clip.flow(0)[..., 0]) == pytest.approx(3, abs=0.3)
    assert np.abs(clip.picture(1)[..., 0].astype(int) - grey_frames(2)[1]).mean() < 3


@pytest.mark.parametrize("of_folder", [True, False])
def test_a_span_of_frames_is_in_seconds_at_their_rate(of_folder: bool, tmp_path: Path) -> None:
    paths, media = images(tmp_path, 12), MediaSettings(Encode(fps=Fraction(10)), DIS)
    span = Span(0.5, 0.4)
    clip = flow_of_folder(str(tmp_path), span, media) if of_folder else flow_of_images(paths, span, media)
    assert (len(clip.frames), clip.time_s(0)) == (4, 0.5)
    assert np.abs(clip.picture(0)[..., 0].astype(int) - grey_frames(12)[5]).mean() < 3


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="the folder has no frames"):
        flow_of_folder(str(tmp_path), Span(), MEDIA)


def test_a_file_of_another_size_is_named(tmp_path: Path) -> None:
    paths = images(tmp_path, 3)
    cv2.imwrite(str(paths[1]), grey_frames(1, size=(48, 80))[0])
    with pytest.raises(ClipError, match=r"img_2\.png has 80×48 pixels, and the first frame 64×48"):
        flow_of_images(paths, Span(), MEDIA)


def png_of(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_a_damaged_file_is_named(suffix: str, damage: str, tmp_path: Path) -> None:
    paths = images(tmp_path, 3, name="img_{}." + suffix)
    content = paths[1].read_bytes()
    paths[1].write_bytes({"cut": content[: len(content) // 2], "noise": b"\x17" * 999, "empty": b""}[damage])
    with pytest.raises(ClipError, match=f"img_2.{suffix}: ") as raised:
        flow_of_images(paths, Span(), MEDIA)
    assert raised.value.reason == "unreadable"


def test_a_file_that_would_fill_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    paths = images(tmp_path, 2)
    paths[1].write_bytes(png_of(2**31 - 1, 2**31 - 1))
    with pytest.raises(ClipError, match="at most 4096 a side") as raised:
        flow_of_images(paths, Span(), MEDIA)
    assert raised.value.reason == "too_large"


def test_a_damaged_folder_is_shown_up_to_the_damage_and_says_so(tmp_path: Path) -> None:
    images(tmp_path, 5)[3].write_bytes(b"no image")
    clip = flow_of_folder(str(tmp_path), Span(), MEDIA)
    assert (len(clip.frames), clip.how) == (3, "dis, of a damaged source")


# -- A record ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["jpeg444", "png"])
def test_a_records_flow_is_what_it_holds(storage: str, tmp_path: Path) -> None:
    stored = record(flow=Flow("dis", 10.0, storage))  # type: ignore[arg-type]
    clip = flow_of_record(str(shard(tmp_path, stored)), None, Span())
    _, lists = parse_sequence_example(stored)
    assert (clip.name, clip.num_pairs, clip.frame_rate) == ("a_000000_000001", 5, 25)
    for pair in range(5):
        np.testing.assert_array_equal(clip.flow(pair), decode_flow(lists[contract.FLOW_ENCODED][pair][0], 10.0))


def test_a_record_is_found_by_its_id(tmp_path: Path) -> None:
    path = str(shard(tmp_path, record("a"), record("-b", step=(-3, 0))))
    assert np.median(flow_of_record(path, "-b", Span()).flow(0)[..., 0]) == pytest.approx(-3, abs=0.3)
    with pytest.raises(RequestError, match="none of its 2 records has the id c; there are a, -b"):
        flow_of_record(path, "c", Span())


def test_a_span_of_a_record_takes_frames_and_flow_alike(tmp_path: Path) -> None:
    stored = record()
    clip = flow_of_record(str(shard(tmp_path, stored)), None, Span(0.08, 0.12))
    _, lists = parse_sequence_example(stored)
    assert list(clip.frames) == [step[0] for step in lists[contract.IMAGE_ENCODED][2:5]]
    np.testing.assert_array_equal(clip.flow(1), decode_flow(lists[contract.FLOW_ENCODED][3][0], 20.0))
    assert (clip.num_pairs, clip.time_s(1)) == (2, pytest.approx(0.12))


def test_a_span_that_holds_no_pair_of_a_record_is_an_error(tmp_path: Path) -> None:
    context = {contract.EXAMPLE_ID: "x", "image/frame_rate": 25.0, contract.FLOW_SATURATION: 20.0}
    _, lists = parse_sequence_example(record())
    frames, fields = ([step[0] for step in lists[key]] for key in (contract.IMAGE_ENCODED, contract.FLOW_ENCODED))
    stored = sequence_example(context, {contract.IMAGE_ENCODED: frames, contract.FLOW_ENCODED: fields[:2]})
    with pytest.raises(ClipError, match="record x: flow takes two frames or more") as raised:
        flow_of_record(str(shard(tmp_path, stored)), None, Span(0.12))
    assert raised.value.reason == "too_short"


@pytest.mark.parametrize("kind", ["frames", "flow"])
def test_an_orientation_that_readers_do_not_know_is_not_applied(kind: str, tmp_path: Path) -> None:
    turned = b"eXIfII*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    chunk = (len(turned) - 4).to_bytes(4, "big") + turned + zlib.crc32(turned).to_bytes(4, "big")
    _, lists = parse_sequence_example(record(flow=Flow("dis", storage="png")))
    frames, fields = ([step[0] for step in lists[key]] for key in (contract.IMAGE_ENCODED, contract.FLOW_ENCODED))
    if kind == "flow":
        fields = [field[:33] + chunk + field[33:] for field in fields]
    else:
        pngs = [encode_png(simplejpeg.decode_jpeg(frame)) for frame in frames]
        frames = [png[:33] + chunk + png[33:] for png in pngs]
    context = {contract.EXAMPLE_ID: "x", "image/frame_rate": 25.0, contract.FLOW_SATURATION: 20.0}
    stored = sequence_example(context, {contract.IMAGE_ENCODED: frames, contract.FLOW_ENCODED: fields})
    clip = flow_of_record(str(shard(tmp_path, stored)), None, Span())
    assert clip.flow(0).shape[:2] == clip.picture(0).shape[:2] == (clip.height, clip.width)


def test_a_record_without_flow_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="record a_000000_000001 has no flow"):
        flow_of_record(str(shard(tmp_path, record(flow=None))), None, Span())


@pytest.mark.parametrize("part", ["header", "middle"])
def test_a_damaged_shard_is_an_error(part: str, tmp_path: Path) -> None:
    path = shard(tmp_path, record())
    content = bytearray(path.read_bytes())
    content[5 if part == "header" else len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ClipError, match="is no shard of sequence examples, or damaged") as raised:
        flow_of_record(str(path), None, Span())
    assert raised.value.reason == "unreadable"


# -- What is shown of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_pairs", "expected"), [(1, [0]), (3, [0, 1, 2]), (8, [*range(8)]), (50, [0, 7, 14, 21, 28, 35, 42, 49])]
)
def test_pairs_are_spread_from_the_first_to_the_last(num_pairs: int, expected: list[int]) -> None:
    frames = [bytes([number]) for number in range(num_pairs + 1)]
    assert spread(frames, 8) == expected


def test_repeated_frames_are_not_among_the_spread_pairs_unless_all_are() -> None:
    assert spread([b"a", b"a", b"a", b"b", b"b", b"c"], 8) == [2, 4]
    assert spread([b"a", b"a", b"a"], 8) == [0, 1]
