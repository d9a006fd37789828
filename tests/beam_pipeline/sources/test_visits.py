"""Visits in real child processes: order, tries, stops. What is visited here is a file that says what happens."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.clips import Clip, ClipError
from beam_pipeline.pool import ChildPool, PoolError, Task, stopping
from beam_pipeline.sources.settings import Source, YouTube
from beam_pipeline.sources.visits import Fetched, Visits

SOURCE = Source("store", requests_per_minute=6000, backoff_s=0.01, tries=3, stop_after=3, pause_s=0.2)


def prepare() -> None:
    """These visits need nothing."""


def act(argument: tuple[str, str, list[str], str | None]) -> dict[str, Any]:
    """Does what the site's file says next of a video, and writes down that it was there."""
    site, video_id, clip_ids, proxy = argument
    path = Path(site, video_id)
    script = json.loads(path.read_text())
    step = script.pop(0) if len(script) > 1 else script[0]
    path.write_text(json.dumps(script))
    with Path(site, "log").open("a") as log:
        log.write(json.dumps([video_id, proxy, time.monotonic(), clip_ids]) + "\n")
    if isinstance(step, str) and step.startswith("slow "):
        time.sleep(0.3)
        step = step.removeprefix("slow ")
    if step == "disk full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "store")
    if isinstance(step, str) and step != "ok":
        raise ClipError(step, f"because of {step}")
    results = step if isinstance(step, dict) else {}
    return {
        clip_id: ClipError(results[clip_id], "of this clip") if clip_id in results else f"{clip_id}.mp4"
        for clip_id in clip_ids
    }


@pytest.fixture(scope="module")
def pool() -> Iterator[ChildPool]:
    pool = ChildPool(workers=2, memory_mib=None, prepare=prepare)
    yield pool
    pool.close()


class Site:
    def __init__(self, folder: Path, pool: ChildPool):
        self.folder = folder
        self.pool = pool
        self.told: dict[str, Fetched] = {}

    def has(self, video_id: str, *script: Any) -> None:
        (self.folder / video_id).write_text(json.dumps(script))

    def visits(self, source: Source = SOURCE, check: Any = lambda: None) -> Visits:
        return Visits(source, self.pool, self.task, check)

    def task(self, video_id: str, clips: Sequence[Clip], proxy: str | None) -> Task:
        return Task(act, (str(self.folder), video_id, [clip.clip_id for clip in clips], proxy), 10.0, 10.0)

    def request(self, visits: Visits, video_id: str, count: int = 1) -> Future:
        clips = [Clip(video_id, n * 10_000_000, (n + 1) * 10_000_000) for n in range(count)]
        return visits.request(video_id, clips, self.told.__setitem__)

    @property
    def log(self) -> list[list]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def site(tmp_path: Path, pool: ChildPool) -> Site:
    return Site(tmp_path, pool)


def fates(future: Future) -> list[tuple[Any, int]]:
    fetched = future.result(timeout=30).values()
    return [(f.result.reason if isinstance(f.result, ClipError) else f.result, f.tries) for f in fetched]


def test_transient_failures_are_tried_again_and_permanent_ones_are_not(site: Site) -> None:
    site.has("passes", "network", "timeout", "ok")
    site.has("stays", "network")
    site.has("dead", "private")
    visits = site.visits()
    futures = [site.request(visits, video_id) for video_id in ("passes", "stays", "dead")]
    assert [fates(future) for future in futures] == [
        [("passes_000000_000010.mp4", 3)],
        [("network", 3)],
        [("private", 1)],
    ]
    visits.close()
    assert set(site.told) == {f"{video_id}_000000_000010" for video_id in ("passes", "stays", "dead")}


def test_clips_of_a_video_are_one_visit_and_only_what_may_pass_is_tried_again(site: Site) -> None:
    site.has("video", {"video_000010_000020": "network", "video_000020_000030": "no_overlap"}, "ok")
    visits = site.visits()
    assert fates(site.request(visits, "video", 3)) == [
        ("video_000000_000010.mp4", 1),
        ("no_overlap", 1),
        ("video_000010_000020.mp4", 2),
    ]
    visits.close()
    assert [clips for _, _, _, clips in site.log] == [
        ["video_000000_000010", "video_000010_000020", "video_000020_000030"],
        ["video_000010_000020"],
    ]


def test_the_rate_holds(site: Site) -> None:
    for n in range(8):
        site.has(f"v{n}", "ok")
    visits = site.visits(replace(SOURCE, requests_per_minute=600, lanes=2))
    for future in [site.request(visits, f"v{n}") for n in range(8)]:
        future.result(timeout=30)
    visits.close()
    times = [at for _, _, at, _ in site.log]
    assert times[-1] - times[0] > 7 * 0.2 * 0.9  # half of 600 a minute: never faster


