"""The page in a real Chromium, as it lies on a disk and as it is served: each test is of both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright")

from playwright.sync_api import Browser, Locator, Page, expect

from tests.beam_pipeline.inspecting.browsing import opened, served, stored, until
from tests.beam_pipeline.inspecting.conftest import BROKEN, EVIL, HOSTILE_FOLDER, HOSTILE_LABEL, MISSING, RIGHT, VAL
from tests.beam_pipeline.inspecting.made_up import write_made_up


@pytest.fixture(scope="session", params=["stored", "served"])
def address(
    request: pytest.FixtureRequest, browser: Browser, data_set: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "stored":
        yield stored(data_set, tmp_path_factory.mktemp("page") / "page")
    else:
        with served(data_set) as address:
            yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address) as page:
        yield page


def rows(page: Page) -> Locator:
    return page.locator("#clips-table .tabulator-row")


def ids(page: Page) -> list[str]:
    return page.locator("#clips-table .id").all_inner_texts()


def found(page: Page, count: int) -> None:
    """Waits until that many clips are found and shown."""
    expect(page.locator("#found")).to_have_text("1 clip" if count == 1 else f"{count} clips")
    expect(rows(page)).to_have_count(min(10, count))


def open_clip(page: Page, clip_id: str) -> Locator:
    rows(page).filter(has_text=clip_id).locator("a").click()
    dialog = page.locator("#clip")
    expect(dialog.locator(".clip-head .id")).to_have_text(clip_id)
    return dialog


def test_it_says_what_was_asked_for_and_became_of_it(page: Page) -> None:
    expect(page).to_have_title("inspected 1.0.0")
    train, val = page.locator(".card").all()
    expect(train).to_contain_text("3 of 5 clips")
    expect(train).to_contain_text("2 failed")
    expect(val).to_contain_text("1 of 1 clips")
    expect(page.locator("#failures")).to_contain_text("unreadable")
    expect(page.locator("#configuration")).to_contain_text("shorter_side")
    assert page.locator("#charts canvas").count() == 4


def test_clips_are_found_by_a_part_of_their_label_in_whatever_case(page: Page) -> None:
    page.get_by_label("Label or id").fill("THE right")
    found(page, 3)
    assert set(ids(page)) == {*RIGHT, MISSING}


def test_clips_are_found_by_a_part_of_their_id(page: Page) -> None:
    page.get_by_label("Label or id").fill("NRSDT1q")
    found(page, 1)
    assert ids(page) == [RIGHT[0]]
    page.get_by_role("button", name="Clear").click()
    found(page, 5)


def test_clips_are_found_by_status_reason_and_flag(page: Page) -> None:
    page.get_by_label("Status").select_option("failed")
    found(page, 2)
    assert set(ids(page)) == {MISSING, BROKEN}
    page.get_by_label("Reason").select_option("unreadable")
    found(page, 1)
    assert ids(page) == [BROKEN]
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Flag").select_option("has_audio")
    found(page, 3)
    assert set(ids(page)) == {*RIGHT, EVIL}


def test_what_was_not_found_is_said(page: Page) -> None:
    page.get_by_label("Label or id").fill("nowhere")
    found(page, 0)
    expect(page.locator("#clips-table")).to_contain_text("No clip is like that.")


def test_a_click_on_a_head_sorts_and_another_turns_the_order(page: Page) -> None:
    page.get_by_label("Status").select_option("written")
    found(page, 3)
    motions = page.locator("#clips-table .tabulator-row [tabulator-field=motion]")
    head = page.locator("#clips-table").get_by_role("button", name="Motion")
    head.click()
    expect(rows(page).first).to_contain_text(RIGHT[0])  # which moves by 3 pixels a frame, the others by 2 and 1
    values = [float(text) for text in motions.all_inner_texts()]
    assert values == sorted(values, reverse=True)
    head.click()
    expect(rows(page).first).to_contain_text(EVIL)


def test_the_keyboard_sorts_opens_a_clip_and_closes_it(page: Page) -> None:
    page.locator("#clips-table").get_by_role("button", name="Size").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#clips-table [aria-sort=descending]")).to_have_count(1)
    link = rows(page).filter(has_text=RIGHT[1]).locator("a")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#clip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#clip")).to_be_hidden()
    expect(link).to_be_focused()


def test_a_clip_plays_its_frames_beside_its_flow_with_its_sound(page: Page) -> None:
    dialog = open_clip(page, RIGHT[0])
    film = dialog.locator("video")
    until(page, "document.querySelector('#clip video')?.currentTime > 0.1")
    assert film.evaluate("film => [film.videoWidth, film.videoHeight]") == [128, 48]
    assert film.evaluate("film => film.duration") == pytest.approx(1.0, abs=0.1)
    film.evaluate("film => { film.pause(); film.currentTime = 0.5; }")
    until(page, "Math.abs(document.querySelector('#clip video').currentTime - 0.5) < 0.05")
    expect(dialog.locator("svg.wave polygon")).to_have_count(1)


def test_flow_to_the_right_is_red_by_the_standard_colours(page: Page) -> None:
    if not page.url.startswith("http"):
        pytest.skip("a page from a disk may not look into its films")
    film = open_clip(page, RIGHT[0]).locator("video")
    until(page, "document.querySelector('#clip video')?.currentTime > 0.1")
    red, green, blue = film.evaluate(
        """film => {
          const canvas = document.createElement('canvas');
          [canvas.width, canvas.height] = [film.videoWidth, film.videoHeight];
          const context = canvas.getContext('2d');
          context.drawImage(film, 0, 0);
          return [...context.getImageData(96, 24, 1, 1).data.slice(0, 3)];
        }"""
    )
    assert red > 150 > max(green, blue)


def test_a_clip_shows_every_key_of_its_record_and_leads_to_its_source(page: Page) -> None:
    dialog = open_clip(page, RIGHT[0])
    expect(dialog.get_by_role("heading", name="In the record")).to_be_visible()
    keys = dialog.locator(".features tr")
    expect(keys.filter(has_text="image/encoded").last).to_contain_text("JPEG images of 64×48")
    expect(keys.filter(has_text="image/frame_rate").last).to_contain_text("float32")
    expect(keys.filter(has_text="WAVEFORM/feature/floats")).to_contain_text("1 × 16,000")
    link = dialog.get_by_role("link", name="Source video")
    expect(link).to_have_attribute("href", "https://www.youtube.com/watch?v=-nRSDT1Q2m0&t=0s")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_a_failed_clip_shows_its_reason_and_detail(page: Page) -> None:
    page.locator("#failures").get_by_role("button", name="unreadable").click()
    found(page, 1)
    dialog = open_clip(page, BROKEN)
    expect(dialog.locator(".failure")).to_contain_text("unreadable")
    expect(dialog.locator(".failure")).to_contain_text("libavformat can't open it")
    expect(dialog.locator("video")).to_have_count(0)
    expect(dialog.get_by_role("link", name="Source video")).to_be_visible()


def test_arrows_walk_from_clip_to_clip(page: Page) -> None:
    shown = ids(page)
    dialog = open_clip(page, shown[0])
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".clip-head .id")).to_have_text(shown[1])
    page.keyboard.press("ArrowLeft")
    expect(dialog.locator(".clip-head .id")).to_have_text(shown[0])


def test_the_address_of_a_clip_opens_it(browser: Browser, page: Page, address: str) -> None:
    open_clip(page, RIGHT[1])
    with opened(browser, page.url) as again:
        expect(again.locator("#clip .clip-head .id")).to_have_text(RIGHT[1])


def test_another_split_is_a_click_away(page: Page) -> None:
    page.locator(".card").last.click()
    found(page, 1)
    assert ids(page) == [VAL]
    expect(page.locator("#classes-table .tabulator-row")).to_have_count(1)


def test_a_class_leads_to_its_clips(page: Page) -> None:
    page.locator("#classes-table").get_by_role("button", name="to the right").click()
    found(page, 3)


def test_names_of_strangers_are_text(page: Page) -> None:
    dialog = open_clip(page, EVIL)
    expect(dialog.locator("h2")).to_have_text(re.compile(re.escape(HOSTILE_LABEL.split("\u202e")[0])))
    source = dialog.locator("tr").filter(has=page.get_by_role("rowheader", name="Source", exact=True))
    expect(source).to_contain_text(HOSTILE_FOLDER)
    expect(dialog.get_by_role("heading", name="In the record")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#classes-table .tabulator-row").filter(has_text="evil").get_by_role("button").click()
    found(page, 2)
    dialog = open_clip(page, BROKEN)
    expect(dialog).to_contain_text(HOSTILE_FOLDER)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_a_name_does_not_turn_the_writing_around_it(page: Page) -> None:
    turned = page.locator("bdi").filter(has_text="evil").all()
    assert turned
    assert {name.evaluate("e => getComputedStyle(e).unicodeBidi") for name in turned} == {"isolate"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_writing_is_easy_to_tell_from_its_ground(browser: Browser, address: str, scheme: str) -> None:
    with opened(browser, address, scheme=scheme) as page:
        low = page.evaluate(_LOW_CONTRAST)
        assert low == []


def test_charts_are_as_wide_as_their_place(page: Page) -> None:
    page.locator("#charts canvas").first.scroll_into_view_if_needed()
    until(
        page,
        "[...document.querySelectorAll('#charts canvas')].every(e => e.offsetWidth <= e.parentElement.clientWidth)",
    )
    assert page.locator("#charts canvas").count() > 1


def test_the_page_is_as_wide_as_a_phone(browser: Browser, address: str) -> None:
    with opened(browser, address, size=(360, 740)) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        dialog = open_clip(page, EVIL)
        expect(dialog.get_by_role("heading", name="In the record")).to_be_visible()
        assert dialog.evaluate("e => e.scrollWidth <= e.clientWidth")
        wide = page.evaluate("[...document.querySelectorAll('#clip video, #clip svg')].map(e => e.clientWidth)")
        assert wide and max(wide) <= 360


def test_who_wants_no_motion_starts_the_film(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        page.emulate_media(reduced_motion="reduce")
        film = open_clip(page, RIGHT[0]).locator("video")
        until(page, "document.querySelector('#clip video')?.readyState >= 2")
        assert film.evaluate("film => [film.paused, film.currentTime]") == [True, 0]


def test_every_control_has_a_name(page: Page) -> None:
    open_clip(page, RIGHT[0])
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, a[href], video, canvas')].filter(e => !(
             e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.title)).length"""
    )
    assert nameless == 0


