"""A bar for who watches: clips done, failed, the rate, the time left. It only reads what the run leaves in `state/`."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from beam_pipeline import files
from beam_pipeline.clips import utc_now
from beam_pipeline.job import Job
from beam_pipeline.ledger import read_progress, state_path
from beam_pipeline.sources.archive_record import read_record, record_path
from tf_data import contract

PLAN_FILE = "plan.json"
_INTERVAL_S = 1.0


def write_plan(
    directory: str, job: Job, asked: Mapping[str, int | None], beyond_limit: Mapping[str, int] | None = None
) -> None:
    """Writes down what a run is to make, of which `status` then tells how much is done.

    Args:
      directory: where the run keeps how far it is.
      job: the run.
      asked: how many clips each split asks for; None where it is not for this directory to tell.
      beyond_limit: how many rows of each split's lists a limit leaves out.
    """
    earlier = read_plan(directory)
    splits: dict[str, Any] = earlier["splits"] if earlier else {}
    for split, count in asked.items():
        before = splits.get(split, {})
        beyond = (beyond_limit or {}).get(split, 0)
        if (before.get("asked") or 0) > (count or 0) and (count is None or job.is_limited(split)):
            count, beyond = before["asked"], before.get("beyond_limit", 0)  # a part adds to what is there
        splits[split] = {"asked": count, "beyond_limit": beyond, "shards": job.num_shards[split]}
    plan = {
        "name": job.name,
        "run_id": job.run_id,
        "started_at": utc_now(),
        "source": job.source.kind,
        "store": job.store,
        "splits": splits,
    }
    path = files.join(directory, contract.STATE_DIR, PLAN_FILE)
    files.write_whole(path, (json.dumps(plan, indent=1) + "\n").encode())


def read_plan(directory: str) -> dict[str, Any] | None:
    """Returns what `write_plan` wrote of the last run; None where there is nothing that can be read."""
    content = files.read_whole(files.join(directory, contract.STATE_DIR, PLAN_FILE))
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


@contextlib.contextmanager
def progress_bar(job: Job, asked: Mapping[str, int]) -> Iterator[None]:
    """Shows a bar on standard error while the block runs; nothing where that is no terminal or the output is remote.

    Args:
      job: the run.
      asked: how many clips each split asks for.
    """
    if not sys.stderr.isatty() or not files.is_local(job.progress_directory):
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
        Path(state_path(job.progress_directory, split, shard, job.num_shards[split]))
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
        bar.set_postfix({"failed": done - reasons[""], **_archive(job)}, refresh=False)
        bar.n = done
        bar.refresh()
        if last:
            return


def _archive(job: Job) -> dict[str, str]:
    """Tells which archive is being read, before which nothing else begins, and how much of it has been."""
    changed = {}
    for archive in job.archives:
        with contextlib.suppress(FileNotFoundError):
            changed[archive.url] = Path(record_path(job.store, archive.url)).stat().st_mtime_ns
    latest = read_record(job.store, max(changed, key=changed.__getitem__)) if changed else None
    if latest is None or latest.state != "reading":
        return {}
    part = f" {latest.bytes / latest.size:.0%}" if latest.size else ""
    return {"archive": latest.folder.rpartition("/")[2] + part}
