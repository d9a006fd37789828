"""The Keras example: it learns from records, by a small model that looks at time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.keras_movinet import build, main


def test_it_learns_from_records(four_motions: Path) -> None:
    arguments = ["motions", "--data_dir", str(four_motions), "--flip_probability", "0"]
    history = main([*arguments, "--size", "32", "--num_frames", "8", "--epochs", "10"])
    assert min(history["loss"]) < 0.8 * history["loss"][0]
    assert max(history["accuracy"]) > 0.45  # chance is a quarter
    assert len(history["val_loss"]) == 10
    assert np.isfinite(history["val_loss"]).all()


def test_the_model_is_small_and_takes_any_number_of_classes() -> None:
    model = build(num_frames=8, size=32, num_classes=600)
    assert model.output_shape == (None, 600)
    assert model.count_params() < 300_000


def test_time_is_told_from_its_reverse() -> None:
    model = build(num_frames=8, size=32, num_classes=4)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 8, 32, 32, 3)).astype(np.float32)
    assert not np.allclose(model(clips), model(clips[:, ::-1]), rtol=1e-5, atol=0)
