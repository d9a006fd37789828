"""A video's chosen formats on the site's servers, and sections of them: files over HTTP, and streams in fragments."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from av.container import InputContainer

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.media.audio import PREROLL_S
from beam_pipeline.media.container import open_container
from beam_pipeline.media.section import BEYOND_S, Stretch, StretchError, cut_section, span_s
from beam_pipeline.media.streams import clock_origin_s, is_broadcast
from beam_pipeline.sources.formats import Format, is_direct
from beam_pipeline.sources.fragments import Fragment, Fragments, Span, fragments_of
from beam_pipeline.sources.range_file import RangeFile
from beam_pipeline.sources.small_files import download
from beam_pipeline.sources.youtube_site import Site

if TYPE_CHECKING:
    from yt_dlp.networking.common import Response

_MAX_BYTES = 4 << 30  # received of one format; a section takes some MB, but a server that knows no ranges sends it all
_MAX_WINDOW_BYTES = 512 << 20  # of the fragments of one section
_MAX_PLAYLIST_BYTES = 32 << 20
_MAX_WINDOWS = 10  # for one section; where a key frame is sought, each is twice as long as the one before


class RemoteMedia:
    """The chosen formats' files while a visit lasts: what has come of them serves all of its clips.

    Args:
      site: who is asked.
      chosen: the format of the video and, if it is another, that of the sound.
      folder: for what has come.
    """

    def __init__(self, site: Site, chosen: Sequence[Format], folder: Path):
        self._stack = contextlib.ExitStack()
        self._formats: list[_File | _Stream] = [
            _File(site, each, folder, self._stack)
            if is_direct(each)
            else _Stream(site, each, folder / f"{index}", of_sound=index > 0)
            for index, each in enumerate(chosen)
        ]

    def __enter__(self) -> RemoteMedia:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cut(self, clip: Clip, with_audio: bool, path: Path) -> None:
        """Writes a clip's section to a file.

        Raises:
          ClipError: as `section.cut_section`, and `format_unavailable` for a stream whose fragments can't be cut.
          Exception: what yt-dlp raises.
          OSError: the file, or what came, can't be written.
        """
        for each in self._formats:
            each.aim(clip)
        for _ in range(_MAX_WINDOWS):
            with contextlib.ExitStack() as stack:
                try:
                    opened = [each.open(stack) for each in self._formats]
                    (video, video_stretch), (audio, audio_stretch) = opened[0], opened[-1]
                    cut_section(
                        video,
                        audio if with_audio else None,
                        clip.start_us,
                        clip.end_us,
                        path,
                        video_stretch,
                        audio_stretch,
                    )
                    return
                except StretchError as error:
                    self._formats[-1 if error.of_sound else 0].correct(error.before)
        raise ClipError("format_unavailable", "the fragments that the clip needs can't be found")


class _File:
    """A format that is one file, of which any part can be asked for."""

    def __init__(self, site: Site, chosen: Format, folder: Path, stack: contextlib.ExitStack):
        self._file = stack.enter_context(
            RangeFile(lambda first, end: site.ask(chosen, chosen["url"], first, end), _MAX_BYTES, directory=str(folder))
        )

    def aim(self, _: Clip) -> None:
        """Any clip is read from the same file."""

    def correct(self, _: bool) -> None:
        raise AssertionError("a file lacks nothing")

    def open(self, stack: contextlib.ExitStack) -> tuple[InputContainer, Stretch | None]:
        self._file.seek(0)
        return stack.enter_context(open_container(cast("BinaryIO", self._file))), None


class _Stream:
    """A format in fragments, and the window of those that a section is being cut from."""

    def __init__(self, site: Site, chosen: Format, folder: Path, of_sound: bool):
        self._site = site
        self._chosen = chosen
        self._folder = folder
        self._of_sound = of_sound
        self._kept: dict[str, Path] = {}
        self._kept_bytes = 0
        self._fragments: Fragments | None = None
        self._origin_s: Fraction | None = None
        self._window = range(0)
        self._wanted = (Fraction(0), Fraction(0))
        self._held: Span | None = None

    @property
    def fragments(self) -> Fragments:
        if self._fragments is None:
            self._fragments = fragments_of(self._chosen, self._read)
        return self._fragments

    def aim(self, clip: Clip) -> None:
        """Sets the window to the fragments of a clip, as they are listed."""
        self._wanted = Fraction(clip.start_us, 1_000_000) - PREROLL_S, Fraction(clip.end_us, 1_000_000) + BEYOND_S
        self._window = self.fragments.touching(*self._wanted)

    def correct(self, before: bool) -> None:
        """Sets the window to other fragments: of those that were opened last, something before or behind is lacking."""
        self._window = self.fragments.corrected(self._window, before, self._held, self._wanted)

    def open(self, stack: contextlib.ExitStack) -> tuple[InputContainer, Stretch]:
        """Opens the fragments of the window, joined; `stack` closes it.

        Raises:
          StretchError: nothing can be read of them without those before.
        """
        window, fragments = self._window, self.fragments
        from_beginning = window.start == 0
        self._held = None
        joined = stack.enter_context(self._joined(window))
        try:
            with open_container(joined) as container:
                origin_s = self._find_origin_s(container, from_beginning)
                self._held = span_s(container, origin_s, self._of_sound)
            if self._held is not None:
                fragments.check_clock(window, self._held)
            joined.seek(0)
            container = stack.enter_context(open_container(joined))
        except ClipError as error:
            if error.reason in ("unreadable", "no_video") and not from_beginning:
                raise StretchError(self._of_sound, before=True) from error
            raise
        to_end = fragments.is_whole and window.stop == len(fragments.parts)
        return container, Stretch(origin_s, from_beginning, to_end)

    def _find_origin_s(self, container: InputContainer, from_beginning: bool) -> Fraction:
        if self._origin_s is None:
            if from_beginning or not is_broadcast(container):
                self._origin_s = clock_origin_s(container)
            else:
                with self._joined(range(1)) as joined, open_container(joined) as beginning:
                    self._origin_s = clock_origin_s(beginning)
        return self._origin_s

    @contextlib.contextmanager
    def _joined(self, window: range) -> Iterator[BinaryIO]:
        """Gives the head and the fragments of a window as one file."""
        head = [("head", self.fragments.head)] if self.fragments.head else []
        with tempfile.TemporaryFile(dir=self._folder.parent) as file:
            for name, fragment in [*head, *((str(index), self.fragments.parts[index]) for index in window)]:
                with self._part(name, fragment).open("rb") as part:
                    shutil.copyfileobj(part, file, 1 << 20)
                if file.tell() > _MAX_WINDOW_BYTES:
                    raise ClipError(
                        "too_large", f"the fragments around the clip are more than {_MAX_WINDOW_BYTES >> 20} MiB"
                    )
            file.seek(0)
            yield file

    def _part(self, name: str, fragment: Fragment) -> Path:
        """Returns where a fragment is kept."""
        if name not in self._kept:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / name
            expected = None if fragment.first is None or fragment.end is None else (fragment.first, fragment.end)
            with path.open("w+b") as file:
                download(
                    lambda: self._site.ask(self._chosen, fragment.url, fragment.first, fragment.end),
                    file,
                    max(0, min(_MAX_WINDOW_BYTES, _MAX_BYTES - self._kept_bytes)),
                    expected=expected,
                )
                self._kept_bytes += file.tell()
            self._kept[name] = path
        return self._kept[name]

    def _read(self, url: str) -> tuple[str, bytes]:
        file = io.BytesIO()
        response = download(
            lambda: self._site.ask(self._chosen, url), file, _MAX_PLAYLIST_BYTES, name="the list of fragments"
        )
        return cast("Response", response).url, file.getvalue()
