"""A page that opens from a disk, without a server and without a network."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from beam_pipeline.clips import ClipError
from beam_pipeline.errors import RequestError
from beam_pipeline.inspecting.page import ASSETS, as_script, asset, render_page, summaries_of, summary_script
from beam_pipeline.inspecting.previews import (
    describe_clip,
    describe_record,
    film_of,
    read_record,
    thumbnail_of,
)
from beam_pipeline.inspecting.rows import Rows
from beam_pipeline.inspecting.search import clip_columns
from tf_data import contract

PART_SIZE = 16_384  # rows: about a megabyte
_OF_A_PAGE_RE = re.compile(
    r"index\.html|assets/[\w.]+\.(css|js|png)|data/summary\.js|data/\w+/part-\d+\.js|clips/\w+/\d+\.(js|mp4|jpg)"
)


def write_site(
    splits: Sequence[Rows],
    folder: Path,
    num_previews: int,
    overwrite: bool,
    on_preview: Callable[[], object] = lambda: None,
) -> Path:
    """Writes the page of a data set.

    Args:
      splits: what is shown.
      folder: where to; it appears whole or not at all.
      num_previews: of how many clips films are made at most, over all splits; each class has its share.
      overwrite: replace a page that is there.
      on_preview: called after each preview.

    Returns:
      The file to open.

    Raises:
      RequestError: something is there that may not be replaced.
      OSError: it can't be written, or a shard can't be read.
    """
    chosen = choose_previews(splits, num_previews)
    with _new_folder(folder, overwrite) as new:
        (new / "assets").mkdir()
        for name in [name for name in ASSETS if name != "served.js"]:
            (new / "assets" / name).write_bytes(asset(name))
        more = []
        for rows, numbers in zip(splits, chosen, strict=True):
            columns = _write_parts(rows, new / "data" / rows.split.split)
            _write_previews(rows, numbers, new / "clips" / rows.split.split, on_preview)
            parts = -(-len(rows) // PART_SIZE)
            more.append({"parts": parts, "part_size": PART_SIZE, "columns": columns, "previews": numbers})
        summaries = summaries_of(splits)
        (new / "data" / "summary.js").write_text(summary_script(splits, summaries, more))
        (new / "index.html").write_text(render_page(splits, summaries, served=False))
    return folder / "index.html"


def choose_previews(splits: Sequence[Rows], count: int) -> list[list[int]]:
    """Returns which rows of each split get a preview: of every class and split in turn, in the order of clips' keys.

    The key is a hash, so that they are a sample, and the same one every time.
    """
    turns: list[tuple[int, int, int, int]] = []
    for place, rows in enumerate(splits):
        taken: dict[int, int] = {}
        there = np.flatnonzero(rows.written)
        ids = rows.ids.take(there).to_pylist() if len(there) else []
        for number in [there[k] for k in sorted(range(len(ids)), key=lambda k: contract.clip_key(ids[k]))]:
            label = int(rows.label[number])
            turns.append((taken.get(label, 0), label, place, int(number)))
            taken[label] = taken.get(label, 0) + 1
    chosen: list[list[int]] = [[] for _ in splits]
    for _, _, place, number in sorted(turns)[:count]:
        chosen[place].append(number)
    return [sorted(numbers) for numbers in chosen]


def _write_parts(rows: Rows, folder: Path) -> list[str]:
    """Writes a split's rows, a script a part; returns the names of their columns."""
    folder.mkdir(parents=True)
    names = [name for name in clip_columns(rows, np.arange(0)) if name != "failed"]
    for part, begin in enumerate(range(0, len(rows), PART_SIZE)):
        columns = clip_columns(rows, np.arange(begin, min(begin + PART_SIZE, len(rows))))
        # In one text, of which a browser makes many in no time.
        columns["id"] = "\n".join(id_.replace("\n", "\ufffd") for id_ in columns["id"])
        parsed = f"JSON.parse({as_script(as_script(columns))})"  # three times as fast as the same as a script
        (folder / f"part-{part}.js").write_text(f"inspect.part({as_script(rows.split.split)},{part},{parsed});\n")
    return names


def _write_previews(rows: Rows, numbers: Sequence[int], folder: Path, on_preview: Callable[[], object]) -> None:
    folder.mkdir(parents=True)

    def write(number: int) -> None:
        clip = describe_clip(rows, number)
        try:
            record = read_record(rows, number)
            film, thumbnail = film_of(record), thumbnail_of(record)
            clip |= describe_record(record)
            (folder / f"{number}.mp4").write_bytes(film)
            (folder / f"{number}.jpg").write_bytes(thumbnail)
        except ClipError as error:
            clip["error"] = error.detail
        arguments = ",".join(map(as_script, (rows.split.split, number, clip)))
        (folder / f"{number}.js").write_text(f"inspect.clip({arguments});\n")
        on_preview()

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(write, numbers):
            pass


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raises `RequestError` where something is in a folder that a page must not take the place of."""
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    is_page = (folder / "index.html").is_file() and (folder / "data" / "summary.js").is_file()
    if not is_page:
        raise RequestError(f"{folder}: is there, and is no page of this command's: name a folder that is not there")
    if stranger := next(_strangers(folder), None):
        raise RequestError(
            f"{folder}: {stranger} is in it, which is no part of the page: move it, or name another folder"
        )
    if not overwrite:
        raise RequestError(f"{folder}: a page is there: name another folder, or --overwrite")


def _strangers(folder: Path) -> Iterator[str]:
    """Yields what a page's folder holds that `write_site` did not write there, as paths within it."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or _OF_A_PAGE_RE.fullmatch(name)):
            yield name


@contextmanager
def _new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Gives a temporary folder whose files are those of `folder` at the end of the block; it goes where that fails."""
    check_folder(folder, overwrite)
    folder = Path(os.path.realpath(folder))  # what a link leads to; of `.` the parent is not within it
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(folder)
    try:
        yield temporary
        if folder.exists():
            check_folder(folder, overwrite)  # again, for it took its time
            _replace_files(folder, temporary)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary_beside(folder: Path) -> Path:
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        raise OSError(error.errno, f"can't be written: {error.strerror}", str(folder)) from error
    temporary.chmod(0o755)
    return temporary


def _replace_files(folder: Path, new: Path) -> None:
    """Moves what is in `folder` aside, what is in `new` there, and deletes the old; all is as before where that fails.

    The folder itself stays, for somebody may stand in it.
    """
    aside = _temporary_beside(folder)
    moved: list[tuple[Path, Path]] = []
    try:
        for source, target in ((folder, aside), (new, folder)):
            for entry in sorted(source.iterdir()):
                moved.append((entry.rename(target / entry.name), entry))
    except BaseException:
        for now, before in reversed(moved):
            now.rename(before)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