@pytest.mark.parametrize("mode", ["stored", "served"])
def test_many_clips_are_paged_searched_and_sorted(mode: str, browser: Browser, tmp_path: Path) -> None:
    directory = write_made_up(tmp_path, 20_000)
    with served(directory) if mode == "served" else nullcontext(stored(directory, tmp_path / "page", 0)) as address:
        requests: list[str] = []
        with opened(browser, address, expected="404") as page:  # its shards were never made
            found_text = page.locator("#found")
            expect(found_text).to_have_text("20,000 clips")
            page.on("request", lambda request: requests.append(request.url))
            page.get_by_role("button", name="Last Page").click()
            expect(page.locator("#clips-table .tabulator-page.active")).to_have_text("2000")
            asked = [url for url in requests if "/rows.json" in url or "/part-" in url]
            assert len(asked) <= 1  # a part of the rows, not all of them
            page.get_by_label("Label or id").fill("class 007")
            expect(found_text).not_to_have_text("20,000 clips")
            page.locator("#clips-table").get_by_role("button", name="Brightness").click()
            expect(page.locator("#clips-table [aria-sort=descending]")).to_have_count(1)
            until(page, "inspect.shown.length === 10 && inspect.shown[0].brightness > 140")
            shown = page.evaluate("inspect.shown.map(row => row.brightness)")
            assert shown == sorted(shown, reverse=True)


# Writing whose contrast with what lies behind it is below 4.5 (WCAG 2, success criterion 1.4.3), as [text, contrast].
# What can't be used is not meant by it.
_LOW_CONTRAST = """() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join('');
    if (!text || !element.getClientRects().length || element.closest('[disabled]')) continue;
    if (['SCRIPT', 'STYLE', 'OPTION', 'NOSCRIPT'].includes(element.tagName)) continue;
    const [a, b] = [parse(getComputedStyle(element).color), ground(element)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) low.push([text.slice(0, 40), contrast]);
  }
  return low;
}"""
