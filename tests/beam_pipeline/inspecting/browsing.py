"""A real Chromium that opens pages of `inspect`, written or served."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from beam_pipeline.inspecting.rows import read_rows
from beam_pipeline.inspecting.server import make_server
from beam_pipeline.inspecting.site import write_site
from tests.beam_pipeline.inspecting.serving import in_thread

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE_S = 120.0  # nothing is slow here but a machine that does much else
_OVERTAKEN = "Data Load Response Blocked"  # what Tabulator says where one search overtakes another
NO_CHROMIUM = "needs a Chromium: apt-get install chromium"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts a browser; what it plays makes no sound."""
    arguments = ["--mute-audio"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own does not work for root, as in most containers
    expect.set_options(timeout=1000 * _PATIENCE_S)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=1000 * _PATIENCE_S)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serves a data set's page; gives its address."""
    with in_thread(make_server(lambda: read_rows(str(directory)), port=0)) as asked:
        yield f"http://127.0.0.1:{asked.port}/"


def stored(directory: Path, folder: Path, num_previews: int = 100) -> str:
    """Writes a data set's page; returns its address."""
    return write_site(read_rows(str(directory)), folder, num_previews, overwrite=False).as_uri()


@contextmanager
def opened(
    browser: Browser,
    address: str,
    size: tuple[int, int] = (1280, 900),
    scheme: str = "light",
    scale: int = 1,
    expected: str = _OVERTAKEN,
) -> Iterator[Page]:
    """Opens a page and waits for its first clips. Whatever it complains of, or asks elsewhere for, is an error.

    Args:
      browser: that opens it.
      address: of the page.
      size: of its window in pixels.
      scheme: light or dark.
      scale: pixels of the screen for each of the window.
      expected: what it may complain of.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=scale,
    )
    context.set_default_timeout(1000 * _PATIENCE_S)
    page = context.new_page()
    wrong: list[str] = []
    origin = address.partition("#")[0].rpartition("/")[0]
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning") and expected not in message.text and wrong.append(message.text)
        ),
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url.startswith((origin, "data:")) or wrong.append(request.url))
    page.goto(address)
    page.locator("#clips-table .tabulator-row").first.wait_for()
    try:
        yield page
    finally:
        context.close()
    assert not wrong, wrong


def until(page: Page, condition: str, timeout_s: float = _PATIENCE_S) -> None:
    """Waits until an expression is true. The page's policy forbids the text of scripts, with which Playwright waits."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"in {timeout_s:g} s it did not come true that {condition}"
        page.wait_for_timeout(50)
