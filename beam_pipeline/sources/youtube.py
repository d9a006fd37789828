"""One visit of a video: what yt-dlp finds is asked for once, and each clip's section is cut from the remote file.

Runs in child processes; yt-dlp and libav are loaded by `prepare_visits`, in the process that calls it.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beam_pipeline.clips import REASONS, Clip, ClipError
from beam_pipeline.media.settings import Encode, MediaSettings
from beam_pipeline.media.task import Probed, ProbeTask
from beam_pipeline.sources.formats import Format, is_direct
from beam_pipeline.sources.settings import YouTube
from beam_pipeline.sources.youtube_errors import FetchError
from beam_pipeline.sources.youtube_options import check_options, load_yt_dlp
from beam_pipeline.sources.youtube_site import Site, site_of
from beam_pipeline.store import FETCH_DIR, fetched_uri

if TYPE_CHECKING:
    from beam_pipeline.sources.remote_media import RemoteMedia

__all__ = ["YOUTUBE_ID_RE", "FetchedClip", "VisitTask", "Visited", "check_options", "prepare_visits", "visit"]

YOUTUBE_ID_RE = re.compile(r"[A-Za-z0-9_-]{11}")

# Of media, whose addresses the site has just given: they don't speak of the video.
_REFUSED = (401, 403, 404, 410, 416, 451)
_ROUNDING_S = 2.0  # announced lengths are in whole seconds
_MAX_WAIT_S = 120.0  # for a format that is there only after so many seconds (YouTube's advertisements)


@dataclass(frozen=True, slots=True)
class VisitTask:
    """A video, the clips that are wanted of it, and how to come by them.

    Attributes:
      target_px: the shorter side that frames will have.
      with_audio: whether sound is wanted.
      store: the clip store; what is fetched lies at `store.fetched_uri` in it.
      proxy: the proxy of this visit.
      min_duration_s: less footage of a clip is `too_short`.
    """

    video_id: str
    clips: tuple[Clip, ...]
    youtube: YouTube
    target_px: int
    with_audio: bool
    store: str
    proxy: str | None = None
    min_duration_s: float = 1.0


@dataclass(frozen=True, slots=True)
class FetchedClip:
    """A clip's file: its path within the store, its size in bytes, and what was found in it."""

    uri: str
    size: int
    duration_s: float
    width: int
    height: int
    has_audio: bool
    format_id: str


Visited = dict[str, FetchedClip | ClipError]
"""What a visit returns: for each clip id its file, or why there is none."""


def prepare_visits() -> None:
    """Loads what visits need. Plug-ins of yt-dlp's that happen to be installed are not."""
    from beam_pipeline.media import probing  # noqa: F401 - loaded now, not in the first visit's time
    from beam_pipeline.sources import remote_media  # noqa: F401

    load_yt_dlp()


def visit(task: VisitTask) -> Visited:
    """Visits a video once and stores its clips, but for those that are there: an earlier try may have been cut off.

    Raises:
      FetchError: there is nothing to be had of the whole video.
      OSError: the store can't be written.
    """
    if not YOUTUBE_ID_RE.fullmatch(task.video_id) or any(clip.video_id != task.video_id for clip in task.clips):
        raise FetchError("bad_annotation", f"{task.video_id!r} is not one of YouTube's ids")
    clips: Visited = {clip.clip_id: stored for clip in task.clips if (stored := _stored(clip, task)) is not None}
    wanted = [clip for clip in task.clips if clip.clip_id not in clips]
    if not wanted:
        return clips
    from beam_pipeline.sources.remote_media import RemoteMedia

    site = site_of(task.youtube, task.proxy, task.target_px, task.with_audio)
    duration_s, chosen = site.offer(task.video_id, task.youtube.url.replace("{id}", task.video_id), task.with_audio)
    _wait_until_available(chosen)
    with _working_folder(task.store) as folder, RemoteMedia(site, chosen, folder) as media:
        for clip in wanted:
            try:
                if duration_s and is_direct(chosen[0]) and clip.start_us / 1e6 >= duration_s + _ROUNDING_S:
                    raise ClipError("no_overlap", "the video ends before the clip begins")
                clips[clip.clip_id] = _fetch(media, site, chosen, clip, task, folder / f"{clip.clip_id}.mp4")
            except ClipError as error:
                clips[clip.clip_id] = error
                if REASONS[error.reason]:  # a site that says no is not asked again for the next clip
                    left = (other.clip_id for other in wanted if other.clip_id not in clips)
                    return {**clips, **dict.fromkeys(left, error)}
    return clips


