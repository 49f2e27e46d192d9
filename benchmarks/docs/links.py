"""Where the links of a page lead: on the disk, as GitHub shows it, and on the site.

A page of ``docs`` may link to any file of the repository. On the site some of those files are pages, too (`PAGES`); the
rest are links to the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/README.md": "project/speed.md",
}
"""File of the repository -> where the site has it."""

_FENCE = re.compile(r"^( *)(```+|~~~+)[^\n]*\n.*?^\1\2[ ]*$", flags=re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", flags=re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
_LINK = re.compile(r"\]\((<[^>\n]+>|[^)\s]+)((?:\s+\"[^\"]*\")?)\)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*$", flags=re.MULTILINE)


def prose(text: str) -> str:
    """Return a page with all code and comments blanked, letter for letter."""
    for part in (_COMMENT, _FENCE, _CODE):
        text = part.sub(lambda found: re.sub(r"[^\n]", "\0", found[0]), text)
    return text


def links(text: str) -> Iterator[str]:
    """Yield the targets of a page's links and pictures that lead to files."""
    for found in _LINK.finditer(prose(text)):
        if _is_file(target := found[1].strip("<>")):
            yield target


def _is_file(target: str) -> bool:
    return not re.match(r"[a-z][a-z0-9+.-]*:|/", target)


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and the site make it."""
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    words = re.sub(r"<[^>]+>|[`*]|\\(?=[_*])", "", words)
    return re.sub(r"[^\w\- ]", "", words).lower().strip().replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page: of its headings, its HTML, and the Python names that it documents."""
    plain = _FENCE.sub("", _COMMENT.sub("", text))
    found = {slug(heading[2]) for heading in _HEADING.finditer(plain)}
    found |= set(re.findall(r"<[a-z]+ [^>]*?(?:id|name)=\"([^\"]+)\"", plain))
    return found | set(re.findall(r"^::: ([\w.]+)", text, flags=re.MULTILINE))


def broken(page: Path, text: str | None = None) -> list[str]:
    """Return the links of a page that lead nowhere: no such file, or no such heading in it."""
    text = page.read_text(encoding="utf-8") if text is None else text
    lost = []
    for target in links(text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            lost.append(target)
        elif anchor and file.suffix == ".md":
            there = text if file == page else file.read_text(encoding="utf-8")
            lost += [] if anchor in anchors(there) else [target]
    return lost


def for_site(text: str, source: Path, place: str, repository: str) -> str:
    """Return a page with its links as the site needs them.

    Args:
        text: The page.
        source: Its file.
        place: Where the site has it, such as ``project/contributing.md``.
        repository: Address of the repository, for files that are no pages.
    """
    return _replaced(text, lambda target: _for_site(target, source, place, repository))


def _replaced(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for found in _LINK.finditer(prose(text)):
        target = text[found.start(1) : found.end(1)].strip("<>")
        parts += [text[end : found.start(1)], change(target) if _is_file(target) else target]
        end = found.end(1)
    return "".join([*parts, text[end:]])


def _for_site(target: str, source: Path, place: str, repository: str) -> str:
    path, mark, anchor = target.partition("#")
    if not path:
        return target
    file = (source.parent / path).resolve()
    inside = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else ""
    there = PAGES.get(inside) or (file.relative_to(DOCS).as_posix() if file.is_relative_to(DOCS) else "")
    if there and file.is_dir():
        there = f"{there}/index.md"
    if not there:
        return f"{repository}/{'tree' if file.is_dir() else 'blob'}/main/{inside}{mark}{anchor}"
    there = re.sub(r"\.ipynb$", ".md", there)
    return os.path.relpath(there, Path(place).parent).replace(os.sep, "/") + mark + anchor
