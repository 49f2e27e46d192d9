"""LaTeX of a page as MathML, which browsers draw on their own: no script, and nothing to fetch."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

_MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)
_FUNCTION = re.compile(r"(<mi>(?:ln|log|exp|min|max|sup|inf|cos|sin|tanh)</mi>)(?=<m(?:i|n|sub|sup|subsup|frac|row)>)")
"""A function's name before its argument without a bracket, which the converter sets without a space."""

_BAR = '<mo stretchy="false">&#x0007C;</mo>'
"""A bar of a length |x|, around which a browser would leave the room of a relation."""


def as_mathml(page: str, convert: Callable[..., str]) -> str:
    """Return a page's HTML with what ``pymdownx.arithmatex`` marked as MathML.

    Args:
        page: The HTML.
        convert: ``latex2mathml.converter.convert``, or what does the same.
    """

    def one(found: re.Match[str]) -> str:
        latex = html.unescape(found[3]).strip().replace("{aligned}", "{align*}")  # the same rows, which it knows
        display = "block" if found[2] == "[" else "inline"
        drawn = convert(latex, display=display).replace(r"\_", "_")
        drawn = _FUNCTION.sub(r'\1<mspace width="0.17em"/>', drawn)
        drawn = drawn.replace(_BAR, _BAR.replace('false"', 'false" lspace="0" rspace="0"'))
        return f'<div class="equation">{drawn}</div>' if display == "block" else drawn

    return _MATH.sub(one, page)
