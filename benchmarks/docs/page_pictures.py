"""The pictures of the server's page: serves runs, drives Chromium over the page, and writes docs/img/serve-page*.png.

    python -m benchmarks.docs.page_pictures RUN [HINDI] [--seed 6] [--steps 30] [--temperature 0.6] [--only PART]

RUN is a masked run of English stories. With a second run, of Hindi, there are pictures of Devanagari, too.
Needs Chromium and the extra ``browser``, as ``make test-browser`` does. A picture is looked at before it is committed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.docs.links import DOCS
from benchmarks.lib.server_process import ServerProcess

ENGLISH, HINDI = (
    "Once upon a time there was a little fox who",
    "एक दिन एक छोटी लड़की",
)
HOLE, OPTIONS = "Once upon a time there was a little ____ who loved to play.", "girl\nboy\nbird\ndog"
SOME, MOST = 0.37, 0.7
"""Shares of the steps: a text is half out of the noise, or most of its blocks are written."""


@dataclass(frozen=True)
class Screen:
    """A screen to take pictures on.

    Attributes:
        name: What files call it.
        width: In pixels of the page.
        height: The same.
        touched: Whether it is a phone's.
    """

    name: str
    width: int
    height: int
    touched: bool


WIDE, PHONE = Screen("", 1280, 800, False), Screen("-phone", 390, 844, True)


@contextmanager
def opened(chromium: Any, address: str, screen: Screen, scheme: str) -> Iterator[Any]:
    """Open the page on a screen, in light or dark."""
    context = chromium.new_context(
        viewport={"width": screen.width, "height": screen.height},
        is_mobile=screen.touched,
        has_touch=screen.touched,
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(address)
    page.locator(".model option").first.wait_for(state="attached", timeout=60_000)
    yield page
    context.close()


def set_to(page: Any, run: str, sampler: str | None, given: argparse.Namespace) -> None:
    """Choose a run, its sampler and how it writes, on every side."""
    for pane in page.locator(".pane").all():
        pane.locator(".model").select_option(run)
        if sampler is not None:
            pane.locator(".sampler").select_option(sampler)
        pane.locator(".steps input").fill(str(given.steps))
        pane.get_by_text("Settings", exact=True).click()
        for name, value in (("Length", 30), ("Temperature", given.temperature), ("Seed", given.seed)):
            pane.locator("label", has_text=name).locator("input").first.fill(str(value))
        pane.get_by_text("Settings", exact=True).click()


def write(page: Any, prompt: str, share: float) -> None:
    """Have the prompt written on, and go to a share of its steps."""
    page.locator("#prompt").fill(prompt)
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator("body:not(.playing) .written").nth(4).wait_for(timeout=120_000)
    last = int(page.locator("#step").get_attribute("max"))
    page.locator("#step").fill(str(round(share * last)))
    rest(page)


def rest(page: Any) -> None:
    """Leave the page as one who looks at it: no focus, the top in view, everything still."""
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)


def card(page: Any) -> None:
    """Open the card of a doubtful word, with its candidates."""
    page.locator("#step").fill(str(page.locator("#step").get_attribute("max")))
    rest(page)
    page.locator(".word", has=page.locator(".written")).nth(2).click()
    page.locator("#card .candidates .meter").nth(5).wait_for(timeout=60_000)
    page.wait_for_timeout(400)


def weighed(page: Any, prompt: str) -> None:
    """Have options weighed."""
    page.locator("#prompt").fill(prompt)
    page.get_by_text("Which of these?").click()
    page.locator("#options").fill(OPTIONS)
    page.locator("#which").click()
    page.locator(".weighed .meter").nth(OPTIONS.count("\n")).wait_for(timeout=60_000)
    rest(page)


def take(chromium: Any, address: str, runs: list[str], given: argparse.Namespace) -> None:
    """Take all pictures: a text half written, a word's candidates, options weighed, Devanagari; light and dark."""

    def save(page: Any, name: str) -> None:
        page.screenshot(path=given.output / f"serve-page{name}.png")
        print(given.output / f"serve-page{name}.png", flush=True)

    for screen in (WIDE, PHONE):
        for scheme, dark in (("light", ""), ("dark", "-dark")):
            if given.only in (None, "text"):
                with opened(chromium, address, screen, scheme) as page:
                    set_to(page, runs[0], "confidence", given)
                    write(page, ENGLISH, SOME)
                    save(page, f"{screen.name}{dark}")
                    card(page)
                    save(page, f"{screen.name}-card{dark}")
            if given.only in (None, "options"):
                with opened(chromium, address, screen, scheme) as page:
                    set_to(page, runs[0], "confidence", given)
                    weighed(page, HOLE)
                    save(page, f"{screen.name}-options{dark}")
            if given.only in (None, "hindi") and len(runs) > 1:
                with opened(chromium, address, screen, scheme) as page:
                    set_to(page, runs[1], None, given)
                    write(page, HINDI, MOST)
                    save(page, f"{screen.name}-hindi{dark}")


def main() -> None:
    """Serve the runs and take the pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--output", type=Path, default=DOCS / "img")
    parser.add_argument("--only", choices=("text", "options", "hindi"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    names = [path.resolve().name for path in given.runs]
    first = json.dumps({"model": names[0], "prompt": "The", "max_tokens": 4, "stream": True}).encode()
    arguments = ["-m", "unmask", "serve", *map(str, given.runs), "--port", "PORT", "--quiet"]
    server = ServerProcess("unmask serve", arguments, first)
    try:
        with sync_playwright() as playwright:
            found = shutil.which("chromium") or shutil.which("google-chrome")
            chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
            take(chromium, server.address, names, given)
            chromium.close()
    finally:
        server.end()


if __name__ == "__main__":
    main()
