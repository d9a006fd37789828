"""How far a data set and its store are: from the small files in `state/` alone, at any time and from any machine."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from beam_pipeline import files
from beam_pipeline.ledger import parse_state_name, read_state_rows
from beam_pipeline.progress import read_plan
from beam_pipeline.sources.archive_record import ArchiveRecord, read_archive_records
from beam_pipeline.summary import duration_text, plural, size_text
from tf_data import contract

CSV_COLUMNS = (
    *("clip_id", "video_id", "start_s", "end_s", "label", "split", "status", "reason", "transient", "detail"),
    *("attempts", "attempted_at", "source_uri"),
)
_RATE_WINDOW = timedelta(hours=1)
_MAX_CLASSES = 10
_MAX_SHARDS = 10
# A state is rewritten every 20 s while its shard is made (`heartbeat`).
_SILENT_AFTER_S = 120.0
# A whole shard ought to take 5 to 15 minutes, so a clip that takes as long is worth a look.
_STUCK_AFTER_S = 900.0


@dataclass(frozen=True, slots=True)
class ShardAtWork:
    """A shard that the last run has begun and not finished.

    Attributes:
      shard: its number.
      done: clips done.
      asked: clips of the shard.
      worker: the machine that makes it.
      silent_s: seconds since its process gave a sign of life.
      clip_s: seconds since its last clip was done, or since it was begun.
    """

    shard: int
    done: int
    asked: int
    worker: str
    silent_s: float
    clip_s: float

    @property
    def is_gone(self) -> bool:
        """Whether its process gives no sign of life."""
        return self.silent_s > _SILENT_AFTER_S

    @property
    def is_stuck(self) -> bool:
        """Whether it is at one clip for longer than a whole shard should take, or its process is gone."""
        return self.is_gone or self.clip_s > _STUCK_AFTER_S


@dataclass(slots=True)
class SplitStatus:
    """How far a split is. `asked` is what the last run was asked for, None where nobody wrote that down.

    `beyond_limit` counts the rows that a limit left out of that.
    """

    asked: int | None = None
    shards: int = 0
    beyond_limit: int = 0
    sealed: int = 0
    bytes: int = 0
    unfinished: str = ""  # why the last run left clips that may still succeed
    reasons: Counter[str] = field(default_factory=Counter)  # rows by reason, '' for those that are ok
    at_work: list[ShardAtWork] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Clips that something became of."""
        return self.reasons.total() - self.reasons["not_attempted"]

    @property
    def is_finished(self) -> bool:
        """Whether something became of every clip that the last run was asked for, and every shard is finished."""
        return self.asked is not None and self.done >= self.asked and self.sealed == self.shards and not self.unfinished


@dataclass(slots=True)
class Status:
    """What the states of a directory tell.

    `recent` counts the clips of the last hour, or since the run began if that is later: of `recent_s` seconds, which
    end with the last clip where nobody is at work. `last_at` is when that was. `labels` counts clips done, and
    `failed_labels` those that failed, by label.
    """

    directory: str
    splits: dict[str, SplitStatus]
    recent: int = 0
    recent_s: float = 0.0
    last_at: datetime | None = None
    labels: Counter[str] = field(default_factory=Counter)
    failed_labels: Counter[str] = field(default_factory=Counter)

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return all(split.is_finished for split in self.splits.values())

    @property
    def is_at_work(self) -> bool:
        """Whether somebody makes a shard, as far as signs of life tell."""
        return any(not shard.is_gone for split in self.splits.values() for shard in split.at_work)

    @property
    def per_minute(self) -> float:
        """Clips a minute, lately."""
        return 60.0 * self.recent / self.recent_s if self.recent_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until the last clip at that rate; None where that can't be told."""
        if not self.per_minute or any(split.asked is None for split in self.splits.values()):
            return None
        left = sum(max(0, (split.asked or 0) - split.done) for split in self.splits.values())
        return left * self.recent_s / self.recent


