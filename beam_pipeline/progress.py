"""A bar for who watches: clips done, failed, the rate, the time left. It only reads what the run leaves in `state/`."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from beam_pipeline import files
from beam_pipeline.job import Job
from beam_pipeline.ledger import read_progress, state_path

_INTERVAL_S = 1.0


@contextlib.contextmanager
def progress_bar(job: Job, asked: Mapping[str, int]) -> Iterator[None]:
    """Shows a bar on standard error while the block runs; nothing where that is no terminal or the output is remote.

    Args:
      job: the run.
      asked: how many clips each split asks for.
    """
    if not sys.stderr.isatty() or not files.is_local(job.directory):
        yield
        return
    ended = threading.Event()
    with tqdm(total=sum(asked.values()), unit=" clips", dynamic_ncols=True, smoothing=0.05) as bar:
        watcher = threading.Thread(target=_watch, args=(job, list(asked), bar, ended), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _watch(job: Job, splits: list[str], bar: tqdm, ended: threading.Event) -> None:
    paths = [
        Path(state_path(job.directory, split, shard, job.num_shards[split]))
        for split in splits
        for shard in range(job.num_shards[split])
    ]
    seen: dict[Path, tuple[int, Counter[str]]] = {}
    while True:
        last = ended.wait(_INTERVAL_S)
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                changed = path.stat().st_mtime_ns
                if path not in seen or seen[path][0] != changed:
                    progress = read_progress(str(path))
                    if progress:
                        seen[path] = (changed, progress[1])
        reasons = sum((counts for _, counts in seen.values()), Counter())
        done = reasons.total() - reasons["not_attempted"]
        bar.set_postfix(failed=done - reasons[""], refresh=False)
        bar.n = done
        bar.refresh()
        if last:
            return
