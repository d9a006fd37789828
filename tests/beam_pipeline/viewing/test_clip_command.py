"""`python -m beam_pipeline clip`, as it is called."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from beam_pipeline.cli import main
from tests.beam_pipeline.object_files import SCHEME
from tests.beam_pipeline.viewing.conftest import DOWN, MISSING, RIGHT, SILENT


def streams(path: Path) -> list[tuple[str, int]]:
    """Returns each stream's codec, and the height of video or the rate of sound."""
    with av.open(str(path)) as container:
        contexts = [stream.codec_context for stream in container.streams]
        return [(context.name.removeprefix("lib"), getattr(context, "height", 0)) for context in contexts]


def test_a_record_becomes_a_film_with_its_sound(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "a.mp4"
    assert main(["clip", str(data_set), DOWN[0], str(out)]) == 0
    assert streams(out) == [("h264", 48), ("aac", 0)]
    assert capsys.readouterr().out == f"{out}: downwards, 25 frames at 25/s, 1.00 s\n"
    assert [path.name for path in out.parent.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.gif", [], [("gif", 48)]),
        ("a.WEBM", ["--height", "32"], [("vp9", 32), ("opus", 0)]),
        ("a.gif", ["--flow", "below"], [("gif", 96)]),
        ("a.mp4", ["--flow", "beside"], [("h264", 48), ("aac", 0)]),
        ("a.mp4", ["--flow", "alone", "--height", "96"], [("h264", 96), ("aac", 0)]),
    ],
)
def test_the_suffix_and_the_options_choose_the_film(
    name: str, options: list[str], expected: list, data_set: Path, tmp_path: Path
) -> None:
    assert main(["clip", str(data_set), DOWN[0], str(tmp_path / name), *options]) == 0
    assert streams(tmp_path / name) == expected


def test_an_id_that_begins_with_a_hyphen_comes_after_two(data_set: Path, tmp_path: Path) -> None:
    assert main(["clip", str(data_set), "--", RIGHT[0], str(tmp_path / "a.mp4")]) == 0
    assert streams(tmp_path / "a.mp4")


def test_a_clip_without_sound_is_a_film_without(data_set: Path, tmp_path: Path) -> None:
    assert main(["clip", str(data_set), SILENT, str(tmp_path / "a.mp4")]) == 0
    assert streams(tmp_path / "a.mp4") == [("h264", 48)]


def test_a_remote_data_set_is_read(data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTS", str(data_set.parents[1]))
    assert main(["clip", f"{SCHEME}looked/1.0.0", DOWN[0], str(tmp_path / "a.mp4")]) == 0
    assert streams(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("clip_id", "out", "options", "status", "message"),
    [
        ("nope", "a.mp4", [], 2, "no clip has the id nope; there are "),
        (DOWN[0], "a.avi", [], 2, "a.avi: its suffix must be one of .mp4, .webm, .gif, got '.avi'"),
        (DOWN[0], "there.mp4", [], 2, "there.mp4: is there already; name another file, or replace it with --overwrite"),
        (DOWN[0], "a.mp4", ["--height", "8"], 2, "must be 16 to 2160 pixels, got '8'"),
        (DOWN[0], "a.mp4", ["--flow", "above"], 2, "invalid choice: 'above'"),
        (MISSING, "a.mp4", [], 1, f"clip {MISSING} has no record: not_found: "),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    clip_id: str,
    out: str,
    options: list[str],
    status: int,
    message: str,
    data_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "there.mp4").write_bytes(b"mine")
    try:
        ended = main(["clip", str(data_set), clip_id, str(tmp_path / out), *options])
    except SystemExit as exit_:
        ended = exit_.code
    assert ended == status
    assert message in capsys.readouterr().err
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("there.mp4", b"mine")]


def test_overwrite_replaces_what_is_there(data_set: Path, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"mine")
    assert main(["clip", str(data_set), DOWN[0], str(tmp_path / "there.mp4"), "--overwrite"]) == 0
    assert streams(tmp_path / "there.mp4")


def test_a_colon_in_a_folders_name_is_no_protocol(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["clip", str(data_set), DOWN[0], "x:y/out.mp4"]) == 0
    assert streams(tmp_path / "x:y" / "out.mp4")
