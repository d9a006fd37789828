"""What a configuration asks for, and what of it the store has: counted, not estimated."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from beam_pipeline import files
from beam_pipeline.annotations import Scan, selected_rows
from beam_pipeline.clips import Clip
from beam_pipeline.job import Job
from beam_pipeline.store import StoredFile, list_frame_folders, list_store, match_clips
from tf_data import contract


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that the store has a file of."""

    split: str
    clip: Clip
    file: StoredFile


@dataclass(frozen=True, slots=True)
class SplitCensus:
    """One split, counted.

    Attributes:
      split: its name.
      shards: as the configuration has it.
      clips: good rows, one a clip.
      bad: rows that can't become clips.
      videos: that the clips are of.
      footage_s: seconds that the clips ask for.
      in_store: clips that the store has a file of.
      store_bytes: of these files; of folders of frames, 0.
      classes: names that its clips have.
      missing_classes: names of the label list that none of its clips has; none where the list has no labels at all.
      largest_bytes: of the largest file.
    """

    split: str
    shards: int
    clips: int
    bad: int
    videos: int
    footage_s: float
    in_store: int
    store_bytes: int
    classes: int
    missing_classes: tuple[str, ...]
    largest_bytes: int


def take_census(
    job: Job, scans: Mapping[str, Scan], sample: int
) -> tuple[tuple[SplitCensus, ...], tuple[Candidate, ...]]:
    """Reads all lists and lists the store once.

    Args:
      job: what is to be made.
      scans: of its splits.
      sample: how many clips to draw.

    Returns:
      A census of each split; and those clips of all splits together that the store has files of and that come first by
      the hash of their ids, as `--limit` takes them.

    Raises:
      StoreError: the store can't be listed.
    """
    stored = tuple(_stored(job))
    censuses = []
    drawn: list[Candidate] = []
    for split in job.num_shards:
        clips = _clips(job, split)
        matched = match_clips(clips.values(), stored, job.media.trimmed)
        candidates = (Candidate(split, clips[key], file) for key, file in matched.items())
        drawn = heapq.nsmallest(sample, (*drawn, *heapq.nsmallest(sample, candidates, key=_order)), key=_order)
        used = {file.uri: file.size for file in matched.values()}
        names = {clip.label for clip in clips.values()} - {""}
        wanted = job.selections[split].classes
        missing = (
            ()
            if not names
            else tuple(
                name
                for name in job.selections[split].labels
                if name not in names and (wanted is None or name in wanted)
            )
        )
        longest_s = job.media.encode.max_duration_s
        censuses.append(
            SplitCensus(
                split=split,
                shards=job.num_shards[split],
                clips=len(clips),
                bad=scans[split].bad,
                videos=len({clip.video_id for clip in clips.values()}),
                footage_s=sum(min((clip.end_us - clip.start_us) / 1e6, longest_s) for clip in clips.values()),
                in_store=len(matched),
                store_bytes=sum(used.values()),
                classes=len(names),
                missing_classes=missing,
                largest_bytes=max(used.values(), default=0),
            )
        )
    return tuple(censuses), tuple(drawn)


def _stored(job: Job) -> Iterable[StoredFile]:
    if job.source.kind == "frames":
        return list_frame_folders(job.store)
    if job.source.fills_store and files.is_local(job.store) and not Path(job.store).is_dir():
        return ()
    return list_store(job.store, may_be_empty=job.source.fills_store)


def _clips(job: Job, split: str) -> dict[str, Clip]:
    clips: dict[str, Clip] = {}
    for order, path in enumerate(job.annotations[split]):
        for row in selected_rows(path, job.selections[split], order):
            if not row.error:
                clips.setdefault(row.key, row.clip)
    return clips


def _order(candidate: Candidate) -> tuple[int, str]:
    return contract.clip_key(candidate.clip.clip_id), candidate.split
