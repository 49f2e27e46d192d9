"""A run with evidence, thoughts and candidates of its own, on the page: nothing of the server stands in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browser.driving import at, calm, text, write
from five_systems import five_systems
from serving.conftest import running

pytestmark = pytest.mark.browser
PROMPT = "ship sail harbour captain wave"


@pytest.fixture(scope="module")
def five(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a run of all five systems, and its index."""
    from unmask.serving.served import shelf

    root = five_systems(tmp_path_factory.mktemp("five"))
    with running(shelf([str(root / "run")], [("tales", str(root / "index"))]), body=1 << 20) as live:
        yield live.address + "/"


def test_evidence_thought_and_candidates_are_those_of_the_run(watched: Any, five: str) -> None:
    page = watched.page
    page.emulate_media(reduced_motion="reduce")
    asked = list[str]()
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/completions") else None)
    page.goto(five)
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Evidence from").select_option("tales")
    page.locator("label", has_text="Length").locator("input").fill("8")
    page.locator(".steps input").fill("4")
    write(page, PROMPT)
    assert text(page).startswith(PROMPT) and not page.get_by_role("alert").is_visible()

    page.get_by_text("Evidence", exact=True).click()
    found = page.locator(".evidence li")
    assert found.count() == 3 and all("nearness 0." in one for one in found.all_inner_texts())
    assert any(word in found.first.inner_text() for word in PROMPT.split())

    page.locator(".thought summary").click()
    assert "cells, 8 channels" in page.locator(".thought").inner_text()
    for step in range(1, int(page.locator("#step").get_attribute("max"))):
        at(page, step)  # a step that asks the network nothing leaves no candidates
        if page.locator(".guess").count():
            break
    page.locator(".guess").first.hover()
    page.locator("#card .candidates .meter").first.wait_for()
    assert len(asked) == 1  # they are the step's own: the server was asked for the text alone
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Go on from this thought").click()
    page.get_by_role("button", name="Version 2").wait_for(timeout=60_000)
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    assert not page.get_by_role("alert").is_visible() and page.locator(".canvas .written").count() > 0
    assert calm(watched)
