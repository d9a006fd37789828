"""`python -m beam_pipeline plan`: looks at everything a run would look at, encodes a sample, and adds up."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, WorkerOptions

from beam_pipeline import files
from beam_pipeline.command_options import asked_config
from beam_pipeline.config import Config, chosen_splits
from beam_pipeline.engines import LOCAL_RUNNERS, check_runner
from beam_pipeline.job import Job
from beam_pipeline.planning import DEFAULT_SAMPLE, advice
from beam_pipeline.planning.census import SplitCensus, take_census
from beam_pipeline.planning.estimates import (
    Machines,
    Plan,
    SampleSummary,
    failures,
    plan_elsewhere,
    plan_splits,
    to_make,
    total,
    work_of,
)
from beam_pipeline.planning.measured_clip import MeasuredClip
from beam_pipeline.planning.measuring import measure_sample
from beam_pipeline.planning.prices import DEFAULT_MACHINE_TYPE, PriceTable, read_prices
from beam_pipeline.planning.report import as_json, as_text
from beam_pipeline.planning.typical import STORE_BYTES_PER_S, typical_clip
from beam_pipeline.run import survey
from beam_pipeline.status import read_status
from beam_pipeline.summary import plural
from beam_pipeline.terminal import EXIT_OK, tell

_DEFAULT_MACHINES = 10
_DEFAULT_DISK_GIB = 25.0  # Dataflow's, of a batch job that shuffles in its service


def main(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Prints a plan; returns the exit status."""
    config = asked_config("what is to be planned?", arguments, beam_args)
    prices = read_prices(arguments.prices)
    plan = make_plan(
        config,
        prices,
        splits=arguments.split,
        sample=arguments.sample,
        workers=arguments.workers,
        speed=arguments.speed,
        beam_args=beam_args,
    )
    if arguments.json:
        print(as_json(plan))
    else:
        tell(as_text(plan, prices))
    return EXIT_OK


def make_plan(
    config: Config,
    prices: PriceTable,
    *,
    splits: Sequence[str] = (),
    sample: int = DEFAULT_SAMPLE,
    workers: int | None = None,
    speed: float = 1.0,
    beam_args: Sequence[str] = (),
) -> Plan:
    """Returns what a run of a configuration would take.

    Nothing is written but annotation lists of the web, which a run takes from where they are then.

    Args:
      config: the configuration.
      prices: what machines cost.
      splits: as for a run.
      sample: how many clips to encode.
      workers: worker machines; None: as many as Beam's options say, else ten.
      speed: of one of their processors by that of one here.
      beam_args: Beam's options, as for a run: `runner`, `machine_type`, `disk_size_gb` and such.

    Raises:
      ConfigError, AnnotationError, StoreError: as a run would.
      RunError: lists of the web can't be kept, or decoding processes can't be started.
    """
    options = PipelineOptions([*config.beam_arguments, *beam_args])
    FileSystems.set_options(options)
    runner = options.view_as(StandardOptions).runner
    check_runner(runner)
    machines = _machines(options.view_as(WorkerOptions), workers, speed)
    prices.machine(machines.machine_type)  # before anything takes long
    job, scans = survey(config, chosen_splits(config, splits), None, cores=len(os.sched_getaffinity(0)))
    _say("reading the lists and listing the store")
    censuses, candidates = take_census(job, scans, sample)
    started = time.monotonic()
    measured: tuple[MeasuredClip, ...] = ()
    if candidates:
        _say(f"encoding {plural(len(candidates), 'clip')} to measure what they take")
        remote = not files.is_local(job.store)
        measured = measure_sample(job, candidates, options.get_all_options(drop_default=True) if remote else None)
    summary = SampleSummary(len(measured), failures(measured), time.monotonic() - started) if measured else None
    basis = measured or _typical(job, censuses)
    remote_runner = None if runner in LOCAL_RUNNERS else runner
    machines_are_meant = workers is not None or remote_runner is not None
    return _plan(config, job, censuses, basis, summary, machines, machines_are_meant, prices, remote_runner)


