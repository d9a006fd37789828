"""How fast `verify` reads a data set, by what reading its shards and their checksums alone takes.

    python benchmarks/verify.py FOLDER [--rounds N]

FOLDER is of a data set's version. All is done on one core of the machine, from its memory: a disk is slower, which
leaves checking the more time. Ratios are of CPU time, of each shard the best of all rounds, by turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.opened_split import Claims, check_shard, open_split
from beam_pipeline.data_set import splits_in
from beam_pipeline.tfrecord import read_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    opened = [open_split(arguments.folder, split) for split in splits_in(arguments.folder)]
    claims = [split.claims(shard) for split in opened for shard in range(split.num_shards)]
    paths = [str(Path(each.directory, each.file)) for each in claims]

    def checksums(each: Claims) -> None:
        for _ in read_records(str(Path(each.directory, each.file))):
            pass

    def check(frames: Frames) -> Callable[[Claims], None]:
        def run(each: Claims) -> None:
            assert not check_shard(dataclasses.replace(each, frames=frames)).problems

        return run

    ways = {
        "checksums alone": checksums,
        "verify --frames=none": check("none"),
        "verify --frames=sample": check("sample"),
        "verify --frames=all": check("all"),
    }
    best = {(name, shard): float("inf") for name in ways for shard in range(len(claims))}
    for _ in range(arguments.rounds):
        for shard, each in enumerate(claims):
            for name, run in ways.items():
                begin = time.process_time()
                run(each)
                best[name, shard] = min(best[name, shard], time.process_time() - begin)
    seconds = {name: sum(best[name, shard] for shard in range(len(claims))) for name in ways}
    size = sum(Path(path).stat().st_size for path in paths)
    records = sum(
        len(split.ledger.rows(shard)) for split in opened if split.ledger for shard in range(split.num_shards)
    )
    print(f"{len(paths)} shards, {size / 1e6:.0f} MB, {records} clips\n")
    print(f"{'':<24}{'MB/s':>8}{'by checksums alone':>20}")
    for name, taken in seconds.items():
        print(f"{name:<24}{size / 1e6 / taken:>8.0f}{seconds['checksums alone'] / taken:>20.2f}")


if __name__ == "__main__":
    main()
