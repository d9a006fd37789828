"""Annotation lists that are JSON: DeepMind's and ActivityNet's, `{id: {annotations, subset}}` in a database or not.

{"--07WQ2iBlw": {"annotations": {"label": "javelin throw", "segment": [1.0, 11.0]}, "subset": "val", ...}, ...}
{"database": {id: {"annotations": [{"label": ..., "segment": [...]}, ...], ...}, ...}, "version": ...}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from beam_pipeline.annotations.json_text import JsonNumber, Part, walk, without_elements
from beam_pipeline.annotations.listings import CLIP_NAME_RE
from beam_pipeline.annotations.opening import EXPECTED, AnnotationError
from beam_pipeline.annotations.rows import Origin, Row, quoted

DATABASE = "database"
_MAX_UNKNOWN = 10_000  # members without annotations before a file is taken for something else


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a document and the rows that it holds: none for what is no entry, one for each of its annotations."""

    part: Part
    rows: tuple[Row, ...] = ()


def read_objects(stream: BinaryIO, path: str, source: str, order: int = 0) -> Iterator[Row]:
    """Yields the rows of a document, one an annotation, and one for each entry that holds none.

    Raises:
      AnnotationError: the file is not JSON of that form.
    """
    for entry in read_entries(stream, path, source, order):
        yield from entry.rows


def read_entries(stream: BinaryIO, path: str, source: str, order: int = 0) -> Iterator[Entry]:
    """Yields the parts of a document with their rows, which are numbered through from 1.

    Beside a `database`, the other members (`version`, `taxonomy`) are no entries. Which it is can be known only at the
    first entry, so what precedes that is held back.

    Raises:
      AnnotationError: the file is not JSON of that form.
    """
    origin = Origin(source, order, "annotation", "id", "segment start", "segment end")
    number = 0
    held: list[Part] = []
    entries_at = 0  # the depth of entries: 1, or 2 in a database; 0 while it isn't known
    for part in walk(stream, path, DATABASE):
        if not entries_at:
            if part.kind == "open" and part.key == DATABASE:
                entries_at = 2
            elif _is_entry(part):
                entries_at = 1
            else:
                held.append(part)
                if len(held) > _MAX_UNKNOWN:
                    break
                continue
            for earlier in held:
                rows = _rows(earlier, number + 1, origin) if _at_depth(earlier, entries_at) else ()
                number += len(rows)
                yield Entry(earlier, rows)
        rows = _rows(part, number + 1, origin) if _at_depth(part, entries_at) else ()
        number += len(rows)
        yield Entry(part, rows)
    if not entries_at:
        keys = ", ".join(repr(part.key[:40]) for part in held if part.kind == "member")
        raise AnnotationError(
            f"{path} is JSON, but no member of it has annotations: its members are {keys[:200] or 'none'}; {EXPECTED}"
        )


def kept_entries(stream: BinaryIO, path: str, source: str, classes: frozenset[str]) -> Iterator[tuple[Part, bool]]:
    """Yields the parts of a document, and whether each is kept: all but entries without an annotation of `classes`.

    An entry that has annotations of other classes too is kept without those.
    """
    for entry in read_entries(stream, path, source):
        kept = [row.label in classes for row in entry.rows]
        if any(kept) and not all(kept):
            yield replace(entry.part, text=without_elements(entry.part.text, "annotations", kept)), True
        else:
            yield entry.part, any(kept) or not entry.rows


def _at_depth(part: Part, depth: int) -> bool:
    return part.kind == "member" and part.depth == depth


def _is_entry(part: Part) -> bool:
    return part.kind == "member" and isinstance(part.value, dict) and "annotations" in part.value


def _rows(part: Part, number: int, origin: Origin) -> tuple[Row, ...]:
    entry = part.value
    if not isinstance(entry, dict) or "annotations" not in entry:
        return (origin.bad(number, f"{quoted(part.key)} has no annotations", part.key),)
    annotations = entry["annotations"]
    subset = entry.get("subset", "")
    split = subset if isinstance(subset, str) else ""
    if isinstance(annotations, dict):
        annotations = [annotations]
    if not isinstance(annotations, list) or not annotations:
        return (origin.bad(number, f"{quoted(part.key)} has no annotation: {str(annotations)[:60]}", part.key),)
    return tuple(_row(part.key, annotation, split, number + i, origin) for i, annotation in enumerate(annotations))


def _row(video_id: str, annotation: object, split: str, number: int, origin: Origin) -> Row:
    if not isinstance(annotation, dict):
        return origin.bad(
            number, f"{quoted(video_id)} has no object for an annotation: {str(annotation)[:60]}", video_id
        )
    label = annotation.get("label", "")
    if label is None:
        label = ""
    if not isinstance(label, str) or isinstance(label, JsonNumber):
        return origin.bad(number, f"label {str(label)[:60]} of {quoted(video_id)} is not a string", video_id)
    segment = annotation.get("segment")
    if segment is None and (match := CLIP_NAME_RE.fullmatch(video_id)):
        return origin.row(number, match["id"], match["start"], match["end"], label, split)
    if not isinstance(segment, list) or len(segment) != 2 or not all(isinstance(time, str) for time in segment):
        found = "is missing" if segment is None else f"{str(segment)[:60]} is not [start, end]"
        return origin.bad(number, f"segment of {quoted(video_id)} {found}", video_id, label)
    return origin.row(number, video_id, segment[0], segment[1], label, split)
