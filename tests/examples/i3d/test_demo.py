"""The demo from films to pictures, in small: what it teaches at length, `make train-demo` shows."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from examples.i3d import demo


@pytest.fixture
def one_lesson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        demo,
        "LESSONS",
        {"flow": demo.Lesson("flow", num_frames=2, batch_size=2, learning_rate=0.01, steps=1, least=1.01)},
    )


@pytest.mark.usefixtures("one_lesson")
def test_films_become_records_a_model_and_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # After one step nobody could know; the exit status tells that the lesson's least share was missed.
    assert demo.main(["--out", str(tmp_path), "--clips_per_class", "4"]) == 1
    told = capfd.readouterr().out
    assert "train: 30 clips asked for, 29 written, 1 failed" in told
    assert "told right, by five windows of each:\n  flow " in told
    for name in ("curves", "confusion"):
        assert cv2.imread(str(tmp_path / f"{name}.png")).shape[1] > 700
