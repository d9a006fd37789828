"""Reading a list of any format, recognised from what it holds and not from its name."""

from __future__ import annotations

from collections.abc import Iterator

from beam_pipeline.annotations.listings import is_listing, read_listing
from beam_pipeline.annotations.objects import read_objects
from beam_pipeline.annotations.opening import base_name, decoded, no_list, opened, read_head
from beam_pipeline.annotations.rows import Row
from beam_pipeline.annotations.tables import Header, find_header, read_table


def recognise(head: bytes, path: str) -> Header | str:
    """Returns what a list is from its beginning: the header of a table, or `listing` or `json`.

    Raises:
      AnnotationError: the file is no annotation list; says what it looks like and what is expected.
    """
    text = decoded(head)
    if text.lstrip().startswith("{"):
        return "json"
    if "\0" not in text.split("\n", 1)[0]:
        if header := find_header(text, path):
            return header
        if is_listing(text):
            return "listing"
    raise no_list(path, head)


def read_rows(path: str, order: int = 0) -> Iterator[Row]:
    """Yields the rows of an annotation list as they are, good and bad, in its order and in constant memory.

    Args:
      path: a file on any Beam file system, zipped with gzip or not.
      order: the list's position among the lists of its split, which goes into its rows.

    Raises:
      AnnotationError: the file can't be read, or is no annotation list.
    """
    source = base_name(path)
    with opened(path) as stream:
        form = recognise(read_head(stream), path)
        if isinstance(form, Header):
            yield from read_table(stream, path, form, source, order)
        elif form == "listing":
            yield from read_listing(stream, path, source, order)
        else:
            yield from read_objects(stream, path, source, order)
