"""The reference is what the code says: no page is behind it, every key has a meaning, every variable is told."""

from __future__ import annotations

import re

import pytest

from benchmarks.docs.links import ROOT
from benchmarks.docs.reference import FOLDER, MADE, PAGES


@pytest.mark.parametrize("page", PAGES)
def test_the_page_says_what_the_code_says(page):
    assert (FOLDER / page).read_text(encoding="utf-8") == MADE + "\n" + PAGES[page](), (
        "write it anew: python -m benchmarks.docs.reference"
    )


@pytest.mark.parametrize("page", ["recipes.md", "samplers.md", "cli.md"])
def test_every_key_and_every_option_has_a_meaning(page):
    text = (FOLDER / page).read_text(encoding="utf-8")
    assert re.findall(r"^\| `[^|]+` \|.*\| +\|$", text.partition("### Fields of the Trainer\n")[0], re.MULTILINE) == []
    assert re.findall(r"^\| `[^|]+` \|.*\| +\|$", text.partition("## process\n")[2], re.MULTILINE) == []


def test_every_variable_that_the_code_reads_is_told():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    told = (FOLDER / "environment.md").read_text(encoding="utf-8")
    assert [name for name in sorted(set(re.findall(r"\bUNMASK_[A-Z_]+\b", source))) if f"`{name}`" not in told] == []


def test_every_verb_has_its_part():
    from unmask.cli.app import GROUPS, VERBS

    text = (FOLDER / "cli.md").read_text(encoding="utf-8")
    assert [verb for verb in (*VERBS, *GROUPS) if not re.search(rf"^## unmask {verb}\b", text, re.MULTILINE)] == []
