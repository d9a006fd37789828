"""The clip store: the clips' files on any Beam file system, listed once, at any depth, and matched by their names.

A clip's file is `{id}_{start:06d}_{end:06d}` of any extension (CVDF's naming), or `{id}` where that is the id's only
clip. So CVDF's extracted tree, a tree arranged by class and the crawlers' trees all are stores. An id that has an
extension itself, as in lists of one's own files, is matched by the whole name. Or a clip is a folder of images, called
likewise.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from beam_pipeline.clips import VIDEO_ID_RE, Clip
from beam_pipeline.errors import RequestError
from beam_pipeline.media.frame_names import series_of

_log = logging.getLogger(__name__)

_CUT_RE = re.compile(r"(?P<video_id>.+)_\d{6,}(?:\.\d{3,6})?_\d{6,}(?:\.\d{3,6})?")
# What downloaders and data-set tools leave beside a video under the same name.
_SIDECARS = frozenset(
    f".{suffix}"
    for suffix in (
        *("json", "txt", "csv", "tsv", "md", "yaml", "xml", "html", "log", "md5", "sha256", "npy", "npz", "pkl", "pt"),
        *("jpg", "jpeg", "png", "webp", "vtt", "srt", "ass", "wav", "mp3", "m4a", "aac", "flac"),
        *("part", "ytdl", "tmp", "temp", "lock", "zip", "tar", "gz", "tgz"),
    )
)


MAX_STRAYS = 10
"""Numbered images that a folder of clips' folders may have beside them."""

FETCH_DIR = ".fetch"
"""Of a store: what sources keep there, unfinished files and the record of what was fetched; no clips."""


class StoreError(RequestError):
    """A store that is not there or can't be listed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store: its path within it, and its size in bytes; of a folder of images, 0."""

    uri: str
    size: int

    @property
    def names(self) -> tuple[str, str]:
        """What is matched: the name without folders and extension, and the name with its extension."""
        name = self.uri.rpartition("/")[2]
        return PurePosixPath(name).stem, name

    @property
    def is_replacement(self) -> bool:
        """Whether it lies under a `replacement*` folder: CVDF's corrected copies, which win over the rest."""
        return any(part.startswith("replacement") for part in PurePosixPath(self.uri).parts[:-1])


@dataclass(frozen=True, slots=True)
class Absence:
    """Why the store has no file of a clip: a class of `clips.REASONS`, a line for people, and what was tried."""

    reason: str = "not_found"
    detail: str = "no file of the store is named after this clip"
    attempts: int = 0
    attempted_at: str = ""


NOT_FOUND = Absence()
NO_FOLDER = Absence(detail="no folder of frames in the store is named after this clip")
IN_NO_ARCHIVE = Absence(detail="it is in none of the archives, and no other file of the store is named after it")


def check_store(store: str) -> None:
    """Checks that there is a store, without listing it.

    Raises:
      StoreError: there is no such folder, or nothing under a URL.
    """
    if "://" not in store:
        if not os.path.isdir(store):  # noqa: PTH112 - as below
            raise StoreError(f"source.store: there is no folder {store}")
    else:
        next(_walk_remote(store), None)


def list_store(store: str, may_be_empty: bool = False) -> Iterator[StoredFile]:
    """Yields every file of a store that may be a clip: not empty, not `._*`, not a sidecar such as `.json`.

    A file whose path is not UTF-8 is no clip either: neither the ledger nor a record could name it.

    Raises:
      StoreError: there is no such folder, or nothing under a URL, where it may not be empty.
    """
    for uri, size in _walk_local(store) if "://" not in store else _walk_remote(store, may_be_empty=may_be_empty):
        name = uri.rpartition("/")[2]
        if not size or name.startswith(".") or PurePosixPath(name).suffix.lower() in _SIDECARS:
            continue
        if uri.isascii() or _is_utf8(uri):
            yield StoredFile(uri, size)


def list_frame_folders(store: str) -> Iterator[StoredFile]:
    """Yields every folder of a store on this machine that holds numbered images (`media.frame_names`).

    A folder of clips is none itself if it holds no more than `MAX_STRAYS` of them, of which the log tells. A tree of a
    hundred thousand clips has tens of millions of images: a folder is left as soon as it has shown more, and what is
    below it is not looked at. Names that begin with a dot, such as denseflow's `.done`, are passed over, and so are
    paths that are not UTF-8. A folder that can't be read may be a clip.

    Raises:
      StoreError: there is no such folder.
    """
    check_store(store)
    of_clips: set[str] = set()  # folders with clips below them
    unclear = []
    for folder, is_clip in _walk_frame_folders(store):
        if is_clip:
            of_clips.update(_above(folder))
            yield StoredFile(folder, 0)
        else:
            unclear.append(folder)
    with_strays = []
    for folder in reversed(unclear):  # what is below others comes before them
        if folder in of_clips:
            with_strays.append(folder)
        else:
            of_clips.update(_above(folder))
            yield StoredFile(folder, 0)
    if with_strays:
        first = os.path.join(store, with_strays[-1])  # noqa: PTH118
        more = f" and {len(with_strays) - 1:,} more" if len(with_strays) > 1 else ""
        _log.warning("source.store: images that lie beside folders of clips are no clip: in %s%s", first, more)


