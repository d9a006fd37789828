"""What fetching costs, beside the plain tools that do a part of it.

    KINETICS_TEST_DATA=DIR python benchmarks/fetch.py [archive] [limiter] [status] [--rounds 5]

`archive`: a tar.gz of real clips into the store, as `fetch` does it, against `tar xzf` of the same file, in turn, on
one core and on all. Ours puts every clip on the disk before it counts, which tar leaves to the kernel: `tar xzf` with
`sync` behind it is there to compare, too, and so is ours from a web server.

`limiter`: visits that 8 workers start, each with its lane of the job's rate, against that rate.

`status`: what `status` and `status --csv` take for a store of 650,000 clips.
"""

from __future__ import annotations

import argparse
import gzip
import io
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from beam_pipeline.clips import Clip, utc_now
from beam_pipeline.job import fetch_directory
from beam_pipeline.ledger import LedgerRow, ShardState, StateRow, state_path, write_state
from beam_pipeline.pool import ChildPool, Task
from beam_pipeline.sources.archives import Archive, fetch_archive
from beam_pipeline.sources.settings import Source
from beam_pipeline.sources.visits import Visits

ARCHIVE_CLIPS = 600  # of about 0.8 MB
ARCHIVE_TARGET = 0.8  # our speed / tar's, at least
WORKERS = 8
STARTS_PER_MINUTE = 480.0
STATUS_CLIPS, STATUS_SHARDS = 650_000, 1024


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Returns the wall-clock and the CPU seconds of some work and its child processes."""

    def cpu_s() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    started, before = time.monotonic(), cpu_s()
    work()
    return time.monotonic() - started, cpu_s() - before


def make_archive(path: Path, data: Path, count: int) -> list[str]:
    """Writes a tar.gz as CVDF's, of so many real clips under ids of their own; returns the ids."""
    videos = [video for video in sorted((data / "videos").glob("*.mp4")) if 3e5 < video.stat().st_size < 2e6]
    clip_ids = [f"clip{n:07d}_{n:06d}_{n + 10:06d}" for n in range(count)]
    with gzip.open(path, "wb", compresslevel=6) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for clip_id, video in zip(clip_ids, islice(cycle(videos), count), strict=True):
            content = video.read_bytes()
            info = tarfile.TarInfo(f"train/{clip_id}.mp4")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return clip_ids


def into_store(url: str, clip_ids: list[str], folder: Path) -> None:
    stored = list(fetch_archive(Archive(url, "train", False), str(folder), frozenset(clip_ids)))
    assert len(stored) == len(clip_ids), stored[-1]


def untar(path: Path, clip_ids: list[str], folder: Path) -> None:
    subprocess.run(["tar", "xzf", path, "-C", folder], check=True)
    assert len(list((folder / "train").iterdir())) == len(clip_ids)


def untar_and_sync(path: Path, clip_ids: list[str], folder: Path) -> None:
    untar(path, clip_ids, folder)
    os.sync()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


def archive_speed(rounds: int, data: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "part_0.tar.gz")
        clip_ids = make_archive(path, data, ARCHIVE_CLIPS)
        megabytes = path.stat().st_size / 1e6
        handler = partial(_Files, directory=name)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ways: Mapping[str, Callable[[Path], None]] = {
                "tar xzf": partial(untar, path, clip_ids),
                "archive → store": partial(into_store, str(path), clip_ids),
                "tar xzf; sync": partial(untar_and_sync, path, clip_ids),
                "web → store": partial(into_store, f"http://127.0.0.1:{server.server_port}/{path.name}", clip_ids),
            }
            all_cores = os.sched_getaffinity(0)
            for cores in ({min(all_cores)}, all_cores):
                os.sched_setaffinity(0, cores)
                print(f"{ARCHIVE_CLIPS} clips, {megabytes:.0f} MB packed, {len(cores)} core(s), {rounds} rounds:")
                report_archive(measure(ways, Path(name, "out"), rounds), megabytes)
            os.sched_setaffinity(0, all_cores)
            server.shutdown()


