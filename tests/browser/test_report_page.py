"""The report of a comparison in a real browser: whole, self-contained, and no wider than a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unmask.api.compare import compare

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    small: dict[str, Any] = {"draws": 1, "samples": 2, "steps": (2, 4), "batches": (1, 2), "documents": 5}
    compare(runs, folder, judge="n-gram", command="unmask compare " + "a-long-name " * 20, **small)
    return folder / "report.html"


def test_the_report_reads_well_at_any_width(watched: Any, report: Path) -> None:
    page = watched.page
    page.goto(report.as_uri())
    assert watched.outside() == [] and watched.complaints == []
    assert watched.fits(), "the page scrolls sideways"

    images = page.locator("img").all()
    assert images and all(image.evaluate("i => i.complete && i.naturalWidth > 0") for image in images)
    assert all(image.get_attribute("alt") for image in images)
    width = page.evaluate("window.innerWidth")
    for image in images:
        assert image.bounding_box()["width"] <= width

    tables = page.locator("table").all()
    assert tables
    for table in tables:
        box = table.locator("xpath=..")
        assert box.evaluate("b => b.scrollWidth <= b.clientWidth || getComputedStyle(b).overflowX == 'auto'")
        assert box.bounding_box()["width"] <= width
        assert table.locator("th[scope=col]").count() == table.locator("thead th").count() > 0

    headings = page.locator("h1, h2, h3").all()
    assert headings and all(heading.is_visible() for heading in headings)
    assert page.locator("h1").count() == 1
