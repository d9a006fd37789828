"""What a plan warns of: what would stop a run, waste it, or make something else of it than was meant."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from beam_pipeline import files
from beam_pipeline.config import Config, ConfigError
from beam_pipeline.fingerprint import check_settings
from beam_pipeline.job import Job
from beam_pipeline.planning.estimates import Elsewhere, SplitPlan, failures
from beam_pipeline.planning.measured_clip import MeasuredClip
from beam_pipeline.summary import duration_text, plural, size_text

_MAX_NAMES = 5
_NEAR = 0.5  # of its budget: a clip that takes more is not far from a timeout
_MANY_MISSING = 0.1
_BUSY = 1.5  # seconds by the clock for one of processor time


def shard_warnings(splits: Sequence[SplitPlan]) -> Iterator[str]:
    """Yields what is wrong with the number of shards, and the number that would be right."""
    for split in splits:
        if split.shards_are_wrong and split.proposed_shards != split.shards:
            yield (
                f"splits.{split.split}.shards: {split.shards} makes {split.shards_are_wrong}. "
                f"Take splits.{split.split}.shards: {split.proposed_shards}"
            )


def idle_warnings(splits: Sequence[SplitPlan], elsewhere: Elsewhere) -> Iterator[str]:
    """Yields that machines have nothing to do, where there are fewer shards than processors."""
    shards = sum(min(split.shards, split.to_make) for split in splits)
    if 0 < shards < elsewhere.processors:
        machines = elsewhere.machines
        yield (
            f"{plural(machines.count, 'machine')} {machines.machine_type} have {elsewhere.processors} processors for "
            f"{plural(shards, 'shard')}: a shard can't be split, so the others would have nothing to do"
        )


def list_warnings(splits: Sequence[SplitPlan], source: str) -> Iterator[str]:
    """Yields what is wrong with lists, and what the store lacks of them."""
    for split in splits:
        if not split.clips:
            yield f"{split.split}: its lists ask for no clip"
        if split.bad:
            yield f"{split.split}: {plural(split.bad, 'row')} can't be clips and will be bad_annotation in the ledger"
        if split.missing_classes:
            names = ", ".join(map(repr, split.missing_classes[:_MAX_NAMES]))
            more = f" and {len(split.missing_classes) - _MAX_NAMES:,} more" * (len(split.missing_classes) > _MAX_NAMES)
            of = split.classes + len(split.missing_classes)
            yield f"{split.split}: no clip of {len(split.missing_classes):,} of the {of:,} classes: {names}{more}"
        if split.missing:
            what = "folder of frames" if source == "frames" else "file"
            share = split.missing / split.clips
            hint = ": is source.store the right one for these lists?" if share > _MANY_MISSING else ""
            yield (
                f"{split.split}: {plural(split.missing, 'clip')} of {split.clips:,} ({share:.1%}) without a {what} in "
                f"the store will be not_found{hint}"
            )


def sample_warnings(measured: Sequence[MeasuredClip], with_audio: bool, memory_mib: int) -> Iterator[str]:
    """Yields what became of clips of a sample that would become of others, too."""
    for reason, count in failures(measured).items():
        detail = next(clip.detail for clip in measured if clip.reason == reason)
        mend = f" (limits.memory_mib is {memory_mib})" if reason == "out_of_memory" else ""
        yield f"{count} of {len(measured)} clips of the sample failed: {reason}, {detail}{mend}"
    good = [clip for clip in measured if not clip.reason]
    if near := [clip for clip in good if clip.cpu_s > _NEAR * clip.budget_s]:
        slowest = max(near, key=lambda clip: clip.cpu_s / clip.budget_s)
        yield (
            f"{len(near)} of {len(measured)} clips of the sample took more than half of what they may: the "
            f"slowest {slowest.cpu_s:.0f} of {slowest.budget_s:.0f} CPU seconds. Others may time out: raise "
            "limits.cpu_s_per_s"
        )
    upscaled = sum(clip.upscaled for clip in good)
    if good and 2 * upscaled > len(good):
        yield (
            f"{upscaled} of {len(good)} clips of the sample are smaller than encode.shorter_side or encode.height and "
            "get enlarged: a smaller one would lose nothing"
        )
    cpu_s, wall_s = sum(clip.cpu_s for clip in good), sum(clip.wall_s for clip in good)
    if wall_s > _BUSY * cpu_s:
        yield (
            f"a clip of the sample took {wall_s / cpu_s:.1f} times its processor time by the clock: the store is slow, "
            "or this machine has other things to do, and so would a run here"
        )
    if with_audio and good and not any(clip.has_audio for clip in good):
        yield "audio is asked for, and no clip of the sample has a track of sound: records would carry silence"


def disk_warnings(
    job: Job, splits: Sequence[SplitPlan], made_bytes: float, fetch_bytes: float, largest_file_bytes: float
) -> Iterator[str]:
    """Yields which disks of this machine are too small; object stores have no end.

    Args:
      job: what is to be made.
      splits: the plan of its splits.
      made_bytes: of records that are there already.
      fetch_bytes: that are to be fetched into the store.
      largest_file_bytes: of a clip's file.
    """
    needs: dict[int, list[tuple[str, str, float]]] = {}
    if files.is_local(job.directory):
        record_bytes = sum(split.record_bytes.value for split in splits)
        # A shard that is made anew stands beside the old one until it is finished.
        anew = max((split.shard_bytes for split in splits), default=0.0)
        _need(needs, "data_dir", job.directory, max(0.0, record_bytes - made_bytes) + anew)
    if job.source.fills_store and files.is_local(job.store):
        _need(needs, "source.store", job.store, fetch_bytes + job.source.min_free_gib * 2**30)
    if job.source.fills_store or not files.is_local(job.store):
        _need(needs, "the temporary folder", tempfile.gettempdir(), job.workers * largest_file_bytes)
    for wanted in needs.values():
        need = sum(size for _, _, size in wanted)
        free = shutil.disk_usage(_there(wanted[0][1])).free
        if need > free:
            what = " and ".join(f"{key} ({path}, {size_text(size)})" for key, path, size in wanted if size)
            yield f"the disk of {what} has {size_text(free)} free, and {size_text(need)} are needed"


def _need(needs: dict[int, list[tuple[str, str, float]]], key: str, path: str, size: float) -> None:
    """Adds a need to those of the disk that a path is on: two folders of one disk share what is free."""
    needs.setdefault(_there(path).stat().st_dev, []).append((key, path, size))


def _there(path: str) -> Path:
    folder = Path(path).absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def contradictions(config: Config, job: Job, runner: str | None, clips: int, fetch_s: float) -> Iterator[str]:
    """Yields settings that can't be meant together.

    Args:
      config: the configuration.
      job: what is to be made.
      runner: Beam's, as asked for; None for this machine.
      clips: that are asked for.
      fetch_s: seconds that visits take at the rate that is set.
    """
    if runner is not None:
        for key, path in (("data_dir", job.directory), ("source.store", job.store)):
            if files.is_local(path):
                yield f"{key}: {path} is on this machine, and workers of {runner} must reach it: share it, or use gs://"
        if config.workers != "auto" and config.workers > 1:
            yield (
                f"workers: {config.workers} decoding processes for each of {runner}'s worker processes, of which there "
                "is one a processor: leave it out"
            )
    if job.source.kind == "youtube" and fetch_s > 30 * 86400:
        yield (
            f"source.requests_per_minute: {job.source.requests_per_minute:g} makes {duration_text(fetch_s)} for "
            f"{plural(clips, 'clip')} (docs/fetching_youtube.md)"
        )
    try:
        check_settings(job)
    except ConfigError as error:
        yield f"a run would be refused: {error}"
