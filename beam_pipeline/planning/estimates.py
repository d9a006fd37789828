"""From a census and a sample to a plan: sums, each with the standard error that a sample of that size leaves.

A total over N clips is N times the sample's mean x̄; its standard error is N·s/√n·√(1 − n/N), for a sample of n clips
drawn without replacement whose standard deviation is s (Cochran, Sampling Techniques, 1977, 2.19 and 2.13).
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from beam_pipeline.planning.census import SplitCensus
from beam_pipeline.planning.measured_clip import MeasuredClip
from beam_pipeline.planning.prices import PriceTable
from beam_pipeline.planning.sharding import proposed_shards, what_is_wrong

SHUFFLED_BYTES_A_CLIP = 600.0
"""What a clip's row and its file's name take between reading and making, at most (benchmarks/scale.py)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its standard error; None: nobody knows how far off it is."""

    value: float
    error: float | None

    def times(self, factor: float) -> Estimate:
        """Returns the estimate of `factor` times as much."""
        return Estimate(self.value * factor, None if self.error is None else self.error * factor)


@dataclass(frozen=True, slots=True)
class Machines:
    """Worker machines: how many, of which type, with disks of how many GiB, and a processor's speed.

    `speed` is that of one of their processors by that of one here.
    """

    count: int
    machine_type: str
    disk_gib: float
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """One split.

    Attributes:
      split: its name.
      clips: that are asked for.
      bad: rows that can't become clips.
      classes: that its clips have.
      missing_classes: of the label list, that none has.
      to_make: clips whose files are there, or are to be fetched.
      missing: clips that no file is there for, and that nothing is going to fetch.
      store_bytes: of the files that are there.
      shards: as the configuration has it.
      proposed_shards: that would be right.
      shards_are_wrong: why the configuration's number is not; '' where it is right.
      work_s: processor seconds of all its clips.
      shard_s: of one shard.
      record_bytes: of all its records.
      shard_bytes: of one shard.
    """

    split: str
    clips: int
    bad: int
    classes: int
    missing_classes: tuple[str, ...]
    to_make: int
    missing: int
    store_bytes: int
    shards: int
    proposed_shards: int
    shards_are_wrong: str
    work_s: Estimate
    shard_s: float
    record_bytes: Estimate
    shard_bytes: float


@dataclass(frozen=True, slots=True)
class Work:
    """Processor seconds: of frames (with reading and writing), of flow, of sound, and in all; of processors here."""

    frames_s: Estimate
    flow_s: Estimate
    audio_s: Estimate
    total_s: Estimate


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A run on worker machines: seconds by the clock, without their start, and dollars; None without a price."""

    machines: Machines
    processors: int
    wall_s: Estimate
    usd: Estimate
    storage_usd_month: float


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What the figures come from: clips that were measured, and why some of them would fail."""

    clips: int
    failed: dict[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All that can be said before a run. `sample` is None where the figures are typical ones, not measured.

    `made` counts the clips that an earlier run has done; what all others say is of a run that begins with nothing.
    `is_finished`: it has done all that it was asked for.
    """

    name: str
    directory: str
    store: str
    source: str
    splits: tuple[SplitPlan, ...]
    sample: SampleSummary | None
    work: Work
    record_bytes: Estimate
    flow_bytes: Estimate
    audio_bytes: Estimate
    store_bytes: int
    fetch_bytes: float
    fetch_s: float
    workers: int
    wall_s: Estimate
    elsewhere: Elsewhere
    made: int
    is_finished: bool
    warnings: tuple[str, ...]


def to_make(census: SplitCensus, fills_store: bool) -> int:
    """Returns how many clips of a split can become records: those in the store, or all where what lacks is fetched."""
    return census.clips if fills_store else census.in_store


