"""Options are weighed on the page, and what their numbers are worth is said beside them."""

from __future__ import annotations

from typing import Any

import pytest

from browser.driving import calm, write

pytestmark = pytest.mark.browser
WRITTEN = ["red", "<b>cat", "dog"]


def options(page: Any, prompt: str, *written: str) -> None:
    page.get_by_label("A beginning").fill(prompt)
    if not page.locator("#options").is_visible():
        page.get_by_text("Which of these?").click()
    page.get_by_label("Options for the hole").fill("\n".join(written))
    page.get_by_role("button", name="Weigh them").click()


def test_options_are_weighed_by_both_sides_and_each_says_what_its_numbers_are_worth(page: Any, watched: Any) -> None:
    page.get_by_role("button", name="Side by side").click()
    prompt = "the ____ sat"
    options(page, prompt, WRITTEN[0], "", *WRITTEN[1:])
    for side, model in enumerate(("hidden", "left")):
        asked = {"model": model, "prompt": prompt, "options": WRITTEN}
        answer = page.request.post(page.url + "v1/choices", data=asked).json()
        box = page.locator(".weighed").nth(side)
        box.locator(".meter").nth(2).wait_for()
        names = [
            name.removeprefix("the likeliest: ")
            for name in box.locator(".meter > span:first-child").all_text_contents()
        ]
        shares = [float(share.strip("< %")) for share in box.locator(".share").all_inner_texts()]
        assert names == WRITTEN
        assert shares == pytest.approx([100 * one["probability"] for one in answer["choices"]], abs=0.51)
        assert box.locator(".kind").inner_text() == answer["kind"] == ("estimate", "exact")[side]
        assert model in box.inner_text() and f"{answer['usage']['calls']} call" in box.inner_text()
        likeliest = box.locator("li").nth(answer["choice"])
        assert likeliest.get_attribute("class") == "likeliest" and "the likeliest" in (likeliest.text_content() or "")
    page.locator("#heard", has_text="percent, exact.").wait_for(state="attached")
    assert calm(watched)


@pytest.mark.parametrize("kind", ["exact", "one call", "estimate", "bound"])
def test_each_kind_of_number_is_named_in_words_and_looks_its_own_way(page: Any, watched: Any, kind: str) -> None:
    each = [
        {"index": n, "option": o, "probability": p, "logprob": -1.0, "tokens": 1}
        for n, o, p in ((0, "a", 0.75), (1, "b", 0.25))
    ]
    told = {"model": "hidden", "choices": each, "choice": 0, "kind": kind, "calibrated": True, "prompt_seen": 3}
    told |= {"usage": {"prompt_tokens": 9, "calls": 1}}
    page.route("**/v1/choices", lambda route: route.fulfill(json=told))
    options(page, "it is ", "a", "b")
    label = page.locator(".kind")
    assert label.inner_text() == kind and label.evaluate("one => one.nextElementSibling.textContent.length > 20")
    said = page.locator(".weighed").inner_text()
    assert "calibrated" in said and "the last 3 of 9 tokens" in said and "1 call of" in said
    styles = {"exact": "solid", "one call": "double", "estimate": "dashed", "bound": "dotted"}
    assert label.evaluate("one => getComputedStyle(one).borderTopStyle") == styles[kind]
    assert calm(watched)


def test_options_are_weighed_by_keyboard_alone(page: Any, watched: Any) -> None:
    page.get_by_role("button", name="Options", exact=True).focus()
    page.keyboard.press("Enter")  # an example: a hole and options for it
    assert "____" in page.get_by_label("A beginning").input_value()
    assert page.evaluate("document.activeElement.id") == "prompt"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "options":
            break
    page.keyboard.press("End")
    page.keyboard.press("Control+Enter")
    page.locator(".weighed .meter").nth(2).wait_for()
    assert page.locator(".weighed .meter").count() == 3
    write(page, "the red boat ")  # another text: what was weighed is over
    assert not page.locator(".weighed").is_visible() and calm(watched)


def test_options_that_cannot_be_weighed_are_answered_in_words(page: Any, watched: Any) -> None:
    options(page, "the red boat ", "one")
    page.get_by_role("alert").filter(has_text="two options or more").wait_for()
    assert calm(watched)
    options(page, "the ____ and the ____", "one", "two")
    page.get_by_role("alert").filter(has_text="2 holes").wait_for()
    assert not page.locator(".weighed").is_visible() and watched.fits()
    watched.complaints.clear()  # the browser's own note of a status above 399
    options(page, "the ____ sat", "one", "two")
    page.locator(".weighed .meter").nth(1).wait_for()
    assert not page.get_by_role("alert").is_visible() and calm(watched)
