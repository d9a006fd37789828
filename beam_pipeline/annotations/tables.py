"""Annotation lists that are tables: CSV as Kinetics, CVDF and Countix publish it, and one's own."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from beam_pipeline.annotations.opening import BOM, AnnotationError, numbered_lines
from beam_pipeline.annotations.rows import Origin, Row, printable, quoted

DELIMITERS = (",", "\t", ";")

# What a column may be called, lower case, in the order in which a name is preferred where a table has several.
COLUMNS = {
    "video id": ("youtube_id", "video_id"),
    "start": ("time_start", "kinetics_start", "start"),
    "end": ("time_end", "kinetics_end", "end"),
    "label": ("label", "class"),
    "split": ("split", "subset"),
}
_REQUIRED = ("video id", "start", "end")


@dataclass(frozen=True, slots=True)
class Header:
    """The header line of a table: how its columns are separated, what they are called, and where ours are.

    `columns` maps the keys of `COLUMNS` that the table has to positions from 0.
    """

    line: str
    delimiter: str
    names: tuple[str, ...]
    columns: dict[str, int]


def find_header(text: str, path: str) -> Header | None:
    """Returns the header of a table that begins with `text`, or None where the first line names no columns of ours.

    Raises:
      AnnotationError: the first line names some of the columns, but not a video id, a start and an end, or one twice.
    """
    line = next((line for line in text.split("\n") if line.strip()), "").strip()
    headers = [header for delimiter in DELIMITERS if (header := _header(line, delimiter))]
    header = max(headers, key=lambda header: len(header.columns), default=None)
    if header is None or not any(required in header.columns for required in _REQUIRED):
        return None
    columns = ", ".join(header.names)
    if missing := [required for required in _REQUIRED if required not in header.columns]:
        wanted = " and ".join(f"for the {name} ({' or '.join(COLUMNS[name])})" for name in missing)
        raise AnnotationError(f"{path} is a table with the columns {columns}, but has none {wanted}")
    for position in header.columns.values():
        if header.names.count(header.names[position]) > 1:
            raise AnnotationError(
                f"{path} is a table with two columns {header.names[position]} ({columns}): rename one of them"
            )
    return header


def _header(line: str, delimiter: str) -> Header | None:
    try:
        fields = _quoted_fields(line, delimiter)
    except csv.Error:
        return None
    names = tuple(printable(field.strip().lower()) for field in fields)
    columns = {}
    for column, aliases in COLUMNS.items():
        for alias in aliases:
            if alias in names:
                columns[column] = names.index(alias)
                break
    return Header(line, delimiter, names, columns)


def read_table(stream: BinaryIO, path: str, header: Header, source: str, order: int = 0) -> Iterator[Row]:
    """Yields the rows of a table; a line that is empty or repeats the header is none."""
    row_of = row_parser(header, source, order)
    for number, line in numbered_lines(stream, path):
        if (row := row_of(number, line)) is not None:
            yield row


def row_parser(header: Header, source: str, order: int = 0) -> Callable[[int, str], Row | None]:
    """Returns a function from a line's number and text to its row, or to None for a line that holds none.

    Each line stands for itself, so that a quote that is never closed costs one row and not the rest of the file.
    """
    names, delimiter, width = header.names, header.delimiter, len(header.names)
    id_at, start_at, end_at = (header.columns[column] for column in _REQUIRED)
    label_at = header.columns.get("label", -1)
    split_at = header.columns.get("split", -1)
    last_at = max(header.columns.values())
    blank = delimiter + " \t\r\n" + BOM
    origin = Origin(
        source,
        order,
        id_name=names[id_at],
        start_name=names[start_at],
        end_name=names[end_at],
        label_name=names[label_at] if label_at >= 0 else "label",
    )
    make_row = origin.row

    def row_of(number: int, line: str) -> Row | None:
        line = line.rstrip("\r\n")
        if '"' in line:
            try:
                fields = _quoted_fields(line, delimiter)
            except csv.Error as error:
                return origin.bad(number, f"its quotes are broken ({error}): {quoted(line)}", line)
        else:
            fields = line.split(delimiter)
        if len(fields) != width:
            if not line.strip(blank):
                return None
            if len(fields) <= last_at:
                return origin.bad(number, _wrong_width(fields, header), fields[id_at] if id_at < len(fields) else line)
            if any(field.strip() for field in fields[width:]):
                return origin.bad(number, _wrong_width(fields, header), fields[id_at])
        row = make_row(
            number,
            fields[id_at],
            fields[start_at],
            fields[end_at],
            fields[label_at] if label_at >= 0 else "",
            fields[split_at] if split_at >= 0 else "",
        )
        if row.error and (not line.strip(blank) or line.strip().removeprefix(BOM) == header.line):
            return None
        return row

    return row_of


def _quoted_fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader((line,), delimiter=delimiter, skipinitialspace=True, strict=True), [])


def _wrong_width(fields: list[str], header: Header) -> str:
    columns = header.delimiter.join(header.names)
    return (
        f"has {len(fields)} columns where the header has {len(header.names)} ({columns}); a text that holds "
        f"{header.delimiter!r} needs quotes"
    )
