"""Signs of life: a shard's state is rewritten while its work goes on, so that `status` sees one that is stuck."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

STATE_INTERVAL_S = 2.0
"""How often at most a shard's state is rewritten as its clips are done; a progress bar follows it."""
REMOTE_STATE_INTERVAL_S = 15.0
"""The same in a store, where each writing is paid for, and the shard waits for it."""
BEAT_INTERVAL_S = 20.0
"""How long a state may stand while no clip is done, before it is rewritten to say that the work goes on."""


@contextlib.contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Calls `beat` every `STATE_INTERVAL_S` seconds in a thread of its own while the block runs.

    What it raises is dropped: a disk that can't be written meets the work itself soon enough.
    """
    ended = threading.Event()

    def keep_beating() -> None:
        while not ended.wait(STATE_INTERVAL_S):
            with contextlib.suppress(Exception):
                beat()

    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
