"""What a verifier had written again is marked on the page: in a text that is written, and in a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from browser.driving import at, calm, drop, text, trace, write

pytestmark = pytest.mark.browser


@pytest.fixture
def checked() -> str:
    """A trace in which a verifier refused one word, and kept and skipped others."""
    sets = [[[0, 1, 1.0], [1, 8, 1.0]], [[2, 9, 0.9], [3, 10, 0.8]], [[2, 3, 0.0]], [[2, 11, 0.7], [4, 12, 0.4]]]
    strings = {"1": "", "8": "the", "9": " old", "10": " boat", "11": " लड़की", "12": " sat"}
    lines = [json.loads(line) for line in trace(strings, sets, 5).splitlines()]
    lines[3]["rows"][0]["verdict"] = [["accepted", 3, 4]]
    lines[4]["rows"][0]["verdict"] = [["rewritten", 2, 3], ["accepted", 3, 4], ["skipped", 4, 5]]
    return "\n".join(json.dumps(line) for line in lines)


def test_rewritten_words_are_marked_and_their_card_tells_what_was_said_of_each(
    page: Any, watched: Any, checked: str
) -> None:
    drop(page, checked)
    page.locator(".rewritten").first.wait_for()
    page.locator("body:not(.playing)").wait_for(state="attached")
    marked = page.locator(".canvas .rewritten .now")
    assert marked.all_inner_texts() == ["लड़की"]
    assert "1 word rewritten" in page.locator(".facts").inner_text() and page.locator("#checked").is_visible()
    word = page.locator(".word", has=page.locator(".rewritten"))
    assert "rewritten by the verifier" in (word.get_attribute("aria-label") or "")
    mark = "one => getComputedStyle(one, '::before').borderTopStyle"
    assert page.locator(".canvas .rewritten").evaluate(mark) == "solid"  # a shape, and no hue alone
    for spoken, told in (
        ("लड़की", "refused what stood here"),
        ("boat", "and kept"),
        ("sat", "Not read by"),
    ):
        page.locator(".word", has_text=spoken).focus()
        page.keyboard.press("Enter")
        page.locator("#card", has_text=told).wait_for()
        page.keyboard.press("Escape")
    at(page, 1)  # nobody had read it yet
    assert marked.count() == 0 and not page.locator("#checked").is_visible() and calm(watched)


def test_a_text_is_written_with_a_verifier_and_the_marks_are_what_it_said(
    page: Any, watched: Any, tmp_path: Path
) -> None:
    asked = list[dict[str, Any]]()
    page.on("request", lambda one: asked.append(one.post_data_json) if one.url.endswith("/completions") else None)
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Checked by").select_option("left")
    for how in ("repair", "lossless"):
        page.get_by_label("Checked how").select_option(how)
        write(page, "the red boat ")
        assert not page.get_by_role("alert").is_visible() and text(page).startswith("the red boat")
        assert asked[-1]["unmask"]["verifier"] == "left" and asked[-1]["unmask"]["verify"] == how
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save the trace").click()
        waiting.value.save_as(tmp_path / how)
        lines = [json.loads(line) for line in (tmp_path / how).read_text(encoding="utf-8").splitlines()]
        last = [line["rows"][0]["verdict"] for line in lines if "rows" in line][-1]
        assert last  # it did read along
        refused = sum(behind - first for verdict, first, behind in last if verdict == "rewritten")
        marked = page.locator(".canvas .rewritten").count()
        assert (marked > 0) == (refused > 0) and marked <= refused  # pieces of one letter are one place
    page.locator(".model").select_option("left")  # left to right there is nobody else to read along
    assert page.get_by_label("Checked by").count() == 0 and calm(watched)


def test_a_trace_whose_verdicts_are_none_is_told_to_be_damaged(page: Any, watched: Any, checked: str) -> None:
    lines = checked.splitlines()
    broken = json.loads(lines[1])
    broken["rows"][0]["verdict"] = 7
    drop(page, "\n".join([lines[0], json.dumps(broken)]))
    page.get_by_role("alert").filter(has_text="damaged").wait_for()
    assert calm(watched)
