"""What an index learns of itself: how far to read for a recall (its dial), and its router's weights, where it has any.

Queries are sentences cut out of texts that the index holds. A query's true nearest are found by reading everything but
its own document, with which it would find itself. Sentences that teach a router do not set the dial.

Letters: Q queries, N texts, K shelves, D dimensions, T true nearest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from unmask.roots.building.pieces import SHORTEST, pieces
from unmask.roots.embed.embedders import Reader, read_texts
from unmask.roots.route import Lessons, make_router, opening_order
from unmask.roots.search.near import Own
from unmask.roots.search.scan import Best, scan
from unmask.roots.shelves.dial import KS, NEAREST, Dial, Dials, calibrate
from unmask.roots.shelves.segment import Segment
from unmask.roots.shelves.statistics import ShelfStatistics

DIAL_QUERIES = 200
LESSONS = 2000
_SENTENCE = 128  # bytes
_AT_ONCE = 64


def sentence(text: bytes, rng: np.random.Generator) -> str:
    """Return a sentence or so of a text."""
    parts = list(pieces(text, _SENTENCE))
    whole = [part for part in parts if len(part) >= SHORTEST // 2] or parts
    return whole[int(rng.integers(len(whole)))].decode(errors="replace").strip()


def questions(
    segments: Sequence[Segment], firsts: Sequence[int], reader: Reader, count: int, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "Q D"], list[Own]]:
    """Return vectors of sentences, each of another document, and what they must not find: that document."""
    document = np.concatenate([segment.document + first for segment, first in zip(segments, firsts, strict=True)])
    bases = np.cumsum([0, *map(len, segments)])
    members = rng.permutation(len(document))
    _, first = np.unique(document[members], return_index=True)
    members = members[np.sort(first)][:count]
    at = np.searchsorted(bases, members, side="right") - 1
    texts = [segments[n].text(member - bases[n]) for n, member in zip(at.tolist(), members.tolist(), strict=True)]
    vectors = read_texts(reader, [sentence(text, rng) for text in texts]).vectors
    known = vectors.any(1)
    owns = [Own(documents=frozenset([number])) for number in document[members[known]].tolist()]
    return vectors[known], owns


def truth(
    segments: Sequence[Segment],
    firsts: Sequence[int],
    queries: Float32[np.ndarray, "Q D"],
    owns: Sequence[Own],
    top: int,
) -> Int64[np.ndarray, "Q T"]:
    """Return the true nearest of each query, by reading everything; -1 where there are fewer."""
    everything = sum(np.diff(segment.starts) for segment in segments)
    found = []
    for first in range(0, len(queries), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        best = Best.none(len(queries[part]), top)
        scan(segments, firsts, queries[part], np.tile(everything, (len(queries[part]), 1)), best, owns[part])
        found.append(best.members)
    return np.concatenate(found) if found else np.zeros((0, top), np.int64)


def learn(
    segments: Sequence[Segment],
    firsts: Sequence[int],
    statistics: ShelfStatistics,
    reader: Reader,
    router: str,
    learns: bool,
    seed: int,
) -> tuple[dict[str, np.ndarray], Dials]:
    """Return a router's weights (none if it learns nothing), and the dials of an index.

    Args:
        segments: The members.
        firsts: Number of the first document of each.
        statistics: Of the shelves, as a search sees them.
        reader: The embedder.
        router: Its name.
        learns: Whether it has weights.
        seed: Of the choice of queries, and of learning.
    """
    rng = np.random.default_rng([seed, 7])
    count, row_bytes = sum(map(len, segments)), segments[0].vectors.row_bytes
    wanted = DIAL_QUERIES + (min(LESSONS, count // 2) if learns else 0)
    queries, owns = questions(segments, firsts, reader, wanted, rng)
    top = min(NEAREST, max(1, count // 2))
    ks = sorted({top, *(k for k in KS if k <= max(1, count // 2))})
    nearest = truth(segments, firsts, queries, owns, ks[-1])
    usable = (nearest[:, :top] >= 0).all(1)
    labels = np.concatenate([segment.labels() for segment in segments])
    queries, nearest = queries[usable], nearest[usable]
    shelves = labels[nearest]
    held = len(queries) if not learns else min(DIAL_QUERIES, len(queries) // 2)
    weights: dict[str, np.ndarray] = {}
    if learns:
        made = make_router(router, statistics, lessons=Lessons(queries[held:], shelves[held:, :top]), seed=seed)
        weights = made.arrays()
    else:
        made = make_router(router, statistics)
    if not held:  # one document: nothing can be asked without finding itself
        ends = np.array([0, count])
        told = Dial(ends, np.array([0.0, 1.0]), np.zeros(2), np.array([0.0, statistics.shelves]), row_bytes)
        return weights, Dials(dict.fromkeys(ks, told))
    order, size = opening_order(made.scores(queries[:held])), statistics.count
    curves = {}
    for k in ks:
        whole = np.flatnonzero(nearest[:held, k - 1] >= 0)  # best first, so the others are there, too
        if len(whole):
            curves[k] = calibrate(order[whole], size, shelves[whole, :k], vector_bytes=row_bytes)
    return weights, Dials(curves)
