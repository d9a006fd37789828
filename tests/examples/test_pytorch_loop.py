"""The PyTorch example: it learns from records, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs PyTorch, which `make test-pytorch` installs")

from examples.pytorch_loop import main


def arguments(data_dir: Path, *more: str) -> list[str]:
    small = ["--size", "32", "--num_frames", "8", "--batch_size", "4"]
    return ["motions", "--data_dir", str(data_dir), "--flip_probability", "0", *small, *more]


def test_it_learns_from_records(four_motions: Path) -> None:
    losses, right = zip(*main(arguments(four_motions, "--epochs", "8")), strict=True)
    assert min(losses) < 0.85 * losses[0]
    assert all(0 <= share <= 1 for share in right)


def test_a_run_that_goes_on_takes_the_same_steps_as_one_that_was_not_stopped(
    four_motions: Path, tmp_path: Path
) -> None:
    whole = main(arguments(four_motions, "--epochs", "2"))
    stopped = main(arguments(four_motions, "--epochs", "1", "--checkpoint", str(tmp_path / "a.pt")))
    resumed = main(arguments(four_motions, "--epochs", "2", "--checkpoint", str(tmp_path / "a.pt")))
    assert resumed[:1] == stopped
    assert resumed[1] == pytest.approx(whole[1], rel=1e-3)
