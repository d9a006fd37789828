"""The picture: motion to the right is red and has arrows to the right, what rests is white, any size can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beam_pipeline.media.settings import Encode, MediaSettings
from beam_pipeline.viewing.flow_clip import FlowClip, Span, flow_of_images, flow_of_record, flow_of_video
from beam_pipeline.viewing.flow_sheet import draw_flow_sheet, full_px_of, round_length
from tests.beam_pipeline.viewing.moving import DIS, MEDIA, Step, images, record, shard, video

RED, CYAN_BLUE = (255, 0, 0), (0, 209, 255)


def clip_of(folder: Path, num_frames: int = 2, step: Step = (3, 0)) -> FlowClip:
    return flow_of_images(images(folder, num_frames, step), Span(), MEDIA)


def share(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 70) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=-1) <= tolerance).mean())


def halves(page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the frame and the flow of a sheet of one pair, without the header."""
    body = page[168:-44]
    middle = 40 + 820
    return body[:, 40:middle], body[:, middle + 8 : middle + 828]


@pytest.mark.parametrize(("step", "colour"), [((3, 0), RED), ((-3, 0), CYAN_BLUE)])
def test_what_moves_has_its_directions_colour_in_flow_and_arrows(
    step: Step, colour: tuple[int, int, int], tmp_path: Path
) -> None:
    frame, flow = halves(draw_flow_sheet(clip_of(tmp_path, step=step), 3.0))
    assert share(flow, colour) > 0.6
    assert 0.05 < share(frame, colour) < 0.5


def test_what_rests_is_white(tmp_path: Path) -> None:
    _, flow = halves(draw_flow_sheet(clip_of(tmp_path, step=(0, 0))))
    assert share(flow, (255, 255, 255), 2) > 0.99


@pytest.mark.parametrize("storage", ["jpeg444", "png"])
def test_what_rests_is_white_in_a_record_too(storage: str, tmp_path: Path) -> None:
    stored = record(num_frames=2, step=(0, 0), flow=type(DIS)("dis", storage=storage))  # type: ignore[arg-type]
    _, flow = halves(draw_flow_sheet(flow_of_record(str(shard(tmp_path, stored)), None, Span())))
    assert share(flow, (255, 255, 255), 2) > 0.99


def test_a_larger_full_length_is_paler(tmp_path: Path) -> None:
    clip = clip_of(tmp_path)
    strong, pale = (halves(draw_flow_sheet(clip, full_px))[1].mean() for full_px in (3.0, 12.0))
    assert pale > strong + 30


def test_the_full_length_suits_the_clip(tmp_path: Path) -> None:
    assert full_px_of(clip_of(tmp_path, num_frames=20)) == pytest.approx(3.6, abs=0.6)


def test_a_long_clip_is_drawn_as_eight_pairs_and_only_those_are_estimated(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, num_frames=20)
    asked: list[int] = []

    def flow(pair: int) -> np.ndarray:
        asked.append(pair)
        return clip.flow(pair)

    watched = FlowClip(**{name: getattr(clip, name) for name in FlowClip.__slots__} | {"flow": flow})
    draw_flow_sheet(watched)
    assert len(asked) == 8
    assert (asked[0], asked[-1]) == (0, 18)


@pytest.mark.parametrize("size", [(16, 16), (16, 256), (256, 16), (47, 63)])
@pytest.mark.parametrize("num_frames", [2, 4])
def test_any_shape_can_be_drawn(size: tuple[int, int], num_frames: int, tmp_path: Path) -> None:
    path = str(video(tmp_path / "a.mkv", num_frames, size=size))
    page = draw_flow_sheet(flow_of_video(path, Span(), MediaSettings(Encode(shorter_side=16), DIS)), 3.0)
    assert share(page, RED) > 0.001


@pytest.mark.parametrize(
    ("full_px", "length"), [(0.8, 0.5), (1, 1), (1.9, 1), (2.4, 2), (5, 5), (9.9, 5), (10, 10), (300, 200)]
)
def test_the_arrow_of_the_legend_has_a_round_length(full_px: float, length: float) -> None:
    assert round_length(full_px) == pytest.approx(length)
