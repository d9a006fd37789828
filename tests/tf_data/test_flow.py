"""Flow from the job to the reader: what moves right and down is read so, as exactly as its storage promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

import tf_data
from beam_pipeline.clips import Clip
from beam_pipeline.media.container import open_container
from beam_pipeline.media.encoding import encode_clip
from beam_pipeline.media.flow import estimate_flow
from beam_pipeline.media.png import encode_png
from beam_pipeline.media.settings import TVL1_PRESETS, Encode, Flow, MediaSettings
from beam_pipeline.media.task import ClipTask, FileError
from beam_pipeline.media.video import read_frames
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import ShardWriter
from tests.beam_pipeline.clips_on_disk import write_list
from tests.beam_pipeline.media.videos import planar_frame, write_video
from tests.tf_data.conftest import FakeClip, record, write_split

ROOT = Path(__file__).parents[2]
STORAGES = ("jpeg444", "png")
MOTIONS_PX = {"right": (3, 0), "down": (0, 2), "left_up": (-1.5, -2.5)}


def write_moving(path: Path, motion_px: tuple[float, float], num_frames: int, size: tuple[int, int]) -> Path:
    """A lossless video of a texture that moves so many pixels a frame, x to the right and y downwards."""
    height, width = size
    margin = 64
    noise = np.random.default_rng(0).integers(0, 256, (height + 2 * margin, width + 2 * margin), dtype=np.uint8)
    scene = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 30, 220, cv2.NORM_MINMAX)
    grey = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    frames = []
    for k in range(num_frames):
        shift = np.float32([[1, 0, k * motion_px[0]], [0, 1, k * motion_px[1]]])
        moved = cv2.warpAffine(scene, shift, scene.shape[::-1], flags=cv2.INTER_LINEAR)
        picture = np.ascontiguousarray(moved[margin:-margin, margin:-margin])
        frames.append(planar_frame([picture, grey, grey], "yuv420p"))
    return write_video(path, frames)


def encoded(path: Path, flow: Flow, encode: Encode, seconds: float = 1.0) -> bytes:
    clip = Clip("moving00000", 0, round(1e6 * seconds), "moving")
    settings = MediaSettings(encode, flow, None, "true")
    made = encode_clip(ClipTask(clip, 0, "val", "k", str(path), path.name, path.stat().st_size, None, settings)).record
    assert made
    return made


def shard(path: Path, *records: bytes) -> str:
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for each in records:
            writer.write(each)
    return str(path)


# -- The whole job ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=STORAGES)
def data_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the job makes of three clips, which move as `MOTIONS_PX` says, with TV-L1 in one storage."""
    folder = tmp_path_factory.mktemp(request.param)
    clips = {f"{name}_000000_000001": motion for name, motion in MOTIONS_PX.items()}
    (folder / "clips").mkdir()
    for clip_id, motion in clips.items():
        write_moving(folder / "clips" / f"{clip_id}.mkv", motion, 8, (96, 128))
    write_list(folder / "val.csv", list(clips), split="val")
    settings = [
        *("name=moving", f"splits.val.annotations={folder / 'val.csv'}", "splits.val.shards=1", "workers=1"),
        *(f"source.store={folder / 'clips'}", "encode.shorter_side=96", "encode.min_duration_s=0"),
        *("flow.method=tvl1", f"flow.storage={request.param}", "flow.bound_px=10"),
    ]
    command = [sys.executable, "-m", "beam_pipeline", "run", "--data_dir", str(folder / "data")]
    subprocess.run([*command, *(f"--set={setting}" for setting in settings)], cwd=ROOT, check=True, capture_output=True)
    return folder / "data"


def loaded(data_dir: Path, **asked: Any) -> dict[str, np.ndarray]:
    values = {"split": "val", "training": False, "streams": ("flow",), "flow_units": "pixels", "num_frames": 7}
    keywords = values | {"crop_size": 64, "extras": ["clip_id"], "data_dir": data_dir} | asked
    elements = tf_data.load("moving", **keywords).as_numpy_iterator()
    return {each["clip_id"].decode().rsplit("_", 2)[0]: each["flow"] for each in elements}


@pytest.mark.parametrize("motion", MOTIONS_PX)
def test_a_clip_that_moves_is_read_as_moving_so_many_pixels(data_dir: Path, motion: str) -> None:
    flow = loaded(data_dir)[motion]
    assert flow.shape == (7, 64, 64, 2)
    np.testing.assert_allclose(np.median(flow, axis=(1, 2)), [MOTIONS_PX[motion]] * 7, atol=0.1)


