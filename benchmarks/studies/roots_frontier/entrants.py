"""Rivals of the frontier: shelves of ROOTS, lists and codes of faiss, words of BM25; bytes of each.

    resident   what must stay in memory while vectors lie on a disk: the core and the router's weights; centroids and
               codebooks of inverted lists; all codes of a flat one
    read       bytes of vectors and codes that a query goes over, wherever they lie

ROOTS is built as ``unmask index build`` does it, but in memory: members int8, statistics of them as they are kept, the
core rounded; ``ebm`` learns from sentences of the texts. The dial and the vectors of known texts (6 kB) are left out.

Letters: Q questions, N texts, K shelves, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.lib.worlds import TOP, Corpus, Questions
from benchmarks.studies.roots_frontier.shelves import SHARES, SHORT, Found, Shelves, lessons, shelves_for
from benchmarks.studies.roots_routing.world import faiss_lists
from unmask.roots.embed.embedders import Reader
from unmask.roots.partition import Partition, make_partitioner, spill
from unmask.roots.route import Lessons, make_router
from unmask.roots.shelves.vectors import keep

CODES = (8, 16, 32)  # bytes of a vector


def roots(corpus: Corpus, reader: Reader, seed: int) -> Iterator[tuple[Questions, Found]]:
    """Yield what ROOTS finds, for each partition, router, spilling and core; and its controls."""
    shelves = shelves_for(len(corpus.vectors))
    taught, nearest = lessons(corpus, reader, seed)

    def fit(name: str, shelves: int = shelves) -> Partition:
        found: Partition = make_partitioner(name).fit(corpus.vectors, shelves, seed)
        return found

    def routed(name: str, partition: Partition, routers: Sequence[str], kind: str = "float16") -> Iterator[Any]:
        held = Shelves(corpus, partition, "int8", kind)
        for kind_of_router in routers:
            learned = Lessons(taught, partition.labels[nearest]) if kind_of_router == "ebm" else None
            router = make_router(kind_of_router, held.statistics, lessons=learned, seed=seed)
            weights = sum(array.nbytes for array in router.arrays().values())
            for questions in corpus.questions:
                scores = router.scores(questions.vectors)
                named = f"ROOTS {name}, {kind_of_router}"
                for found in held.rows(named, questions, scores, held.core_bytes + weights, router.nbytes):
                    yield questions, found

    for name in ("kmeans", "balanced_kmeans", "ising"):
        partition = fit(name)
        yield from routed(name, partition, ("centroid", "moments", "ebm"))
        if name == "kmeans":
            yield from routed(f"{name}, int8 core", partition, ("moments",), "int8")
        if name == "balanced_kmeans":
            for share in (0.2, 0.5, 1.0):
                copied = spill(partition, corpus.vectors, share)
                yield from routed(f"{name}, {share:.0%} spilled", copied, ("moments",))
    yield from routed("kmeans, 4 K", fit("kmeans", 4 * shelves), ("centroid", "moments"))
    yield from routed("random shelves (control)", fit("random"), ("moments",))


def inverted(corpus: Corpus, seed: int) -> Iterator[tuple[Questions, Found]]:
    """Yield what the lists of faiss' inverted file hold, the last one cut where the budget ends, as ROOTS cuts it."""
    shelves = shelves_for(len(corpus.vectors))
    partition, _ = faiss_lists(SimpleNamespace(vectors=corpus.vectors), shelves, seed)  # type: ignore[arg-type]
    for storage in ("float32", "int8"):
        held = Shelves(corpus, partition, storage, None)
        for questions in corpus.questions:
            scores = questions.vectors @ partition.centroids.T
            size = partition.centroids.nbytes
            for found in held.rows(f"IVF, {storage}, lists cut", questions, scores, size, size):
                yield questions, found


def flat(corpus: Corpus) -> Iterator[tuple[Questions, Found]]:
    """Yield what reading everything finds: float32, and int8 as ROOTS keeps its members."""
    for storage in ("float32", "int8"):
        kept = keep(corpus.vectors, storage)
        size = kept.row_bytes * len(kept)
        for questions in corpus.questions:
            scores = kept.dot(questions.vectors, 0, len(kept))
            found = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
            yield questions, Found(f"flat, {storage}", "all", found, 1.0, size, size)