def read_status(directory: str, splits: tuple[str, ...] = (), now: datetime | None = None) -> Status | None:
    """Reads what there is in a directory's `state/`; None where no run has begun.

    Args:
      directory: of a version of a data set, or `Job.fetch_directory`.
      splits: only these; none: all.
      now: the time that rates end at; None: the time it is.
    """
    plan = read_plan(directory) or {"splits": {}, "started_at": ""}
    now = now or datetime.now(UTC)
    since = (
        max(now - _RATE_WINDOW, datetime.fromisoformat(plan["started_at"]))
        if plan["started_at"]
        else now - _RATE_WINDOW
    )
    since_text = since.isoformat(timespec="seconds")
    status = Status(directory, {})
    last_at = ""
    for split, planned in plan["splits"].items():
        if not splits or split in splits:
            beyond = planned.get("beyond_limit", 0)
            status.splits[split] = SplitStatus(planned["asked"], planned["shards"], beyond)
    for head, rows in _states(directory, splits):
        split = status.splits.setdefault(head["split"], SplitStatus())
        split.shards = head["num_shards"]
        split.sealed += head["sealed"]
        split.unfinished = split.unfinished or head.get("unfinished", "")
        split.bytes += sum(row["bytes"] for row in rows)
        work = head.get("work")
        if work and work["run_id"] == plan.get("run_id"):  # what earlier runs left unfinished has not been begun again
            silent_s, clip_s = (_seconds_since(work[key], now) for key in ("alive_at", "clip_at"))
            split.at_work.append(ShardAtWork(head["shard"], len(rows), head["asked"], work["worker"], silent_s, clip_s))
        for row in rows:
            split.reasons[row["reason"]] += 1
            if row["reason"] != "not_attempted":
                status.labels[row["label"]] += 1
                status.failed_labels[row["label"]] += row["status"] == "failed"
                status.recent += row["attempted_at"] >= since_text
                last_at = max(last_at, row["attempted_at"])
    status.last_at = datetime.fromisoformat(last_at) if last_at else None
    until = now if status.is_at_work or status.last_at is None else min(now, status.last_at)
    status.recent_s = max(0.0, (until - since).total_seconds())
    return status if status.splits else None


def _seconds_since(time: str, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(time)).total_seconds())


