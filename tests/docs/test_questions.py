"""A newcomer's questions: each has an answer on the site, where a search for its words leads."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

from benchmarks.docs.links import DOCS, anchors, slug

QUESTIONS = yaml.safe_load((Path(__file__).parent / "questions.yaml").read_text(encoding="utf-8"))


def words(text):
    return re.findall(r"\w+", text.lower())


@cache
def site():
    """Return each part of each page, from heading to heading, as counted words; its heading counts eight times."""
    parts = []
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
        for part in re.split(r"^(?=#+ )", text, flags=re.MULTILINE):
            heading = re.match(r"#+ (.+)", part)
            told = [*words(part), *8 * words(heading[1] if heading else ""), *4 * words(title)]
            parts.append((path.relative_to(DOCS).as_posix(), Counter(told)))
    return parts


def found(terms):
    """Return the five pages with the best parts for some words, by BM25; a word also finds those that begin with it."""
    parts = site()
    mean = sum(told.total() for _, told in parts) / len(parts)
    scores = [0.0] * len(parts)
    for term in terms:
        hits = [sum(n for word, n in told.items() if word.startswith(term)) for _, told in parts]
        rarity = math.log(1 + len(parts) / (1 + sum(map(bool, hits))))
        for k, (n, (_, told)) in enumerate(zip(hits, parts, strict=True)):
            scores[k] += rarity * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * told.total() / mean))
    best = {}
    for score, (page, _) in zip(scores, parts, strict=True):
        best[page] = max(score, best.get(page, 0.0))
    return sorted(best, key=best.get, reverse=True)[:5]


def part(text, anchor):
    """Return what stands under a heading, up to the next one of its rank or above; its code blocks have no headings."""
    lines, rank, inside = [], 0, False
    for line in text.splitlines():
        inside ^= line.startswith("```")
        heading = None if inside else re.match(r"(#+) (.+)$", line)
        if heading and rank and len(heading[1]) <= rank:
            break
        if heading and slug(heading[2]) == anchor:
            rank = len(heading[1])
        if rank:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda one: one["question"])
def test_a_question_is_answered_under_a_heading(asked):
    text = (DOCS / asked["page"]).read_text(encoding="utf-8")
    assert asked["anchor"] in anchors(text)
    assert [word for word in asked["says"] if word not in part(text, asked["anchor"])] == []


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda one: one["question"])
def test_a_search_for_its_words_finds_the_page_among_the_first_five(asked):
    assert asked["page"] in found(asked["search"])


def test_there_are_twenty_questions():
    assert len({one["question"] for one in QUESTIONS}) == 20