def coded(corpus: Corpus, seed: int) -> Iterator[tuple[Questions, Found]]:
    """Yield what codes find: product quantisation and RaBitQ, flat and in lists, and with the best scored again."""
    import faiss

    faiss.omp_set_num_threads(1)
    vectors, (count, width) = corpus.vectors, corpus.vectors.shape
    shelves, bits = shelves_for(count), 8 if count >= 2560 else 4  # 256 codewords need some vectors each to learn from
    inner, kept = faiss.METRIC_INNER_PRODUCT, keep(vectors, "int8")
    floats = kept.floats()

    def trained(index: Any, *clusterings: Any) -> Any:
        for clustering in clusterings:
            clustering.seed, clustering.min_points_per_centroid = seed + 1, 1
        index.train(vectors)
        index.add(vectors)
        return index

    plain: list[tuple[str, int, int, Callable[[], Any]]] = []  # name, bytes of a code, other bytes, how it is made
    for size in CODES:

        def product_codes(parts: int = 8 * size // bits) -> Any:
            index = faiss.IndexPQ(width, parts, bits, inner)
            return trained(index, index.pq.cp)

        plain.append((f"PQ, {size} B", size, 4 * width * 2**bits, product_codes))

    def one_bit() -> Any:
        turn = faiss.RandomRotationMatrix(width, width)
        turn.init(seed)
        return trained(faiss.IndexPreTransform(turn, faiss.IndexRaBitQ(width, inner)))

    plain.append(("RaBitQ, 40 B", width // 8 + 8, 4 * width * width, one_bit))
    for name, size, other, build in plain:
        index = build()
        resident = count * size + other
        for questions in corpus.questions:
            short = min(SHORT, count)
            found = np.asarray(index.search(questions.vectors, short)[1])
            yield questions, Found(name, "all codes", found[:, :TOP], 1.0, count * size, resident)
            exact = np.stack([floats[row] @ q for q, row in zip(questions.vectors, found, strict=True)])
            best = np.take_along_axis(found, np.argsort(-exact, axis=1, kind="stable")[:, :TOP], 1)
            again = f"{name}, best {short} scored again"
            yield questions, Found(again, "all codes", best, 1.0, count * size + short * kept.row_bytes, resident)

    def listed(make: Callable[[Any], Any]) -> Any:
        index = make(faiss.IndexFlatIP(width))
        index.cp.spherical = True
        return trained(index, index.cp, *([index.pq.cp] if hasattr(index, "pq") else []))

    centres = 4 * width * shelves
    lists: list[tuple[str, int, int, Callable[[Any], Any]]] = [
        ("faiss IVF, float32", 4 * width, centres, lambda q: faiss.IndexIVFFlat(q, width, shelves, inner)),
        ("faiss IVF-RaBitQ", width // 8 + 8, centres, lambda q: faiss.IndexIVFRaBitQ(q, width, shelves, inner)),
    ]
    for size in CODES[1:]:

        def product(quantizer: Any, parts: int = 8 * size // bits) -> Any:
            return faiss.IndexIVFPQ(quantizer, width, shelves, parts, bits, inner)

        lists.append((f"faiss IVF-PQ, {size} B", size, centres + 4 * width * 2**bits, product))
    for name, size, resident, make_lists in lists:
        index = listed(make_lists)
        sizes = np.array([index.invlists.list_size(row) for row in range(shelves)])
        for questions in corpus.questions:
            for probes in sorted({max(1, round(share * shelves)) for share in SHARES}):
                index.nprobe = probes
                opened = index.quantizer.search(questions.vectors, probes)[1]
                read = float(sizes[opened].sum(1).mean())
                found = np.asarray(index.search(questions.vectors, TOP)[1])
                setting = f"{probes} of {shelves} lists"
                yield questions, Found(name, setting, found, read / count, read * size, resident, centres)


def words(corpus: Corpus) -> Iterator[tuple[Questions, Found]]:
    """Yield what BM25 finds; it reads the postings of a question's words."""
    import bm25s

    stopwords: Any = "english" if corpus.name in ("pydocs", "cranfield", "xquad en") else []

    def tokens(texts: list[str]) -> list[list[str]]:
        found: Any = bm25s.tokenize(
            texts, token_pattern=corpus.token, stopwords=stopwords, return_ids=False, show_progress=False
        )
        return [list(words) for words in found]

    index = bm25s.BM25()
    index.index(tokens(corpus.texts), show_progress=False)
    arrays = [array for array in index.scores.values() if isinstance(array, np.ndarray)]
    frequency = np.diff(index.scores["indptr"])
    for questions in corpus.questions:
        asked = tokens(questions.texts)
        known = [[index.vocab_dict[w] for w in set(words) if w in index.vocab_dict] for words in asked]
        read = 8 * float(np.mean([frequency[row].sum() for row in known]))
        members = np.full((len(asked), TOP), -1)
        for row, words in enumerate(asked):
            if known[row]:
                scores = index.get_scores(words)
                best = np.argsort(-scores, kind="stable")[:TOP]
                members[row] = np.where(scores[best] > 0, best, -1)
        yield questions, Found("BM25", "words", members, np.nan, read, sum(array.nbytes for array in arrays))