def _plan(
    config: Config,
    job: Job,
    censuses: Sequence[SplitCensus],
    basis: Sequence[MeasuredClip],
    sample: SampleSummary | None,
    machines: Machines,
    machines_are_meant: bool,
    prices: PriceTable,
    runner: str | None,
) -> Plan:
    of_typical = sample is None
    fills_store = job.source.fills_store
    splits = plan_splits(censuses, basis, fills_store, of_typical)
    count = sum(to_make(census, fills_store) for census in censuses)
    work = work_of(basis, count, of_typical)
    record_bytes = total([clip.bytes for clip in basis], count, of_typical)
    fetch_bytes = _fetch_bytes(job, censuses)
    fetch_s = _fetch_s(job, censuses)
    made = read_status(job.directory, tuple(job.num_shards))
    made_bytes = sum(split.bytes for split in made.splits.values()) if made else 0
    made_clips = sum(split.done for split in made.splits.values()) if made else 0
    largest = max((census.largest_bytes for census in censuses), default=0)
    elsewhere = plan_elsewhere(splits, work, record_bytes.value, machines, prices)
    clips = sum(census.clips for census in censuses)
    asked = clips + sum(census.bad for census in censuses)
    warnings = [
        *advice.list_warnings(splits, job.source.kind),
        *(advice.sample_warnings(basis, job.media.audio is not None, job.limits.memory_mib) if sample else ()),
        *advice.shard_warnings(splits),
        *(advice.idle_warnings(splits, elsewhere) if machines_are_meant else ()),
        *advice.disk_warnings(job, splits, made_bytes, fetch_bytes, largest),
        *advice.contradictions(config, job, runner, clips, fetch_s),
    ]
    return Plan(
        name=job.name,
        directory=job.directory,
        store=job.store,
        source=job.source.kind,
        splits=splits,
        sample=sample,
        work=work,
        record_bytes=record_bytes,
        flow_bytes=total([clip.flow_bytes for clip in basis], count, of_typical),
        audio_bytes=total([clip.audio_bytes for clip in basis], count, of_typical),
        store_bytes=sum(census.store_bytes for census in censuses),
        fetch_bytes=fetch_bytes,
        fetch_s=fetch_s,
        workers=job.workers,
        wall_s=total([clip.wall_s for clip in basis], count, of_typical).times(1 / job.workers),
        elsewhere=elsewhere,
        made=made_clips,
        is_finished=made is not None and made.is_finished and made_clips >= asked,
        warnings=tuple(warnings),
    )


def _machines(options: WorkerOptions, workers: int | None, speed: float) -> Machines:
    count = workers or options.max_num_workers or options.num_workers or _DEFAULT_MACHINES
    disk_gib = float(options.disk_size_gb or _DEFAULT_DISK_GIB)
    return Machines(count, options.machine_type or DEFAULT_MACHINE_TYPE, disk_gib, speed)


def _typical(job: Job, censuses: Sequence[SplitCensus]) -> tuple[MeasuredClip, ...]:
    clips = sum(census.clips for census in censuses)
    footage_s = sum(census.footage_s for census in censuses)
    return (typical_clip(job.media, footage_s / clips),) if clips else ()


def _fetch_bytes(job: Job, censuses: Sequence[SplitCensus]) -> float:
    """Returns the bytes that the store lacks: by the clips that are there, else by what such clips usually take."""
    if not job.source.fills_store:
        return 0.0
    there = sum(census.in_store for census in censuses)
    lacking = sum(census.clips - census.in_store for census in censuses)
    if there:
        return lacking * sum(census.store_bytes for census in censuses) / there
    clips = sum(census.clips for census in censuses)
    mean_s = statistics.fmean(census.footage_s / census.clips for census in censuses if census.clips) if clips else 0.0
    return lacking * mean_s * STORE_BYTES_PER_S[job.source.kind]


def _fetch_s(job: Job, censuses: Sequence[SplitCensus]) -> float:
    """Returns how long visits take at the rate that is set; archives come as fast as the network is."""
    if job.source.kind != "youtube":
        return 0.0
    videos = sum(census.videos * (1 - census.in_store / census.clips) for census in censuses if census.clips)
    return videos * 60 / job.source.requests_per_minute


def _say(what: str) -> None:
    if sys.stderr.isatty():
        print(f"{what} …", file=sys.stderr)
