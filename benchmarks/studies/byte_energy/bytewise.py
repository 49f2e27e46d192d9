"""Byte-aware energies on docstrings: what tells texts from samples, what reranks, what the codes of a tree know.

    OMP_NUM_THREADS=1 nice -n 10 python -m benchmarks.studies.byte_energy.bytewise [--quick] [--results FOLDER]

Documents of ``pydocs`` are split three ways by seed: the byte model counts the first part, corrections and codes learn
from the second, all numbers are of the third (a third of it chooses the weights of the reranker). Controls: the
predictive entropy instead of the surprisal, labels shuffled, an untrained coder, no repulsion, no reranking, BM25.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import torch

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.studies.byte_energy.tables import Found, averaged, summary, wide
from benchmarks.studies.byte_energy.weighted import TERMS, Reranker, choose_weights, ranks
from benchmarks.studies.byte_energy.world import (
    BYTES,
    PARTS,
    SENTENCES,
    TOP,
    Parts,
    World,
    area,
    fit,
    openings,
    whole,
    world,
)
from unmask.data.embeddings import WordLlamaEmbedder
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.pydocs import documents, pydocs_pairs
from unmask.roots.rerank.byte_energy import surprisal
from unmask.roots.rerank.correction import Correction
from unmask.roots.rerank.text_tree import text_tree
from unmask.roots.rerank.tree_coherence import TreeCoder, incoherence, learn_coder, small

SEEDS = (0, 1, 2, 3, 4)


def telling(w: World, p: Parts, mixed: Correction, samples: list[bytes], seed: int) -> Found:
    """Return the area under the curve of each energy against each kind of wrong text."""
    rng = np.random.default_rng([seed, 5])
    real = openings(w.held_out)
    weaker = ByteNgram(3).fit(part for text in w.counted for part in text.split(b"\n\n"))
    wrong = {
        "samples of the model": samples,
        "samples of order 3": whole(weaker.sample(4 * len(real), BYTES, seed=seed))[: len(real)],
        "words shuffled": [b" ".join([t.split(b" ")[i] for i in rng.permutation(t.count(b" ") + 1)]) for t in real],
        "bytes shuffled": [bytes(rng.permutation(np.frombuffer(t, np.uint8))) for t in real],
    }
    entropy = NgramEntropy(p.model)

    def energies(texts: list[bytes]) -> dict[str, np.ndarray]:
        c = surprisal(p.model, texts)
        a, b = p.linear.of(texts).double().numpy() / BYTES, p.mlp.of(texts).double().numpy() / BYTES
        return {
            "C: surprisal": c,
            "entropy (control)": np.array([entropy.entropy(text).mean() for text in texts]),
            "A: linear": a,
            "B: MLP": b,
            "C + A": c + a,
            "C + B": c + b,
            "A, labels shuffled (control)": mixed.of(texts).numpy(),
        }

    truth, found = energies(real), {}
    for kind, texts in wrong.items():
        for name, energy in energies(texts).items():
            found[f"{name} | {kind}"] = [area(truth[name], energy)]
    return found


def splices(w: World, p: Parts, untrained: TreeCoder, seed: int) -> Found:
    """Return the area under the curve: sentences that follow each other, against sentences of as many documents."""
    rng = np.random.default_rng([seed, 6])
    runs = []
    for text in w.held_out:
        sentences = text_tree(text).texts(text)
        runs += [sentences[i : i + SENTENCES] for i in range(0, len(sentences) - SENTENCES + 1, SENTENCES)][:4]
    columns = [rng.permutation(len(runs)) for _ in range(SENTENCES)]
    spliced = [[runs[columns[k][i]][k] for k in range(SENTENCES)] for i in range(len(runs))]

    def energies(many: list[list[bytes]]) -> dict[str, np.ndarray]:
        texts = [b"".join(run) for run in many]
        found = {"C: surprisal": surprisal(p.model, texts)}
        found["A: linear"] = p.linear.of(texts).numpy() / np.array([len(text) for text in texts])
        for name, coder in (("tree coherence", p.coder), ("tree coherence, untrained (control)", untrained)):
            tree = text_tree(b"A. " * SENTENCES)  # both kinds are read as one section
            found[name] = np.array([incoherence(coder.of(run), tree) for run in many])
        return found

    right, wrong = energies(runs), energies(spliced)
    return {name: [area(right[name], wrong[name])] for name in right}


def distances(w: World, coders: dict[str, TreeCoder], seed: int) -> list[dict[str, Any]]:
    """Return mean distances of held-out sentences' codes by where they stand, and what is left of them in bytes."""
    rng = np.random.default_rng([seed, 8])
    trees = [(text, text_tree(text)) for text in w.held_out]
    sentences = [part for text, tree in trees for part in tree.texts(text)]
    document = np.repeat(np.arange(len(trees)), [len(tree.sentences) for _, tree in trees])
    section = np.array([number for _, tree in trees for number in tree.section])
    one = rng.integers(0, len(sentences), 60_000)
    near = np.minimum(one + rng.integers(1, 4, len(one)), len(sentences) - 1)
    other = rng.integers(0, len(sentences), len(one))
    same = (document[one] == document[near]) & (one != near)
    kinds = {
        "same section": (one, near, same & (section[one] == section[near])),
        "same document": (one, near, same & (section[one] != section[near])),
        "other documents": (one, other, document[one] != document[other]),
    }
    rows = []
    for name, coder in coders.items():
        codes = coder.of(sentences)
        z = codes.numpy()
        length = {kind: np.linalg.norm(z[a[at]] - z[b[at]], axis=1) for kind, (a, b, at) in kinds.items()}
        row: dict[str, Any] = {"codes": name, **{kind: float(found.mean()) for kind, found in length.items()}}
        row["AUC section"] = area(length["same section"], length["other documents"])
        row["AUC document"] = area(length["same document"], length["other documents"])
        row["distinct as bytes"] = len(np.unique(small(codes).numpy(), axis=0)) / len(set(sentences))
        rows.append(row)
    return rows