def total(values: Sequence[float], population: int, of_typical: bool) -> Estimate:
    """Returns the sum over a population of which `values` is a sample.

    Args:
      values: what each clip of the sample takes.
      population: how many there are.
      of_typical: they are no sample, so that nothing is known of the error.
    """
    if not values or not population:
        return Estimate(0.0, None if of_typical or (population and not values) else 0.0)
    mean = statistics.fmean(values)
    if of_typical or (len(values) == 1 and population > 1):
        return Estimate(population * mean, None)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    left = max(0.0, 1 - len(values) / population)
    return Estimate(population * mean, population * spread / math.sqrt(len(values)) * math.sqrt(left))


def plan_splits(
    censuses: Iterable[SplitCensus], measured: Sequence[MeasuredClip], fills_store: bool, of_typical: bool
) -> tuple[SplitPlan, ...]:
    """Returns the plan of each split; all are taken to be like the sample."""
    return tuple(_plan_split(census, measured, fills_store, of_typical) for census in censuses)


def _plan_split(
    census: SplitCensus, measured: Sequence[MeasuredClip], fills_store: bool, of_typical: bool
) -> SplitPlan:
    count = to_make(census, fills_store)
    work_s = total([clip.cpu_s for clip in measured], count, of_typical)
    record_bytes = total([clip.bytes for clip in measured], count, of_typical)
    return SplitPlan(
        split=census.split,
        clips=census.clips,
        bad=census.bad,
        classes=census.classes,
        missing_classes=census.missing_classes,
        to_make=count,
        missing=census.clips - count,
        store_bytes=census.store_bytes,
        shards=census.shards,
        proposed_shards=proposed_shards(count, work_s.value, record_bytes.value),
        shards_are_wrong=what_is_wrong(census.shards, count, work_s.value, record_bytes.value) if count else "",
        work_s=work_s,
        shard_s=work_s.value / census.shards,
        record_bytes=record_bytes,
        shard_bytes=record_bytes.value / census.shards,
    )


def work_of(measured: Sequence[MeasuredClip], population: int, of_typical: bool) -> Work:
    """Returns the processor seconds of a population of clips, by part."""

    def of(part: Callable[[MeasuredClip], float]) -> Estimate:
        return total([part(clip) for clip in measured], population, of_typical)

    return Work(
        frames_s=of(lambda clip: clip.frames_s),
        flow_s=of(lambda clip: clip.flow_s),
        audio_s=of(lambda clip: clip.audio_s),
        total_s=of(lambda clip: clip.cpu_s),
    )


def failures(measured: Sequence[MeasuredClip]) -> dict[str, int]:
    """Returns how many clips of a sample fail for which reason."""
    return dict(sorted(Counter(clip.reason for clip in measured if clip.reason).items()))


def plan_elsewhere(
    splits: Sequence[SplitPlan], work: Work, record_bytes: float, machines: Machines, prices: PriceTable
) -> Elsewhere:
    """Returns what worker machines would take, each of whose processors makes a shard at a time.

    Machines are paid for from the first shard to the last, also those that have nothing left to do.

    Raises:
      ConfigError: the price table does not know the machine type.
    """
    processors = machines.count * prices.machine(machines.machine_type).vcpus
    shards = [split.shard_s / machines.speed for split in splits for _ in range(split.shards)]
    wall_s = makespan(shards, processors)
    share = work.total_s.error / work.total_s.value if work.total_s.error is not None and work.total_s.value else None
    hours = machines.count * wall_s / 3600
    shuffled_gib = SHUFFLED_BYTES_A_CLIP * sum(split.clips for split in splits) / 2**30
    usd = hours * prices.machine_hour_usd(machines.machine_type, machines.disk_gib)
    usd += shuffled_gib * prices.prices.shuffle_gib.usd
    return Elsewhere(
        machines=machines,
        processors=processors,
        wall_s=Estimate(wall_s, None if share is None else wall_s * share),
        usd=Estimate(usd, None if share is None else usd * share),
        storage_usd_month=record_bytes / 2**30 * prices.prices.storage_gib_month.usd,
    )


def makespan(durations_s: Iterable[float], processors: int) -> float:
    """Returns when the last of some tasks ends: the longest are begun first, each by whichever processor is free."""
    free_at = [0.0] * processors
    for duration_s in sorted(durations_s, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + duration_s)
    return max(free_at)
