"""How fast a site is visited, and when it is left alone."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from beam_pipeline.sources.settings import Source

_REFUSALS = ("bot_check", "rate_limited")
_FRUITLESS = ("network", "timeout", "crashed", "format_unavailable", "unsupported")
_MANY = 5  # times `stop_after`: were every other video like that, 25 in a row would come once in 30 million visits
_MAX_WAIT_S = 3600.0


@dataclass(slots=True)
class Pace:
    """Starts at even intervals, `per_minute` of them for as long as there is something to start.

    A start that comes a little late does not shift those after it; what was not used for longer is not made up for.
    """

    per_minute: float
    _next_at: float = -math.inf

    def wait_s(self, now: float) -> float:
        """Returns the seconds until the next start is due."""
        return max(0.0, self._next_at - now)

    def take(self, now: float) -> None:
        """Counts a start."""
        interval_s = 60.0 / self.per_minute
        late_s = now - self._next_at
        self._next_at = (self._next_at if late_s < interval_s else now) + interval_s


@dataclass(slots=True)
class Breaker:
    """Stops visits that do no good: first all of them pause, and then they are made one by one until it is clear.

    That is after some refusals (bot checks, 429s) without a good visit between them, and after many visits that bring
    nothing though the videos may be there: then something is wrong with the network, with yt-dlp or with the site. A
    good visit goes on. That a video is gone decides nothing: a site tells so even where it refuses all others.

    Attributes:
      stopped: why nothing is to be visited any more; empty while it is.
      alone: whether only one visit may be under way.
    """

    source: Source
    stopped: str = ""
    alone: bool = False
    _refusals: int = 0
    _fruitless: int = 0
    _pause_ends_at: float = -math.inf
    _closed_until: float = -math.inf

    def wait_s(self, now: float) -> float:
        """Returns the seconds until visits may go on."""
        return max(0.0, self._closed_until - now)

    def note(self, reason: str, began_at: float, now: float, retry_after_s: float | None = None) -> str:
        """Takes the outcome of a visit.

        Args:
          reason: why it failed, a class of `clips.REASONS`; empty for a good one.
          began_at: when it began, by the clock of `now`.
          now: the time.
          retry_after_s: what the site asks one to wait.

        Returns:
          What there is to tell people; empty where there is nothing.
        """
        if retry_after_s:
            self._closed_until = max(self._closed_until, now + min(retry_after_s, _MAX_WAIT_S))
        if began_at < self._pause_ends_at:
            return ""  # it was under way already, and says nothing about after the pause
        if not reason:
            self._refusals, self._fruitless, self.alone = 0, 0, False
        elif reason in _REFUSALS:
            self._refusals += 1
            if self.alone or self._refusals >= self.source.stop_after:
                return self._pause_or_stop(f"{self._refusals} refusals in a row ({reason})", now)
        elif reason in _FRUITLESS:
            self._fruitless += 1
            if self._fruitless >= _MANY * self.source.stop_after:
                return self._pause_or_stop(f"{self._fruitless} visits in a row that brought nothing ({reason})", now)
        return ""

    def _pause_or_stop(self, why: str, now: float) -> str:
        pause_s = self.source.pause_s
        if self.alone:
            self.stopped = f"fetching stopped after {why}, the last after a pause of {pause_s:g} s"
            return self.stopped
        self.alone = True
        self._pause_ends_at = now + pause_s
        self._closed_until = max(self._closed_until, self._pause_ends_at)
        return f"{why}: fetching pauses for {self.wait_s(now):.0f} s"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with jitter: `first_s`, doubled with every try, times a random number from ½ to 1½."""

    first_s: float
    _random: random.Random = field(default_factory=random.Random)

    def wait_s(self, tries: int, retry_after_s: float | None = None) -> float:
        """Returns the seconds to wait after so many tries; never less than the site itself asks for, up to an hour."""
        wait_s = self.first_s * 2.0 ** (tries - 1) * self._random.uniform(0.5, 1.5)
        return min(max(wait_s, retry_after_s or 0.0), _MAX_WAIT_S)
