"""Visits to videos at a lane's pace: what may pass is tried again, and a site that says no is left alone."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from beam_pipeline.clips import REASONS, Clip, ClipError, utc_now
from beam_pipeline.pool import ChildPool, PoolError, Task, stopping
from beam_pipeline.sources.pace import Backoff, Breaker, Pace
from beam_pipeline.sources.settings import Source

_POLL_S = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a clip that was to be fetched: what its visit returned for it, or why there is nothing."""

    result: Any
    tries: int
    tried_at: str  # UTC, ISO 8601; empty where it was not tried


@dataclass(order=True, slots=True)
class _Request:
    """A video that is to be visited, and the clips that are still wanted of it."""

    due_at: float
    order: int
    video_id: str = field(compare=False)
    clips: dict[str, Clip] = field(compare=False)
    tell: Callable[[str, Fetched], None] = field(compare=False)
    done: Future[dict[str, Fetched]] = field(compare=False)
    tries: int = field(default=0, compare=False)
    began_at: float = field(default=0.0, compare=False)
    tried_at: str = field(default="", compare=False)
    settled: dict[str, Fetched] = field(default_factory=dict, compare=False)
    last: dict[str, ClipError] = field(default_factory=dict, compare=False)


class Visits:
    """Visits videos one after another in child processes, for all shards of a lane.

    A thread of its own keeps the pace, whatever those who wait for the results are at.

    Args:
      source: pace, tries and patience.
      pool: where visits are made.
      task: makes the task of a visit from a video id, its clips and a proxy. It returns a dictionary of results and
        `ClipError`s by clip id, or fails as a whole with a `ClipError`.
      check_room: called before each visit; what it raises ends all of them (a full disk).
    """

    def __init__(
        self,
        source: Source,
        pool: ChildPool,
        task: Callable[[str, Sequence[Clip], str | None], Task],
        check_room: Callable[[], None],
    ):
        self._source = source
        self._pool = pool
        self._task = task
        self._check_room = check_room
        self._pace = Pace(source.requests_per_minute / source.lanes)
        self._breaker = Breaker(source)
        self._backoff = Backoff(source.backoff_s)
        self._changed = threading.Condition()
        self._open: dict[int, _Request] = {}  # all that somebody waits for
        self._waiting: list[_Request] = []  # of these, a heap of those that are not under way
        self._under_way: dict[Future, tuple[_Request, Task]] = {}
        self._requested = 0
        self._started = 0
        self._ended: BaseException | None = None  # and why
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="visits", daemon=True)
        self._thread.start()

    def request(
        self, video_id: str, clips: Sequence[Clip], tell: Callable[[str, Fetched], None]
    ) -> Future[dict[str, Fetched]]:
        """Asks for clips of a video; `tell` is called with each clip's id and fate as soon as it is known.

        The future is done when all are. It fails where the run must stop: with what `check_room` or `tell` raised, or
        with `PoolError`, also once these visits have ended.
        """
        with self._changed:
            request = _Request(0.0, self._requested, video_id, {clip.clip_id: clip for clip in clips}, tell, Future())
            if self._ended:
                request.done.set_exception(self._ended)
                return request.done
            self._requested += 1
            self._open[request.order] = request
            heapq.heappush(self._waiting, request)
            self._changed.notify()
        return request.done

    def check(self) -> None:
        """Raises what ended these visits, if anything has."""
        if self._ended:
            raise self._ended

    def close(self) -> None:
        """Ends the thread; futures that are not done fail."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        ended: BaseException = PoolError("the visits of this lane have ended")
        try:
            while not self._closed:
                with self._changed:
                    self._changed.wait(self._idle_s())
                    finished = [future for future in self._under_way if future.done()]
                for future in finished:
                    self._settle(*self._under_way[future], future)
                    del self._under_way[future]
                if stopping.is_set():
                    self._abandon("the run was stopped before this clip was done")
                elif self._breaker.stopped:
                    self._abandon(self._breaker.stopped)
                else:
                    self._start_due()
        except BaseException as error:
            ended = error
        with self._changed:
            self._ended = ended
            requests = list(self._open.values())
        for future in self._under_way:
            future.cancel()
        for request in requests:
            if not request.done.done():
                request.done.set_exception(ended)

    def _idle_s(self) -> float:
        if any(future.done() for future in self._under_way):
            return 0.0
        if not self._waiting or self._is_full():
            return _POLL_S
        return min(_POLL_S, self._start_wait_s())

    def _is_full(self) -> bool:
        return len(self._under_way) >= (1 if self._breaker.alone else self._source.visits_at_a_time)

    def _start_wait_s(self) -> float:
        at = time.monotonic()
        return max(self._waiting[0].due_at - at, self._pace.wait_s(at), self._breaker.wait_s(at))

    def _start_due(self) -> None:
        if self._under_way and not self._pool.active:
            raise PoolError("child processes are gone")
        if not self._waiting or self._is_full() or self._start_wait_s() > 0:
            return
        self._check_room()
        proxies = self._source.youtube.proxies
        proxy = proxies[self._started % len(proxies)] if proxies else None
        with self._changed:
            request = self._waiting[0]
            task = self._task(request.video_id, list(request.clips.values()), proxy)
            future = self._pool.submit(task)
            heapq.heappop(self._waiting)
            self._under_way[future] = (request, task)
        self._started += 1
        self._pace.take(time.monotonic())
        request.tries += 1
        request.began_at = time.monotonic()
        request.tried_at = utc_now()
        future.add_done_callback(self._wake)

    def _wake(self, _: Future) -> None:
        with self._changed:
            self._changed.notify()

    def _settle(self, request: _Request, task: Task, future: Future) -> None:
        """Tells what a visit brought; what may pass is put back for another try."""
        outcome = self._pool.outcome(task, future)
        results = dict.fromkeys(request.clips, outcome) if isinstance(outcome, ClipError) else outcome
        failures = [result for result in results.values() if isinstance(result, ClipError)]
        # Of a visit that brought something, what else it brought counts only if it may pass.
        failed = next((r for r in failures if REASONS[r.reason] or len(failures) == len(results)), None)
        wait_s = getattr(failed, "retry_after_s", None)
        at = time.monotonic()
        if message := self._breaker.note(failed.reason if failed else "", request.began_at, at, wait_s):
            _log.warning("%s", message)
        request.last = {}
        for clip_id, result in results.items():
            may_pass = isinstance(result, ClipError) and REASONS[result.reason]
            if may_pass and request.tries < self._source.tries and result.reason != "not_attempted":
                request.last[clip_id] = result
            else:
                self._tell(request, clip_id, result)
        if request.clips:
            request.due_at = at + self._backoff.wait_s(request.tries, wait_s)
            with self._changed:
                heapq.heappush(self._waiting, request)

    def _abandon(self, why: str) -> None:
        """Tells of everything that waits that it is not visited, or not once more, in this run."""
        with self._changed:
            requests, self._waiting = self._waiting, []
        if stopping.is_set():
            requests += [request for request, _ in self._under_way.values()]
            for future in self._under_way:
                future.cancel()
            self._under_way = {}
        for request in requests:
            for clip_id in list(request.clips):
                self._tell(request, clip_id, request.last.get(clip_id) or ClipError("not_attempted", why))

    def _tell(self, request: _Request, clip_id: str, result: Any) -> None:
        tried = not (isinstance(result, ClipError) and result.reason == "not_attempted")
        fetched = Fetched(result, request.tries if tried else 0, request.tried_at if tried else "")
        request.tell(clip_id, fetched)
        request.settled[clip_id] = fetched
        del request.clips[clip_id]
        if not request.clips:
            with self._changed:
                del self._open[request.order]
            request.done.set_result(request.settled)
