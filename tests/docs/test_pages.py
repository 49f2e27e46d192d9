"""The pages hang together: no link and no anchor leads nowhere, and the site shows every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.docs.contents import SECTIONS, navigation, unlisted
from benchmarks.docs.links import DOCS, PAGES, ROOT, anchors, broken, for_site, prose, slug

EVERY = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "benchmarks").rglob("*.md"))]


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_to_a_heading_that_are_there(page):
    assert broken(page) == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_no_two_headings_of_a_page_share_an_anchor_that_is_linked_to(page):
    headings = [slug(one) for one in re.findall(r"^#+ (.+)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE)]
    twice = {one for one in headings if headings.count(one) > 1}
    asked = {target for other in EVERY for target in re.findall(r"\]\([^)]*#([\w-]+)\)", other.read_text("utf-8"))}
    assert twice & asked == set()


def flat(parts):
    for part in parts:
        for page in [part] if isinstance(part, str) else part.values():
            yield from flat(page) if isinstance(page, list) else [page]


def test_the_site_shows_every_page_once():
    shown = list(flat(navigation()))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {path.relative_to(DOCS).with_suffix(".md").as_posix() for path in DOCS.glob("notebooks/*.ipynb")}
    assert sorted(shown) == sorted(pages | {*PAGES.values()})


@pytest.mark.parametrize("folder", [*SECTIONS.values(), "start"])
def test_the_index_of_a_folder_names_its_pages(folder):
    index = DOCS / "index.md" if folder == "start" else None
    missing = [page.name for page in unlisted(folder, index)]
    assert missing == [], "write a row for each: python -m benchmarks.docs.contents"


PAGE = """# One

[a](two.md) `[b](gone.md)` [c](#one) [d](gone.md) [e](two.md#lost) [f](two.md#two--more) [g](https://x.org/y.md)

```text
[h](gone.md)
```
"""


def test_a_link_that_leads_nowhere_is_found_and_code_is_not_read(tmp_path):
    (tmp_path / "two.md").write_text("# Two & *more*\n")
    (tmp_path / "one.md").write_text(PAGE)
    assert broken(tmp_path / "one.md") == ["gone.md", "two.md#lost"]


def test_an_anchor_is_what_github_makes_of_a_heading():
    text = "## A `code-word`: [linked](x.md), end!\n\n```\n# no heading\n```\n<a id='no'></a><a id=\"own\"></a>\n"
    assert anchors(text) == {"a-code-word-linked-end", "own"}


@pytest.mark.parametrize(
    ("source", "place", "link", "there"),
    [
        ("docs/index.md", "index.md", "../CONTRIBUTING.md#tests", "project/contributing.md#tests"),
        ("docs/start/install.md", "start/install.md", "../../src/unmask/errors.py", "R/blob/main/src/unmask/errors.py"),
        ("docs/start/install.md", "start/install.md", "../../tests", "R/tree/main/tests"),
        ("docs/start/install.md", "start/install.md", "glossary.md#mask", "glossary.md#mask"),
        ("CONTRIBUTING.md", "project/contributing.md", "docs/origins.md#roots", "../origins.md#roots"),
        ("CHANGELOG.md", "project/changelog.md", "README.md", "../index.md"),
    ],
)
def test_on_the_site_a_link_leads_where_the_page_or_the_repository_has_it(source, place, link, there):
    text = f"before [words]({link}) after, `[code]({link})`"
    assert for_site(text, ROOT / source, place, "R") == f"before [words]({there}) after, `[code]({link})`"


def test_pages_that_the_site_takes_from_elsewhere_are_there():
    assert [source for source in PAGES if not Path(ROOT / source).is_file()] == []
