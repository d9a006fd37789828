"""Pictures of the page for the documentation: `make screenshots` draws them from the demo."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.beam_pipeline.inspecting.browsing import chromium, opened, served, until

DESK, PHONE = (1280, 860), (390, 780)
_FILM_S = 1.0  # into a clip


def draw_screenshots(directory: Path, folder: Path, browser: Browser, search: str = "") -> list[Path]:
    """Draws the page of a data set: light, dark, a clip that plays, and the last two on a phone.

    Args:
      directory: of the data set's version.
      folder: where the pictures go, WebP.
      browser: which draws them.
      search: what the clip that is shown is searched for by; the first one found has to be one with a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []

    def draw(page: Page, name: str) -> None:
        until(page, "[...document.querySelectorAll('#clips-table img')].every(i => i.complete || i.loading === 'lazy')")
        page.wait_for_timeout(500)  # for charts that move into place
        path = folder / f"{name}.webp"
        Image.open(io.BytesIO(page.screenshot())).save(path, quality=88, method=6)
        pictures.append(path)

    with served(directory) as address:
        for scheme in ("light", "dark"):
            with opened(browser, address, DESK, scheme) as page:
                draw(page, f"page_{scheme}")
        with opened(browser, address, DESK) as page:
            page.locator("#classes").evaluate("e => scrollTo({top: e.offsetTop, behavior: 'instant'})")
            draw(page, "classes")
            _open_clip(page, search)
            draw(page, "clip")
        with opened(browser, address, PHONE, scale=2) as page:
            draw(page, "phone_page")
        with opened(browser, address, PHONE, "dark", scale=2) as page:
            _open_clip(page, search)
            draw(page, "phone_clip")
    return pictures


def _open_clip(page: Page, search: str) -> None:
    if search:
        before = page.locator("#found").inner_text()
        page.get_by_label("Label or id").fill(search)
        until(page, f"document.getElementById('found').textContent !== {before!r}")
    page.locator("#clips-table .tabulator-row a").first.click()
    until(page, "(document.querySelector('#clip video') || {}).readyState >= 3")
    page.locator("#clip video").evaluate(f"film => {{ film.pause(); film.currentTime = {_FILM_S}; }}")
    until(page, "!document.querySelector('#clip video').seeking")
    page.evaluate("document.querySelector('#clip video').controls = false")  # which fade while a film plays


if __name__ == "__main__":
    data_set, pictures = map(Path, sys.argv[1:])
    with chromium() as started:
        for drawn in draw_screenshots(data_set, pictures, started, search="racing right"):
            print(drawn)
