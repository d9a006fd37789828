"""Lists of archives: `source.archives` names archives, or text files with one a line, as CVDF publishes them.

    https://s3.amazonaws.com/kinetics/600/val/abseiling.tar.gz
    https://s3.amazonaws.com/kinetics/600/val/acting in play.tar.gz     blanks and the like as they are
    # a comment
    more/part_7.tgz                                                     relative to where the list is

A list is written by strangers: one from afar names archives on the web or beside itself, and no file of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from apache_beam.io.filesystems import FileSystems

from beam_pipeline import files
from beam_pipeline.annotations.opening import BOM, AnnotationError, opened
from beam_pipeline.config import ConfigError
from beam_pipeline.downloads import DownloadError, cached, quoted_url
from beam_pipeline.web import is_url, message_of, without_secrets

MAX_LIST_BYTES = 16 << 20  # K700-2020's longest has 47 kB
MAX_ARCHIVES = 100_000
_CONTROL_RE = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME_RE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def archive_urls(entries: Sequence[str], folder: str) -> tuple[str, ...]:
    """Returns the archives that a split's entries name, each once, in their order: paths, or quoted URLs.

    Args:
      entries: archives and `.txt` lists of archives: paths on any Beam file system, or http(s) URLs.
      folder: where lists from the web are kept (`downloads.cached`).

    Raises:
      ConfigError: a list can't be read, is empty or huge, or names what can't be an archive or may not be one there.
      DownloadError: a list can't be downloaded.
    """
    archives: dict[str, None] = {}
    for entry in entries:
        for archive in _listed(entry, folder) if _is_list(entry) else (_address(entry, "source.archives"),):
            archives[archive] = None
            if len(archives) > MAX_ARCHIVES:
                shown = without_secrets(entry)
                raise ConfigError(f"source.archives: {shown} is the one with which there are more than {MAX_ARCHIVES}")
    return tuple(archives)


def _is_list(entry: str) -> bool:
    path = urlsplit(quoted_url(entry)).path if is_url(entry) else entry
    return path.lower().endswith(".txt")


def _listed(path: str, folder: str) -> Iterator[str]:
    """Yields the archives of a list."""
    shown = without_secrets(path)
    content = _read(cached(path, folder) if is_url(path) else path, shown)
    found = False
    for number, line in enumerate(content.removeprefix(BOM).split("\n"), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = True
        place = f"{shown} line {number}"
        if _CONTROL_RE.search(text):
            raise ConfigError(
                f"{place}: {without_secrets(text)!r} holds control characters, which no archive's name does"
            )
        archive = _resolved(text, path, place)
        if _is_list(archive):
            raise ConfigError(f"{place}: {without_secrets(text)!r} is itself a list: name it in source.archives")
        yield archive
    if not found:
        raise ConfigError(f"{shown}: names no archive, expected one a line")


def _read(path: str, name: str) -> str:
    try:
        with opened(path) as stream:
            content = stream.read(MAX_LIST_BYTES + 1)
    except AnnotationError as error:
        raise ConfigError(f"source.archives: {error}") from error
    if len(content) > MAX_LIST_BYTES:
        raise ConfigError(f"{name}: has more than {MAX_LIST_BYTES} bytes, which no list of archives has")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is no list of archives: it is not UTF-8 text at byte {error.start}") from error


def _resolved(text: str, source: str, place: str) -> str:
    """Returns the archive that a line of a list means.

    A list on this machine may name anything, as its owner could. One from afar may name what is beside or below it,
    what is on the web, and, where it is an object itself, objects of its own kind of store.
    """
    if files.is_local(source):
        expanded = str(Path(text).expanduser()) if text.startswith("~") else text
        here = files.is_local(text)
        return str(Path(source).parent / expanded) if here else _address(text, place)
    if _SCHEME_RE.match(text):
        own_scheme = source.partition("://")[0].lower()
        scheme = text.partition("://")[0].lower()
        if "://" not in text or scheme not in {"http", "https", own_scheme}:
            allowed = ", ".join(sorted({"http", "https", own_scheme}))
            raise ConfigError(
                f"{place}: {without_secrets(text)!r} is no address that a list from there may name, which are {allowed}"
            )
        return _address(text, place)
    if text[0] in "/\\~":
        raise ConfigError(f"{place}: {text!r} is a path of a machine, which a list from elsewhere may not name")
    if is_url(source):
        scheme, server, path, *_ = urlsplit(quoted_url(source))
        return _address(f"{scheme}://{server}{path.rpartition('/')[0]}/{text}", place)
    return _address(f"{source.rpartition('/')[0]}/{text}", place)


def _address(archive: str, place: str) -> str:
    """Returns an archive's address as it is asked for, having looked at what is in it."""
    if files.is_local(archive):
        return archive
    if ".." in re.split(r"[/\\]", unquote(archive)):
        raise ConfigError(f"{place}: {without_secrets(archive)!r} leads upwards (..): write where the archive is")
    try:
        if is_url(archive):
            return quoted_url(archive)
        FileSystems.get_filesystem(archive)
    except (DownloadError, ValueError) as error:
        raise ConfigError(f"{place}: {without_secrets(archive)!r} can't be read from: {message_of(error)}") from error
    return archive
