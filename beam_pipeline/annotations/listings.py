"""Annotation lists that are directory listings: `ls -R` of folders of clips by class, as CVDF's K600 lists are.

    val:
    abseiling                                   a class, listed again below
                                                (an empty line ends a folder)
    val/abseiling:                              a folder: its last part is the label, val the split
    OALI_5D8pV0_000174_000184.mp4               a clip: id, start, end

Lines that are whole paths, as `find` prints them, are taken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from beam_pipeline.annotations.opening import BOM, numbered_lines
from beam_pipeline.annotations.rows import Origin, Row, quoted
from tf_data import contract

CLIP_NAME_RE = re.compile(r"(?P<id>.+)_(?P<start>\d{6}(?:\.\d+)?)_(?P<end>\d{6}(?:\.\d+)?)(?:\.\w{1,5})?")
_HAS_SUFFIX_RE = re.compile(r".*\.\w{1,5}", re.DOTALL)
_SPLITS = frozenset({"train", "val", "test"})


def is_listing(text: str) -> bool:
    """Whether text is the beginning of a listing: a folder's line or a clip's first, and a clip somewhere."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        return False
    if not lines[0].endswith(":"):
        return bool(CLIP_NAME_RE.fullmatch(lines[0])) and "," not in lines[0]
    return any(CLIP_NAME_RE.fullmatch(line) for line in lines)


class ListingParser:
    """Takes a listing's lines in turn; what a clip's label and split are depends on the folder it is listed under.

    `label` is the folder's label: empty in a folder of folders, such as `val:`.
    """

    def __init__(self, source: str, order: int = 0):
        self.label = ""
        self._split = ""
        self._origin = Origin(
            source, order, id_name="video id", start_name="start", end_name="end", label_name="folder"
        )

    def row(self, number: int, line: str) -> Row | None:
        """Returns the row of the next line, or None for one that names no file: a folder's, a class's, an empty one."""
        text = line.strip().removeprefix(BOM)
        if text.endswith(":"):
            self.label, self._split = _label_and_split(text[:-1])
            return None
        folder, _, name = text.rpartition("/")
        label, split = _label_and_split(folder) if folder else (self.label, self._split)
        if match := CLIP_NAME_RE.fullmatch(name):
            if name.startswith("._"):  # what macOS leaves beside every file on foreign disks
                return None
            return self._origin.row(number, match["id"], match["start"], match["end"], label, split)
        if name.startswith(".") or not _HAS_SUFFIX_RE.fullmatch(name):
            return None
        return self._origin.bad(
            number, f"{quoted(name)} names no clip, as id_000012_000022.mp4 does", name, label, split
        )


def read_listing(stream: BinaryIO, path: str, source: str, order: int = 0) -> Iterator[Row]:
    """Yields the rows of a listing: one a file."""
    parser = ListingParser(source, order)
    for number, line in numbered_lines(stream, path):
        if (row := parser.row(number, line)) is not None:
            yield row


def _label_and_split(folder: str) -> tuple[str, str]:
    """Returns ('abseiling', 'val') of `val/abseiling`, and an empty label of a folder that is a split or the root."""
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    is_class = "/" in folder and bool(parts) and contract.canonical_split(parts[-1]) not in _SPLITS
    label = parts.pop() if is_class else ""
    splits = [split for part in parts if (split := contract.canonical_split(part)) in _SPLITS]
    return label, splits[-1] if splits else ""
