"""The embedded corpus is prose, found without importing anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from unmask.data import pydocs
from unmask.data.corpus import load_corpus

MODULE = '''
"""Tools for ropes and knots, which hold things together when there is nothing else at hand.

A knot is a turn of rope that holds by friction alone, and most of them can be undone again without a knife. Sailors,
climbers and surgeons each keep their own list, and they rarely agree on what a good knot should be called.
"""
raise SystemExit("this module must not be run")

class Knot:
    """A knot keeps its shape under load and should be easy to untie.

    Parameters
    ----------
    rope : Rope
        The rope that is tied.

    See :class:`~ropes.Rope` for what a knot is made of, and ``bend`` for joining *two* of them in a hurry.
    """

    def tie(self):
        """Tie the knot around the post that was given.

        >>> Knot().tie()
        'tied'

        The free end is passed under the standing part twice, so that the turns lie side by side and grip each other.
        For example::

            knot.tie()
        """

def copied():
    """A knot keeps its shape under load and should be easy to untie.

    This function only exists because somebody copied the words above it, but these words here are its own, and there
    are enough of them to make a document that can be kept in the corpus beside the others, as a person would expect.
    """

def short():
    """tie(rope) -> Knot"""
'''


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "ropes"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text(MODULE)
    (root / "tests" / "more.py").write_text(MODULE.replace("knot", "test"))
    (root / "broken.py").write_text('"""Broken on purpose."""\ndef (:')

    def roots() -> Iterator[tuple[Path, str]]:
        yield root, "ropes"

    monkeypatch.setattr(pydocs, "_roots", roots)
    monkeypatch.setattr(pydocs, "_topics", lambda: iter([("topic knots", ["Knots are tied. " * 20])]))
    return root


def test_documents_are_prose_without_markup_signatures_or_repeats(library: Path) -> None:
    texts = list(pydocs.documents())
    assert [text[:20] for text in texts] == [
        "Knots are tied. Knot", "Tools for ropes and ", "A knot keeps its sha", "This function only e",
    ]  # fmt: skip
    knot = texts[2]
    assert "See ropes.Rope for what a knot is made of, and bend for joining two of them in a hurry." in knot
    assert "grip each other. For example." in knot  # unwrapped, and the code that followed is gone
    for left_out in (">>>", "rope : Rope", "---", "knot.tie()", "`", "*"):
        assert left_out not in "".join(texts)


def test_pairs_are_a_summary_and_the_prose_that_follows_it(library: Path) -> None:
    pairs = dict(pydocs.pydocs_pairs())
    assert pairs["Tie the knot around the post that was given."].startswith("The free end is passed")
    assert all(query not in document for query, document in pairs.items())


def test_the_documents_are_gathered_once(library: Path) -> None:
    first = list(pydocs.documents())
    (library / "__init__.py").unlink()
    assert list(pydocs.documents()) == first


def test_other_versions_make_another_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pydocs.identity()
    assert any(str(part).startswith("numpy==") for part in before)
    monkeypatch.setattr(pydocs.metadata, "version", lambda _: "0")
    assert pydocs.identity() != before


@pytest.mark.slow
def test_this_environment_gives_several_megabytes() -> None:
    stats = load_corpus("pydocs").stats()
    assert stats["bytes"] > 2_000_000 and stats["documents"] > 3_000
    assert len(pydocs.pydocs_pairs()) > 2_000
