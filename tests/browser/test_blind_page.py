"""Readers judge on the real page, by keyboard and by click, and what they chose is what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unmask.api.blind import blind, blind_results
from unmask.cli.app import run
from unmask.readers.blind import to_html

pytestmark = pytest.mark.browser
KEYS = {"left": "1", "none": "0", "right": "2"}
ARROWS = {"left": "ArrowLeft", "none": "ArrowDown", "right": "ArrowRight"}
LABELS = {"left": "Text 1", "none": "No preference", "right": "Text 2"}
SHORT = ["--pairs", "9", "--length", "8"]
PROMPTS = ["The hen met", "A fox <b>&amp;", "On day 3 the owl", "एक हेन"]


@pytest.fixture(scope="module")
def folder(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("blind")
    (place / "prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    blind(*runs, place / "page", prompts=place / "prompts.txt", length=12, seed=1)
    return place / "page"


def wanted(pair: dict[str, Any], number: int) -> list[str]:
    """Prefer the first run's text, wherever it stands; its grammar in every second pair; no opinion on the third."""
    first, second = ("left", "right") if pair["left"] == 0 else ("right", "left")
    return [first, first if number % 2 else second, "none"]


def test_a_reader_judges_all_pairs_and_the_tally_is_hers(watched: Any, folder: Path, tmp_path: Path) -> None:
    page = watched.page
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    page.goto((folder / "blind.html").as_uri())
    assert watched.fits()
    page.get_by_label("Your name or initials").fill("Ada 12")  # digits there are text
    page.get_by_role("button", name="Begin").click()
    groups = page.get_by_role("radiogroup")
    assert groups.count() == 3

    for number, pair in enumerate(key["pairs"]):
        assert page.get_by_role("heading", name=f"Pair {number + 1} of 4").is_visible() and watched.fits()
        sides = [pair["texts"][pair["left"]], pair["texts"][1 - pair["left"]]]
        for side, text in zip(("#left", "#right"), sides, strict=True):
            assert page.locator(side).text_content() == pair["prompt"] + text
        assert page.get_by_role("button", name="Next").or_(page.get_by_role("button", name="Finish")).is_disabled()
        answers = wanted(pair, number)
        for place, answer in enumerate(answers):
            if number == 0:
                page.keyboard.press(KEYS[answer])
            elif number == 1:
                page.keyboard.press(ARROWS[answer])
            else:
                groups.nth(place).get_by_role("radio", name=LABELS[answer]).check(force=True)
            assert groups.nth(place).get_by_role("radio", name=LABELS[answer]).is_checked()
        if number == 1:  # half-way: nothing is lost, and one may go back and look
            page.reload()
            assert page.get_by_role("heading", name="Pair 2 of 4").is_visible()
            assert groups.nth(2).get_by_role("radio", name="No preference").is_checked()
            page.keyboard.press("Backspace")
            assert page.get_by_role("heading", name="Pair 1 of 4").is_visible()
            page.keyboard.press("Enter")
            page.keyboard.press("Enter")
        elif number < 3:
            page.keyboard.press("Enter")
    page.get_by_role("button", name="Finish").click()
    assert page.get_by_text("4 of 4 judged").is_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download choices.json").click()
    assert download.value.suggested_filename == "choices.json"
    download.value.save_as(tmp_path / "choices.json")
    assert watched.outside() == [] and watched.complaints == []

    found = blind_results([tmp_path / "choices.json"], folder)
    assert found.raters == ("Ada 12",) and found.pairs == 4
    assert [(c.wins, c.losses, c.ties) for c in found.criteria] == [(4, 0, 0), (2, 2, 0), (0, 0, 4), (2, 0, 2)]
    assert found.criteria[1].verdict == "no difference shown"