def measure(
    ways: Mapping[str, Callable[[Path], None]], folder: Path, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Returns wall-clock and CPU seconds of each round of each way, which take turns; the first round warms up."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for round_number in range(rounds + 1):
        for name, work in ways.items():
            folder.mkdir()
            os.sync()  # what the one before left to the kernel is not this one's
            seconds = timed(partial(work, folder))
            shutil.rmtree(folder)
            if round_number:
                results[name].append(seconds)
    return results


def report_archive(results: Mapping[str, list[tuple[float, float]]], megabytes: float) -> None:
    print(f"  {'median':<18}{'wall s':>9}{'CPU s':>9}{'MB/s':>9}{'speed/tar':>11}")
    tar_s = statistics.median(wall_s for wall_s, _ in results["tar xzf"])
    for name, seconds in results.items():
        wall_s, cpu_s = (statistics.median(values) for values in zip(*seconds, strict=True))
        print(f"  {name:<18}{wall_s:>9.2f}{cpu_s:>9.2f}{megabytes / wall_s:>9.0f}{tar_s / wall_s:>10.2f}×")
    ratios = [a[0] / b[0] for a, b in zip(results["tar xzf"], results["archive → store"], strict=True)]
    print(f"  archive → store / tar xzf, round by round: {statistics.median(ratios):.2f} (target ≥ {ARCHIVE_TARGET})")


def limiter_rate(rounds: int, _: Path) -> None:
    print(f"{WORKERS} workers, {STARTS_PER_MINUTE:g} visits a minute, {rounds} × 30 s:")
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as workers:
        list(workers.map(visit_for, [1.0] * WORKERS))  # started, and their libraries loaded
        for _ in range(rounds):
            starts = sorted(time_s for times in workers.map(visit_for, [30.0] * WORKERS) for time_s in times)
            inner = [time_s for time_s in starts if starts[0] + 2 <= time_s < starts[0] + 27]
            rate = 60 * len(inner) / 25
            print(f"  {rate:>7.1f} a minute, {rate / STARTS_PER_MINUTE - 1:+.1%} (target ±5 %)")


def visit_for(seconds: float) -> list[float]:
    """Visits as many videos as its lane allows; returns when each visit began."""
    source = Source("store", requests_per_minute=STARTS_PER_MINUTE, lanes=WORKERS)
    times: list[float] = []

    def task(video_id: str, clips: Sequence[Clip], _: str | None) -> Task:
        times.append(time.time())
        return Task(visited, [clip.clip_id for clip in clips], 10.0, 10.0)

    pool = ChildPool(1, None, prepare)
    visits = Visits(source, pool, task, lambda: None)
    for n in range(round(STARTS_PER_MINUTE / WORKERS / 60 * seconds) + 10):
        visits.request(f"video{n:06d}", [Clip(f"video{n:06d}", 0, 10_000_000)], lambda _id, _fetched: None)
    time.sleep(seconds)
    visits.close()
    pool.close()
    return times


def visited(clip_ids: list[str]) -> dict[str, str]:
    return dict.fromkeys(clip_ids, "there")


def prepare() -> None:
    """These visits need nothing."""


def status_speed(rounds: int, _: Path) -> None:
    with tempfile.TemporaryDirectory() as store:
        per_shard = STATUS_CLIPS // STATUS_SHARDS
        for shard in range(STATUS_SHARDS):
            rows = tuple(status_row(shard * per_shard + n, shard) for n in range(per_shard))
            path = state_path(fetch_directory(store, "k400"), "train", shard, STATUS_SHARDS)
            write_state(path, ShardState("train", shard, STATUS_SHARDS, True, 0, per_shard, rows))
        for extra in ((), ("--csv",)):
            command = [sys.executable, "-m", "beam_pipeline", "status", "--config", "configs/k400.yaml", *extra]
            command += ["--split", "train", "--set", f"source.store={store}", "--data_dir", store]
            run = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL, cwd=sys.path[0])
            wall_s, cpu_s = (
                statistics.median(values) for values in zip(*(timed(run) for _ in range(rounds)), strict=True)
            )
            name = " ".join(("status", *extra))
            print(f"{name:<14} of {per_shard * STATUS_SHARDS:,} clips: {wall_s:.1f} s, {cpu_s:.1f} CPU s")


def status_row(number: int, shard: int) -> StateRow:
    reason = ("", "", "", "private", "removed", "network")[number % 6]
    row = LedgerRow(
        clip_id=f"v{number:010d}_000010_000020",
        video_id=f"v{number:010d}",
        start_s=10.0,
        end_s=20.0,
        label=f"class {number % 400}",
        label_index=number % 400,
        split="train",
        status="failed" if reason else "ok",
        reason=reason,
        detail="Private video. Sign in if you've been granted access to this video" if reason else "",
        attempts=1,
        attempted_at=utc_now(),
        source_uri="" if reason else f"/data/k400/fetched/3f/v{number:010d}_000010_000020.mp4",
        shard=shard,
    )
    return StateRow(row, source_bytes=700_000)


ROWS: Mapping[str, Callable[[int, Path], None]] = {
    "archive": archive_speed,
    "limiter": limiter_rate,
    "status": status_speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if unknown := [row for row in arguments.rows if row not in ROWS]:
        parser.error(f"there are only {', '.join(ROWS)}, not {', '.join(unknown)}")
    if "KINETICS_TEST_DATA" not in os.environ:
        sys.exit("needs real clips: set KINETICS_TEST_DATA to the folder that holds videos/")
    for row in arguments.rows or ROWS:
        ROWS[row](arguments.rounds, Path(os.environ["KINETICS_TEST_DATA"]).resolve())


if __name__ == "__main__":
    main()
