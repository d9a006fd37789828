"""Signs of life: a shard's state is rewritten while its work goes on, so that `status` sees one that is stuck."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from beam_pipeline import files

_STATE_INTERVAL_S = 2.0  # on a disk, where a progress bar follows it
_REMOTE_STATE_INTERVAL_S = 15.0  # in a store, where each writing is paid for, and the shard waits for it
BEAT_INTERVAL_S = 20.0
"""How long a state may stand while no clip is done, before it is rewritten to say that the work goes on."""


def state_interval_s(path: str) -> float:
    """Returns how often at most a shard's state is rewritten as its clips are done, in seconds, by where it is."""
    return _STATE_INTERVAL_S if files.is_local(path) else _REMOTE_STATE_INTERVAL_S


@contextlib.contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Calls `beat` every two seconds in a thread of its own while the block runs.

    What it raises is dropped: a disk that can't be written meets the work itself soon enough.
    """
    ended = threading.Event()

    def keep_beating() -> None:
        while not ended.wait(_STATE_INTERVAL_S):
            with contextlib.suppress(Exception):
                beat()

    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
