"""Deletes clips from the store whose records are safe, for those whose disk is smaller than the data set.

Nothing is deleted on trust: only files of the store, still of the size that a record was made from, of clips whose
shard is sealed and was just read to its end (`checking.shard_check`). A later run keeps those records.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beam_pipeline import files
from beam_pipeline.checking.opened_split import describe
from beam_pipeline.checking.shard_check import Problem, verify_shard
from beam_pipeline.ledger import ShardState, StateRow, read_state, state_path
from beam_pipeline.store import list_store
from beam_pipeline.summary import plural, size_text


@dataclass(slots=True)
class Pruned:
    """What `prune` did: shards read and found right, files deleted, bytes freed.

    `kept` counts files that stay though their clip has a record, by why; `problems` are those of shards that are not
    right, whose files stay, too; `unfinished` are shards that are not sealed.
    """

    shards: int = 0
    files: int = 0
    bytes: int = 0
    unfinished: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def as_text(self) -> str:
        """Returns what was done, for people."""
        lines = [f"{plural(self.files, 'file')} deleted, {size_text(self.bytes)}; {plural(self.shards, 'shard')} right"]
        if self.unfinished:
            lines.append(f"  {plural(self.unfinished, 'shard')} not finished: run first")
        lines += [f"  {count:>9,} kept: {why}" for why, count in sorted(self.kept.items())]
        return "\n".join(lines)


def prune(directory: str, name: str, store: str, num_shards: Mapping[str, int], splits: Sequence[str] = ()) -> Pruned:
    """Deletes from a store the files of clips whose records are sealed and verified; doing it again does no harm.

    Not deleted are: what is not in the store, links, and what they lead to outside it; whole videos, of which clips may
    be asked that no list has named yet; files of clips that have others in the store, which the next run would take in
    their place; and files that a clip without a verified record was or is to be made from. No run may be at work.

    Args:
      directory: of the version of the data set.
      name: of the data set.
      store: the store's folder or URL.
      num_shards: of each split of the data set.
      splits: those whose clips are deleted; none: all.

    Raises:
      OSError: a file can't be read or deleted.
      StoreError: the store isn't there.
    """
    pruned = Pruned()
    there, copies = _listed(store)
    needed: set[str] = set()  # by clips whose records are not known to be safe
    safe: list[StateRow] = []
    described = {split: describe(directory, name, split) for split in num_shards}
    for state in _states(directory, num_shards, pruned):
        rows = [row for row in state.rows if _place(row.row.source_uri) in there]
        made = [row for row in rows if row.row.status == "ok"]
        unsafe = rows
        if state.sealed and made and (not splits or state.split in splits):
            if problems := verify_shard(directory, state, described[state.split]):
                pruned.problems += problems
            else:
                pruned.shards += 1
                safe += made
                unsafe = [row for row in rows if row.row.status != "ok"]
        needed.update(_real(row.row.source_uri) for row in unsafe)
    for row in safe:
        path = row.row.source_uri
        size = files.size(path)
        if size is None:
            continue  # deleted a moment ago: it served the clip in two splits
        if why := _why_not(row, size, store, copies, needed):
            pruned.kept[why] += 1
            continue
        files.delete(path)
        pruned.files += 1
        pruned.bytes += size
    return pruned


def _states(directory: str, num_shards: Mapping[str, int], pruned: Pruned) -> Iterator[ShardState]:
    for split, count in num_shards.items():
        for shard in range(count):
            state = read_state(state_path(directory, split, shard, count))
            pruned.unfinished += not (state and state.sealed)
            if state:
                yield state


def _listed(store: str) -> tuple[set[str], Counter[str]]:
    """Returns where the files of a store are, and how many go by each name, with its extension and without."""
    there, copies = set(), Counter[str]()
    for file in list_store(store, may_be_empty=True):
        there.add(_place(files.join(store, *file.uri.split("/"))))
        copies.update(set(file.names))
    return there, copies


def _why_not(row: StateRow, size: int, store: str, copies: Counter[str], needed: set[str]) -> str:
    """Returns why the file of a clip with a verified record stays; '' if it may go."""
    path = row.row.source_uri
    if not _is_within(path, store):
        return "a link, or not in the store itself"
    if row.trimmed == "false":
        return "a whole video"
    if size != row.source_bytes or row.source_crc32c < 0:
        return "not the file that its record was made from"
    if _real(path) in needed:
        return "needed by a clip without a verified record"
    if sum(copies[name] for name in {row.row.clip_id, row.row.video_id}) > 1:
        return "one of several files of its clip"
    return ""


def _place(path: str) -> str:
    """Returns a path in one spelling."""
    return os.path.abspath(path) if files.is_local(path) else path  # noqa: PTH100 - Path's would resolve links


def _real(path: str) -> str:
    return str(Path(path).resolve()) if files.is_local(path) else path


def _is_within(path: str, store: str) -> bool:
    """Whether a path of those that the store lists is in the store itself: no link, and behind none that leads out."""
    if not files.is_local(path):
        return True
    return not Path(path).is_symlink() and Path(path).resolve().is_relative_to(Path(store).resolve())
