"""Equations of the pages are drawn whole: what the converter to MathML does not know would stand there as text."""

from __future__ import annotations

import re

import pytest

from benchmarks.docs.links import DOCS
from benchmarks.docs.mathematics import as_mathml

convert = pytest.importorskip("latex2mathml.converter").convert
EQUATIONS = {
    path: re.findall(
        r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$",
        re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL),
        flags=re.DOTALL,
    )
    for path in sorted((DOCS / "concepts").glob("*.md"))
}


def drawn(latex: str) -> str:
    return as_mathml(f'<div class="arithmatex">\\[{latex}\\]</div>', convert)


@pytest.mark.parametrize("page", EQUATIONS, ids=lambda page: page.stem)
def test_no_latex_and_no_ampersand_is_left_in_an_equation(page):
    left = [one for pair in EQUATIONS[page] for one in pair if one and re.search(r">[^<]*(\\|&amp;)", drawn(one))]
    assert left == []


def test_rows_that_are_aligned_are_rows():
    page = drawn(r"\begin{aligned} a &= b \\ c &= \text{of\_two} \end{aligned}")
    assert page.count("<mtr>") == 2 and "of_two" in page


def test_bars_of_a_length_close_up():
    assert drawn("c|x|^2").count('lspace="0" rspace="0"') == 2