def _fetch(
    media: RemoteMedia, site: Site, chosen: Sequence[Format], clip: Clip, task: VisitTask, path: Path
) -> FetchedClip:
    """Cuts a clip's section into the store, by way of a local path."""
    with _errors_of_media(site):
        media.cut(clip, task.with_audio, path)
    probed = _probed(str(path), clip, task)
    uri, size = fetched_uri(clip), path.stat().st_size
    _publish(path, task.store, uri)
    return _fetched(uri, size, probed, "+".join(str(each.get("format_id")) for each in chosen))


def _fetched(uri: str, size: int, probed: Probed, format_id: str) -> FetchedClip:
    return FetchedClip(uri, size, probed.duration_s, probed.width, probed.height, probed.has_audio, format_id)


def _stored(clip: Clip, task: VisitTask) -> FetchedClip | None:
    """Returns a clip that an earlier try of this visit has stored; None where there is none that is good."""
    uri = fetched_uri(clip)
    path = f"{task.store}/{uri}"
    if "://" in task.store:
        from beam_pipeline import files

        path = files.join(task.store, *uri.split("/"))
        size = files.size(path)
    else:
        size = Path(path).stat().st_size if Path(path).is_file() else None
    if not size:
        return None
    try:
        return _fetched(uri, size, _probed(path, clip, task), "")
    except ClipError:
        return None


@contextlib.contextmanager
def _errors_of_media(site: Site) -> Iterator[None]:
    """As `Site.errors`; but a site that offers a video and then doesn't give it may do so another time."""
    try:
        with site.errors():
            yield
    except FetchError as error:
        if getattr(error.__cause__, "status", None) in _REFUSED:
            raise FetchError("network", error.detail, error.retry_after_s) from error
        raise


def _wait_until_available(chosen: Sequence[Format]) -> None:
    wait_s = max((each.get("available_at") or 0) for each in chosen) - time.time()
    time.sleep(min(max(0.0, wait_s), _MAX_WAIT_S))


def _probed(path: str, clip: Clip, task: VisitTask) -> Probed:
    """Looks at a new file as at any of the store; a section holds the clip, however its source is set."""
    from beam_pipeline.media.probing import probe_clip

    encode = Encode(min_duration_s=task.min_duration_s)
    return probe_clip(ProbeTask(path, clip, MediaSettings(encode=encode)))


@contextlib.contextmanager
def _working_folder(store: str) -> Iterator[Path]:
    """Gives a folder for unfinished files: on the store's own disk, from which a rename is one step, if it has one."""
    if "://" in store:
        with tempfile.TemporaryDirectory(prefix="fetch-") as folder:
            yield Path(folder)
        return
    parent = Path(store) / FETCH_DIR
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="visit-", dir=parent) as folder:
        yield Path(folder)


def _publish(path: Path, store: str, uri: str) -> None:
    """Puts a finished file where the store has its clips, whole or not at all."""
    if "://" in store:
        from beam_pipeline import files

        with path.open("rb") as source:
            files.upload(source, files.join(store, *uri.split("/")))
        return
    target_path = Path(store) / uri
    target_path.parent.mkdir(parents=True, exist_ok=True)
    _sync(path, os.O_RDONLY)
    path.replace(target_path)
    folder = target_path
    while folder != Path(store):  # a new name is on the disk when its folder is
        folder = folder.parent
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
