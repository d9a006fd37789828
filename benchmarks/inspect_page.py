"""How soon the page of `inspect` shows something, and how long a search takes, in a real Chromium.

    python -m benchmarks.inspect_page [--clips 650000] [--times 5]

Of a data set that was never made (a ledger and an index of so many rows), once as files and once served. Prints the
medians; processor seconds are those of the browser and of the server together, which a machine that does much else
changes least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.beam_pipeline.inspecting.browsing import chromium, served, stored, until
from tests.beam_pipeline.inspecting.made_up import write_made_up

_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_SEARCHES = {"a label": "class 123", "a part of an id": "Qx7", "nothing": "nowhere"}


def main() -> None:
    """Makes the data set, opens its page and searches it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=650_000)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        directory = write_made_up(Path(folder), arguments.clips, num_labels=700)
        begin = time.perf_counter()
        address = stored(directory, Path(folder) / "page", 0)
        size = sum(path.stat().st_size for path in (Path(folder) / "page").rglob("*.*"))
        print(f"written in {time.perf_counter() - begin:.1f} s, {size / 1e6:.0f} MB")
        for mode in ("files", "served"):
            with nullcontext(address) if mode == "files" else served(directory) as opened:
                measure(browser, opened, mode, arguments.times)


def measure(browser: Browser, address: str, mode: str, times: int) -> None:
    """Prints what a page's first paint, first rows, first search and later searches take."""
    figures: dict[str, list[tuple[float, float]]] = {}

    def note(what: str, seconds: float, cpu_s: float) -> None:
        figures.setdefault(what, []).append((seconds, cpu_s))

    for _ in range(times):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        begin, cpu = time.perf_counter(), _cpu_s()
        page.goto(address, timeout=120_000)
        page.locator("#clips-table .tabulator-row").first.wait_for(timeout=120_000)
        note("first rows", time.perf_counter() - begin, _cpu_s() - cpu)
        note("first paint", page.evaluate(_PAINT) / 1000, float("nan"))
        for what, text in _SEARCHES.items():
            note(f"search for {what}", *_timed(page, f"form.elements.text.value = '{text}'"))
        note("sort by motion", *_timed(page, "form.reset()", "Motion"))
        context.close()
    for what, values in figures.items():
        seconds, cpu_s = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{mode:7} {what:28} {seconds:6.2f} s   {cpu_s:6.2f} processor s")


def _timed(page: Page, change: str, column: str = "") -> tuple[float, float]:
    """Returns the seconds, and processor seconds, from a change of the search until its rows are there."""
    page.evaluate("inspect.shown = null")
    begin, cpu = time.perf_counter(), _cpu_s()
    page.evaluate(f"(() => {{ const form = document.getElementById('search'); {change}; inspect.findClips(); }})()")
    until(page, "inspect.shown !== null")
    if column:
        page.evaluate("inspect.shown = null")
        begin, cpu = time.perf_counter(), _cpu_s()
        page.locator("#clips-table").get_by_role("button", name=column).click()
        until(page, "inspect.shown !== null")
    return time.perf_counter() - begin, _cpu_s() - cpu


def _cpu_s() -> float:
    """Returns the processor seconds of this process and all below it."""
    tick = os.sysconf("SC_CLK_TCK")
    parents, seconds = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            values = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(process.name)] = int(values[1])
        seconds[int(process.name)] = (int(values[11]) + int(values[12])) / tick
    ours = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(seconds.get(process, 0.0) for process in ours)


if __name__ == "__main__":
    main()
