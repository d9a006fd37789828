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
      check: called before each visit; what it raises ends all of them (a full disk).
    """

    def __init__(
        self,
        source: Source,
        pool: ChildPool,
        task: Callable[[str, Sequence[Clip], str | None], Task],
        check: Callable[[], None],
    ):
        self._source = source
        self._pool = pool
        self._task = task
        self._check = check
        self._pace = Pace(source.requests_per_minute / source.lanes)
        self._breaker = Breaker(source)
        self._backoff = Backoff(source.backoff_s)
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._under_way: dict[Future, tuple[_Request, Task]] = {}
        self._requested = 0
        self._started = 0
        self._failure: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="visits", daemon=True)
        self._thread.start()

    def request(
        self, video_id: str, clips: Sequence[Clip], tell: Callable[[str, Fetched], None]
    ) -> Future[dict[str, Fetched]]:
        """Asks for clips of a video; `tell` is called with each clip's id and fate as soon as it is known.

        The future is done when all are; it fails with `PoolError` or what `check` raised where the run must stop.
        """
        request = _Request(0.0, self._requested, video_id, {clip.clip_id: clip for clip in clips}, tell, Future())
        with self._changed:
            if self._failure:
                request.done.set_exception(self._failure)
                return request.done
            self._requested += 1
            heapq.heappush(self._waiting, request)
            self._changed.notify()
        return request.done

    def close(self) -> None:
        """Ends the thread; who still waits is told that the run was stopped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait(self._idle_s())
                    finished = [future for future in self._under_way if future.done()]
                    closed = self._closed
                for future in finished:
                    self._settle(*self._under_way[future], future)
                    del self._under_way[future]
                if closed or stopping.is_set():
                    self._abandon("the run was stopped before this clip was done")
                    if closed:
                        return
                elif self._breaker.stopped:
                    self._abandon(self._breaker.stopped)
                else:
                    self._start_due()
        except BaseException as error:
            with self._changed:
                self._failure = error
                requests = [*self._waiting, *(request for request, _ in self._under_way.values())]
                self._waiting, self._under_way = [], {}
            for request in requests:
                if not request.done.done():
                    request.done.set_exception(error)

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
        self._check()
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
        # Of a visit that brought something, what else it brought counts only if it was refused.
        failed = next((r for r in failures if REASONS[r.reason] or len(failures) == len(results)), None)
        wait_s = getattr(failed, "retry_after_s", None)
        if message := self._breaker.note(failed.reason if failed else "", time.monotonic(), wait_s):
            _log.warning("%s", message)
        request.last = {}
        for clip_id, result in results.items():
            may_pass = isinstance(result, ClipError) and REASONS[result.reason]
            if may_pass and request.tries < self._source.tries and result.reason != "not_attempted":
                request.last[clip_id] = result
            else:
                self._tell(request, clip_id, result)
        self._finish_if_settled(request)
        if request.clips:
            request.due_at = time.monotonic() + self._backoff.wait_s(request.tries, wait_s)
            with self._changed:
                heapq.heappush(self._waiting, request)

    def _abandon(self, why: str) -> None:
        """Tells everything that waits that it won't be visited, or not once more, in this run."""
        with self._changed:
            requests, self._waiting = self._waiting, []
            if self._closed or stopping.is_set():
                requests += [request for request, _ in self._under_way.values()]
                for future in self._under_way:
                    future.cancel()
                self._under_way = {}
        for request in requests:
            for clip_id in list(request.clips):
                self._tell(request, clip_id, request.last.get(clip_id) or ClipError("not_attempted", why))
            self._finish_if_settled(request)

    def _tell(self, request: _Request, clip_id: str, result: Any) -> None:
        tried = not (isinstance(result, ClipError) and result.reason == "not_attempted")
        fetched = Fetched(result, request.tries if tried else 0, request.tried_at if tried else "")
        request.settled[clip_id] = fetched
        del request.clips[clip_id]
        request.tell(clip_id, fetched)

    def _finish_if_settled(self, request: _Request) -> None:
        if not request.clips:
            request.done.set_result(request.settled)
