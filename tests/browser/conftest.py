"""A Chromium to drive, and runs with untrained networks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.conftest import running
from untrained_runs import MakeRun, make_run, own_cache, world  # noqa: F401

WIDTHS = (1280, 390)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium: the system's, else the one that playwright installed."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        pytest.exit("playwright is not installed; fix: make test-browser, or pip install 'unmask[browser]'", 2)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=[*QUIET, "--disable-sync"])
        except Error as error:
            why = str(error).strip().splitlines()[0]
            fix = f"apt install chromium, or {Path(sys.executable).parent / 'playwright'} install chromium"
            pytest.exit(f"there is no Chromium to drive ({why}); fix: {fix}", 2)
        yield browser
        browser.close()


class Watched:
    """A page, and all that it asked for or complained about."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def fits(self) -> bool:
        """Whether nothing makes the page scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))

    def outside(self) -> list[str]:
        """Return requests for anything but files of this machine and what the page itself holds."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width}px")
def watched(request: pytest.FixtureRequest, browser: Any) -> Iterator[Watched]:
    """A watched page of a desktop's and of a phone's width."""
    context = browser.new_context(viewport={"width": request.param, "height": 844}, accept_downloads=True)
    yield Watched(context.new_page())
    context.close()


@pytest.fixture(scope="session")
def runs(tiny_run: Path, tiny_masked_run: Path) -> tuple[Path, Path]:
    """A causal and a masked run that learned next to nothing."""
    return tiny_run, tiny_masked_run


@pytest.fixture(scope="session")
def long_runs(make_run: MakeRun) -> tuple[Path, Path]:  # noqa: F811
    """An untrained causal and masked run whose context holds a prompt in Devanagari, in bytes."""
    return make_run("left", length=400), make_run("hidden", "masked", length=400)


@pytest.fixture(scope="session")
def served(make_run: MakeRun) -> Iterator[str]:  # noqa: F811
    """The address of ``unmask serve`` with a masked and a causal run that learned nothing."""
    from unmask.serving.served import shelf

    there = shelf([str(make_run("hidden", "masked", length=96)), str(make_run("left", length=96))])
    with running(there, body=1 << 20) as live:
        yield live.address + "/"


@pytest.fixture
def page(watched: Any, served: str) -> Any:
    """The served page, with nothing that moves."""
    page = watched.page
    page.emulate_media(reduced_motion="reduce")
    page.goto(served)
    page.locator(".model option").first.wait_for(state="attached")
    return page
