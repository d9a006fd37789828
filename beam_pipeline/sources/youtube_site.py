"""yt-dlp as visits use it: what a site offers of a video, and bytes of that."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from beam_pipeline.clips import ClipError
from beam_pipeline.sources.formats import Format
from beam_pipeline.sources.settings import YouTube
from beam_pipeline.sources.youtube_errors import FetchError, fetch_error
from beam_pipeline.sources.youtube_options import check_js_runtime, load_yt_dlp, parameters

if TYPE_CHECKING:
    from yt_dlp import YoutubeDL
    from yt_dlp.networking.common import Response

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class Site:
    """yt-dlp for visits that have their settings and proxy in common, and the refusals that it met in the latest.

    Raises:
      FetchError: `crashed`, this machine has no JavaScript runtime for YouTube.
    """

    def __init__(self, youtube: YouTube, proxy: str | None, target_px: int, with_audio: bool):
        try:
            check_js_runtime(youtube)
        except ValueError as error:
            raise FetchError("crashed", str(error)) from error
        self._refusals: list[BaseException] = []
        self._answers: list[Response] = []
        self._rate = youtube.rate_kib_s * 1024 if youtube.rate_kib_s else None
        self._ydl: YoutubeDL = load_yt_dlp().YoutubeDL(parameters(youtube, proxy, target_px, with_audio))
        self._urlopen = self._ydl.urlopen
        self._ydl.urlopen = self._open

    def _open(self, request: Any) -> Response:
        """Is yt-dlp's `urlopen`, which all that it asks goes through, and notes what came of it."""
        from yt_dlp.networking.exceptions import HTTPError, TransportError

        try:
            self._answers.append(self._urlopen(request))
        except (HTTPError, TransportError) as error:
            self._refusals.append(error)
            raise
        return self._answers[-1]

    def offer(self, video_id: str, url: str, with_audio: bool) -> tuple[float | None, list[Format]]:
        """Asks what there is of a video.

        Returns:
          Its length in seconds, which is rounded, if it is told; and the chosen formats: the video's, and the audio's
          where that is another.

        Raises:
          FetchError: there is nothing.
        """
        self._refusals.clear()
        try:
            with self.errors():
                info = self._ydl.extract_info(url, download=False)
        finally:
            for answer in self._answers:  # whose rest nobody will read
                answer.close()
            self._answers.clear()
        if not info or info.get("_type", "video") != "video":
            raise FetchError("unsupported", "there is a list of videos, not one, at its address")
        if info.get("extractor_key") == "Youtube" and info.get("id") != video_id:
            raise FetchError("login_required", "YouTube shows another video in its place, a trailer or such")
        if info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
            raise FetchError("format_unavailable", "a live stream that has not ended, or is not processed yet")
        offered: Sequence[Format] = info.get("requested_formats") or [info]
        videos = [each for each in offered if each.get("vcodec") != "none"]
        if not videos:
            raise FetchError("format_unavailable", "the chosen format has no video")
        sounds = [each for each in offered if each.get("vcodec") == "none" and each.get("acodec") != "none"]
        return info.get("duration"), [
            videos[0],
            *(sounds[:1] if with_audio and videos[0].get("acodec") in (None, "none") else []),
        ]

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Makes `FetchError` of whatever yt-dlp raises, but for what is wrong with the run."""
        try:
            yield
        except (ClipError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise
            raise fetch_error(error, self._refusals) from error

    def ask(self, chosen: Format, url: str, first: int | None = None, end: int | None = None) -> Response:
        """Asks for bytes [first, end) of an address of a format; to the end without `end`, all of it without `first`.

        Raises:
          yt_dlp.networking.exceptions.RequestError: as yt-dlp's `urlopen`; `errors` says what it means.
        """
        from yt_dlp.networking.common import Request

        headers = {**(chosen.get("http_headers") or {}), "Accept-Encoding": "identity"}
        if first is not None:
            headers["Range"] = f"bytes={first}-{'' if end is None else end - 1}"
        response = self._urlopen(Request(url, headers=headers))
        return cast("Response", _Slow(response, self._rate)) if self._rate else response


class _Slow:
    """An answer whose body comes at a limited rate, in bytes a second."""

    def __init__(self, response: Response, rate: float):
        self._response = response
        self._rate = rate
        self.status, self.headers, self.url = response.status, response.headers, response.url
        self.close = response.close

    def read(self, count: int) -> bytes:
        began = time.monotonic()
        data = self._response.read(count)
        time.sleep(max(0.0, len(data) / self._rate - (time.monotonic() - began)))
        return data


_sites: dict[str, Site] = {}


def site_of(youtube: YouTube, proxy: str | None, target_px: int, with_audio: bool) -> Site:
    """Returns this process's yt-dlp for such visits, made at the first: its connections and caches are kept."""
    key = repr((youtube, proxy, target_px, with_audio))
    if key not in _sites:
        _sites[key] = Site(youtube, proxy, target_px, with_audio)
    return _sites[key]
