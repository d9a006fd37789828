"""What the command line says and how it ends."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems

from beam_pipeline.cli import _MODULE_OF, main

ROOT = Path(__file__).parents[2]
TINY = ["run", "--set", "name=tiny", "--set", "splits.train.annotations=/nowhere.csv", "--set", "source.store=/"]


@pytest.mark.parametrize("module", sorted(set(_MODULE_OF.values())))
def test_a_command_is_a_modules_main(module: str) -> None:
    assert callable(importlib.import_module(module).main)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert all(f"\n    {command} " in output for command in ("run", "filter", "flow", "demo"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--config", "/nowhere.yaml"], "/nowhere.yaml: there is no such configuration file"),
        (["run"], "--config"),
        ([], "no command is given; --help lists them"),
        (["run", "--spilt", "val"], "did you mean --split?"),
        (["run", "extra"], "unexpected argument extra"),
        (["run", "extra", "--runner=SparkRunner"], "unexpected argument extra"),
        (["run", "--runner=SparkRunner", "--splti", "val"], "did you mean --split?"),
        (["run", "--num_workers=many"], "argument --num_workers: invalid int value: 'many'"),
        (["fingerprint", "data", "extra", "--runner=SparkRunner"], "unexpected argument extra"),
        (["clip", "data", "--", "-id", "a.mp4", "--overwrite"], "--overwrite: options of clip come before --"),
        (["verify"], "what is to be verified? Name folders of data sets, or a configuration."),
        (["verify", "data", "--data_dir", "data"], "Give folders of data sets or a configuration, not both"),
        (["verify", "--confg=x.yaml"], "did you mean --config?"),
        (["verify", "--num_workers", "2", "data"], "argument --num_workers: expected one argument: write it as in"),
        (["sheet", "data", "--id", "-abc"], "argument --id: expected one argument: write it as in --option=value"),
        (["clip", "data", "-abc_000001_000011", "a.mp4"], "before an id that begins with - there must be --"),
        (["filter", str(ROOT), "a.csv", "b.csv"], f"{ROOT}"),
        (["run", "--config", str(ROOT / "configs")], "configs: is a folder; name a configuration file"),
        ([*TINY, "--set", f"splits.train.annotations={ROOT}"], f"{ROOT}: is a folder; name a file"),
        ([*TINY, "--set", "name=-x"], "neither . nor - first, got '-x'"),
        (["plan", *TINY[1:], "--runner=Nonsense"], "--runner=Nonsense: Unexpected pipeline runner"),
        (["status", "\x1b]0;x"], r"unrecognized arguments: \x1b]0;x"),
        (["fetch", "--overwrite"], "unknown option --overwrite: neither fetch nor Beam has it; fetch --help lists"),
        (["status", "--json"], "usage: python -m beam_pipeline status "),
        (["run", "--config", "x.yaml", "--limit", "0"], "above 0"),
        (["run", "--config", str(ROOT / "configs/k400.yaml"), "--split", "trian"], "train, val, test"),
        ([*TINY, "--runner=Nonsense"], "--runner=Nonsense: Unexpected pipeline runner"),
        ([*TINY, "--set", "source.store=gs://nobodys/clips"], "source.store: gs://nobodys/clips/ can't be listed"),
        (["walk"], "invalid choice"),
        (["filter", "one"], "required"),
        (["filter", "/nowhere", "a", "b"], "/nowhere"),
    ],
)
def test_a_bad_request_exits_with_2_and_says_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") < 10


@pytest.mark.parametrize("command", ["run", "status", "prune", "plan"])
def test_a_store_that_nothing_is_installed_for_is_told_in_a_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text("label,youtube_id,time_start,time_end,split\n")
    lists = f"splits.train={{annotations: {tmp_path / 'list.csv'}, shards: 1}}"
    settings = [word for setting in ("name=tiny", lists, f"source.store={tmp_path}") for word in ("--set", setting)]
    assert main([command, *settings, "--data_dir", "nobodys://bucket/data"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "no file system of Beam's that is installed is for nobodys://" in error
    assert error.count("\n") == 1


def test_a_disk_that_can_not_be_read_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "tiny" / "1.0.0" / "state" / "plan.json"
    plan.mkdir(parents=True)  # where there should be a file
    assert main(["status", *TINY[1:], "--set", "splits.train.shards=1", "--data_dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {plan}: Is a directory\n"


def test_options_that_only_an_engine_knows_are_left_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--runner=apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner", "--engines_own=1"]
    assert main([*TINY, *options]) == 2
    assert capsys.readouterr().err == "error: /nowhere.csv: there is no such file\n"


def test_what_a_terminal_would_obey_is_shown_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").write_text("label,youtube_id,time_start,time_end\nyoga,abcdefghijk,1,11\n")
    assert main(["filter", str(_classes(tmp_path)), str(tmp_path / "list.csv"), str(tmp_path / "a\x1b[2J.csv")]) == 0
    output = capsys.readouterr().out
    assert r"a\x1b[2J.csv" in output
    assert "\x1b" not in output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_labels_that_a_terminal_can_not_show_are_escaped(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "list.csv").write_text("label,youtube_id,time_start,time_end\ncafé 🥞,abcdefghijk,1,11\n")
    (tmp_path / "classes.txt").write_text("café 🥞\n")
    command = ["filter", *(str(tmp_path / name) for name in ("classes.txt", "list.csv", "kept.csv"))]
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict"}
    done = subprocess.run(
        [sys.executable, "-m", "beam_pipeline", *command], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert "café 🥞".encode(encoding, "backslashreplace") in done.stdout


def _classes(folder: Path) -> Path:
    path = folder / "classes.txt"
    path.write_text("yoga\n")
    return path


def test_a_termination_before_anything_starts_is_a_stop(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")  # a list that never comes
    lists = f"splits.train.annotations={tmp_path / 'list.csv'}"
    command = [sys.executable, "-m", "beam_pipeline", *TINY, "--set", lists, "--data_dir", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    with (tmp_path / "list.csv").open("w"):  # waits for the run to open it
        process.terminate()
        _, error = process.communicate(timeout=30)
    assert process.returncode == 3
    assert error == "stopped; run the same command again to go on\n"


def test_decoding_processes_import_no_beam_through_main() -> None:
    # A spawned child runs the parent's main module again under another name.
    code = (
        "import runpy, sys; runpy.run_module('beam_pipeline', run_name='__mp_main__', alter_sys=True); "
        "sys.exit('apache_beam' in sys.modules or 'beam_pipeline.cli' in sys.modules)"
    )
    # `python -m beam_pipeline` runs the module beam_pipeline.__main__
    code = code.replace("'beam_pipeline',", "'beam_pipeline.__main__',")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    "command", [["doctor"], ["fingerprint"], ["inspect", "--out", "page"], ["sheet"], ["clip", "an_id", "a.mp4"]]
)
def test_what_reads_a_data_set_takes_beams_options_for_its_store(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []
    monkeypatch.setattr(FileSystems, "set_options", lambda options: given.append(options.get_all_options()))
    name, *others = command
    assert main([name, "/nowhere", *others, "--s3_endpoint_url=http://127.0.0.1:9"]) == 2
    assert "/nowhere: there is no data set" in capsys.readouterr().err
    assert [options["s3_endpoint_url"] for options in given] == ["http://127.0.0.1:9"]
