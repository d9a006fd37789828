"""How fast a site is visited, and when it is left alone."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from beam_pipeline.sources.settings import Source

_REFUSALS = ("bot_check", "rate_limited")
_UNDECIDED = ("network", "timeout")  # say nothing of whether the site would have refused
_FRUITLESS = (*_UNDECIDED, "crashed", "format_unavailable", "unsupported")
_MANY = 5  # times `stop_after`: of YouTube's videos, one in some hundred is like that by itself
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
    """Stops visits that do no good.

    Refusals in a row (bot checks, 429s) first make all visits pause; then a single one decides: on, or stop. And when
    many visits in a row bring nothing though the videos may be there, something is wrong with the site, with yt-dlp or
    with the network, and visits stop.

    Attributes:
      stopped: why nothing is to be visited any more; empty while it is.
      alone: whether only one visit may be under way.
    """

    source: Source
    stopped: str = ""
    alone: bool = False
    _refusals: int = 0
    _fruitless: int = 0
    _closed_until: float = -math.inf

    def wait_s(self, now: float) -> float:
        """Returns the seconds until the pause is over."""
        return max(0.0, self._closed_until - now)

    def note(self, reason: str, now: float, retry_after_s: float | None = None) -> str:
        """Takes the outcome of a visit, '' for a good one; returns what there is to tell people, if anything."""
        if retry_after_s:
            self._closed_until = max(self._closed_until, now + min(retry_after_s, _MAX_WAIT_S))
        if reason in _REFUSALS:
            return self._note_refusal(reason, now)
        self._fruitless = self._fruitless + 1 if reason in _FRUITLESS else 0
        if self._fruitless >= _MANY * self.source.stop_after:
            self.stopped = f"fetching stopped after {self._fruitless} visits in a row brought nothing ({reason})"
            return self.stopped
        if reason not in _UNDECIDED:  # the site has answered
            self._refusals, self.alone = 0, False
        return ""

    def _note_refusal(self, reason: str, now: float) -> str:
        self._refusals += 1
        if self.alone:
            self.stopped = (
                f"fetching stopped after {self._refusals} refusals in a row ({reason}), the last after a pause of "
                f"{self.source.pause_s:g} s"
            )
            return self.stopped
        if self._refusals < self.source.stop_after:
            return ""
        self.alone = True
        self._closed_until = max(self._closed_until, now + self.source.pause_s)
        return f"{self._refusals} refusals in a row ({reason}): fetching pauses for {self.wait_s(now):.0f} s"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with jitter: `first_s`, doubled with every try, times a random number from ½ to 1½."""

    first_s: float
    _random: random.Random = field(default_factory=random.Random)

    def wait_s(self, tries: int, retry_after_s: float | None = None) -> float:
        """Returns the seconds to wait after so many tries; never less than the site itself asks for, up to an hour."""
        wait_s = self.first_s * 2.0 ** (tries - 1) * self._random.uniform(0.5, 1.5)
        return min(max(wait_s, retry_after_s or 0.0), _MAX_WAIT_S)
