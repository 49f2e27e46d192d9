"""Equations of the pages are drawn as they are meant."""

import re

import pytest

from benchmarks.docs.links import DOCS
from benchmarks.docs.mathematics import as_mathml

convert = pytest.importorskip("latex2mathml.converter").convert
PAGES = sorted(DOCS.rglob("*.md"))


def drawn(latex: str) -> str:
    return as_mathml(f'<div class="arithmatex">\\[{latex}\\]</div>', convert)


def test_rows_that_are_aligned_stand_below_one_another():
    page = drawn(r"\begin{aligned} a &amp;= b \\ c &amp;= |d| \end{aligned}")
    assert page.count("<mtr>") == 2 and "<mi>&" not in page and 'lspace="0"' in page and "text-align: right" in page


def test_an_underscore_of_a_word_is_one():
    assert "max_length" in drawn(r"\text{max\_length}")


def test_no_command_of_an_equation_is_unknown():
    unknown = {}
    for path in PAGES:
        text = re.sub(r"^```.*?^```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, flags=re.DOTALL):
            if left := re.findall(r"<m(?:[io]|text)\b[^>]*>([^<]*\\\w+|&amp;)", drawn(block or inline)):
                unknown.setdefault(path.name, []).extend(left)
    assert unknown == {}
