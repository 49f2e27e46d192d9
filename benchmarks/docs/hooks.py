"""What ``mkdocs build`` does beside building: see ``mkdocs.yml``. Run it as ``python -m mkdocs`` from the root.

The order of the pages comes from the folders' index pages, some files of the repository become pages, links that lead
out of ``docs`` follow, mathematics becomes MathML, notebooks become pages.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from benchmarks.docs.contents import NOTEBOOKS, navigation
from benchmarks.docs.links import DOCS, PAGES, ROOT, for_site
from benchmarks.docs.mathematics import as_mathml
from benchmarks.docs.notebooks import as_page


def on_config(config: Any) -> Any:
    """Order the pages."""
    config.nav = navigation()
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are no Markdown files of ``docs``."""
    made = {place: (ROOT / source).read_text(encoding="utf-8") for source, place in PAGES.items() if "/" in place}
    made |= {f"{NOTEBOOKS}/{path.stem}.md": as_page(path) for path in (DOCS / NOTEBOOKS).glob("*.ipynb")}
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Let the links of a page lead where the site, or the repository, has what they name."""
    place = page.file.src_uri
    if place.startswith(f"{NOTEBOOKS}/"):
        return markdown
    source = next((ROOT / file for file, there in PAGES.items() if there == place and "/" in there), DOCS / place)
    return for_site(markdown, source, place, config.extra["repository"])


def on_page_content(html: str, page: Page, config: Any, files: Files) -> str:
    """Draw the mathematics of a page; docstrings leave the roles of Sphinx out."""
    return as_mathml(re.sub(r":\w+:(?=<code)", "", html), convert)
