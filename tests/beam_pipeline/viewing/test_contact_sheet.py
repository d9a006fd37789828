"""The contact sheet: frames, flow in the standard colours and sound, whatever streams there are."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg

from beam_pipeline.clips import ClipError
from beam_pipeline.media.flow import encode_flow
from beam_pipeline.media.settings import Flow
from beam_pipeline.records import sequence_example
from beam_pipeline.viewing.clip_record import parse_clip
from beam_pipeline.viewing.contact_sheet import Card, card_of, draw_contact_sheet
from tf_data import contract

PAINT = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 200), "violet": (140, 30, 160)}


def record(
    label: str,
    paint: tuple[int, int, int] = (120, 120, 120),
    num_frames: int = 6,
    flow: bool = True,
    sound: bool = True,
    size: tuple[int, int] = (48, 64),
) -> bytes:
    """A clip of plain colour, whose flow is that of a texture that moves by 3 pixels to the right a frame."""
    image = np.full((*size, 3), paint, np.uint8)
    context = {
        contract.EXAMPLE_ID: f"{label}_000000_000001",
        contract.LABEL_STRING: label,
        "image/frame_rate": 25.0,
        contract.FLOW_SATURATION: 20.0,
        contract.AUDIO_SAMPLE_RATE: 16_000.0,
    }
    lists: dict[str, list] = {contract.IMAGE_ENCODED: [simplejpeg.encode_jpeg(image)] * num_frames}
    if flow:
        noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
        luma = [np.roll(texture, 3 * k, axis=1) for k in range(num_frames)]
        lists[contract.FLOW_ENCODED] = encode_flow(luma, Flow("dis")).encoded
    if sound:
        lists[contract.AUDIO_FLOATS] = [np.sin(np.arange(8000) / 20).astype(np.float32)]
    return sequence_example(context, lists)


def sheet(records: list[bytes]) -> np.ndarray:
    return draw_contact_sheet([card_of(parse_clip(record)) for record in records], "title").astype(int)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    near = np.abs(picture - np.array(colour)).max(axis=-1) < 12
    return int(near.sum()) > 1000


def test_motion_to_the_right_is_red() -> None:
    assert has(sheet([record("a")]), (255, 45, 45))


@pytest.mark.parametrize("size", [(48, 64), (64, 36), (20, 160)])
@pytest.mark.parametrize(("flow", "sound"), [(True, False), (False, True), (False, False)])
def test_any_shape_and_set_of_streams_can_be_drawn(size: tuple[int, int], flow: bool, sound: bool) -> None:
    everything = sheet([record("a", size=size)])
    picture = sheet([record("a", PAINT["blue"], flow=flow, sound=sound, size=size)])
    assert has(picture, PAINT["blue"])
    assert picture.shape[0] < everything.shape[0]


@pytest.mark.parametrize("num_frames", [1, 2, 300])
def test_any_number_of_frames_can_be_drawn(num_frames: int) -> None:
    assert has(sheet([record("a", PAINT["green"], num_frames, flow=num_frames > 1)]), PAINT["green"])


@pytest.mark.parametrize("size", [(4000, 1), (1, 4000), (4000, 40)])
def test_frames_of_no_sensible_shape_leave_a_sheet_its_size(size: tuple[int, int]) -> None:
    usual = sheet([record("a", flow=False, sound=False, size=(64, 36))])
    picture = sheet([record("a", flow=False, sound=False, size=size)])
    assert picture.shape[1] == usual.shape[1]
    assert picture.shape[0] < usual.shape[0] + 200


def test_clips_of_several_shapes_share_a_sheet() -> None:
    picture = sheet([record("a", PAINT["red"]), record("b", PAINT["blue"], size=(80, 40))])
    assert has(picture, PAINT["red"])
    assert has(picture, PAINT["blue"])


def test_an_unlabelled_clip_can_be_drawn() -> None:
    assert has(sheet([record("", PAINT["green"])]), PAINT["green"])


def test_a_clip_that_cannot_be_shown_says_why_in_its_place() -> None:
    problem = Card("a", "a_000000_000001", "", problem="record a: frame 3: can't be decoded")
    without = draw_contact_sheet([Card("a", "a_000000_000001", "")], "title")
    told = draw_contact_sheet([problem], "title")
    assert told.shape == without.shape
    assert not np.array_equal(told, without)


def test_names_of_any_length_and_kind_leave_the_rest_of_the_sheet_alone() -> None:
    plain, long = (draw_contact_sheet([Card(label, label, "1.0 s")], "title") for label in ("a", "ünï\n\udcff" * 200))
    right, bottom = plain.shape[1] - 180, plain.shape[0]
    np.testing.assert_array_equal(plain[:, right:bottom], long[:, right:bottom])


def test_a_damaged_frame_is_an_error_that_names_it() -> None:
    clip = parse_clip(record("a"))
    with pytest.raises(ClipError, match="record a_000000_000001: frame 0: "):
        card_of(replace(clip, frames=[frame[:50] for frame in clip.frames]))


def test_frames_that_are_repeated_are_left_out_where_there_are_others() -> None:
    moving, still = (parse_clip(record("a", PAINT[name], num_frames=60)) for name in ("green", "red"))
    frames = [still.frames[0]] * 30 + [frame + b"\0" * k for k, frame in enumerate(moving.frames[:30])]
    greens = [thumb[..., 1].mean() > thumb[..., 0].mean() for thumb in card_of(replace(moving, frames=frames)).frames]
    assert sum(greens) >= len(greens) - 1
