"""What a run is to make, written down beside what it makes: how much of it is done is for others to tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from beam_pipeline import files
from beam_pipeline.clips import utc_now
from beam_pipeline.job import Job
from tf_data import contract

PLAN_FILE = "plan.json"


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
        plan = json.loads(content) if content else None
    except ValueError:
        return None
    return plan if isinstance(plan, dict) else None
