"""The `filter` command: the rows of some classes of an annotation list, in the format in which they were read."""

from __future__ import annotations

import contextlib
import gzip
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from beam_pipeline import files
from beam_pipeline.annotations.json_text import spliced
from beam_pipeline.annotations.listings import ListingParser
from beam_pipeline.annotations.objects import kept_entries
from beam_pipeline.annotations.opening import base_name, numbered_lines, opened, read_head
from beam_pipeline.annotations.reading import read_rows, recognise
from beam_pipeline.annotations.tables import Header, row_parser
from beam_pipeline.labels import read_class_list, with_nearest


@dataclass(frozen=True)
class Filtered:
    """What `filter_annotations` did: `rows` read, `kept` written, `bad` rows among these, and `kept` by class.

    A bad row is kept where its label can be read, so that it is reported by whoever reads the list next; `unreadable`
    rows have none that can, and are left out.
    """

    rows: int
    kept: int
    bad: int
    unreadable: int
    kept_by_class: dict[str, int]


def filter_annotations(class_list: str | Sequence[object], annotations_in: str, annotations_out: str) -> Filtered:
    """Writes the rows of some classes of an annotation list: the same format, header and order, each row as it was.

    The output is zipped with gzip exactly when its name ends in `.gz`. It is written under a temporary name and
    renamed, and replaces what had its name. Empty lines are left out.

    Args:
      class_list: a file with one class name a line, or the names.
      annotations_in: an annotation list of any format, on any Beam file system.
      annotations_out: the file to write.

    Raises:
      AnnotationError: the input can't be read, or is no annotation list.
      ValueError: the class list is not one, or a class is in no row, or the output is the input or a folder. Nothing
        is written.
      OSError: the output can't be written; its `filename` is that.
    """
    if _same_file(annotations_in, annotations_out):
        raise ValueError(f"the output is the input, {annotations_in}: name another file to write")
    if files.is_local(annotations_out) and Path(annotations_out).is_dir():
        raise ValueError(f"{annotations_out}: is a folder; name a file to write")
    classes = frozenset(read_class_list(class_list))
    filtered = _count(annotations_in, classes)
    temporary = f"{annotations_out}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        _write(temporary, _kept_text(annotations_in, classes), zipped=annotations_out.endswith(".gz"))
        files.publish(temporary, annotations_out)
    except BaseException as error:
        with contextlib.suppress(Exception):  # what went wrong first is what has to be told
            files.delete(temporary)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"can't be written: {error.strerror or error}", annotations_out) from error
        raise
    return filtered


def _same_file(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (files.is_local(one) and files.is_local(other)):
        return False
    return Path(other).exists() and Path(one).exists() and Path(one).samefile(other)


def _count(path: str, classes: frozenset[str]) -> Filtered:
    labels: Counter[str] = Counter()
    bad = unreadable = 0
    for row in read_rows(path):
        labels[row.label] += 1
        if row.error:
            bad += row.label in classes
            unreadable += not row.label
    if unknown := sorted(classes - labels.keys()):
        names = sorted(labels.keys() - {""})
        if not names:
            raise ValueError(f"{path} names no classes in any row, so that none can be kept")
        raise ValueError(f"{path} has no row of {with_nearest(unknown, names)}")
    kept = {name: labels[name] for name in sorted(classes)}
    return Filtered(labels.total(), sum(kept.values()), bad, unreadable, kept)


def _kept_text(path: str, classes: frozenset[str]) -> Iterator[str]:
    source = base_name(path)
    with opened(path) as stream:
        form = recognise(read_head(stream), path)
        if isinstance(form, Header):
            yield from _kept_lines(numbered_lines(stream, path), form, source, classes)
        elif form == "listing":
            yield from _kept_listing(numbered_lines(stream, path), source, classes)
        else:
            yield from spliced(kept_entries(stream, path, source, classes))


def _kept_lines(
    lines: Iterator[tuple[int, str]], header: Header, source: str, classes: frozenset[str]
) -> Iterator[str]:
    row_of = row_parser(header, source)
    for number, line in lines:
        row = row_of(number, line)
        if header.line in line if row is None else row.label in classes:
            yield line


def _kept_listing(lines: Iterator[tuple[int, str]], source: str, classes: frozenset[str]) -> Iterator[str]:
    """Keeps a class's folder with the empty line that ends it, and its name where the folders are named first."""
    parser = ListingParser(source)
    for number, line in lines:
        row = parser.row(number, line)
        if row is not None:
            kept = row.label in classes
        elif parser.label:
            kept = parser.label in classes
        else:
            name = line.strip()
            kept = name in classes or not name or name.endswith(":")
        if kept:
            yield line


def _write(path: str, pieces: Iterator[str], zipped: bool) -> None:
    with contextlib.ExitStack() as stack:
        target: BinaryIO | gzip.GzipFile = stack.enter_context(files.create(path))
        if zipped:  # without a name and a time, so that the same rows are the same file
            target = stack.enter_context(gzip.GzipFile("", "wb", fileobj=target, mtime=0))
        for piece in pieces:
            target.write(piece.encode("utf-8", "surrogateescape"))
