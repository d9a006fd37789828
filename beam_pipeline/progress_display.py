"""What who watches a run sees of it: a bar on a terminal, else a line now and then, as a batch system's log keeps.

Both only read what the run leaves in `state/`, so that they are the same on every engine.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from beam_pipeline import files
from beam_pipeline.job import Job
from beam_pipeline.ledger import parse_state_name, read_progress, state_path
from beam_pipeline.sources.archive_record import read_record, record_path
from beam_pipeline.summary import duration_text
from tf_data import contract

_BAR_INTERVAL_S = 1.0
_LINE_INTERVAL_S = 60.0
_REMOTE_INTERVAL_S = 600.0
"""In a store, where every state that is read is a call that is paid for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Clips done, those of them that failed, and the archive that is being read, before which nothing else begins."""

    done: int
    failed: int
    archive: str = ""


@contextlib.contextmanager
def progress_display(job: Job, asked: Mapping[str, int]) -> Iterator[None]:
    """Shows on standard error how far a run is while the block runs.

    Args:
      job: the run.
      asked: how many clips each split asks for.
    """
    local, total = files.is_local(job.progress_directory), sum(asked.values())
    if local and sys.stderr.isatty():
        with tqdm(total=total, unit=" clips", dynamic_ncols=True, smoothing=0.05) as bar:
            with _watching(_local_progress(job, list(asked)), _BAR_INTERVAL_S, lambda now: _move(bar, now)):
                yield
            _move(bar, _local_progress(job, list(asked))())
    else:
        look = _local_progress(job, list(asked)) if local else lambda: _remote_progress(job, list(asked))
        lines = _Lines(total)
        with _watching(look, _LINE_INTERVAL_S if local else _REMOTE_INTERVAL_S, lines.tell):
            yield


@contextlib.contextmanager
def _watching(look: Callable[[], Progress], interval_s: float, tell: Callable[[Progress], None]) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(interval_s):
            with contextlib.suppress(Exception):  # a store that can't be read meets the work itself soon enough
                now = look()
                if not ended.is_set():
                    tell(now)

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(timeout=5.0)  # it may be waiting for a store


def _local_progress(job: Job, splits: list[str]) -> Callable[[], Progress]:
    """Returns a function that reads what has changed since it was called last."""
    paths = [
        Path(state_path(job.progress_directory, split, shard, job.num_shards[split]))
        for split in splits
        for shard in range(job.num_shards[split])
    ]
    seen: dict[Path, tuple[int, Counter[str]]] = {}

    def look() -> Progress:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                changed = path.stat().st_mtime_ns
                if path not in seen or seen[path][0] != changed:
                    progress = read_progress(str(path))
                    if progress:
                        seen[path] = (changed, progress[1])
        return _progress(job, sum((counts for _, counts in seen.values()), Counter()))

    return look


def _remote_progress(job: Job, splits: list[str]) -> Progress:
    folder = files.join(job.progress_directory, contract.STATE_DIR)
    reasons: Counter[str] = Counter()
    for name in files.names(folder):
        place = parse_state_name(name)
        if place and place[0] in splits and place[2] == job.num_shards[place[0]]:
            progress = read_progress(files.join(folder, name))
            reasons += progress[1] if progress else Counter()
    return _progress(job, reasons)


def _progress(job: Job, reasons: Counter[str]) -> Progress:
    done = reasons.total() - reasons["not_attempted"]
    return Progress(done, done - reasons[""], _archive(job))


def _move(bar: tqdm, now: Progress) -> None:
    bar.set_postfix({"failed": now.failed, **({"archive": now.archive} if now.archive else {})}, refresh=False)
    bar.n = now.done
    bar.refresh()


class _Lines:
    """Prints a line each time that it is told; the rate is of the time since it was made."""

    def __init__(self, total: int):
        self._total = total
        self._began_at = time.monotonic()
        self._before: int | None = None  # done when it was first told: mostly by earlier runs
        self._first_at = self._began_at

    def tell(self, now: Progress) -> None:
        parts = [f"{now.done:,} of {self._total:,} clips done, {now.failed:,} failed"]
        if now.archive:
            parts.append(f"reading archive {now.archive}")
        if self._before is None:
            self._before, self._first_at = now.done, time.monotonic()
        elif now.done > self._before:
            rate = (now.done - self._before) / (time.monotonic() - self._first_at)
            left = duration_text(max(0, self._total - now.done) / rate)
            parts.append(f"{60 * rate:,.1f} a minute, {left} left")
        print(f"{duration_text(time.monotonic() - self._began_at)}: {'; '.join(parts)}", file=sys.stderr, flush=True)


def _archive(job: Job) -> str:
    """Returns which archive is being read, and how much of it has been; '' where none is."""
    if not files.is_local(job.store):
        return ""
    changed = {}
    for archive in job.archives:
        with contextlib.suppress(FileNotFoundError):
            changed[archive.url] = Path(record_path(job.store, archive.url)).stat().st_mtime_ns
    latest = read_record(job.store, max(changed, key=changed.__getitem__)) if changed else None
    if latest is None or latest.state != "reading":
        return ""
    part = f" {latest.bytes / latest.size:.0%}" if latest.size else ""
    return latest.folder.rpartition("/")[2] + part
