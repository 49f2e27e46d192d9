"""The site needs no network and no script for its mathematics."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmarks.docs.links import DOCS, ROOT
from benchmarks.docs.mathematics import as_mathml


class Loader(yaml.SafeLoader):
    """Reads ``mkdocs.yml``, whose tags name Python functions."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, tag, node: tag)
CONFIG = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def test_nothing_that_a_page_loads_comes_from_elsewhere():
    asked = [*CONFIG["extra"]["polyfills"], *CONFIG["extra_css"], *CONFIG.get("extra_javascript", [])]
    assert [name for name in asked if not (DOCS / name).is_file()] == []
    assert CONFIG["theme"]["font"] is False  # else from Google
    assert "repo_url" not in CONFIG  # its pages ask GitHub for stars
    assert "offline" in CONFIG["plugins"] and CONFIG["strict"]
    assert "http" not in (DOCS / "assets" / "site.css").read_text(encoding="utf-8")


def test_the_hooks_of_the_site_are_there():
    assert [hook for hook in CONFIG["hooks"] if not Path(ROOT / hook).is_file()] == []


def converted(latex, display):
    return f"<math display={display!r}>{latex}</math>"


def test_mathematics_becomes_markup_where_it_stood():
    page = 'a <span class="arithmatex">\\(x &lt; y\\)</span> b <div class="arithmatex">\\[z\n\\]</div> c'
    inline, block = (
        "<math display='inline'>x < y</math>",
        "<div class=\"equation\"><math display='block'>z</math></div>",
    )
    assert as_mathml(page, converted) == f"a {inline} b {block} c"


def test_a_function_keeps_its_distance_from_an_argument_without_a_bracket():
    page = '<span class="arithmatex">\\(f\\)</span>'
    found = as_mathml(page, lambda latex, display: "<mi>ln</mi><mn>2</mn><mi>ln</mi><mo>(</mo>")
    assert found == '<mi>ln</mi><mspace width="0.17em"/><mn>2</mn><mi>ln</mi><mo>(</mo>'
