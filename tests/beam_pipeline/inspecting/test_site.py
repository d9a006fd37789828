"""The page as files: what is written where, of which clips there are films, and that all of it is escaped."""

from __future__ import annotations

import json
import re
import socket
from html.parser import HTMLParser
from pathlib import Path

import pytest

from beam_pipeline.cli import main
from beam_pipeline.errors import RequestError
from beam_pipeline.inspecting.page import as_script, render_page, summaries_of
from beam_pipeline.inspecting.rows import read_rows
from beam_pipeline.inspecting.site import choose_previews, write_site
from tests.beam_pipeline.inspecting.conftest import HOSTILE_LABEL, RIGHT, VAL
from tests.beam_pipeline.inspecting.made_up import write_made_up


class Page(HTMLParser):
    """What a browser makes of a page: the scripts it runs, and all that it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.loaded: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attributes if name in ("src", "href")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def hostile_page(tmp_path: Path) -> Page:
    """The page of a data set all of whose names are hostile."""
    directory = write_made_up(tmp_path, 10)
    info = directory / "info-train.json"
    values = json.loads(info.read_text())
    values["configuration"] |= {"config": HOSTILE_LABEL, "encode": {HOSTILE_LABEL: [HOSTILE_LABEL]}}
    info.write_text(json.dumps(values))
    rows = read_rows(str(directory))
    return Page(render_page(rows, summaries_of(rows), served=False))


def test_a_configuration_of_a_strangers_is_text(hostile_page: Page) -> None:
    assert "onerror" in "".join(hostile_page.texts)
    assert "img" not in hostile_page.tags
    assert hostile_page.handlers == []


def test_the_page_loads_what_lies_beside_it_alone(hostile_page: Page) -> None:
    assert [url for url in hostile_page.loaded if not re.fullmatch(r"(assets|data)/[\w.]+|#[\w-]+|data:,", url)] == []


def test_data_in_scripts_can_not_end_them() -> None:
    text = as_script([HOSTILE_LABEL, float(1)])
    assert "<" not in text
    assert text.isascii()
    with pytest.raises(ValueError):
        as_script(float("nan"))


def test_previews_are_of_every_class_before_any_has_two(tmp_path: Path) -> None:
    (rows,) = read_rows(str(write_made_up(tmp_path, 2000, num_labels=20)))
    (chosen,) = choose_previews([rows], 20)
    assert sorted(rows.label[chosen]) == list(range(20))
    assert rows.written[chosen].all()
    (more,) = choose_previews([rows], 30)
    assert set(chosen) < set(more)


def test_as_many_films_are_made_as_are_asked_for(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "page"
    assert main(["inspect", str(data_set), "--out", str(out), "--previews", "2"]) == 0
    assert capsys.readouterr().out == f"{out / 'index.html'}: open it in a browser\n"
    films = sorted(path.parent.name for path in out.rglob("*.mp4"))
    assert len(films) == 2
    assert [path.name for path in out.parent.iterdir()] == ["page"]
    assert sorted(path.name for path in out.iterdir()) == ["assets", "clips", "data", "index.html"]


def test_one_split_may_be_asked_for(data_set: Path, tmp_path: Path) -> None:
    assert main(["inspect", str(data_set), "--split", "val", "--out", str(tmp_path / "page"), "--previews", "1"]) == 0
    summary = (tmp_path / "page" / "data" / "summary.js").read_text()
    assert VAL in (tmp_path / "page" / "data" / "val" / "part-0.js").read_text()
    assert RIGHT[0] not in summary and not (tmp_path / "page" / "data" / "train").exists()


def test_a_clip_whose_record_is_broken_says_so(data_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    broken = 0  # the first record of each shard
    for path in data_set.iterdir():
        if path.is_file():
            content = bytearray(path.read_bytes())
            if "train.tfrecord" in path.name and content:
                content[100] ^= 1
                broken += 1
            (copy / path.name).write_bytes(content)
    folder = tmp_path / "page"
    write_site(read_rows(str(copy), ["train"]), folder, 10, overwrite=False)
    told = [path.read_text() for path in (folder / "clips" / "train").glob("*.js")]
    assert sum("no intact record" in text for text in told) == broken > 0
    assert len(told) == 3
    assert len(list(folder.rglob("*.mp4"))) == 3 - broken


def test_a_folder_with_other_things_is_left_as_it_is(data_set: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    rows = read_rows(str(data_set))
    with pytest.raises(RequestError, match="is no page of this command's"):
        write_site(rows, tmp_path, 0, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_page_is_replaced_only_when_that_is_said(data_set: Path, tmp_path: Path) -> None:
    rows, folder = read_rows(str(data_set)), tmp_path / "page"
    write_site(rows, folder, 0, overwrite=False)
    with pytest.raises(RequestError, match="or --overwrite"):
        write_site(rows, folder, 0, overwrite=False)
    write_site(rows[:1], folder, 0, overwrite=True)
    assert not (folder / "data" / "val").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_the_folder_one_is_in_may_be_the_pages(
    is_there: bool, data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    if is_there:
        write_site(read_rows(str(data_set)), folder, 0, overwrite=False)
    monkeypatch.chdir(folder)
    assert write_site(read_rows(str(data_set), ["val"]), Path(), 0, overwrite=True) == Path("index.html")
    assert Path("index.html").is_file()
    assert [path.name for path in Path("data").iterdir() if path.is_dir()] == ["val"]
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_link_to_a_folder_is_followed(data_set: Path, tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "page")
    for overwrite in (False, True):
        write_site(read_rows(str(data_set)), link, 0, overwrite)
    assert link.is_symlink() and (tmp_path / "page" / "index.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "page"]


def test_a_page_that_can_not_be_replaced_is_as_it_was(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "page"
    write_site(read_rows(str(data_set)), folder, 0, overwrite=False)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rename = Path.rename

    def fail_at_the_last(path: Path, target: Path) -> Path:
        if path.name == "index.html" and target.parent == folder and path.parent.name.endswith(".tmp") and not failed:
            failed.append(path)
            raise OSError(28, "No space left on device")
        return rename(path, target)

    failed: list[Path] = []
    monkeypatch.setattr(Path, "rename", fail_at_the_last)
    with pytest.raises(OSError, match="No space left"):
        write_site(read_rows(str(data_set), ["val"]), folder, 0, overwrite=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize("name", ["thesis.tex", "data/notes.txt", "clips/train/mine.jpg"])
def test_what_is_no_part_of_a_page_is_not_deleted_with_it(
    name: str, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "page"
    write_site(read_rows(str(data_set)), folder, 0, overwrite=False)
    (folder / name).write_text("mine")
    # Before anything is read: there is no such data set.
    assert main(["inspect", str(tmp_path / "nowhere"), "--out", str(folder), "--overwrite"]) == 2
    assert f"{name} is in it, which is no part of the page" in capsys.readouterr().err
    assert (folder / name).read_text() == "mine"


def test_a_port_that_is_taken_is_told(data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["inspect", str(data_set), "--serve", str(port)]) == 2
    assert f"--serve {port}: Address already in use; give another port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere"], "nowhere: there is no data set"),
        (["{data_set}", "--split", "test", "--out", "page"], "there is no split test, only train, val"),
        (["{data_set}", "--out", "gs://bucket/page"], "must be a folder of this machine"),
        (["{data_set}", "--serve", "70000"], "must be a port, 0 (any that is free) to 65535, got '70000'"),
        (["{data_set}", "--serve", "1", "--out", "page"], "not allowed with argument"),
        (["{data_set}", "--previews", "3"], "--previews is of --out DIR"),
        (["{data_set}", "--overwrite"], "--overwrite is of --out DIR"),
        (["{data_set}", "--nonsense=1"], "unknown option --nonsense=1"),
    ],
)
def test_what_cannot_be_done_is_said(
    options: list[str], message: str, data_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["inspect", *(option.format(data_set=data_set) for option in options)])
    except SystemExit as exit_:
        status = int(str(exit_.code))
    assert status == 2
    assert message in capsys.readouterr().err
