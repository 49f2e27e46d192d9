"""The order of the site's pages: that of the links in the ``index.md`` of their folder.

    python -m benchmarks.docs.contents

adds a row for each page that its folder's index does not have yet: its title, and its first sentence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks.docs.links import DOCS, PAGES

SECTIONS = {
    "How-to": "how-to",
    "Concepts": "concepts",
    "Studies": "studies",
    "Reference": "reference",
}
"""Name of a part of the site -> its folder."""
NOTEBOOKS = "notebooks"


def navigation() -> list[Any]:
    """Return the site's navigation, as ``nav`` of ``mkdocs.yml`` says it."""
    start: list[Any] = [{"What it is": "index.md"}, *_pages("start", DOCS / "index.md")]
    notebooks = [
        {words: re.sub(r"ipynb$", "md", page)}
        for one in _pages(NOTEBOOKS, DOCS / "index.md")
        for words, page in one.items()
    ]
    parts: list[Any] = [{"Start": [*start, *notebooks]}]
    for name, folder in SECTIONS.items():
        index = [f"{folder}/index.md"] * (DOCS / folder / "index.md").exists()
        if pages := [*index, *_pages(folder)]:
            parts.append({name: pages})
    parts += [{"Origins": path.name} for path in DOCS.glob("origins.md")]
    loose = sorted(path.name for path in DOCS.glob("*.md") if path.name not in ("index.md", "origins.md"))
    parts += [{"More": loose}] if loose else []
    project = {re.sub(r".*/|\.md$", "", place).capitalize(): place for place in PAGES.values() if place != "index.md"}
    return [*parts, {"Project": [{name: place} for name, place in project.items()]}]


def listed(folder: str, index: Path | None = None) -> dict[str, tuple[str, str]]:
    """Return the pages of a folder of ``docs`` that its index has a row for, in that order.

    Returns:
        Page -> the words of the link to it, and the heading that it stands under, ``""`` where there is none.
    """
    index = index or DOCS / folder / "index.md"
    rows: dict[str, tuple[str, str]] = {}
    heading = ""
    for line in index.read_text(encoding="utf-8").splitlines() if index.exists() else ():
        if line.startswith("## "):
            heading = line[3:]
        if not re.match(r"\|" if index.parent != DOCS else r"\d+\. ", line):
            continue
        for words, target in re.findall(r"\[([^\]]+)\]\(([\w./-]+\.(?:md|ipynb))(?:#[^)]*)?\)", line):
            path = (index.parent / target).resolve()
            if path.exists() and path.parent == DOCS / folder:
                rows.setdefault(path.relative_to(DOCS).as_posix(), (words, heading))
    return rows


def unlisted(folder: str, index: Path | None = None) -> list[Path]:
    """Return the pages of a folder of ``docs`` that its index does not name."""
    known = listed(folder, index)
    pages = [path for kind in ("md", "ipynb") for path in sorted((DOCS / folder).glob(f"*.{kind}"))]
    return [path for path in pages if path.name != "index.md" and path.relative_to(DOCS).as_posix() not in known]


def _pages(folder: str, index: Path | None = None) -> list[dict[str, Any]]:
    """Return the pages of a folder by their index: those under a heading of a folder's own index together."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for path, (words, heading) in listed(folder, index).items():
        parts.setdefault("" if index else heading, []).append({words: path})
    loose = [{title(path): path.relative_to(DOCS).as_posix()} for path in unlisted(folder, index)]
    return [*parts.pop("", []), *({heading: pages} for heading, pages in parts.items()), *loose]


def title(page: Path) -> str:
    """Return a page's first heading."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]) if found else page.stem


def first_sentence(page: Path) -> str:
    """Return the first sentence of a page's prose, without its links."""
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [
        part for part in re.split(r"\n\s*\n", text) if part.strip() and not part.lstrip().startswith(("#", "!", "|"))
    ]
    words = " ".join(lines[0].split()) if lines else ""
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", words)
    return re.split(r"(?<=[.?!])\s", words)[0].rstrip(".:")


def main(arguments: list[str] | None = None) -> int:
    """Add the rows that are missing."""
    for folder in SECTIONS.values():
        index = DOCS / folder / "index.md"
        if index.exists() and (pages := unlisted(folder)):
            rows = [f"| [{title(page)}]({page.name}) | {first_sentence(page)} |\n" for page in pages]
            with index.open("a", encoding="utf-8") as file:
                file.writelines(rows)
            print(index, *(page.name for page in pages))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