def test_after_refusals_in_a_row_it_pauses_and_then_stops(site: Site) -> None:
    for n in range(20):
        site.has(f"v{n:02d}", "bot_check")
    visits = site.visits(replace(SOURCE, backoff_s=60.0, visits_at_a_time=1))
    futures = [site.request(visits, f"v{n:02d}") for n in range(20)]
    outcomes = [fates(future)[0] for future in futures]
    later = fates(site.request(visits, "v19"))
    visits.close()
    assert outcomes == [("bot_check", 1)] * 4 + [("not_attempted", 0)] * 16  # three, and one after the pause
    assert len(site.log) == 4
    assert later == [("not_attempted", 0)]
    assert "4 refusals in a row" in futures[-1].result()["v19_000000_000010"].result.detail


def test_a_site_that_answers_again_after_the_pause_loses_nothing(site: Site) -> None:
    for n in range(6):
        site.has(f"v{n}", *["rate_limited"] * (1 if n < 3 else 0), "ok")
    visits = site.visits(replace(SOURCE, visits_at_a_time=1))
    futures = [site.request(visits, f"v{n}") for n in range(6)]
    assert [fates(future)[0][0] for future in futures] == [f"v{n}_000000_000010.mp4" for n in range(6)]
    visits.close()


def test_visits_under_way_when_it_pauses_do_not_stop_it(site: Site) -> None:
    for n, first in enumerate(["bot_check", "bot_check", "slow bot_check", "slow bot_check", *["ok"] * 4]):
        site.has(f"v{n}", first, "ok")
    visits = site.visits(replace(SOURCE, visits_at_a_time=2, backoff_s=0.1, pause_s=1.0))
    futures = [site.request(visits, f"v{n}") for n in range(8)]
    assert [fates(future)[0][0] for future in futures] == [f"v{n}_000000_000010.mp4" for n in range(8)]
    visits.close()


def test_who_can_not_take_the_news_ends_all_visits(site: Site) -> None:
    def fail(_clip_id: str, _fetched: Fetched) -> None:
        raise OSError(errno.ENOSPC, "no room for the ledger")

    site.has("good", "ok")
    site.has("waits", "network")
    visits = site.visits(replace(SOURCE, backoff_s=60.0))
    clip = Clip("good", 0, 10_000_000)
    waiting = site.request(visits, "waits")
    for future in (visits.request("good", [clip], fail), waiting):
        with pytest.raises(OSError, match="no room for the ledger"):
            future.result(timeout=30)
    with pytest.raises(OSError, match="no room"):
        visits.check()
    visits.close()


def test_nobody_waits_for_visits_that_have_ended(site: Site) -> None:
    site.has("waits", "network")
    visits = site.visits(replace(SOURCE, backoff_s=60.0))
    waiting = site.request(visits, "waits")
    visits.close()
    for future in (waiting, site.request(visits, "waits")):
        with pytest.raises(PoolError):
            future.result(timeout=30)


def test_a_stopped_run_leaves_the_rest_unattempted(site: Site) -> None:
    site.has("slow", "network")
    visits = site.visits(replace(SOURCE, backoff_s=60.0))
    future = site.request(visits, "slow")
    while not site.log:
        time.sleep(0.01)
    time.sleep(0.2)  # until what came of it is known
    stopping.set()
    try:
        assert fates(future) == [("network", 1)]
        assert fates(site.request(visits, "slow")) == [("not_attempted", 0)]
    finally:
        stopping.clear()
    visits.close()


def test_a_full_disk_ends_all_visits(site: Site) -> None:
    site.has("fills", "disk full")
    site.has("next", "ok")
    visits = site.visits(replace(SOURCE, requests_per_minute=60))
    futures = [site.request(visits, "fills"), site.request(visits, "next")]
    for future in futures:
        with pytest.raises(PoolError, match="store: No space left on device"):
            future.result(timeout=30)
    with pytest.raises(PoolError):
        site.request(visits, "next").result(timeout=30)
    visits.close()
    assert [video_id for video_id, *_ in site.log] == ["fills"]


def test_proxies_take_turns(site: Site) -> None:
    for n in range(4):
        site.has(f"v{n}", "ok")
    proxies = ("http://127.0.0.1:1", "http://127.0.0.1:2")
    visits = site.visits(replace(SOURCE, youtube=YouTube(proxies=proxies), visits_at_a_time=1))
    for n in range(4):
        site.request(visits, f"v{n}").result(timeout=30)
    visits.close()
    assert [proxy for _, proxy, _, _ in site.log] == [*proxies, *proxies]
