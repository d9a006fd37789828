"""Training as its users run it: on two devices, killed, gone on with, and its mistakes told."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from examples.i3d import train
from examples.i3d.events import read_curves
from tests.examples.i3d.conftest import ROOT, STEPS, command

KILLED_AFTER = 5


def test_a_killed_run_goes_on_with_the_losses_of_an_undisturbed_one(
    trained: Path, small_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    with subprocess.Popen(command(small_data, out), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        next(line for line in process.stdout if line.startswith(f"step {KILLED_AFTER}:"))
        os.kill(process.pid, signal.SIGKILL)
    done = subprocess.run(command(small_data, out), cwd=ROOT, check=True, capture_output=True, text=True)
    assert "going on after step 4" in done.stdout
    ours, theirs = (read_curves(folder / train.TENSORBOARD) for folder in (out, trained))
    assert sorted(theirs["train/loss"]) == list(range(1, STEPS + 1))
    assert len(set(theirs["train/loss"].values())) == STEPS
    for curve in ("train/loss", "train/top1", "val/top1"):
        assert ours[curve] == theirs[curve]


def test_a_run_goes_on_with_its_own_settings_only(
    trained: Path, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fake", "--data_dir", str(small_data), "--out", str(trained), "--crop_size", "32"]
    assert train.main(arguments) == 2
    assert "the run there was begun with stream='flow', and this is 'rgb'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fakes"], "did you mean 'fake'?"),
        (["fake", "--crop_size", "224"], "crop_size: 224×224 is larger than the frames of fake:1.0.0"),
        (["fake", "--flip_label", "class 1=class 9", "--crop_size", "32"], "class 9"),
        (["fake", "--crop_size", "32", "--steps", "-1"], "steps must be at least 1, got -1"),
        (["fake", "--crop_size", "32", "--dropout", "1"], "dropout must be from 0 to below 1, got 1.0"),
    ],
)
def test_what_can_not_be_trained_is_told(
    arguments: list[str], message: str, small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*arguments, "--data_dir", str(small_data), "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_more_replicas_than_devices_are_refused(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train.main(["fake", "--data_dir", str(small_data), "--out", str(tmp_path), "--replicas", "9"])
    assert "--replicas 9: there are 1 devices" in capsys.readouterr().err
