"""The fixed evaluation set for Hindi, Hinglish and mixed script, written by hand: prompts, and sentences with holes.

Three classes: ``hindi`` in Devanagari, ``hinglish`` in Latin letters, ``mixed``: Devanagari with English words in their
own script. The files are ``unmask/packaged/prompts/indic.jsonl`` (60 prompts a class, with what a good continuation
keeps) and ``unmask/packaged/holes/indic.jsonl`` (40 sentences a class, without a span of words).
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from unmask.evaluation.holes import Hole

CLASSES = ("hindi", "hinglish", "mixed")


def indic_prompts() -> dict[str, list[str]]:
    """Return the prompts of each class, in the file's order."""
    return {name: [row["prompt"] for row in _rows("prompts", name)] for name in CLASSES}


def indic_holes() -> dict[str, list[Hole]]:
    """Return the holes of each class; each is in a document of its own."""
    return {
        name: [
            Hole(place, row["before"], row["hole"], row["behind"], len(row["hole"].split()))
            for place, row in enumerate(_rows("holes", name))
        ]
        for name in CLASSES
    }


def sentences(holes: list[Hole]) -> list[str]:
    """Return the whole sentences that holes were made in."""
    return [hole.left + hole.removed + hole.right for hole in holes]


def _rows(folder: str, name: str) -> list[dict[str, Any]]:
    text = (files("unmask.packaged") / folder / "indic.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    return [row for row in rows if row["kind"].split(",")[0] == name]
