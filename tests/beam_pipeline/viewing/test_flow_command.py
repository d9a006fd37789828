"""`python -m beam_pipeline flow`, as it is called: what it writes, what it refuses and what it never leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from beam_pipeline.cli import main
from beam_pipeline.media.flo import read_flo
from beam_pipeline.media.flow import decode_flow, estimate_flow
from beam_pipeline.media.jpegs import decode_luma
from beam_pipeline.records import parse_sequence_example
from tests.beam_pipeline.viewing.moving import DIS, images, record, shard, video
from tf_data import contract

ROOT = Path(__file__).parents[3]
QUICK = ["--set", "flow.method=dis"]


def luma_of(*paths: str | Path) -> list[np.ndarray]:
    return [decode_luma(Path(path).read_bytes()) for path in paths]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- What it writes ----------------------------------------------------------------------------------------------------


def test_the_flow_of_two_images_is_the_estimators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(str, images(tmp_path / "frames", 2, name="img_{}.jpg"))
    assert main(["flow", first, second, str(tmp_path / "out.flo"), *QUICK]) == 0
    np.testing.assert_array_equal(read_flo(tmp_path / "out.flo"), estimate_flow(*luma_of(first, second), DIS))
    assert capsys.readouterr().out == f"{tmp_path / 'out.flo'}\n"


def test_several_pairs_are_numbered_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = images(tmp_path / "frames", 4, name="img_{}.jpg")
    assert main(["flow", str(tmp_path / "frames"), str(tmp_path / "new" / "out.flo"), *QUICK]) == 0
    assert names(tmp_path / "new") == ["out-00000.flo", "out-00001.flo", "out-00002.flo"]
    third = estimate_flow(*luma_of(*paths[2:]), DIS)
    np.testing.assert_array_equal(read_flo(tmp_path / "new" / "out-00002.flo"), third)
    assert "out-00000.flo to out-00002.flo: 3 pairs" in capsys.readouterr().out


def test_a_record_gives_its_own_flow(tmp_path: Path) -> None:
    path = shard(tmp_path, record("a"), record("b", num_frames=2, step=(0, 3)))
    assert main(["flow", str(path), str(tmp_path / "out.flo"), "--clip", "b"]) == 0
    _, lists = parse_sequence_example(record("b", num_frames=2, step=(0, 3)))
    stored = decode_flow(lists[contract.FLOW_ENCODED][0][0], DIS.bound_px)
    np.testing.assert_array_equal(read_flo(tmp_path / "out.flo"), stored)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".mp4"])
def test_the_suffix_chooses_a_picture_or_a_film(suffix: str, tmp_path: Path) -> None:
    source, out = video(tmp_path / "a.mkv", 5), tmp_path / f"out{suffix}"
    assert main(["flow", str(source), str(out), *QUICK]) == 0
    magic = out.read_bytes()[:8]
    assert magic == b"\x89PNG\r\n\x1a\n" if suffix.lower() == ".png" else magic[4:] == b"ftyp"
    assert names(tmp_path) == ["a.mkv", out.name]


def test_by_default_flow_is_the_presets_tvl1(tmp_path: Path) -> None:
    first, second = map(str, images(tmp_path / "frames", 2, name="img_{}.jpg"))
    assert main(["flow", first, second, str(tmp_path / "out.flo")]) == 0
    expected = estimate_flow(*luma_of(first, second), type(DIS)("tvl1"))
    np.testing.assert_array_equal(read_flo(tmp_path / "out.flo"), expected)


def test_a_configuration_says_how_a_run_would_do_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "name: x\nsplits: {train: {annotations: [x.csv]}}\nsource: {store: .}\n"
        "encode: {fps: 12.5, shorter_side: 48}\nflow: {method: farneback}\n"
    )
    source = video(tmp_path / "a.mkv", 9)
    arguments = ["flow", str(source), str(tmp_path / "out.flo"), "--config", str(tmp_path / "c.yaml")]
    assert main(arguments) == 0
    assert len(list(tmp_path.glob("out-*.flo"))) == 4
    assert main([*arguments, "--overwrite", "--set", "encode.fps=25"]) == 0
    assert len(list(tmp_path.glob("out-*.flo"))) == 8


# -- What it refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["gone.mp4", "out.png"], 2, "gone.mp4: there is no such file or folder"),
        (["gs://bucket/a.mp4", "out.png"], 2, "it must be on this machine"),
        (["a.mkv", "out.gif"], 2, "out.gif: its suffix must be one of .png, .mp4, .flo, got '.gif'"),
        (["a.mkv", "out"], 2, "got ''"),
        (["a.mkv", "folder.png"], 2, "folder.png: is a folder"),
        (["a.mkv", "out.flo", "--full_px", "3"], 2, "--full_px is for pictures"),
        (["a.mkv", "out.png", "--full_px", "0"], 2, "must be pixels from 0.001 to 1,000,000, got '0'"),
        (["a.mkv", "out.png", "--full_px", "nan"], 2, "got 'nan'"),
        (["a.mkv", "out.png", "--full_px", "1e40"], 2, "got '1e40'"),
        (["a.mkv", "out.png", "--start", "-1"], 2, "must be seconds from 0 to 1,000,000, got '-1'"),
        (["a.mkv", "out.png", "--start", "1e30"], 2, "got '1e30'"),
        (["a.mkv", "out.png", "--duration", "0"], 2, "must be seconds from 0.001 to 1,000,000, got '0'"),
        (["a.mkv", "out.png", "--duration", "61"], 2, "must not be above encode.max_duration_s, 60, got 61"),
        (["a.mkv", "out.png", "--set", "flow.methd=dis"], 2, "flow.methd is no key of the configuration"),
        (["a.mkv", "out.png", "--set", "flow=null"], 2, "leave that out"),
        (["a.mkv", "out.png", "--set", "flow.method=imported"], 2, "flow.method imported is for source.kind frames"),
        (["img_1.png", "img_1.png", "out.png", "--set", "flow.method=imported"], 2, "takes a folder"),
        (["folder.png", "out.png", "--set", "encode.height=64"], 2, "encode.height must be left out"),
        (["a.mkv", "out.png", "--clip", "x"], 2, "--clip is for a shard"),
        (["a.mkv", "a.mkv", "out.png"], 2, "a.mkv: of several inputs each must be a .jpg, .jpeg, .png file"),
        (
            ["moving-train.tfrecord-00000-of-00001", "out.png", "--set", "flow.method=dis"],
            2,
            "leave --config and --set out",
        ),
        (["moving-train.tfrecord-00000-of-00001", "out.png", "--clip", "x"], 2, "none of its 1 records has the id x"),
        (["\x1b[31mgone\udcff.mp4", "out.png"], 2, r"error: \x1b[31mgone\udcff.mp4: there is no such file or folder"),
        (["notes.txt", "out.png"], 1, "notes.txt: libavformat can't open it"),
        (["sound.wav", "out.png"], 1, "sound.wav: the file has no video stream"),
        (["a.mkv", "out.png", "--start", "9"], 1, "a.mkv: the video ends before the clip begins"),
        (["a.mkv", "out.png", "--duration", "0.03"], 1, "a.mkv: flow takes two frames or more, got 1"),
        (["img_1.png", "out.png"], 2, "flow takes two images or more"),
        (["folder.png", "out.png"], 1, "where they have other names, give the files"),
        (["a.mkv", "notes.txt/out.png", *QUICK], 1, "notes.txt/out.png: can't be written"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_status(
    arguments: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "a.mkv", 5)
    images(tmp_path, 1)
    shard(tmp_path, record())
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "sound.wav").write_bytes(
        b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x08\0\0\0" + bytes(8)
    )
    before = names(tmp_path)
    try:
        ended = main(["flow", *arguments])
    except SystemExit as error:
        ended = error.code
    assert ended == status
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert "error: " in line
    assert message in line
    assert names(tmp_path) == before


# -- What it leaves alone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["out.png", "out.mp4", "out.flo"])
def test_what_is_there_is_replaced_only_when_asked(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(str, images(tmp_path / "frames", 2))
    (tmp_path / out).write_bytes(b"mine")
    assert main(["flow", first, second, str(tmp_path / out), *QUICK]) == 2
    assert f"{out}: is there already" in capsys.readouterr().err
    assert (tmp_path / out).read_bytes() == b"mine"
    assert main(["flow", first, second, str(tmp_path / out), *QUICK, "--overwrite"]) == 0
    assert (tmp_path / out).stat().st_size > 100


def test_a_frame_that_was_taken_for_out_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = images(tmp_path, 3)
    before = frames[-1].read_bytes()
    assert main(["flow", *map(str, frames), *QUICK, "--overwrite"]) == 2
    assert "OUT comes last" in capsys.readouterr().err
    assert frames[-1].read_bytes() == before


def test_a_forgotten_out_costs_no_frame(tmp_path: Path) -> None:
    paths = images(tmp_path, 3)
    content = paths[-1].read_bytes()
    assert main(["flow", *map(str, paths), *QUICK]) == 2
    assert paths[-1].read_bytes() == content


def test_numbered_files_of_a_longer_clip_do_not_stay_behind(tmp_path: Path) -> None:
    images(tmp_path / "frames", 5)
    (tmp_path / "out-of-mine.flo").write_bytes(b"mine")
    arguments = ["flow", str(tmp_path / "frames"), str(tmp_path / "out.flo"), *QUICK]
    assert main(arguments) == 0
    assert main([*arguments, "--duration", "0.12"]) == 2
    assert len(list(tmp_path.glob("out-0*.flo"))) == 4
    assert main([*arguments, "--duration", "0.12", "--overwrite"]) == 0
    assert names(tmp_path) == ["frames", "out-00000.flo", "out-00001.flo", "out-of-mine.flo"]


def test_stopped_it_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mkv", 150, size=(240, 320))
    command = [sys.executable, "-m", "beam_pipeline", "flow", str(source), str(tmp_path / "out.mp4")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while len(names(tmp_path)) < 2:  # until it has begun to write
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert names(tmp_path) == ["a.mkv"]


def test_a_full_disk_is_one_line_and_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    images(tmp_path / "frames", 3)
    code = "import resource, sys; from beam_pipeline.cli import main; "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); sys.exit(main(sys.argv[1:]))"
    for out in ("out.png", "out.mp4", "out.flo"):
        command = [sys.executable, "-c", code, "flow", str(tmp_path / "frames"), str(tmp_path / out), *QUICK]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 1
        assert "can't be written: File too large" in done.stderr
        assert names(tmp_path) == ["frames"]


def test_a_real_kinetics_clip_can_be_looked_at(test_data: Path, tmp_path: Path) -> None:
    source = str(test_data / "videos" / "WUzgd7C1pWA.mp4")
    arguments = ["flow", source, str(tmp_path / "out.png"), "--start", "3.2", "--duration", "1"]
    assert main([*arguments, "--set", "flow.method=dis"]) == 0
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture is not None
    assert picture.shape[0] > 1000


def test_a_file_name_may_hold_anything(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mkv", 3).rename(tmp_path / "-é漢 \n$(x);%d\x07.mkv")
    assert main(["flow", str(source), str(tmp_path / "out.png"), *QUICK]) == 0
    assert main(["flow", str(source), str(tmp_path / "%03d [x].flo"), *QUICK]) == 0
    assert {"%03d [x]-00000.flo", "%03d [x]-00001.flo"} <= set(names(tmp_path))


def test_file_names_need_not_be_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = images(tmp_path, 2)
    odd = first.rename(tmp_path / "\udcff.png")
    for suffix in ("png", "mp4"):
        assert main(["flow", str(odd), str(second), str(tmp_path / f"\udcff-out.{suffix}"), *QUICK]) == 0
    assert {"\udcff-out.png", "\udcff-out.mp4"} <= set(names(tmp_path))
    assert capsys.readouterr().out.splitlines() == [rf"{tmp_path}/\udcff-out.{suffix}" for suffix in ("png", "mp4")]
