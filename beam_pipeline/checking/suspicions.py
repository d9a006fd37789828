"""What in a ledger looks wrong: failures that gather in a class, a folder, a shard or an hour; splits that overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipeline.checking.enrichment import Enriched, enriched
from beam_pipeline.summary import plural
from beam_pipeline.web import without_secrets

_SHOWN = 5  # of one kind
_WINDOWS = 500  # that the time of all attempts is divided into, at most
_MIN_WINDOW_S = 60
_THIN = 0.1  # of the median class
_OUTCOMES = {"failed": "failed", "short": "are short", "damaged": "are damaged"}


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that looks wrong.

    Attributes:
      kind: `records`, `class`, `folder`, `shard`, `time`, `overlap`, `labels` or `reader`.
      split: the split's name; empty where it is of several.
      what: a line for people.
      p: the probability of that by chance, corrected for the number of groups; None where nothing is left to chance.
    """

    kind: str
    split: str
    what: str
    p: float | None = None


def suspicions(clips: pa.Table) -> list[Suspicion]:
    """Returns what looks wrong in a ledger of all splits.

    Args:
      clips: the columns of `ledger.SCHEMA`. Clips that nobody has tried yet (`not_attempted`) are left out.
    """
    tried = clips.filter(pc.not_equal(clips["reason"], "not_attempted"))
    found: list[Suspicion] = []
    for split in sorted(set(tried["split"].to_pylist())):
        of_split = tried.filter(pc.equal(tried["split"], split))
        found += _nothing_made(split, of_split)
        found += _gathered(split, of_split)
        found += _bursts(split, of_split)
    return [*found, *_overlaps(tried), *_label_gaps(tried)]


def _nothing_made(split: str, clips: pa.Table) -> Iterator[Suspicion]:
    """Yields that all clips failed: then none fails more often than the others."""
    if not pc.any(pc.equal(clips["status"], "ok")).as_py():
        reason, count = Counter(clips["reason"].to_pylist()).most_common(1)[0]
        what = f"there is no record of {plural(len(clips), 'clip')}: {count:,} are {reason}"
        yield Suspicion("records", split, what)


def _gathered(split: str, clips: pa.Table) -> Iterator[Suspicion]:
    failed = pc.equal(clips["status"], "failed").to_numpy()
    labels = clips["label"].to_numpy(zero_copy_only=False)
    for outcome, verb in _OUTCOMES.items():
        happened = failed if outcome == "failed" else clips[outcome].to_numpy()
        among = np.ones(len(failed), bool) if outcome == "failed" else ~failed
        yield from _say(split, "class", "of the class {!r}", verb, enriched(labels[among].astype(str), happened[among]))
    yield from _say(split, "shard", "of shard {}", "failed", enriched(clips["shard"].to_numpy(), failed))
    uris = clips["source_uri"].to_numpy(zero_copy_only=False).astype(str)
    has_file = uris != ""  # of a clip without one nobody knows where it should have been
    folders = np.array([_folder(uri) for uri in uris[has_file].tolist()])
    yield from _say(split, "folder", "from {}", "failed", enriched(folders, failed[has_file]))


def _folder(uri: str) -> str:
    """Returns where a clip's file is, without what may be a secret in the address of one of the web."""
    return without_secrets(uri).rpartition("/")[0]


def _say(split: str, kind: str, group: str, verb: str, found: Sequence[Enriched]) -> Iterator[Suspicion]:
    for each in found[:_SHOWN]:
        of_group = f"{each.count:,} of {plural(each.size, 'clip')} {group.format(each.group)} {verb}"
        what = f"{of_group} ({_percent(each.rate)}), of the others {_percent(each.elsewhere)}"
        yield Suspicion(kind, split, what, each.p)
    if len(found) > _SHOWN:
        yield Suspicion(kind, split, f"and {len(found) - _SHOWN:,} more like these", found[_SHOWN].p)


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"