def _states(directory: str, splits: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    folder = files.join(directory, contract.STATE_DIR)
    for name in files.names(folder):
        place = parse_state_name(name)
        if place is None or (splits and place[0] not in splits):
            continue
        if state := read_state_rows(files.join(folder, name)):
            yield state


def as_text(
    store: str, archives: list[ArchiveRecord], fetched: Status | None, made: Status | None, all_classes: bool
) -> str:
    """Returns what people want to know: counts by reason and by class, the rate, and when it will end."""
    lines = []
    if archives or fetched:
        lines += [f"store {store}", *(_archive_lines(archives) if archives else ())]
    if fetched:
        lines += _lines(fetched, "fetched", all_classes)
    if made:
        lines += [f"records {made.directory}", *_lines(made, "written", all_classes)]
    return "\n".join(lines)


def _lines(status: Status, done: str, all_classes: bool) -> list[str]:
    lines = []
    for name, split in status.splits.items():
        of = "" if split.asked is None else f" of {split.asked:,} ({split.done / max(1, split.asked):.1%})"
        good = split.reasons[""]
        lines.append(
            f"  {name}: {split.done:,}{of} clips done: {good:,} {done}, {split.done - good:,} failed; "
            f"{split.sealed:,} of {plural(split.shards, 'shard')} finished, {size_text(split.bytes)}"
        )
        if split.beyond_limit:
            lines.append(f"    --limit left out {plural(split.beyond_limit, 'more row')} of its lists")
        reasons = [(reason, count) for reason, count in split.reasons.items() if reason]
        lines += [f"    {count:>9,} {reason}" for reason, count in sorted(reasons, key=lambda r: (-r[1], r[0]))]
        lines += _work_lines(split.at_work)
    classes = sorted(
        ((label, count) for label, count in status.failed_labels.items() if count),
        key=lambda c: (-c[1] / status.labels[c[0]], c[0]),
    )
    if classes:
        shown = classes if all_classes else classes[:_MAX_CLASSES]
        lines.append("  failed most, by class:" if len(shown) < len(classes) else "  failed, by class:")
        lines += [f"    {count:>9,} of {status.labels[label]:,}: {label or '(no label)'}" for label, count in shown]
    if unfinished := next((split.unfinished for split in status.splits.values() if split.unfinished), ""):
        lines.append(f"  not all was tried: {unfinished}")
    elif status.is_finished:
        lines.append(f"  finished, the last clip at {_minute(status.last_at)}" if status.last_at else "  finished")
    elif status.recent and not status.is_at_work:
        lines.append(f"  {status.per_minute:,.1f} clips a minute, and none since {_minute(status.last_at)}")
    elif status.recent:
        rate = f"  {status.per_minute:,.1f} clips a minute in the last {duration_text(status.recent_s)}"
        if left_s := status.left_s:
            end = datetime.now(UTC) + timedelta(seconds=left_s)
            rate += f"; at that rate {duration_text(left_s)} are left, until {_minute(end)}"
        lines.append(rate)
    else:
        lines.append("  no clip was done in the last hour")
    return lines


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "?"


def _work_lines(shards: list[ShardAtWork]) -> list[str]:
    """Tells of the shards at work, those first that may be stuck."""
    if not shards:
        return []
    stuck = sum(shard.is_stuck for shard in shards)
    flagged = f", {stuck:,} of them perhaps stuck" if stuck else ""
    lines = [f"    {plural(len(shards), 'shard')} begun and not finished{flagged}:"]
    order = sorted(shards, key=lambda s: (not s.is_stuck, -max(s.silent_s, s.clip_s), s.shard))
    for shard in order[:_MAX_SHARDS]:
        if shard.is_gone:
            life = (
                f"STUCK? No sign of life for {duration_text(shard.silent_s)}: its process is gone, or the run is over"
            )
        elif shard.is_stuck:
            life = f"STUCK? No clip done for {duration_text(shard.clip_s)}, though its process is alive"
        else:
            life = f"last clip {duration_text(shard.clip_s)} ago, sign of life {duration_text(shard.silent_s)} ago"
        lines.append(
            f"      {shard.shard:05d}: {shard.done:,} of {plural(shard.asked, 'clip')} on {shard.worker}; {life}"
        )
    if len(order) > _MAX_SHARDS:
        lines.append(f"      and {len(order) - _MAX_SHARDS:,} more")
    return lines


def _archive_lines(archives: list[ArchiveRecord]) -> list[str]:
    states = Counter(archive.state for archive in archives)
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
    lines = [f"  archives: {counts}; {size_text(sum(archive.bytes for archive in archives))} read"]
    members = sum((Counter(archive.counts) for archive in archives), Counter())
    lines += [f"    {count:>9,} of the members: {why.replace('_', ' ')}" for why, count in sorted(members.items())]
    for archive in archives:
        if archive.state == "reading":
            of = f" of {size_text(archive.size)}" if archive.size else ""
            lines.append(f"    reading {archive.url}: {size_text(archive.bytes)}{of}")
        elif archive.state == "failed":
            lines.append(f"    {archive.reason}: {archive.detail}")
    return lines


def write_csv(directories: tuple[str, ...], splits: tuple[str, ...], out: TextIO) -> int:
    """Writes a row for every clip that anything is known of; returns how many.

    A clip of several directories is taken from the first that has it.
    """
    writer = csv.DictWriter(out, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    written: set[tuple[str, str]] = set()
    for directory in directories:
        for _, rows in _states(directory, splits):
            for row in rows:
                key = (row["split"], row["clip_id"])
                if key not in written:
                    if not written:
                        writer.writeheader()
                    written.add(key)
                    writer.writerow(row)
    return len(written)


def archives_of(store: str) -> list[ArchiveRecord]:
    """Returns the records of the archives of a store, by URL."""
    return sorted(read_archive_records(store), key=lambda record: record.url)
