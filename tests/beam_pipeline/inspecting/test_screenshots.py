"""The documentation's pictures can be drawn, and show what they are said to."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from PIL import Image, ImageStat
from playwright.sync_api import Browser

from tests.beam_pipeline.inspecting.conftest import RIGHT
from tests.beam_pipeline.inspecting.screenshots import DESK, PHONE, draw_screenshots


def test_pictures_for_the_documentation_are_drawn(browser: Browser, data_set: Path, tmp_path: Path) -> None:
    drawn = {path.stem: Image.open(path) for path in draw_screenshots(data_set, tmp_path, browser, RIGHT[0])}
    assert drawn["page_light"].size == drawn["page_dark"].size == drawn["clip"].size == DESK
    assert drawn["phone_clip"].size == (2 * PHONE[0], 2 * PHONE[1])
    light, dark = (ImageStat.Stat(drawn[name].convert("L")).mean[0] for name in ("page_light", "page_dark"))
    assert light > 200 > 80 > dark
    for picture in drawn.values():
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 500  # there is something on it
