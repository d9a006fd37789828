"""What evaluation counts, and what a command tells of a split and of a video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

import tf_data
from examples.i3d import evaluate
from examples.i3d.evaluation import logits_function, score
from examples.i3d.events import read_curves
from examples.i3d.model import build_i3d
from examples.i3d.settings import Settings, write_settings
from tests.beam_pipeline.clips_on_disk import write_clip

NAMES = tuple(f"class {label}" for label in range(4))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of a run for each stream, with weights of no training."""
    folders = {}
    for stream in ("rgb", "flow"):
        folder = folders[stream] = tmp_path_factory.mktemp(stream)
        tf.random.set_seed(1)
        model = build_i3d(stream, len(NAMES), width=0.1)
        encode, flow = {"shorter_side": 40}, {"method": "dis"}
        write_settings(
            folder,
            Settings("fake", "train", stream, NAMES, encode, flow, num_frames=8, crop_size=32, width=0.1),
        )
        tf.train.Checkpoint(model=model).save(str(folder / "checkpoints" / "ckpt"))
    return folders


def test_clips_are_counted_by_label_and_prediction() -> None:
    logits = np.array([[9, 0, 1, 2, 3, 4], [0, 9, 8, 7, 6, 5], [0, 1, 9, 2, 3, 4]], np.float32)
    scores = score(iter([(np.array([0, 0]), logits[:2]), (np.array([1]), logits[2:])]), num_classes=6)
    expected = np.zeros((6, 6), int)
    expected[0, 0] = expected[0, 1] = expected[1, 2] = 1
    np.testing.assert_array_equal(scores.confusion, expected)
    assert (scores.num_clips, scores.top1, scores.top5) == (3, pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_a_label_beyond_the_model_is_refused() -> None:
    with pytest.raises(ValueError, match="a clip has the label 6, and the model 6 classes"):
        score(iter([(np.array([6]), np.zeros((1, 6), np.float32))]), num_classes=6)


def test_logits_are_averaged_over_views_and_added_over_streams(small_data: Path) -> None:
    models = {stream: build_i3d(stream, 4, width=0.1) for stream in ("rgb", "flow")}
    ds: Any = tf_data.load(
        "fake", split="val", data_dir=small_data, streams=list(models), num_frames=8, num_clips=2, num_crops=3,
        crop_size=32, dtype="uint8", batch_size=2,
    )  # fmt: skip
    batch = next(iter(ds))
    expected = np.zeros((2, 4), np.float32)
    for stream, model in models.items():
        for view in range(6):
            frames = tf_data.to_model_input(batch[stream][:, view], "i3d")
            expected += model(frames, is_training=False).numpy() / 6
    np.testing.assert_allclose(logits_function(models)(batch), expected, atol=1e-4)


def test_a_run_is_evaluated_as_while_it_was_trained(
    trained: Path, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fake", "--data_dir", str(small_data), "--weights", str(trained), "--num_clips", "1"]
    assert evaluate.main(arguments) == 0
    last = read_curves(trained / "tensorboard")["val/top1"][8]
    assert f"flow: top-1 {last:.1%}, top-5 100.0% of 4 clips of val" in capsys.readouterr().out


def test_whole_clips_of_two_streams_and_what_they_are_taken_for(
    runs: dict[str, Path], small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = [part for folder in runs.values() for part in ("--weights", str(folder))]
    picture = tmp_path / "pictures" / "confusion.png"
    arguments = ["fake", "--data_dir", str(small_data), *weights, "--confusion", str(picture)]
    assert evaluate.main(arguments) == 0
    assert re.search(r"rgb \+ flow: top-1 \d+\.\d%, top-5 100\.0% of 4 clips of val", capsys.readouterr().out)
    assert cv2.imread(str(picture)).shape[0] > 400


def test_a_video_is_told_as_by_the_sample_of_kinetics_i3d(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "-clip.mp4")
    weights = [part for folder in runs.values() for part in ("--weights", str(folder))]
    assert evaluate.main(["--video", str(tmp_path / "-clip.mp4"), *weights]) == 0
    norm, empty, title, *top = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Norm of logits: \d+\.\d{6}", norm)
    assert (empty, title) == ("", "Top classes and probabilities")
    rows = [line.split(" ", 2) for line in top]
    assert sorted(name for _, _, name in rows) == sorted(NAMES)
    logits = np.array([float(logit) for _, logit, _ in rows])
    assert list(logits) == sorted(logits, reverse=True)
    np.testing.assert_allclose([float(p) for p, _, _ in rows], np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)
    assert float(norm.split()[-1]) == pytest.approx(float(np.linalg.norm(logits)), abs=1e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fake", "--weights", "{rgb}", "--weights", "{rgb}"], "--weights: both are of one stream"),
        (["fake", "--weights", "/nowhere"], "/nowhere: is neither a run's folder"),
        (["fakes", "--weights", "{rgb}"], "did you mean 'fake'?"),
        (["--video", "/nowhere.mp4", "--weights", "{rgb}"], "/nowhere.mp4: not_found: there is no such file"),
        (["fake", "--weights", "{rgb}", "--labels", "{rgb}/run.json"], "--labels: there are "),
    ],
)
def test_what_can_not_be_evaluated_is_told(
    arguments: list[str], message: str, runs: dict[str, Path], small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main([*(part.format(**runs) for part in arguments), "--data_dir", str(small_data)]) in (1, 2)
    assert message in capsys.readouterr().err
