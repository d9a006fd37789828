"""One visit of a video: what yt-dlp finds is asked for once, and each clip's section is cut from the remote file.

Runs in child processes; yt-dlp and libav are loaded by `prepare_visits`, in the process that calls it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from beam_pipeline.clips import REASONS, Clip, ClipError
from beam_pipeline.media.settings import Encode, MediaSettings
from beam_pipeline.media.task import Probed, ProbeTask
from beam_pipeline.sources.formats import Format, is_direct
from beam_pipeline.sources.fragments import Fragment, Fragments, fragments_of, join
from beam_pipeline.sources.settings import YouTube
from beam_pipeline.sources.youtube_errors import FetchError
from beam_pipeline.sources.youtube_options import check_options, load_yt_dlp
from beam_pipeline.sources.youtube_site import Site, site_of
from beam_pipeline.store import FETCH_DIR, fetched_uri

if TYPE_CHECKING:
    from av.container import InputContainer
    from yt_dlp.networking.common import Response

    from beam_pipeline.sources.range_file import RangeFile

__all__ = ["VIDEO_ID_RE", "FetchedClip", "VisitTask", "Visited", "check_options", "prepare_visits", "visit"]

VIDEO_ID_RE = re.compile(r"[A-Za-z0-9_-]{11}")

_MAX_BYTES = 4 << 30  # received of one format; a section takes some MB, but a server that knows no ranges sends it all
_MAX_PLAYLIST_BYTES = 32 << 20
_PARTIAL_CONTENT = 206
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
    from beam_pipeline.media import container, probing, section  # noqa: F401 - loaded now, not in the first visit's time

    load_yt_dlp()


def visit(task: VisitTask) -> Visited:
    """Visits a video once and stores its clips.

    Raises:
      FetchError: there is nothing to be had of the whole video.
      OSError: the store can't be written.
    """
    if not VIDEO_ID_RE.fullmatch(task.video_id) or any(clip.video_id != task.video_id for clip in task.clips):
        raise FetchError("bad_annotation", f"{task.video_id!r} is not one of YouTube's ids")
    site = site_of(task.youtube, task.proxy, task.target_px, task.with_audio)
    duration_s, chosen = site.offer(task.video_id, task.youtube.url.replace("{id}", task.video_id), task.with_audio)
    _wait_until_available(chosen)
    clips: Visited = {}
    with _working_folder(task.store) as folder, _Media(site, chosen, folder) as media:
        for clip in task.clips:
            try:
                if duration_s and clip.start_us / 1e6 >= duration_s + _ROUNDING_S:
                    raise _no_overlap()
                clips[clip.clip_id] = _fetch(media, site, clip, task, folder / f"{clip.clip_id}.mp4")
            except ClipError as error:
                clips[clip.clip_id] = error
                if REASONS[error.reason]:  # a site that says no is not asked again for the next clip
                    left = (other.clip_id for other in task.clips if other.clip_id not in clips)
                    return {**clips, **dict.fromkeys(left, error)}
    return clips


class _Media:
    """The chosen formats' files while a visit lasts: what has come of them serves all of its clips."""

    def __init__(self, site: Site, chosen: Sequence[Format], folder: Path):
        self._site = site
        self._folder = folder
        self._files: dict[int, RangeFile] = {}
        self._fragments: dict[int, Fragments] = {}
        self._stack = contextlib.ExitStack()
        self.chosen = chosen

    def __enter__(self) -> _Media:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, index: int, clip: Clip, stack: contextlib.ExitStack) -> InputContainer:
        """Opens a format for reading a clip's section; `stack` closes it."""
        from beam_pipeline.media.container import open_container

        if is_direct(self.chosen[index]):
            file: BinaryIO = cast("BinaryIO", self._range_file(index))
            file.seek(0)
        else:
            file = self._joined(index, clip, stack)
        return stack.enter_context(open_container(file))

    def _range_file(self, index: int) -> RangeFile:
        from beam_pipeline.sources.range_file import RangeFile

        if index not in self._files:
            chosen = self.chosen[index]
            self._files[index] = self._stack.enter_context(
                RangeFile(
                    lambda first, end: self._site.ask(chosen, chosen["url"], first, end),
                    _MAX_BYTES,
                    directory=str(self._folder),
                )
            )
        return self._files[index]

    def _joined(self, index: int, clip: Clip, stack: contextlib.ExitStack) -> BinaryIO:
        chosen = self.chosen[index]
        if index not in self._fragments:
            self._fragments[index] = fragments_of(chosen, self._read)
        fragments = self._fragments[index]
        start_s, end_s = clip.start_us / 1e6, clip.end_us / 1e6
        if fragments.duration_s and start_s >= fragments.duration_s + _ROUNDING_S:
            raise _no_overlap()
        file: BinaryIO = stack.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
        join(fragments.around(start_s, end_s), file, lambda part: self._part(chosen, part), _MAX_BYTES)
        file.seek(0)
        return file

    def _part(self, chosen: Format, part: Fragment) -> Response:
        response = self._site.ask(chosen, part.url, part.first, part.end)
        if part.first is not None and response.status != _PARTIAL_CONTENT:
            response.close()
            raise ClipError("unsupported", "the server sends other parts of the stream than are asked for")
        return response

    def _read(self, url: str) -> bytes:
        with contextlib.closing(self._site.ask(self.chosen[0], url)) as response:
            return response.read(_MAX_PLAYLIST_BYTES)


def _fetch(media: _Media, site: Site, clip: Clip, task: VisitTask, path: Path) -> FetchedClip:
    """Cuts a clip's section into the store, by way of a local path."""
    from beam_pipeline.media.section import cut_section

    with contextlib.ExitStack() as stack, site.errors():
        video = media.open(0, clip, stack)
        audio = media.open(1, clip, stack) if len(media.chosen) > 1 else None
        if audio is None and task.with_audio and video.streams.audio:
            audio = video
        cut_section(video, audio, clip.start_us, clip.end_us, str(path))
    probed = _probed(path, clip, task)
    uri, size = fetched_uri(clip), path.stat().st_size
    _publish(path, task.store, uri)
    return FetchedClip(
        uri=uri,
        size=size,
        duration_s=probed.duration_s,
        width=probed.width,
        height=probed.height,
        has_audio=probed.has_audio,
        format_id="+".join(str(each.get("format_id")) for each in media.chosen),
    )


def _no_overlap() -> ClipError:
    return ClipError("no_overlap", "the video ends before the clip begins")


def _wait_until_available(chosen: Sequence[Format]) -> None:
    wait_s = max((each.get("available_at") or 0) for each in chosen) - time.time()
    time.sleep(min(max(0.0, wait_s), _MAX_WAIT_S))


def _probed(path: Path, clip: Clip, task: VisitTask) -> Probed:
    """Looks at a new file as at any of the store; a section holds the clip, however its source is set."""
    from beam_pipeline.media.probing import probe_clip

    encode = Encode(min_duration_s=task.min_duration_s)
    return probe_clip(ProbeTask(str(path), clip, MediaSettings(encode=encode)))


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

        target = files.join(store, *uri.split("/"))
        try:
            with path.open("rb") as source, files.create(target) as file:
                shutil.copyfileobj(source, file, 1 << 20)
        except BaseException:
            files.delete(target)  # closing what was written of it has made an object of that
            raise
        return
    with path.open("rb") as whole:
        os.fsync(whole.fileno())
    target_path = Path(store) / uri
    target_path.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target_path)