def reranking(w: World, p: Parts, untrained: TreeCoder, pairs: list[tuple[str, str, int]], seed: int) -> Found:
    """Return hit@10 and mean reciprocal rank of each way to order the candidates; queries that chose are not told."""
    own = [pair for pair in pairs if pair[2] in set(w.names.tolist())]
    queries, texts = [q for q, _, _ in own], [d for _, d, _ in own]
    home = np.array([document for _, _, document in own])
    chooses = np.isin(home, w.names[: len(w.names) // 3])
    embedder = WordLlamaEmbedder()
    cosines = embedder.embed(queries) @ embedder.embed(texts).T
    top = np.argsort(-cosines, axis=1, kind="stable")[:, :TOP]
    cosine = np.take_along_axis(cosines, top, 1).astype(np.float64)
    hits = top == np.arange(len(own))[:, None]
    answer = np.where(hits.any(1), hits.argmax(1), -1)
    reranker = Reranker(NgramEntropy(p.model), p.linear, p.coder)
    raw = [text.encode() for text in texts]
    kept = reranker.candidates(raw)
    began = time.process_time()
    energies = np.stack(
        [reranker.energies(q.encode(), [kept[i] for i in row]) for q, row in zip(queries, top, strict=True)]
    )
    milliseconds = 1000 * (time.process_time() - began) / len(own)
    other = p.mlp.of(raw).numpy() / np.array([len(text) for text in raw])
    zd, zq = untrained.of(raw).numpy(), untrained.of([q.encode() for q in queries]).numpy()
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    lexical = np.stack([index.get_scores(words) for words in bm25s.tokenize(
        queries, stopwords="en", return_ids=False, show_progress=False)])  # fmt: skip
    chance = np.square(zd[top] - zq[:, None]).sum(-1)
    columns = [other[top], chance, -np.take_along_axis(lexical, top, 1)]
    energies = np.concatenate([energies, np.stack(columns, -1)], -1)
    names = (*TERMS, "correction B", "untrained", "bm25")
    ways = {
        "cosine alone": (),
        "+ C: surprisal of the candidate": ("surprisal",),
        "+ A of the candidate": ("correction",),
        "+ B of the candidate": ("correction B",),
        "+ tree coherence": ("coherence",),
        "+ tree coherence, untrained (control)": ("untrained",),
        "+ surprisal of the query given the candidate": ("given",),
        "+ all of these": TERMS,
        "+ BM25": ("bm25",),
        "+ BM25 and all": (*TERMS, "bm25"),
    }
    told, found = ~chooses, {}
    for way, used in ways.items():
        use = [names.index(name) for name in used]
        weights = choose_weights(cosine[chooses], energies[chooses], answer[chooses], use)
        found[way] = _measures(ranks(cosine[told], energies[told], weights, answer[told]))
    full = (lexical > lexical[np.arange(len(own)), np.arange(len(own))][:, None]).sum(1) + 1.0
    found["BM25 alone, over all"] = _measures(full[told])
    say(f"  {told.sum()} queries told, {chooses.sum()} choose, {len(own)} texts, {milliseconds:.1f} ms a query")
    return found


def _measures(place: np.ndarray) -> list[float]:
    return [float((place <= 10).mean()), float((1 / place).mean())]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--quick", action="store_true", help="400 documents, one seed, few steps; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    texts = [text.encode() for text in documents()][: 400 if given.quick else None]
    home = {part: number for number, text in enumerate(texts) for part in text.decode().split("\n\n")}
    pairs = [(query, text, home[query]) for query, text in pydocs_pairs() if query in home]
    steps, seeds = (10, SEEDS[:1]) if given.quick else (100, SEEDS)
    told, spliced, ranked, codes = [], [], [], []
    for seed in seeds:
        say(f"seed {seed}: {time.process_time():.0f} s")
        w, untrained = world(texts, seed), TreeCoder(seed=seed)
        p, mixed, samples = fit(w, seed, steps)
        told.append(telling(w, p, mixed, samples, seed))
        spliced.append(splices(w, p, untrained, seed))
        ranked.append(reranking(w, p, untrained, pairs, seed))
        if seed < 3:
            alone, pulled = TreeCoder(seed=seed), TreeCoder(seed=seed)
            learn_coder(alone, w.learned, steps=2 * steps, repulsion=0, seed=seed)
            pulled.load_state_dict(p.coder.state_dict())
            learn_coder(pulled, w.learned, steps=steps, repulsion=0, seed=seed)
            coders = {
                "before": untrained,
                "with repulsion": p.coder,
                "without, from the same beginning": alone,
                "without, half as long, from the trained codes": pulled,
            }
            codes.append(distances(w, coders, seed))
    mean = [averaged([run[i] for run in codes]) for i in range(len(codes[0]))]
    tables = {
        "Real texts against wrong ones, AUC": wide(summary(told, ("AUC",))),
        "Sentences that follow each other against spliced ones, AUC": summary(spliced, ("AUC",)),
        "Codes of held-out sentences, mean distances": mean,
        "Reranking the first 50": summary(ranked, ("hit@10", "MRR"), "cosine alone"),
    }
    for heading, rows in tables.items():
        print(f"\n{heading}:\n\n" + "\n".join(table(rows)))
    if not given.quick:
        settings = {
            "documents": len(texts), "pairs": len(pairs), "parts": PARTS, "bytes": BYTES, "sentences": SENTENCES,
            "top": TOP, "steps": steps, "seeds": seeds, "in brackets": "95 % t interval over seeds",
            "cpu seconds": round(time.process_time()),
        }  # fmt: skip
        command = f"OMP_NUM_THREADS=1 nice -n 10 python -m {__spec__.name}"
        by_seed = {"told": told, "spliced": spliced, "codes": codes, "ranked": ranked}
        store(given.results / "bytewise.json", {**stamp(command), "settings": settings, "tables": tables, **by_seed})
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
