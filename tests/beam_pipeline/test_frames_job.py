"""denseflow's folders to records in one job, and back through the reader."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import simplejpeg

from beam_pipeline.media.container import open_container
from beam_pipeline.media.settings import Encode
from beam_pipeline.media.video import read_frames
from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import read_records
from tests.beam_pipeline import command_line
from tests.beam_pipeline.clips_on_disk import write_list
from tests.beam_pipeline.denseflow import BOUND_PX, estimate, levels_of, pictures, write_folder

ROOT = Path(__file__).parents[2]
FPS = 10
NUM_FRAMES = 15
GOOD = "-abcdefghij_000001_000011"
OF_TSN = "tsntsntsnts_000000_000010"
NO_PAIR, ODD, CUT, LINK, STEP, EMPTY, ABSENT = (f"bad{n:08d}_000000_000010" for n in range(7))


def run(store: Path, data_dir: Path, *settings: str, status: int = 0, command: str = "run") -> str:
    words = [
        "name=frames",
        f"splits.train.annotations={store / 'train.csv'}",
        "splits.train.shards=2",
        f"source.store={store}",
        "source.kind=frames",
        f"encode.fps={FPS}",
        *settings,
    ]
    arguments = [word for setting in words for word in ("--set", setting)]
    done = command_line.call([command, "--data_dir", str(data_dir), *arguments])
    assert done.returncode == status, done.stderr
    return done.stderr if status == 2 else done.stdout


def folder_of(data_dir: Path) -> Path:
    return data_dir / "frames" / "1.0.0"


def ledger(data_dir: Path) -> dict[str, dict]:
    rows = pq.read_table(folder_of(data_dir) / "clips-train.parquet").to_pylist()
    return {row["clip_id"]: row for row in rows}


def records(data_dir: Path) -> dict[str, tuple[dict, dict]]:
    shards = sorted(folder_of(data_dir).glob("*tfrecord*"))
    parsed = (parse_sequence_example(record) for shard in shards for record in read_records(str(shard)))
    return {context["example/id"][0].decode(): (context, lists) for context, lists in parsed}


def files(folder: Path, prefix: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob(f"{prefix}*"))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders that are right, and one of each kind that is not."""
    store = tmp_path_factory.mktemp("rawframes")
    frames = pictures(NUM_FRAMES)
    levels = [levels_of(flow) for flow in estimate(frames)]
    write_folder(store / "juggling_balls" / GOOD, frames, levels)
    cv2.imwrite(str(store / "juggling_balls" / "1.jpg"), frames[0])  # a stray
    write_folder(store / "train" / "yoga" / OF_TSN, frames, [levels[0], *levels], first_frame=1, first_flow=1)
    for clip in (NO_PAIR, ODD, CUT, LINK):
        write_folder(store / "bad" / clip, frames, levels)
    (store / "bad" / NO_PAIR / f"flow_y_{NUM_FRAMES - 2:05d}.jpg").unlink()
    cv2.imwrite(str(store / "bad" / ODD / "img_00007.jpg"), frames[7][:-2])
    cut = store / "bad" / CUT / "img_00012.jpg"
    cut.write_bytes(cut.read_bytes()[:-500])
    outside = tmp_path_factory.mktemp("outside") / "secret.jpg"
    cv2.imwrite(str(outside), frames[3])
    (store / "bad" / LINK / "img_00003.jpg").unlink()
    (store / "bad" / LINK / "img_00003.jpg").symlink_to(outside)
    write_folder(store / "bad" / STEP, frames, levels, names=("img_", "flow_x_p2_", "flow_y_p2_"))
    (store / "bad" / EMPTY).mkdir()
    write_list(store / "train.csv", [GOOD, OF_TSN, NO_PAIR, ODD, CUT, LINK, STEP, EMPTY, ABSENT])
    return store


