"""Whether a data set is whole and right: every byte of every shard, and all that its files say of each other.

Shards are read by whatever can take one after another: child processes here (`pool_reader`), or the workers of a Beam
pipeline (`verify_graph`).
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from beam_pipeline.checking.consistency import FoundShard, strangers, wrong_info, wrong_labels
from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.lines import text_of
from beam_pipeline.checking.opened_split import Claims, OpenedSplit, check_shard, open_split
from beam_pipeline.checking.shard_check import Problem
from beam_pipeline.clips import ClipError
from beam_pipeline.data_set import splits_in
from beam_pipeline.errors import RequestError
from beam_pipeline.pool import Pool, Task
from beam_pipeline.summary import plural, size_text
from tf_data import contract

_SHARD_CPU_S, _SHARD_WALL_S = 24 * 3600.0, 7 * 24 * 3600.0  # nothing hangs here; a store may be slow
_SHOWN = 20  # problems of one file

ReadShards = Callable[[Sequence[OpenedSplit], Frames], Iterable[tuple[str, FoundShard]]]
"""Reads all shards of some splits, in their order; yields what it finds of each, with the split's name."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` read of a data set, and what is wrong with it.

    `frames` says which images were decoded. `complete` is whether all that its annotations ask for has been tried; a
    part is no problem. `marked` says how many shards were, for the next run.
    """

    directory: str
    name: str
    splits: tuple[str, ...]
    shards: int
    records: int
    bytes: int
    frames: Frames
    complete: bool
    problems: tuple[Problem, ...]
    marked: int = 0

    def as_json(self) -> str:
        """Returns all of it as one JSON object on one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    def as_text(self) -> str:
        """Returns it for people; of one file no more than twenty problems."""
        lines, told = [], Counter[str]()
        for problem in self.problems:
            told[problem.file] += 1
            if told[problem.file] <= _SHOWN:
                lines.append(str(problem))
        lines += [f"{file}: and {count - _SHOWN:,} more" for file, count in told.items() if count > _SHOWN]
        what = f"{plural(self.shards, 'shard')}, {plural(self.records, 'record')}, {size_text(self.bytes)} read"
        what += {"none": "", "sample": ", an image of each clip decoded", "all": ", all images decoded"}[self.frames]
        right = f"{plural(len(self.problems), 'problem')} in {plural(len(told), 'file')}" if told else "all is right"
        part = "" if self.complete else ", though only a part was asked for, or done"
        lines.append(f"{self.name} in {self.directory} ({', '.join(self.splits)}): {what}; {right}{part}")
        if self.marked:
            lines.append(f"  {plural(self.marked, 'shard')} marked: run again, which makes anew what is broken in them")
        elif any(contract.parse_shard_file(file) for file in told):
            lines.append("  verify --mark has the next run make anew what is broken in shards, and keep the rest")
        return text_of(lines)


def verify(directory: str, splits: Sequence[str], read: ReadShards, frames: Frames = "sample") -> Verified:
    """Reads a whole version of a data set and compares all of its files with each other.

    Args:
      directory: of the version.
      splits: those to verify; none: all.
      read: reads the shards.
      frames: which images are decoded.

    Raises:
      RequestError: a split is not there.
      Exception: what `read` raises where it can't work.
    """
    there = splits_in(directory)
    for split in splits:
        if split not in there:
            raise RequestError(f"{directory}: there is no split {split}, only {', '.join(there)}")
    opened = [open_split(directory, split) for split in there]
    chosen = [each for each in opened if not splits or each.described.split in splits]
    by_split: dict[str, list[FoundShard]] = {each.described.split: [] for each in chosen}
    for split, found in read(chosen, frames):
        by_split[split].append(found)
    problems = [problem for each in chosen for problem in _problems_of(each, by_split[each.described.split])]
    if all(each.num_shards for each in opened):
        num_shards = {(each.described.name, each.described.split): each.num_shards for each in opened}
        problems += strangers(directory, num_shards)
    shards = [shard for of_split in by_split.values() for shard in of_split]
    return Verified(
        directory=directory,
        name=chosen[0].described.name,
        splits=tuple(each.described.split for each in chosen),
        shards=len(shards),
        records=sum(shard.clips[""] for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        frames=frames,
        complete=all(bool(each.info and each.info.get("complete")) for each in chosen),
        problems=tuple(dict.fromkeys(problems)),  # the label list is that of all splits
    )


def _problems_of(split: OpenedSplit, found: Sequence[FoundShard]) -> Iterator[Problem]:
    yield from split.problems
    if not split.num_shards:
        return
    yield from (problem for shard in found for problem in shard.problems)
    said = sum((shard.labels for shard in found), Counter[tuple[int, str]]())
    yield from wrong_labels(split.labels, split.info, split.settings, said)
    yield from wrong_info(split.info, split.settings, split.described.split, found)


def pool_reader(pool: Pool) -> ReadShards:
    """Returns what reads shards in child processes."""

    def read(splits: Sequence[OpenedSplit], frames: Frames) -> Iterator[tuple[str, FoundShard]]:
        claims = (
            dataclasses.replace(split.claims(shard), frames=frames)
            for split in splits
            for shard in range(split.num_shards)
        )
        tasks = ((each, Task(check_shard, each, _SHARD_CPU_S, _SHARD_WALL_S)) for each in claims)
        for each, found in pool.map(tasks):
            yield each.described.split, _unread(each, found) if isinstance(found, ClipError) else found

    return read


def _unread(claims: Claims, error: ClipError) -> FoundShard:
    return FoundShard([Problem(claims.file, f"could not be verified: {error.detail}")])