def test_in_units_of_the_bound_it_is_a_tenth_of_the_pixels(data_dir: Path) -> None:
    flow = loaded(data_dir, flow_units="bound")["right"]
    np.testing.assert_allclose(np.median(flow, axis=(0, 1, 2)), (0.3, 0), atol=0.01)


def test_info_says_how_the_flow_was_made(data_dir: Path) -> None:
    _, info = tf_data.load("moving", split="val", data_dir=data_dir, crop_size=64, num_frames=4, with_info=True)
    parameters = TVL1_PRESETS["tvl1"]
    assert (info.flow.method, info.flow.bound_px, info.flow.rounding) == ("tvl1", 10.0, "nearest")
    assert (info.flow.storage, info.flow.quality) in (("jpeg444", 95), ("png", None))
    assert info.flow.parameters == {name: getattr(parameters, name) for name in parameters.__dataclass_fields__}


# -- One record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "image_format"),
    [(Flow("tvl1_fast"), "JPEG"), (Flow("dis", 12.5, "png", rounding="truncate"), "PNG"), (Flow("farneback"), "JPEG")],
    ids=["tvl1_fast", "dis", "farneback"],
)
@pytest.mark.filterwarnings("ignore:.*no record index")
def test_a_record_alone_says_how_its_flow_was_made(tmp_path: Path, flow: Flow, image_format: str) -> None:
    video = write_moving(tmp_path / "a.mkv", (1, 0), 4, (64, 64))
    made = encoded(video, flow, Encode(shorter_side=64, min_duration_s=0))
    assert parse_sequence_example(made)[0]["FORWARD_FLOW/image/format"] == [image_format.encode()]
    path = shard(tmp_path / "clips-val.tfrecord-00000-of-00001", made)
    _, info = tf_data.load(path, split="val", num_frames=2, crop_size=32, streams="flow", with_info=True)
    found = info.flow
    assert (found.method, found.bound_px, found.rounding) == (flow.method, flow.bound_px, flow.rounding)
    assert found.parameters == flow.parameters


# Of docs/flow.md, TV-L1 at a bound of 20: mean and maximum, pixels. What moves much loses up to half as much again.
PROMISED_PX = {"jpeg444": (1.5 * 0.1, 4.3), "png": (0.07, 0.08)}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("clip", ["R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4", "mmaction2_demo.mp4"])
@pytest.mark.filterwarnings("ignore:.*no record index")
def test_flow_of_a_real_clip_is_read_as_exactly_as_its_storage_promises(
    test_data: Path, tmp_path: Path, clip: str, storage: str
) -> None:
    video, encode = test_data / "videos" / clip, Encode(min_duration_s=0)
    with open_container(str(video)) as container:
        luma = read_frames(container, 0, 200_000, "true", encode, keep_luma=True).luma
    estimated = [estimate_flow(*pair, Flow()) for pair in pairwise(luma)]
    made = encoded(video, Flow(storage=storage), encode, seconds=0.2)  # type: ignore[arg-type]
    path = shard(tmp_path / "clips-val.tfrecord-00000-of-00001", made)
    asked: dict[str, Any] = {"training": False, "streams": "flow", "flow_units": "pixels", "num_frames": 4}
    (element,) = tf_data.load(path, split="val", preset=None, dtype="float32", **asked)
    error = np.abs(element["flow"] - np.clip(estimated, -20, 20))
    mean_px, max_px = PROMISED_PX[storage]
    assert error.mean() < mean_px
    assert error.max() < max_px


def test_a_clip_of_one_frame_has_an_empty_list_of_flow(tmp_path: Path) -> None:
    video = write_moving(tmp_path / "a.mkv", (1, 0), 1, (64, 64))
    made = encoded(video, Flow("dis"), Encode(shorter_side=64, min_duration_s=0))
    context, lists = parse_sequence_example(made)
    assert (len(lists["image/encoded"]), lists["FORWARD_FLOW/image/encoded"]) == (1, [])
    assert (context["quality/clipped_flow"], context["quality/mean_flow_px"]) == ([0.0], [0.0])


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.filterwarnings("ignore:.*no record index")
def test_a_clip_of_two_frames_is_read_with_its_one_flow_held(tmp_path: Path, storage: str) -> None:
    video = write_moving(tmp_path / "a.mkv", (2, 1), 2, (64, 64))
    flow = Flow(storage=storage)  # type: ignore[arg-type]
    path = shard(
        tmp_path / "clips-val.tfrecord-00000-of-00001",
        encoded(video, flow, Encode(shorter_side=64, min_duration_s=0)),
    )
    asked: dict[str, Any] = {"training": False, "streams": ("rgb", "flow"), "flow_units": "pixels", "crop_size": 48}
    (element,) = tf_data.load(path, split="val", num_frames=2, **asked)
    np.testing.assert_allclose(np.median(element["flow"], axis=(1, 2)), [(2, 1), (2, 1)], atol=0.15)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("method", ["tvl1", "tvl1_fast", "dis", "farneback"])
