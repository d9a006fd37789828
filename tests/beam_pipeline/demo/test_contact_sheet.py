"""The contact sheet: one clip of each class, flow in the standard colours, whatever streams there are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from beam_pipeline.demo.contact_sheet import contact_sheet, contact_sheet_of
from beam_pipeline.media.flow import encode_flow
from beam_pipeline.media.settings import Flow
from beam_pipeline.records import sequence_example
from beam_pipeline.tfrecord import frame
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


def sheet(records: list[bytes], folder: Path, max_clips: int = 10) -> np.ndarray:
    picture = cv2.imread(str(contact_sheet_of(records, folder / "sheet.png", max_clips)))
    assert picture is not None
    return picture[..., ::-1].astype(int)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    near = np.abs(picture - np.array(colour)).max(axis=-1) < 12
    return int(near.sum()) > 1000


def test_one_clip_of_each_class_comes_before_seconds(tmp_path: Path) -> None:
    records = [
        record("a", PAINT["red"]),
        record("a", PAINT["violet"]),
        record("b", PAINT["green"]),
        record("c", PAINT["blue"]),
    ]
    picture = sheet(records, tmp_path, max_clips=3)
    assert [has(picture, PAINT[name]) for name in ("red", "green", "blue", "violet")] == [True, True, True, False]


def test_room_that_is_left_goes_to_seconds(tmp_path: Path) -> None:
    picture = sheet([record("a", PAINT["red"]), record("a", PAINT["violet"])], tmp_path)
    assert has(picture, PAINT["red"])
    assert has(picture, PAINT["violet"])


def test_no_more_is_read_than_is_needed(tmp_path: Path) -> None:
    def records():
        yield record("a")
        yield record("b")
        pytest.fail("read on with enough classes")

    contact_sheet_of(records(), tmp_path / "sheet.png", max_clips=2)


def test_clips_are_in_the_order_of_their_labels(tmp_path: Path) -> None:
    colours = [PAINT["red"], PAINT["green"], PAINT["blue"]]
    records = [record(label, colour) for label, colour in zip("abc", colours, strict=True)]
    np.testing.assert_array_equal(sheet(records[::-1], tmp_path), sheet(records, tmp_path))


def test_shards_are_read(tmp_path: Path) -> None:
    shards = []
    for index, name in enumerate(("red", "green")):
        shards.append(tmp_path / f"demo-train.tfrecord-0000{index}-of-00002")
        shards[-1].write_bytes(b"".join(frame(record(name, PAINT[name]))))
    picture = contact_sheet(shards, tmp_path / "new" / "sheet.png")
    np.testing.assert_array_equal(
        cv2.imread(str(picture))[..., ::-1], sheet([record(n, PAINT[n]) for n in ("red", "green")], tmp_path)
    )


def test_motion_to_the_right_is_red(tmp_path: Path) -> None:
    assert has(sheet([record("a")], tmp_path), (255, 45, 45))


@pytest.mark.parametrize("size", [(48, 64), (64, 36), (20, 160)])
@pytest.mark.parametrize(("flow", "sound"), [(True, False), (False, True), (False, False)])
def test_any_shape_and_set_of_streams_can_be_drawn(
    tmp_path: Path, size: tuple[int, int], flow: bool, sound: bool
) -> None:
    everything = sheet([record("a", size=size)], tmp_path)
    picture = sheet([record("a", PAINT["blue"], flow=flow, sound=sound, size=size)], tmp_path)
    assert has(picture, PAINT["blue"])
    assert picture.shape[0] < everything.shape[0]


@pytest.mark.parametrize("num_frames", [1, 2, 300])
def test_any_number_of_frames_can_be_drawn(tmp_path: Path, num_frames: int) -> None:
    assert has(sheet([record("a", PAINT["green"], num_frames, flow=num_frames > 1)], tmp_path), PAINT["green"])


def test_clips_of_several_shapes_share_a_sheet(tmp_path: Path) -> None:
    picture = sheet([record("a", PAINT["red"]), record("b", PAINT["blue"], size=(80, 40))], tmp_path)
    assert has(picture, PAINT["red"])
    assert has(picture, PAINT["blue"])


def test_an_unlabelled_clip_can_be_drawn(tmp_path: Path) -> None:
    assert has(sheet([record("", PAINT["green"])], tmp_path), PAINT["green"])


def test_no_record_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no record to draw"):
        contact_sheet_of([], tmp_path / "sheet.png")
