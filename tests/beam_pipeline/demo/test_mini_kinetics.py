"""The mini-Kinetics: what a data set of one's own looks like, flaws included, and classes that only motion tells."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.demo.mini_kinetics import DURATION_S, FPS, SHORT_DURATION_S, MiniKinetics, make_mini_kinetics
from beam_pipeline.demo.scenes import HEIGHT_PX, MOTIONS, WIDTH_PX, draw, make_scene
from beam_pipeline.media.audio import read_audio
from beam_pipeline.media.container import open_container
from beam_pipeline.media.flow import estimate_flow
from beam_pipeline.media.settings import Audio, Flow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MiniKinetics:
    return make_mini_kinetics(tmp_path_factory.mktemp("mini"), seed=3, clips_per_class=4)


def rows(made: MiniKinetics, split: str) -> list[dict[str, str]]:
    with made.annotations[split].open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(made: MiniKinetics) -> dict[str, Path]:
    """The file that each row of both lists asks for, by label and id."""
    listed = [row for split in made.annotations for row in rows(made, split)]
    return {
        f"{row['label']} {row['youtube_id']}": made.videos
        / f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}.mp4"
        for row in listed
    }


def opened(path: Path) -> bool:
    try:
        open_container(str(path)).close()
    except ClipError:
        return False
    return True


def test_the_lists_are_in_kinetics_format(made: MiniKinetics) -> None:
    header = made.annotations["train"].read_text(encoding="utf-8").splitlines()[0]
    assert header == "label,youtube_id,time_start,time_end,split"
    for split in ("train", "val"):
        for row in rows(made, split):
            assert row["split"] == split
            assert re.fullmatch(r"[A-Za-z0-9_-]{11}", row["youtube_id"])
            assert int(row["time_end"]) - int(row["time_start"]) == DURATION_S


def test_every_class_has_three_clips_to_train_on_for_one_to_validate(made: MiniKinetics) -> None:
    assert len(made.labels) >= 8
    assert Counter(row["label"] for row in rows(made, "train")) == dict.fromkeys(made.labels, 3)
    assert Counter(row["label"] for row in rows(made, "val")) == dict.fromkeys(made.labels, 1)


def test_by_default_there_are_at_least_64_clips() -> None:
    assert make_mini_kinetics.__defaults__ is not None
    _, clips_per_class = make_mini_kinetics.__defaults__
    assert clips_per_class * len(MOTIONS) >= 64


def test_labels_are_in_index_order(made: MiniKinetics) -> None:
    assert list(made.labels) == sorted(made.labels)


def test_some_ids_look_like_command_line_options(made: MiniKinetics) -> None:
    assert sum(path.name.startswith("-") for path in files(made).values()) >= 4


def test_one_file_is_missing_and_one_is_corrupt(made: MiniKinetics) -> None:
    paths = set(files(made).values())
    there = set(made.videos.iterdir())
    assert there < paths
    assert len(paths - there) == 1
    assert len([path for path in there if not opened(path)]) == 1


def test_all_others_are_h264_with_sound_of_their_length(made: MiniKinetics) -> None:
    durations: Counter[float] = Counter()
    for path in filter(opened, made.videos.iterdir()):
        with open_container(str(path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, video.average_rate) == ("h264", FPS)
            assert audio.codec_context.name == "aac"
            duration_s = Fraction(sum(1 for _ in container.demux(video)) - 1, FPS)
        durations[float(duration_s)] += 1
        with open_container(str(path)) as container:
            track = read_audio(container, Fraction(0), duration_s, Audio(16_000))
        tail = track.samples[-4000:]
        assert track.has_audio
        assert np.abs(tail).max() > 0.001
    assert durations[SHORT_DURATION_S] == 1
    assert set(durations) == {SHORT_DURATION_S, float(DURATION_S)}


def test_one_is_stored_on_its_side_and_shown_upright(made: MiniKinetics) -> None:
    turned = {}
    for name, path in files(made).items():
        if not (path.is_file() and opened(path)):
            continue
        with open_container(str(path)) as container:
            frames = [frame for frame, _ in zip(container.decode(video=0), range(8), strict=False)]
        assert isinstance(frames[0], av.VideoFrame)
        if frames[0].rotation:
            turned[name.rsplit(" ", 1)[0]] = frames
        else:
            assert (frames[0].width, frames[0].height) == (WIDTH_PX, HEIGHT_PX)
    assert list(turned) == ["floating up"]
    frames = turned["floating up"]
    assert (frames[0].width, frames[0].height) == (HEIGHT_PX, WIDTH_PX)
    assert {frame.rotation for frame in frames} == {-90}  # to be turned clockwise, as PyAV counts
    first, second = (np.ascontiguousarray(np.rot90(f.to_ndarray(format="gray"), -1)) for f in (frames[0], frames[-1]))
    x, y = estimate_flow(first, second, Flow("dis")).mean(axis=(0, 1))
    assert y < -5 * abs(x)


def digest(made: MiniKinetics) -> dict[str, str]:
    paths = [*made.videos.iterdir(), *made.annotations.values()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_what_is_complete_is_not_made_again(made: MiniKinetics) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.videos.iterdir()}
    assert make_mini_kinetics(made.videos.parent, seed=3, clips_per_class=4) == made
    assert {path: path.stat().st_mtime_ns for path in made.videos.iterdir()} == before


def test_what_is_not_complete_is_made_anew_byte_for_byte_and_another_seed_replaces_it(
    made: MiniKinetics, tmp_path: Path
) -> None:
    folder = tmp_path / "mini"
    shutil.copytree(made.videos.parent, folder)
    next((folder / "videos").iterdir()).unlink()
    (folder / "videos" / "mine.mp4").write_bytes(b"somebody's own")
    again = make_mini_kinetics(folder, seed=3, clips_per_class=4)
    mine = {"mine.mp4": hashlib.sha256(b"somebody's own").hexdigest()}
    assert digest(again) == digest(made) | mine
    other = make_mini_kinetics(folder, seed=4, clips_per_class=4)
    assert not set(files(other)) & set(files(made))
    assert set(digest(other)) - {path.name for path in files(other).values()} == {"mine.mp4", "train.csv", "val.csv"}


def test_too_few_clips_for_both_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="clips_per_class must be at least 4, got 3"):
        make_mini_kinetics(tmp_path, clips_per_class=3)


# -- Scenes ------------------------------------------------------------------------------------------------------------


def test_the_first_frame_does_not_depend_on_the_class() -> None:
    first, *others = [draw(make_scene(label, np.random.default_rng(11)), 0) for label in MOTIONS]
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_later_frames_look_like_first_ones() -> None:
    """Brightness and detail of single frames after two seconds are as at the start, for every class."""

    def looks(label: str, time_s: float) -> np.ndarray:
        frames = [draw(make_scene(label, np.random.default_rng(seed)), time_s).astype(float) for seed in range(24)]
        return np.array([[frame.mean(), frame.std()] for frame in frames])

    for label in MOTIONS:
        start, later = looks(label, 0), looks(label, 2)
        assert np.abs(start - later).mean(axis=0).max() < 12  # of one film: its flowers have moved on
        assert np.abs(start.mean(axis=0) - later.mean(axis=0)).max() < 4  # of all films


@pytest.mark.parametrize(
    ("label", "direction"),
    [
        ("drifting left", (-1, 0)),
        ("drifting right", (1, 0)),
        ("racing left", (-1, 0)),
        ("racing right", (1, 0)),
        ("floating up", (0, -1)),
        ("sinking down", (0, 1)),
    ],
)
def test_flow_shows_where_flowers_go(label: str, direction: tuple[int, int]) -> None:
    vectors = np.mean([mean_flow(label, seed) for seed in range(6)], axis=0)
    assert vectors @ np.array(direction) > 0.9 * np.linalg.norm(vectors) > 0.1


def test_racing_is_faster_than_drifting() -> None:
    assert np.linalg.norm(mean_flow("racing left", 0)) > 2 * np.linalg.norm(mean_flow("drifting left", 0))


def mean_flow(label: str, seed: int) -> np.ndarray:
    scene = make_scene(label, np.random.default_rng(seed))
    first, second = (draw(scene, time_s).mean(axis=2).astype(np.uint8) for time_s in (1.0, 1.0 + 1 / FPS))
    return estimate_flow(first, second, Flow("dis")).mean(axis=(0, 1))


@pytest.mark.parametrize(
    ("label", "rotation", "growth"),
    [("turning clockwise", 1, 0), ("turning counterclockwise", -1, 0), ("growing", 0, 1), ("shrinking", 0, -1)],
)
def test_flowers_turn_and_grow_the_way_their_class_says(label: str, rotation: int, growth: int) -> None:
    """By the flow's curl and divergence, summed over the flowers; as y points downwards, a clockwise curl is > 0."""
    curl = divergence = 0.0
    for seed in range(8):
        scene = make_scene(label, np.random.default_rng(seed))
        first, second = (draw(scene, t).mean(axis=2).astype(np.uint8) for t in (0.0, 1 / FPS))
        vectors = estimate_flow(first, second, Flow("dis"))
        y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
        for flower in scene.flowers:
            dx = x - (flower.x_px - 34)
            dy = y - (flower.y_px - 34)
            near = np.hypot(dx, dy) < 9 * 2 ** (flower.size * np.log2(34 / 9))
            curl += float((dx * vectors[..., 1] - dy * vectors[..., 0])[near].sum())
            divergence += float((dx * vectors[..., 0] + dy * vectors[..., 1])[near].sum())
    if rotation:
        assert rotation * curl > 2 * abs(divergence)
    else:
        assert growth * divergence > 2 * abs(curl)
