"""`python -m tf_data` shows what a data set has, and says what is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tf_data.conftest import FakeClip
from tf_data.__main__ import main


def test_a_batch_is_shown_with_every_stream_that_there_is(
    make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = make_dataset([FakeClip("first", num_frames=70, height=256, width=264), FakeClip("second")])
    assert main(["fake", "--data_dir", str(data_dir), "--batch_size", "1"]) == 0
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert shown["fake:1.0.0"].startswith("fake:1.0.0 train: 2 clips, ")
    assert {"fake:1.0.0", "rgb", "label", "clip_id"} <= shown.keys()
    assert "(1, 64, 224, 224, 3)" in shown["rgb"]


def test_what_is_not_there_is_a_bad_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing", "--data_dir", str(tmp_path)]) == 2
    assert "no data set 'nothing'" in capsys.readouterr().err


def test_a_folder_above_a_data_set_is_told(
    make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    above = make_dataset([FakeClip("first")]) / "fake"
    assert main([str(above)]) == 2
    assert f"{above}: is above a data set; give the folder of a version, {above}/1.0.0" in capsys.readouterr().err


def test_labels_that_a_terminal_can_not_show_are_escaped(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("café", num_frames=70, height=256, width=264)])
    command = [sys.executable, "-m", "tf_data", "fake", "--data_dir", str(data_dir), "--batch_size", "1"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert r"caf\xe9" in done.stdout


def test_help_and_tensorflow_say_nothing_of_the_machine() -> None:
    code = "import sys; from tf_data.__main__ import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    assert "(default: train)" in done.stdout
    assert "tensorflow" not in done.stderr
    code = "from tf_data.quiet import load_tensorflow; load_tensorflow(); import tensorflow"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stderr
