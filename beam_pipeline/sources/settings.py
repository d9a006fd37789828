"""Where clips come from: the part `source` of the configuration, whose bounds `beam_pipeline.config` checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen

Name = Annotated[str, MinLen(1)]


@dataclass(frozen=True, slots=True)
class YouTube:
    """How yt-dlp visits a video. `url` is a template with `{id}`, so that ids that begin with "-" are no options.

    `format` is `auto` (the smallest that is at least as tall as the target, H.264 or VP9 before AV1, with sound only if
    audio is asked for) or a format selector of yt-dlp's. Visits take the `proxies` in turn. `options` are parameters of
    `yt_dlp.YoutubeDL` that concern the network and the extractors; `sources.youtube` names those that are taken.
    """

    url: Name = "https://www.youtube.com/watch?v={id}"
    format: Name = "auto"
    cookies_file: Name | None = None
    cookies_from_browser: Name | None = None  # BROWSER[:PROFILE], as yt-dlp's --cookies-from-browser
    proxies: tuple[Name, ...] = ()
    player_clients: tuple[Name, ...] = ()  # as yt-dlp's extractor argument youtube:player_client
    sleep_s: Annotated[float, Interval(ge=0, le=3600)] = 0.0  # between the requests of a visit
    rate_kib_s: Annotated[float, Interval(gt=0)] | None = None  # at most so many KiB of media a second and visit
    user_agent: Name | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the clips' files are, what fills the store, and at which pace.

    `trimmed` says whether files hold just the clip (`true`), the video (`false`), or are `whole`. Of `kind: frames`,
    whose store holds a folder of images for each clip, `whole` is the default.
    """

    store: Name
    kind: Literal["local", "youtube", "archive", "frames"] = "local"
    trimmed: Literal[True, False, "whole"] = True
    archives: dict[str, tuple[Name, ...]] = field(default_factory=dict)  # a split: archives, or .txt lists of them
    replacements: tuple[Name, ...] = ()  # archives of corrected copies, which win over all others
    requests_per_minute: Annotated[float, Interval(gt=0, le=6000)] = 5.0  # visits to videos, of the whole job
    lanes: Annotated[int, Interval(ge=1, le=10_000)] = 1  # parts of the job that may visit side by side
    tries: Annotated[int, Interval(ge=1, le=100)] = 4  # of one video in one run, where a failure is transient
    backoff_s: Annotated[float, Interval(ge=0, le=86_400)] = 60.0  # before the second try; doubles with each, jittered
    visits_at_a_time: Annotated[int, Interval(ge=1, le=64)] = 3  # child processes of a lane; visits start at its rate
    visit_timeout_s: Annotated[float, Interval(gt=0, le=86_400)] = 900.0  # wall-clock time of one visit
    stop_after: Annotated[int, Interval(ge=1, le=1000)] = 5  # bot checks or 429s in a row, then fetching pauses
    pause_s: Annotated[float, Interval(ge=0, le=86_400)] = 900.0  # after it, a single visit decides: on, or stop
    min_free_gib: Annotated[float, Interval(ge=0)] = 2.0  # of the store's disk; less stops the run
    youtube: YouTube = YouTube()

    @property
    def fills_store(self) -> bool:
        """Whether clips come from elsewhere, to be kept in the store."""
        return self.kind in ("youtube", "archive")