def _bursts(split: str, clips: pa.Table) -> Iterator[Suspicion]:
    """Yields times in which clips fail for one reason more often than at others.

    Of clips that were tried once: a rerun tries again only what has failed, and a failure among those is no surprise.
    """
    clips = clips.filter(pc.equal(clips["attempts"], 1))
    times = clips["attempted_at"].to_pylist()
    places = np.array([place for place, time in enumerate(times) if time], np.int64)
    if not len(places):
        return
    seconds = np.array([datetime.fromisoformat(times[place]).timestamp() for place in places.tolist()])
    window_s = max(_MIN_WINDOW_S, float(np.ptp(seconds)) / _WINDOWS)
    windows = ((seconds - seconds.min()) // window_s).astype(np.int64)
    reasons = clips["reason"].to_numpy(zero_copy_only=False).astype(str)[places]
    for reason in sorted(set(reasons.tolist()) - {""}):
        burst = sorted(enriched(windows, reasons == reason), key=lambda each: each.group)
        for first, last, count, size, p in _runs(burst):
            begin, end = (seconds.min() + window * window_s for window in (first, last + 1))
            what = f"{count:,} of {plural(size, 'clip')} tried from {_utc(begin)} to {_utc(end)} are {reason}"
            others = (np.count_nonzero(reasons == reason) - count) / max(1, len(reasons) - size)
            yield Suspicion("time", split, f"{what}, of the others {_percent(others)}", p)


def _runs(windows: Sequence[Enriched]) -> Iterator[tuple[int, int, int, int, float]]:
    """Joins windows that follow one another: first and last one, what happened in them, how many members, lowest p."""
    at = 0
    while at < len(windows):
        end = at + 1
        while end < len(windows) and windows[end].group == windows[end - 1].group + 1:
            end += 1
        run = windows[at:end]
        yield (
            run[0].group,
            run[-1].group,
            sum(each.count for each in run),
            sum(each.size for each in run),
            min(each.p for each in run),
        )
        at = end


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _overlaps(clips: pa.Table) -> Iterator[Suspicion]:
    """Yields pairs of splits that have videos in common, of which records were made."""
    made = clips.filter(pc.equal(clips["status"], "ok"))
    videos = {
        split: set(made.filter(pc.equal(made["split"], split))["video_id"].to_pylist())
        for split in sorted(set(made["split"].to_pylist()))
    }
    for one in videos:
        for other in videos:
            if one < other and (both := videos[one] & videos[other]):
                some = ", ".join(sorted(both)[:3])
                what = f"{plural(len(both), 'video')} in {one} and in {other}, so that one tells of the other: {some}"
                yield Suspicion("overlap", "", what + (", …" if len(both) > 3 else ""))


def _label_gaps(clips: pa.Table) -> Iterator[Suspicion]:
    """Yields labels that have clips in one split's list, and of whose clips no record was made in it."""
    counts = clips.group_by(["split", "label", "status"]).aggregate([([], "count_all")]).to_pylist()
    made = {(row["split"], row["label"]) for row in counts if row["status"] == "ok"}
    for split in sorted({row["split"] for row in counts}):
        if not any(of_split == split for of_split, _ in made):
            continue
        asked = {row["label"] for row in counts if row["split"] == split}
        empty = sorted(asked - {label for of_split, label in made if of_split == split})
        if empty:
            some = ", ".join(map(repr, empty[:_SHOWN])) + (", …" if len(empty) > _SHOWN else "")
            yield Suspicion("labels", split, f"{len(empty):,} of {len(asked):,} classes have no record: {some}")


@dataclass(frozen=True, slots=True)
class Balance:
    """How many records the classes of a split have.

    Attributes:
      split: the split's name.
      classes: that have records.
      smallest: records of the smallest class.
      median: records of the median class.
      largest: records of the largest class.
      thin: classes with less than a tenth of the median, the thinnest first.
      short: share of the records that end before their clip does.
      damaged: share of the records whose decoding broke off.
      seconds: median footage of a record.
    """

    split: str
    classes: int
    smallest: int
    median: float
    largest: int
    thin: tuple[str, ...]
    short: float
    damaged: float
    seconds: float


def balances(clips: pa.Table) -> list[Balance]:
    """Returns the balance of each split that has labelled records."""
    made = clips.filter(pc.and_(pc.equal(clips["status"], "ok"), pc.greater_equal(clips["label_index"], 0)))
    found = []
    for split in sorted(set(made["split"].to_pylist())):
        of_split = made.filter(pc.equal(made["split"], split))
        labels, counts = np.unique(of_split["label"].to_numpy(zero_copy_only=False).astype(str), return_counts=True)
        median = float(np.median(counts))
        order = np.argsort(counts, kind="stable")
        thin = tuple(labels[place].item() for place in order if counts[place] < _THIN * median)
        short, damaged = (float(of_split[flag].to_numpy().mean()) for flag in ("short", "damaged"))
        seconds = float(np.median(of_split["duration_s"].to_numpy()))
        spread = int(counts.min()), median, int(counts.max())
        found.append(Balance(split, len(labels), *spread, thin, short, damaged, seconds))
    return found