@pytest.mark.filterwarnings("ignore:.*no record index")
def test_frames_of_16_by_16_have_flow_too(tmp_path: Path, method: str, storage: str) -> None:
    video = write_moving(tmp_path / "a.mkv", (1, 0), 4, (16, 16))
    flow = Flow(method, storage=storage)  # type: ignore[arg-type]
    made = encoded(video, flow, Encode(shorter_side=16, min_duration_s=0))
    path = shard(tmp_path / "clips-val.tfrecord-00000-of-00001", made)
    asked: dict[str, Any] = {"training": False, "streams": "flow", "flow_units": "pixels", "num_frames": 3}
    (element,) = tf_data.load(path, split="val", preset=None, dtype="float32", **asked)
    assert element["flow"].shape == (3, 16, 16, 2)
    assert np.median(element["flow"][..., 0]) == pytest.approx(1, abs=0.6)


def test_frames_that_are_too_small_for_a_method_are_refused_with_the_reason(tmp_path: Path) -> None:
    video = write_moving(tmp_path / "a.mkv", (1, 0), 3, (128, 64))
    with pytest.raises(FileError, match="flow by dis needs frames of 16×16 or more, got 8×16") as raised:
        encoded(video, Flow("dis"), Encode(shorter_side=None, height=16, min_duration_s=0))
    assert raised.value.reason == "unsupported"


# -- The reader ---------------------------------------------------------------------------------------------------


def noise(number: int, height: int = 32, width: int = 48) -> np.ndarray:
    """A flow image that only a lossless storage brings back."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


PNG_CLIP = FakeClip("noise", num_frames=9, flow=tuple(encode_png(noise(k)) for k in range(8)))
PNG_INFO = {"flow": {"method": "tvl1", "bound_px": 20.0, "storage": "png", "quality": 95}}


@pytest.fixture(scope="module")
def folder_of_png(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("png")
    write_split(root / "fake" / "1.0.0", [PNG_CLIP], num_shards=1, metadata=PNG_INFO)
    return root


@pytest.fixture(scope="module")
def png_without_index(tmp_path_factory: pytest.TempPathFactory) -> str:
    return shard(tmp_path_factory.mktemp("others") / "clips-train.tfrecord-00000-of-00001", record(PNG_CLIP))


@pytest.mark.filterwarnings("ignore:.*no record index")
@pytest.mark.parametrize("crops", [{}, {"crop_size": 20}, {"crop_size": 20, "num_crops": 3}], ids=str)
def test_png_flow_is_read_level_for_level(folder_of_png: Path, png_without_index: str, crops: dict[str, Any]) -> None:
    asked = {
        "split": "train",
        "training": False,
        "streams": ("rgb", "flow"),
        "num_frames": 8,
        "dtype": "uint8",
        "preset": None,
    }
    for ds in (
        tf_data.load("fake", data_dir=folder_of_png, **asked, **crops),
        tf_data.load(png_without_index, **asked, **crops),
    ):
        (element,) = ds.as_numpy_iterator()
        flow = element["flow"].reshape(-1, *element["flow"].shape[-4:])
        whole = np.stack([noise(k)[..., :2] for k in range(8)])
        lefts = {1: [14], 3: [0, 14, 28]}[len(flow)] if crops else [0]
        top, side = (6, 20) if crops else (0, None)
        for view, left in zip(flow, lefts, strict=True):
            expected = whole[:, top : top + 20, left : left + 20] if side else whole
            np.testing.assert_array_equal(view, expected)


@pytest.mark.parametrize(
    "spoil",
    [lambda image: image[:100], lambda image: image[:200] + b"\0" * 40 + image[240:], lambda image: b"\x89PNG"],
    ids=["cut off", "overwritten", "header alone"],
)
def test_a_damaged_png_is_an_error_that_can_be_skipped(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    assert PNG_CLIP.flow
    damaged = FakeClip("damaged", num_frames=9, flow=(spoil(PNG_CLIP.flow[0]), *PNG_CLIP.flow[1:]))
    write_split(tmp_path / "fake" / "1.0.0", [damaged, PNG_CLIP], num_shards=1, metadata=PNG_INFO)
    asked: dict[str, Any] = {"split": "train", "data_dir": tmp_path, "streams": "flow", "training": False}
    asked |= {"num_frames": 8, "crop_size": 16, "extras": ["clip_id"]}
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(tf_data.load("fake", **asked))
    kept = tf_data.load("fake", **asked, on_error="skip").as_numpy_iterator()
    assert [element["clip_id"] for element in kept] == [b"noise"]
