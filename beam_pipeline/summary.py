"""What a run says at its end."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from beam_pipeline.clips import REASONS
from beam_pipeline.planning.sharding import more_than_clips

_ADVICE = (
    "Where a site refuses, it takes this machine for a robot: wait some hours, lower source.requests_per_minute, or "
    "give cookies or proxies. Where videos give nothing, upgrade yt-dlp, and add --retry permanent. "
    "docs/fetching_youtube.md tells more. Then run the same command again to go on."
)
# Kinds of source that only look into the store: what they look for, and by which name.
_LOOKED_UP = {
    "local": ("a file", "{id}_{start:06d}_{end:06d} or {id}, with any extension"),
    "frames": ("a folder of frames", "{id}_{start:06d}_{end:06d} or {id}"),
}


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """One split: clips asked for, written and failed by reason, and rows of its lists that were left out."""

    split: str
    asked: int
    written: int
    failed: dict[str, int]
    shards: int
    bytes: int
    unfinished: str  # why clips were left that may still succeed, where some were
    left_out: dict[str, int]  # rows of another split, of a class not kept, beyond the limit, or said twice


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole run.

    `stopped`: by a signal, before its end; `limited`: a limit left clips out that are not made; `fetched`: only the
    store was filled. `source` is the configuration's kind; `failed_archives` says why for each archive that could not
    be read to its end.
    """

    name: str
    directory: str
    splits: tuple[SplitSummary, ...]
    seconds: float
    stopped: bool
    limited: bool
    source: str = "local"
    fetched: bool = False
    failed_archives: dict[str, str] = field(default_factory=dict)

    @property
    def unfinished(self) -> str:
        """Why clips were left that may still succeed; empty where none were."""
        return next((split.unfinished for split in self.splits if split.unfinished), "")

    @property
    def exit_status(self) -> int:
        """0 at the end of the run, 1 where nothing could be written, 3 where it stopped early on purpose."""
        if self.stopped or self.unfinished:
            return 3
        if any(s.asked for s in self.splits) and not any(s.written for s in self.splits):
            return 1
        return 3 if self.limited else 0

    def as_json(self) -> str:
        """Returns the summary as one JSON object on one line."""
        return json.dumps(dataclasses.asdict(self) | {"exit_status": self.exit_status}, ensure_ascii=False)

    def as_text(self) -> str:
        """Returns the summary for people."""
        lines = [f"{self.name} in {self.directory}"]
        for split in self.splits:
            waiting = split.failed.get("not_attempted", 0)
            failed = sum(split.failed.values()) - waiting
            counts = f"{split.written:,} {'in the store' if self.fetched else 'written'}, {failed:,} failed"
            if waiting:
                counts += f", {waiting:,} not attempted"
            shards = "" if self.fetched else f"{plural(split.shards, 'shard')}, "
            lines.append(
                f"  {split.split}: {plural(split.asked, 'clip')} asked for, {counts}; {shards}{size_text(split.bytes)}"
            )
            for reason, count in sorted(split.failed.items(), key=lambda item: (-item[1], item[0])):
                again = "; a rerun tries them again" if REASONS[reason] else ""
                lines.append(f"    {count:>9,} {reason}{again}")
            left_out = ", ".join(f"{count:,} {what}" for what, count in split.left_out.items() if count)
            if left_out:
                lines.append(f"    rows left out: {left_out}")
            if too_many := "" if self.fetched or self.limited else more_than_clips(split.shards, split.asked):
                lines.append(
                    f"    splits.{split.split}.shards: {split.shards} makes {too_many}. Take fewer, with --overwrite: "
                    "plan proposes a number"
                )
        lines += [f"  not read to its end: {detail}" for detail in self.failed_archives.values()]
        lines.append(f"  took {duration_text(self.seconds)}")
        lines.append(f"  {self._next()}")
        return "\n".join(lines)

    def _next(self) -> str:
        if self.stopped:
            return "Stopped before the end: run the same command again to go on."
        if self.unfinished:
            return f"Stopped before the end: {self.unfinished}. {_ADVICE}"
        if self.exit_status == 1:
            not_found = all(split.failed.keys() == {"not_found"} for split in self.splits if split.asked)
            if not_found and self.source in _LOOKED_UP:
                what, name = _LOOKED_UP[self.source]
                return (
                    f"Not one of the clips has {what} in source.store. Its name would be {name}, in any folder: is it "
                    "the right store for these annotations?"
                )
            what = "fetched" if self.fetched else "written"
            return f"Not one clip could be {what}: status --csv says why for each."
        if self.limited:
            return "Only a part was asked for (--limit): run again without it to go on."
        if self.failed_archives:
            return "Some archives were not read to their end; docs/failures.md says what to do for each reason."
        if self.fetched and any(split.failed for split in self.splits):
            return "Why each clip failed: the status command tells, with --csv for each clip."
        if any(split.failed for split in self.splits):
            looked_up = self.source in _LOOKED_UP
            more = "run again when there is more in the store" if looked_up else "docs/failures.md explains"
            return f"Why each clip failed is in clips-<split>.parquet; {more}."
        return "Complete."


def plural(count: int, noun: str) -> str:
    """Returns `1 shard` or `2 shards`, `1 class` or `2 classes`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def size_text(count: float) -> str:
    """Returns bytes in the unit that people would use."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration_text(seconds: float) -> str:
    """Returns seconds in the units that people would use."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