@pytest.fixture(scope="module")
def made(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("made")
    run(store, data_dir, f"flow={{method: imported, bound_px: {BOUND_PX}, storage: png}}")
    return data_dir


def test_every_folder_is_accounted_for(made: Path) -> None:
    fates = {clip: (row["reason"], row["num_frames"], row["damaged"]) for clip, row in ledger(made).items()}
    assert fates == {
        GOOD: ("", NUM_FRAMES, False),
        OF_TSN: ("", NUM_FRAMES, False),
        CUT: ("", 12, True),
        NO_PAIR: ("unreadable", 0, False),
        ODD: ("unsupported", 0, False),
        LINK: ("unsupported", 0, False),
        STEP: ("unsupported", 0, False),
        EMPTY: ("not_found", 0, False),
        ABSENT: ("not_found", 0, False),
    }


def test_frames_are_the_files_and_flow_has_their_levels(store: Path, made: Path) -> None:
    _, lists = records(made)[GOOD]
    folder = store / "juggling_balls" / GOOD
    assert [jpeg for (jpeg,) in lists["image/encoded"]] == files(folder, "img_")
    assert [time for (time,) in lists["image/timestamp"]] == [100_000 * k for k in range(NUM_FRAMES)]
    for k, (png,) in enumerate(lists["FORWARD_FLOW/image/encoded"]):
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        for channel, axis in enumerate("xy"):
            stored = cv2.imread(str(folder / f"flow_{axis}_{k:05d}.jpg"), cv2.IMREAD_GRAYSCALE)
            np.testing.assert_array_equal(image[..., channel], stored)
    assert len(lists["FORWARD_FLOW/image/encoded"]) == NUM_FRAMES - 1


def test_a_record_says_where_it_is_from(store: Path, made: Path) -> None:
    context, _ = records(made)[GOOD]
    sizes = [path.stat().st_size for path in (store / "juggling_balls" / GOOD).iterdir()]
    expected = {
        "image/frame_rate": FPS,
        "image/width": 64,
        "image/height": 48,
        "FORWARD_FLOW/image/method": b"imported",
        "FORWARD_FLOW/image/saturation": BOUND_PX,
        "FORWARD_FLOW/image/format": b"PNG",
        "source/uri": f"juggling_balls/{GOOD}".encode(),
        "source/bytes": sum(sizes),
        "source/codec": b"mjpeg",
        "clip/data_path": GOOD.encode(),
        "quality/has_audio": 0,
        "quality/short": 0,
    }
    assert {key: context[key][0] for key in expected} == expected


def test_a_second_run_changes_nothing(store: Path, made: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder_of(made).glob("*tfrecord*")}
    run(store, made, f"flow={{method: imported, bound_px: {BOUND_PX}, storage: png}}")
    assert {path.name: path.read_bytes() for path in folder_of(made).glob("*tfrecord*")} == before
    attempts = {clip: row["attempts"] for clip, row in ledger(made).items()}
    assert attempts[GOOD] == attempts[NO_PAIR] == 1
    assert attempts[ABSENT] == 2


def test_a_folder_that_was_mended_is_made_anew(store: Path, tmp_path: Path) -> None:
    frames = pictures(NUM_FRAMES)
    levels = [levels_of(flow) for flow in estimate(frames)]
    mended = tmp_path / "store"
    folder = write_folder(mended / GOOD, frames, levels[:-1])
    write_list(mended / "train.csv", [GOOD])
    run(mended, tmp_path, "flow.method=imported", status=1)
    assert ledger(tmp_path)[GOOD]["reason"] == "unreadable"
    write_folder(tmp_path / "last", [], levels[-1:], first_flow=NUM_FRAMES - 2)
    for path in (tmp_path / "last").iterdir():
        path.rename(folder / path.name)
    run(mended, tmp_path, "flow.method=imported")
    assert ledger(tmp_path)[GOOD]["num_frames"] == NUM_FRAMES


def test_a_frame_replaced_by_one_of_its_size_and_time_is_noticed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    frame = write_folder(store / GOOD, pictures(NUM_FRAMES)) / "img_00003.jpg"
    write_list(store / "train.csv", [GOOD])
    jpeg = frame.read_bytes()
    frame.write_bytes(jpeg[:2] + b"\xff\xfe\x00\x06abcd" + jpeg[2:])  # with a comment
    stamp = frame.stat().st_mtime_ns
    run(store, tmp_path)
    frame.write_bytes(frame.read_bytes().replace(b"abcd", b"efgh"))
    os.utime(frame, ns=(stamp, stamp))
    run(store, tmp_path)
    assert records(tmp_path)[GOOD][1]["image/encoded"][3] == [frame.read_bytes()]


def test_flow_may_be_estimated_from_a_folder_s_frames(store: Path, tmp_path: Path) -> None:
    run(store, tmp_path, "flow.method=dis")
    context, lists = records(tmp_path)[STEP]  # whose flow nobody looks at
    assert context["FORWARD_FLOW/image/method"] == [b"dis"]
    image = simplejpeg.decode_jpeg(lists["FORWARD_FLOW/image/encoded"][5][0])
    px = np.median(image[8:-8, 8:-8, :2].astype(float), axis=(0, 1)) * 40 / 255 - 20
    np.testing.assert_allclose(px, (3, -2), atol=0.5)


def test_folders_and_videos_are_not_mixed_in_one_data_set(store: Path, made: Path) -> None:
    settings = (
        "source.kind=local",
        "source.trimmed=whole",
        f"flow={{method: dis, bound_px: {BOUND_PX}, storage: png}}",
    )
    assert "source.kind was frames, is null" in run(store, made, *settings, status=2)


@pytest.mark.parametrize(("command", "message"), [("fetch", "there is nothing to fetch"), ("prune", "yours to delete")])
def test_folders_are_neither_fetched_nor_pruned(store: Path, made: Path, command: str, message: str) -> None:
    assert message in run(store, made, command=command, status=2)
    assert (store / "juggling_balls" / GOOD / "img_00000.jpg").exists()


# -- A real clip, and the reader --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_store(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Kinetics clip as `denseflow -nw=… -nh=…` leaves it, at ten frames a second."""
    encode = Encode(fps=Fraction(FPS), shorter_side=128)
    with open_container(str(test_data / "videos" / "R6llTwEh07w.mp4")) as container:
        decoded = read_frames(container, 0, 3_000_000, "true", encode, keep_luma=False)
    frames = [simplejpeg.decode_jpeg(jpeg, "BGR") for jpeg in decoded.jpegs]
    store = tmp_path_factory.mktemp("real")
    clip = "R6llTwEh07w_000000_000010"
    write_folder(store / "using_segway" / clip, frames, [levels_of(flow) for flow in estimate(frames)])
    write_list(store / "train.csv", [clip], label="using segway")
    return store


@pytest.mark.parametrize(("storage", "mean_levels", "max_levels"), [("png", 0, 0), ("jpeg444", 1.0, 18)])
def test_the_reader_gives_frames_and_flow_of_the_folder(
    real_store: Path, tmp_path: Path, storage: str, mean_levels: float, max_levels: float
) -> None:
    import tensorflow as tf

    import tf_data

    run(real_store, tmp_path, f"flow={{method: imported, bound_px: {BOUND_PX}, storage: {storage}}}")
    dataset, info = tf_data.load(
        "frames", split="train", data_dir=tmp_path, preset=None, streams=("rgb", "flow"), training=False, with_info=True
    )
    (element,) = dataset
    (folder,) = (real_store / "using_segway").iterdir()
    expected = [tf.io.decode_jpeg(jpeg, dct_method="INTEGER_FAST") for jpeg in files(folder, "img_")]
    np.testing.assert_array_equal(element["rgb"], expected)
    x, y = ([simplejpeg.decode_jpeg(jpeg, "GRAY")[..., 0] for jpeg in files(folder, f"flow_{axis}_")] for axis in "xy")
    flow = element["flow"].numpy()[:-1]  # the last frame has none, and shows the one before
    error = np.abs(flow.astype(int) - np.stack([x, y], axis=-1))
    assert error.mean() <= mean_levels
    assert error.max() <= max_levels
    assert info.flow.bound_px == BOUND_PX


def test_a_preset_of_the_reader_takes_frames_of_any_size(real_store: Path, tmp_path: Path) -> None:
    import tf_data

    run(real_store, tmp_path, "flow.method=imported")
    views = {"num_frames": 16, "crop_size": 112, "batch_size": 1, "streams": ("rgb", "flow")}
    (batch,) = tf_data.load("frames", split="train", data_dir=tmp_path, seed=1, **views)
    assert batch["rgb"].shape == (1, 16, 112, 112, 3)
    assert batch["flow"].shape == (1, 16, 112, 112, 2)
    assert 0 < float(np.abs(batch["flow"]).mean()) < 0.5


def test_the_job_s_description_says_what_was_imported(made: Path) -> None:
    info = json.loads((folder_of(made) / "info-train.json").read_text())
    assert (info["flow"]["method"], info["flow"]["bound_px"], info["frame_rate"]) == ("imported", BOUND_PX, FPS)
    assert (info["frame_sizes"], info["configuration"]["encode"]["shorter_side"]) == ({"64x48": 3}, None)
