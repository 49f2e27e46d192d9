"""No number of a study's table is typed: it is written from the stored result, or the page says that there is none."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks.docs import tables
from benchmarks.docs.links import DOCS, ROOT, links
from benchmarks.lib.cells import Table

STUDIES = sorted((DOCS / "studies").glob("*.md"))
WRITTEN_OTHERWISE = {"ledger.md", "certify.md"}
"""Pages whose tables have a test of their own: tests/test_ledger.py, tests/certificates/test_certify.py."""


@pytest.mark.parametrize("page", list(tables.pages()), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_tables_of_a_page_say_what_the_results_say(page):
    text = page.read_text(encoding="utf-8")
    assert tables.filled(text, page) == text, f"write them anew: {tables.COMMAND}"


def test_every_table_that_a_study_makes_is_on_a_page():
    shown = {name for page in tables.pages() for name in tables.MARKS.findall(page.read_text(encoding="utf-8"))}
    assert set(tables.tables()) == shown


@pytest.mark.parametrize(
    "page", [one for one in STUDIES if one.name not in WRITTEN_OTHERWISE], ids=lambda one: one.name
)
def test_a_table_of_numbers_has_a_result_or_says_that_it_has_none(page):
    assert tables.unsourced(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "page",
    [one for one in STUDIES if one.name not in ("index.md", "reading-tables.md", "ledger.md")],
    ids=lambda one: one.name,
)
def test_a_study_begins_with_its_question_and_its_verdict(page):
    begin = page.read_text(encoding="utf-8").split("\n\n")
    assert begin[1].startswith("**Question.** ") and begin[2].startswith("**Verdict.** ")


def test_a_table_of_numbers_elsewhere_leads_to_its_study():
    apart = [DOCS / "studies", DOCS / "reference"]
    alone = []
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if not any(folder in page.parents for folder in apart) and tables.unsourced(text):
            alone += [page.name] if not any("studies/" in link for link in links(text)) else []
    assert alone == []


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    stored = {
        "command": "python -m it",
        "date": "2026-01-02",
        "rows": {"a | seed 0": {"x": 1.5}, "a | seed 1": {"x": 2.5}},
    }
    (tmp_path / "it.json").write_text(json.dumps(stored))
    return {"it": Table("it.json", lambda found: [{"row": k, "x": f"{v['x']:.1f}"} for k, v in found["rows"].items()])}


def test_a_mark_is_filled_from_the_result_and_told_where_it_is_from(kept, tmp_path):
    page = tables.filled("before\n<!-- table: it -->\nold\n<!-- end -->\nafter", tmp_path / "page.md", kept)
    assert "| a | seed 1 | 2.5 |" in page and "old" not in page
    assert re.search(r"Source: \[it.json\]\(it.json\), `python -m it`; 2026-01-02; seeds 0, 1\.", page)
    assert tables.filled(page, tmp_path / "page.md", kept) == page


def test_a_mark_without_a_table_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="no study's page.py has a table 'gone'"):
        tables.filled("<!-- table: gone -->\n<!-- end -->", tmp_path / "page.md", {})


TYPED = "| row | bits |\n|---|---|\n| a | 1.5 |\n\n"


def test_a_typed_table_of_numbers_is_found_and_one_that_says_so_or_has_words_is_not():
    assert tables.unsourced(TYPED + "And then.\n") == ["| row | bits |"]
    assert tables.unsourced(f"{TYPED}{tables.UNSTORED} by hand.\n") == []
    assert tables.unsourced("| key | what |\n|---|---|\n| a | 3 words of it |\n| b | none |\n") == []