def test_the_page_keeps_its_secret_and_can_be_used_without_seeing_it(watched: Any, folder: Path) -> None:
    page = watched.page
    page.goto((folder / "blind.html").as_uri())
    seen = page.content().lower()
    for secret in ("nano-causal", "nano-masked", "causal", "masked", "autoregressive", "ancestral", "seed"):
        assert secret not in seen
    page.get_by_role("button", name="Begin").click()
    for radio in page.get_by_role("radio").all():
        assert radio.get_attribute("aria-label") in LABELS.values()
    questions = [page.locator(f"#{g.get_attribute('aria-labelledby')}") for g in page.get_by_role("radiogroup").all()]
    assert "coherence" in (questions[0].text_content() or "")
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("h1").count() == 1
    page.keyboard.press("1")
    assert page.locator("[aria-live=polite]").text_content() == "coherence: Text 1. Next: grammar"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("INPUT", "BUTTON")


def test_another_reader_starts_anew(watched: Any, folder: Path) -> None:
    page = watched.page
    page.goto((folder / "blind.html").as_uri())
    page.get_by_role("button", name="Begin").click()
    for _ in range(4):
        for _ in range(3):
            page.keyboard.press("2")
        page.keyboard.press("Enter")
    stored = "JSON.parse(localStorage.getItem(Object.keys(localStorage)[0]))"
    before = page.evaluate(stored)["session"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Erase and start anew").click()
    assert page.get_by_role("button", name="Begin").is_visible() and page.get_by_text("0 of 4 judged").is_visible()
    assert page.evaluate(stored)["choices"] == {} and page.evaluate(stored)["session"] != before


def test_a_letter_of_devanagari_is_never_in_two_colours(watched: Any, tmp_path: Path) -> None:
    texts = {"prompt": "एक लड़क", "left": "ी गई", "right": " था"}
    content = {"format": 1, "page": "p", "file": "choices.json", "pairs": [{"id": "a", **texts}]}
    content["criteria"] = [{"name": "grammar", "question": "Which?"}]
    (tmp_path / "blind.html").write_text(to_html(content), encoding="utf-8")
    page = watched.page
    page.goto((tmp_path / "blind.html").as_uri())
    page.get_by_role("button", name="Begin").click()
    assert page.locator("#left span").all_text_contents() == ["एक लड़", "की गई"]
    assert page.locator("#right span").all_text_contents() == ["एक लड़क", " था"]
    assert watched.fits() and watched.complaints == []


def test_hindi_hinglish_and_mixed_prompts_are_judged_end_to_end(
    watched: Any, long_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    assert run(["compare", *map(str, long_runs), "--blind", "--prompts", "indic", "-o", str(tmp_path), *SHORT]) == 0
    key = json.loads((tmp_path / "key.json").read_text(encoding="utf-8"))
    page = watched.page
    page.goto((tmp_path / "blind.html").as_uri())
    page.get_by_label("Your name or initials").fill("मीरा")
    page.get_by_role("button", name="Begin").click()
    for number, pair in enumerate(key["pairs"], start=1):
        assert page.get_by_role("heading", name=f"Pair {number} of 9").is_visible() and watched.fits()
        assert page.locator("#left").text_content() == pair["prompt"] + pair["texts"][pair["left"]]
        for answer in wanted(pair, 1):
            page.keyboard.press(KEYS[answer])
        if number < 9:
            page.keyboard.press("Enter")
    page.get_by_role("button", name="Finish").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download choices.json").click()
    download.value.save_as(tmp_path / "choices.json")
    assert watched.outside() == [] and watched.complaints == []
    assert run(["compare", str(tmp_path / "choices.json"), "--blind-results", "-o", str(tmp_path)]) == 0
    found = blind_results([tmp_path / "choices.json"], tmp_path)
    assert found.raters == ("मीरा",) and found.pairs == len(key["pairs"]) == 9
    assert [(c.wins, c.losses, c.ties) for c in found.criteria] == [(9, 0, 0), (9, 0, 0), (0, 0, 9), (9, 0, 0)]
