"""Has the next run make anew what is broken, and keep what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from beam_pipeline.checking.consistency import Ledger
from beam_pipeline.checking.opened_split import STATE_IS_GONE, describe, settings_path
from beam_pipeline.checking.shard_check import Problem
from beam_pipeline.checking.state_rescue import rescued_state
from beam_pipeline.checking.verifying import Verified
from beam_pipeline.json_files import read_object
from beam_pipeline.ledger import ShardState, read_state, state_path, write_state
from tf_data import contract


def mark(verified: Verified) -> Verified:
    """Has the next run make anew what is broken: the shard counts as unfinished, its broken records as lost.

    Records that are right are kept, also those of clips that have gone from the store. Where a shard's state is gone or
    damaged, and all else of the shard is right, there is a new one, from the ledger.

    Raises:
      OSError: a state can't be written.
    """
    problems: dict[str, list[Problem]] = {}
    for problem in verified.problems:
        problems.setdefault(problem.file, []).append(problem)

    @cache
    def ledger_of(split: str, num_shards: int) -> Ledger:
        return Ledger(verified.directory, split, num_shards)  # which has just been read

    marked = 0
    for file, of_shard in problems.items():
        if not (parsed := contract.parse_shard_file(file)) or parsed[0] != verified.name:
            continue
        path = state_path(verified.directory, *parsed[1:])
        state = read_state(path)
        if state is None:
            state = _rescued(verified, of_shard, *parsed[1:], ledger_of)
        elif state.sealed:
            broken = {problem.clip_id for problem in of_shard}
            rows = (replace(row, file="") if row.row.clip_id in broken else row for row in state.rows)
            state = replace(state, sealed=False, rows=tuple(rows))
        else:
            continue
        if state:
            write_state(path, state)
            marked += 1
    return replace(verified, marked=marked)


def _rescued(
    verified: Verified,
    problems: list[Problem],
    split: str,
    shard: int,
    num_shards: int,
    ledger_of: Callable[[str, int], Ledger],
) -> ShardState | None:
    settings = read_object(settings_path(verified.directory, split))
    trimmed = (settings or {}).get("source", {}).get("trimmed")
    if trimmed is None or [problem.what for problem in problems] != [STATE_IS_GONE]:
        return None
    described = describe(verified.directory, verified.name, split)
    rows = ledger_of(split, num_shards).rows(shard)
    return rescued_state(verified.directory, described, shard, num_shards, rows, trimmed)
