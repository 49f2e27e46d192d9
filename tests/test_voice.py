"""One voice: systems are called by their names, results share a base, arguments are from one vocabulary."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORDS = re.compile(r"\bseeds? 00\d|\bthe seed's\b|\bseed systems?\b", re.IGNORECASE)
"""What was said of the five systems of docs/origins.md; a seed is a random seed."""
TEXTS = [
    page
    for folder, ends in {"": "*.md", "docs": "*.md", "src": "*.*", "tests": "*.py", "benchmarks": "*.*"}.items()
    for page in ((ROOT / folder).rglob(ends) if folder else ROOT.glob(ends))
    if page.suffix in {".md", ".py", ".yaml", ".json", ".html"} and page != Path(__file__)
]


def test_a_seed_is_a_random_seed_everywhere() -> None:
    assert len(TEXTS) > 500
    wrong = [f"{page.relative_to(ROOT)}: {found}" for page in TEXTS for found in WORDS.findall(page.read_text("utf8"))]
    assert not wrong
