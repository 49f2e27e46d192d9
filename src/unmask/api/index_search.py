"""Ask an index: texts near in meaning, texts with a substring, and what it all costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unmask.api.index_results import GrepResult, Hit, IndexStatsResult, SearchResult
from unmask.data.origin import in_rows, lines_of
from unmask.errors import Error, wrong_count
from unmask.roots.embed.embedders import read_texts
from unmask.roots.index import Index, open_index
from unmask.roots.rerank.rerank import rerank as ordered_again
from unmask.roots.search.budget import Budget, candidates
from unmask.roots.search.costs import account
from unmask.roots.search.scan import scan
from unmask.roots.search.search import search
from unmask.roots.search.spread import Spread
from unmask.roots.shelves.grep import grep
from unmask.workers import HERE, Workers, at_work


def search_index(
    index: str | Path | Index,
    query: str,
    *,
    k: int = 10,
    open: float | None = None,
    bytes: int | None = None,
    recall: float | None = None,
    exact: bool = False,
    least: float | None = None,
    router: str | None = None,
    embedder: str | None = None,
    workers: int | Workers | None = None,
    on: str = "processes",
    address: str | None = None,
    rerank: str | None = None,
    rerank_of: int | None = None,
) -> SearchResult:
    """Find the texts nearest in meaning.

    Args:
        index: Folder of an index, or an opened one.
        query: Words.
        k: How many texts. Where there are fewer results, ``note`` says why.
        open: Share of the texts to read; default 0.1, and no fewer than 1,024 texts or k. Give at most one of this and
            the next three.
        bytes: Bytes of vectors to read.
        recall: Share of the k truly nearest to find, on average, as held-out sentences say; for k up to 200.
        exact: Read until nothing better can be left.
        least: Smallest score of a result.
        router: Who chooses the shelves; default: the index's.
        embedder: How the index's embedder is called now, where that has changed.
        workers: Who reads the shelves: so many processes or actors, which are started for this search alone, or some
            that :func:`unmask.workers.at_work` has started. The answer is the same.
        on: ``processes`` of this machine, or ``ray``.
        address: Of a Ray cluster; ``None``: a Ray on this machine.
        rerank: Order the first ``rerank_of`` again and return the best k of them: by ``surprisal`` of the query given
            each text's bytes, by ``bm25`` of its words among them, or by the ``energy`` of each text alone, each with
            the cosine beside it in equal parts (:mod:`unmask.roots.rerank.rerank`).
        rerank_of: How many; default: 50, and no fewer than 5 k.

    Raises:
        Error: no index, a query without tokens, or an impossible k, budget or rerank.
    """
    wanted = candidates(rerank, rerank_of, k, exact)
    budget = Budget(open, bytes, recall, exact)
    budget.check()
    if wrong := wrong_count("k", k, 1):
        raise Error(wrong)
    if not query.strip():
        raise Error("the query is empty. Give some words.")
    _encoded(query, "query")
    opened = index if isinstance(index, Index) else open_index(index)
    chosen = opened.router(router)
    vectors = read_texts(opened.reader(embedder), [query]).vectors
    if not vectors.any():
        raise Error(
            f"the embedder {opened.manifest.embedder} knows no token of the query; find it with: unmask index grep"
        )
    lowest = -1e9 if least is None else least
    with at_work(workers, on, address) as at:
        reading = scan if at is HERE else Spread(opened, at)
        found = search(opened, vectors, min(wanted, len(opened)), budget, least=lowest, router=chosen, reading=reading)
    members, scores = found.members[0][found.members[0] >= 0], found.scores[0][found.members[0] >= 0]
    hits = [_hit(opened, int(member), float(score)) for member, score in zip(members, scores, strict=True)]
    if rerank is not None:
        again = ordered_again(opened, query, members, scores.astype(float), rerank)
        hits = [replace(hits[i], rerank=float(again.score[i]), term=float(again.term[i])) for i in again.order[:k]]
    shelves = found.read[0].nonzero()[0].tolist()
    count = int(found.read[0].sum())
    return SearchResult(
        index=str(opened.path),
        query=query,
        router=chosen.name,
        results=hits,
        opened=shelves,
        opened_shelves=len(shelves),
        shelves=opened.manifest.shelves,
        texts_read=count,
        texts=len(opened),
        bytes_read=count * opened.row_bytes,
        certified=bool(found.certified[0]),
        k=k,
        note=_why_fewer(len(hits), k, count, len(opened), least),
        rerank=rerank,
        candidates=None if rerank is None else len(members),
    )


def _why_fewer(found: int, k: int, read: int, texts: int, least: float | None) -> str | None:
    """Say why there are fewer results than were asked for."""
    if found >= k:
        return None
    if read < min(k, texts):
        return (
            f"{found} of {k} found, since {read} of {texts:,} texts were read; read more by --open, --bytes or --exact."
        )
    if found < min(k, texts) and least is not None:
        return f"{found} of {k} found; no other that was read has a score of {least:g} or more."
    return f"{found} of {k} found; the index holds {texts:,} texts."


def grep_index(index: str | Path | Index, pattern: str, *, limit: int = 20) -> GrepResult:
    """Find every text that holds a pattern, byte for byte, reading only shelves that may hold it.

    Args:
        index: Folder of an index, or an opened one.
        pattern: The text to find.
        limit: How many texts to return; all are counted.

    Raises:
        Error: no index, an empty pattern, or one that is no text.
    """
    if limit < 0:
        raise Error(f"limit is {limit}; it must be 0 or more.")
    wanted = _encoded(pattern, "pattern")
    opened = index if isinstance(index, Index) else open_index(index)
    found = grep(opened.segments, opened.signs, wanted)
    bases = [sum(map(len, opened.segments[:number])) for number in range(len(opened.segments))]
    hits = [
        _hit(opened, bases[match.segment] + match.row, 1.0, match.offset, match.count, pattern)
        for match in found.matches[:limit]
    ]
    return GrepResult(
        index=str(opened.path),
        pattern=pattern,
        results=hits,
        matches=len(found.matches),
        opened_shelves=len(found.opened),
        shelves=opened.manifest.shelves,
        texts=len(opened),
        bytes_read=found.bytes_read,
        bytes=found.bytes_held,
    )


def index_stats(index: str | Path | Index) -> IndexStatsResult:
    """Say what an index holds: what is resident, what a query reads, what must lie elsewhere.

    Args:
        index: Folder of an index, or an opened one.

    Raises:
        Error: no index.
    """
    opened = index if isinstance(index, Index) else open_index(index)
    return IndexStatsResult(str(opened.path), **account(opened))


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Error(f"the {what} holds a lone surrogate at character {error.start}; it is no text.") from error


def _hit(index: Index, member: int, score: float, offset: int = 0, count: int = 1, match: str = "") -> Hit:
    number, row = index.place(member)
    shelf = int(index.segments[number].starts.searchsorted(row, side="right")) - 1
    text = index.text(member)
    source, line = index.origin(member) or (None, None)
    end = None
    if source and line and not in_rows(source):
        before = text.encode()[:offset].count(b"\n")
        line, end = lines_of(line + before, match or text)
    return Hit(text, member, index.document(member), shelf, score, offset, count, source, line, end)
