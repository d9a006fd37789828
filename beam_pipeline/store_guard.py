"""A store that gives no clip any more is a fault of the run, and not of clip after clip."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from beam_pipeline.clips import ClipError
from beam_pipeline.errors import RunError
from beam_pipeline.media.task import UnreadFileError
from beam_pipeline.pool import Key, Pool, Task

IN_A_ROW = 10
"""Files that can't be read one after another, of whatever shards, after which the run stops."""


class GuardedPool:
    """A pool whose tasks each read a file of a store; it may be shared by threads.

    Clips come in the order of their ids, which has nothing to do with where their files are: so many in a row that
    can't be read are those of a store whose rights have changed, that was unmounted, or that nobody reaches.
    """

    def __init__(self, pool: Pool, store: str):
        self._pool = pool
        self._store = store
        self._unread = 0
        self._lock = threading.Lock()

    def map(self, tasks: Iterable[tuple[Key, Task | None]]) -> Iterator[tuple[Key, Any]]:
        """Does what the pool's `map` does.

        Raises:
          RunError: `IN_A_ROW` files could not be read, and none between them.
          PoolError: as the pool's.
        """
        for key, outcome in self._pool.map(tasks):
            if outcome is not None:
                self._note(outcome)
            yield key, outcome

    def _note(self, outcome: Any) -> None:
        if isinstance(outcome, ClipError) and outcome.reason == "not_attempted":
            return
        with self._lock:
            self._unread = self._unread + 1 if isinstance(outcome, UnreadFileError) else 0
            if self._unread >= IN_A_ROW:
                raise RunError(
                    f"{self._store}: {self._unread} clips in a row could not be read, the last: {outcome.detail}. "
                    "Nothing that was made is lost: mend it and run again"
                )
