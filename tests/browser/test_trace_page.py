"""A trace is played on the real page, by keyboard and by click, and nothing that stands in it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import unmask

pytestmark = pytest.mark.browser
HOSTILE = "</script><script>document.title='!'</script><img src=x onerror=\"document.title='!'\">"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trace")
    vocabulary = {"pad": 0, "bos": 1, "eos": 2, "mask": 3}
    header = {"format": 1, "kind": "unmask-trace", "sampler": "confidence", "run": HOSTILE, "vocabulary": vocabulary}
    header |= {"tokenizer": {"name": "x", "fingerprint": "0"}, "created": "2026-11-30"}
    header |= {"requests": [{"length": 6, "index": 0, "settings": {}}]}
    strings = {"1": "", "8": "Return", "9": " the", "10": " क", "11": "ि", "13": HOSTILE}
    sets = [[[0, 1, 1.0], [1, 8, 1.0]], [[2, 9, 0.9]], [[3, 10, 0.1]], [[4, 11, 0.6], [5, 13, 0.3]]]
    rows = [{"rows": [{"request": 0, "step": n, "set": s, "length": 6}]} for n, s in enumerate(sets)]
    rows[0]["strings"] = strings
    (place / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [header, *rows, {"end": 4}]))
    unmask.draw_trace(place / "t.jsonl", place / "t.html")
    unmask.draw_trace(place / "t.jsonl", place / "t.svg")
    return place


def kinds(page: Any) -> list[str]:
    return [name.split()[1] for name in page.locator(".place").evaluate_all("all => all.map((one) => one.className)")]


def test_a_trace_is_played_by_keyboard_and_by_click(watched: Any, folder: Path) -> None:
    page = watched.page
    page.emulate_media(reduced_motion="reduce")  # it then waits to be played
    page.goto((folder / "t.html").as_uri())
    assert watched.fits() and page.get_by_text("step 0 of 3").is_visible()
    assert kinds(page) == ["given", "open", "open", "open"]
    widths = page.locator(".place").evaluate_all("all => all.map((one) => one.offsetWidth)")
    page.keyboard.press("ArrowRight")
    assert kinds(page) == ["given", "word", "open", "open"] and page.locator(".place.now").text_content().endswith(
        "the"
    )
    page.keyboard.press("End")
    assert kinds(page) == ["given", "word", "word", "word"] and page.get_by_label("One step on").is_disabled()
    assert page.locator(".place").evaluate_all("all => all.map((one) => one.offsetWidth)") == widths
    page.keyboard.press("c")
    assert page.get_by_text("early").is_visible() and not page.get_by_text("below 0.2").is_visible()
    page.get_by_label("One step back").click()
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == "step 2: decided 1, open 2"
    page.get_by_role("slider").fill("0")
    assert kinds(page) == ["given", "open", "open", "open"]
    page.locator("h1").click()
    page.get_by_label("speed").select_option("24")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("step 3 of 3").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # it has stopped by itself
    assert watched.fits() and watched.outside() == [] and watched.complaints == []


def test_what_stands_in_a_trace_is_text_and_nothing_else(watched: Any, folder: Path) -> None:
    page = watched.page
    page.goto((folder / "t.html").as_uri())
    page.keyboard.press("End")
    assert page.locator(".place > span:not(.ghost)").last.text_content() == HOSTILE
    assert page.title().endswith("writes") and page.locator("img").count() == 0
    assert watched.outside() == [] and watched.complaints == []


def test_the_picture_moves_as_an_image(watched: Any, folder: Path) -> None:
    page = watched.page
    (folder / "image.html").write_text('<!doctype html><link rel="icon" href="data:,"><img src="t.svg" id="i">')
    page.goto((folder / "image.html").as_uri())
    page.wait_for_function("document.getElementById('i').complete && document.getElementById('i').naturalWidth > 0")
    first = page.locator("#i").screenshot()
    for _ in range(40):
        if page.locator("#i").screenshot() != first:
            break
        page.wait_for_timeout(50)
    else:
        raise AssertionError("the picture stands still")
    assert watched.outside() == [] and watched.complaints == []
