"""What must not be given to a text as evidence: its own document, its copies, and what is all but its copy.

A model that is shown the text it is to predict learns to copy. So a search leaves out the texts of given documents, the
texts with the same digest (equal but for white space at their ends), and those whose cosine with the query is above a
bound.

Letters: Q queries, n texts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32

from unmask.roots.shelves.segment import Segment, digest

CLOSE = 0.95
"""A cosine above which two texts count as one."""


@dataclass(frozen=True)
class Own:
    """What is a query's own and is left out of its results.

    Attributes:
        documents: Numbers of documents in the index.
        digests: Digests of texts.
        closer: Leave out texts with a greater cosine; ``None``: none.
    """

    documents: Collection[int] = field(default_factory=frozenset)
    digests: Collection[int] = field(default_factory=frozenset)
    closer: float | None = None


NOTHING = Own()


def own(segments: Sequence[Segment], firsts: Sequence[int], text: bytes, closer: float | None = CLOSE) -> Own:
    """Return what a text must not be shown: every document of the index that has it, in whole, as one of its texts.

    Args:
        segments: Of the index.
        firsts: Number of the first document of each segment.
        text: The text.
        closer: Leave out texts with a greater cosine, too.
    """
    mark = digest(text)
    found = [first + segment.document[segment.digest == mark] for segment, first in zip(segments, firsts, strict=True)]
    return Own(frozenset(np.concatenate(found).tolist()), frozenset([mark]), closer)


def near(
    scores: Float32[np.ndarray, "Q n"], segment: Segment, rows: slice, first: int, owns: Iterable[Own]
) -> Bool[np.ndarray, "Q n"]:
    """Return which texts are too near to each query to be its evidence.

    Args:
        scores: Cosines of the queries with the texts.
        segment: Where the texts are.
        rows: Which they are.
        first: Number of the segment's first document.
        owns: What is each query's own.
    """
    found = np.zeros(scores.shape, bool)
    document, marks = segment.document[rows] + first, segment.digest[rows]
    for row, one in enumerate(owns):
        if one.documents:
            found[row] |= np.isin(document, list(one.documents))
        if one.digests:
            found[row] |= np.isin(marks, np.fromiter(one.digests, np.uint64))
        if one.closer is not None:
            found[row] |= scores[row] > one.closer
    return found