def _above(folder: str) -> Iterator[str]:
    while folder := folder.rpartition("/")[0]:
        yield folder


def _walk_frame_folders(store: str) -> Iterator[tuple[str, bool]]:
    """Yields folders with numbered images, those above before those below; False: so few that it may be no clip."""
    seen = set()  # of folders: links may lead round in circles
    folders = [""]
    while folders:
        folder = folders.pop()
        path = os.path.join(store, folder)  # noqa: PTH118 - strings all the way, as below
        images, below = 0, []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if folder and series_of(entry.name):
                        images += 1
                        if images > MAX_STRAYS:
                            break
                    elif not entry.name.startswith(".") and _is_utf8(entry.name) and entry.is_dir():
                        below.append(f"{folder}/{entry.name}" if folder else entry.name)
            is_clip = images > MAX_STRAYS or (images > 0 and not below)
            status = None if is_clip else os.stat(path)  # noqa: PTH116
        except OSError as error:
            if not folder:
                raise StoreError(f"source.store: {store} can't be read: {error.strerror or error}") from error
            yield folder, True
            continue
        if images:
            yield folder, is_clip
        if status and (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            folders += sorted(below, reverse=True)  # one order, whatever the disk's


def _is_utf8(uri: str) -> bool:
    try:
        uri.encode()
    except UnicodeEncodeError:  # os.scandir's surrogates, which stand for bytes of another encoding
        return False
    return True


def _walk_local(store: str) -> Iterator[tuple[str, int]]:
    check_store(store)
    seen = set()  # of folders: links may lead round in circles
    folders = [""]
    while folders:
        folder = folders.pop()
        # os.scandir's strings all the way: a store has a million files
        status = os.stat(os.path.join(store, folder))  # noqa: PTH116, PTH118
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(os.path.join(store, folder)) as entries:  # noqa: PTH118
            for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):  # one order, whatever the disk's
                uri = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    if entry.is_dir():
                        if uri != FETCH_DIR:
                            folders.append(uri)
                    elif entry.is_file():
                        yield uri, entry.stat().st_size
                except OSError:
                    continue  # a dangling link, or gone since


def _walk_remote(store: str, may_be_empty: bool = False) -> Iterator[tuple[str, int]]:
    from beam_pipeline import files  # visits know the store's names and never pay for Beam

    root = store.rstrip("/") + "/"
    found = False
    try:
        for uri, size in files.walk(root):
            found = True
            if not uri.startswith(f"{FETCH_DIR}/"):
                yield uri, size
    except Exception as error:  # every store has exceptions of its own
        raise StoreError(f"source.store: {root} can't be listed: {error}") from error
    if not found and not may_be_empty:
        raise StoreError(f"source.store: there is nothing under {root}")


def fetched_uri(clip: Clip) -> str:
    """Returns where a store keeps a clip that was fetched: one of 256 folders, so that none gets huge."""
    folder = hashlib.blake2b(clip.video_id.encode(), digest_size=1).hexdigest()
    return f"fetched/{folder}/{clip.clip_id}.mp4"


def video_ids(file: StoredFile) -> Iterator[str]:
    """Yields the video ids that a file's name may speak of: `{id}_{start}_{end}`, or the whole of it."""
    for name in file.names:
        match = _CUT_RE.fullmatch(name)
        for video_id in (name, match["video_id"] if match else ""):
            if VIDEO_ID_RE.fullmatch(video_id):
                yield video_id


def match_clips(clips: Iterable[Clip], files: Iterable[StoredFile], trimmed: str) -> Mapping[str, StoredFile]:
    """Finds each clip's file among those whose names speak of the same videos.

    A replacement wins over the rest, a full name over a bare id, and among equals the first by path. Files that hold
    whole videos (`trimmed: false`) are named by the id alone, and serve all of its clips.

    Returns:
      The file for each clip id that has one.
    """
    best: dict[str, StoredFile] = {}
    for file in files:
        for name in file.names:
            other = best.get(name)
            if other is None or (not file.is_replacement, file.uri) < (not other.is_replacement, other.uri):
                best[name] = file
    clips = list(clips)
    per_video: dict[str, int] = {}
    for clip in clips:
        per_video[clip.video_id] = per_video.get(clip.video_id, 0) + 1
    matched = {}
    for clip in clips:
        candidates = []
        if trimmed != "false":
            candidates.append(best.get(clip.clip_id))
        if trimmed == "false" or per_video[clip.video_id] == 1:
            candidates.append(best.get(clip.video_id))
        present = [file for file in candidates if file is not None]
        if present:
            matched[clip.clip_id] = min(present, key=lambda file: not file.is_replacement)
    return matched
