"""Verifying as a Beam job, for data that is far from here: workers read shards, and what comes back is what is wrong.

shards ─▶ Check ─▶ group ─▶ Report
numbers   a line of JSON each, in one file
"""

from __future__ import annotations

import dataclasses
import functools
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from beam_pipeline import files
from beam_pipeline.checking.consistency import FoundShard
from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.opened_split import OpenedSplit, check_shard, open_split
from beam_pipeline.checking.shard_check import Problem
from beam_pipeline.code_digest import check_same_code, code_digest

Shard = tuple[str, int]  # a split's name and a number


def build(root: beam.Pipeline, directory: str, shards: Sequence[Shard], frames: Frames, report: str) -> None:
    """Adds the whole job to a pipeline.

    Args:
      root: the pipeline.
      directory: of the version of the data set, where workers reach it.
      shards: those to read.
      frames: which images are decoded.
      report: a file that is written at the end, where workers and whoever reads it reach it.
    """
    (
        root
        | "Shards" >> beam.Create(shards, reshuffle=True)
        | "Check"
        >> beam.Map(check, directory, frames, code_digest(), uuid.uuid4().hex).with_output_types(tuple[str, str])
        | "In one file" >> beam.GroupByKey()
        | "Report" >> beam.MapTuple(functools.partial(_write_report, report))
    )


def check(shard: Shard, directory: str, frames: Frames, code: str, job: str) -> tuple[str, str]:
    """Reads one shard; returns what was found as JSON, under one key for all.

    Args:
      shard: which one.
      directory: of the version of the data set.
      frames: which images are decoded.
      code: digest of the code that the job was started with.
      job: its id, for a worker that outlives it: the next one reads all anew.
    """
    check_same_code(code)
    split, number = shard
    claims = dataclasses.replace(_opened(directory, split, job).claims(number), frames=frames)
    return "", report_line(split, number, check_shard(claims))


@functools.lru_cache(maxsize=1)
def _opened(directory: str, split: str, _job: str) -> OpenedSplit:
    """Reads what lies beside a split's shards, once a process and job, not once a shard."""
    return open_split(directory, split)


def _write_report(report: str, _key: str, lines: Iterable[str]) -> None:
    files.write_whole(report, "".join(f"{line}\n" for line in sorted(lines)).encode())


def report_line(split: str, shard: int, found: FoundShard) -> str:
    """Returns what was found of a shard as one JSON object on one line."""
    values = {
        "split": split,
        "shard": shard,
        "problems": [dataclasses.asdict(problem) for problem in found.problems],
        "clips": found.clips,
        "bytes": found.bytes,
        "frame_sizes": found.frame_sizes,
        "labels": [[*label, count] for label, count in found.labels.items()],
    }
    return json.dumps(values, ensure_ascii=False)


def read_report(report: str) -> dict[Shard, FoundShard]:
    """Reads what workers found.

    Raises:
      ValueError: there is no such file, or it is no report.
    """
    content = files.read_whole(report)
    if content is None:
        raise ValueError(f"{report}: the job has ended, and its report is not there")
    try:
        return dict(_found(json.loads(line)) for line in content.decode().splitlines())
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{report}: is no report of verify: {error}") from error


def _found(values: dict[str, Any]) -> tuple[Shard, FoundShard]:
    labels = Counter({(index, name): count for index, name, count in values.pop("labels")})
    key = values.pop("split"), values.pop("shard")
    problems = [Problem(**problem) for problem in values.pop("problems")]
    clips, frame_sizes = Counter(values["clips"]), Counter(values["frame_sizes"])
    return key, FoundShard(problems, clips, values["bytes"], frame_sizes, labels)


def in_order(splits: Sequence[OpenedSplit], found: dict[Shard, FoundShard]) -> Iterator[tuple[str, FoundShard]]:
    """Yields what was found in the order of splits and shards; a shard of which there is nothing is a problem."""
    for split in splits:
        for number in range(split.num_shards):
            key = split.described.split, number
            missing = Problem(split.claims(number).file, "could not be verified: the report does not speak of it")
            yield key[0], found.get(key) or FoundShard([missing])
