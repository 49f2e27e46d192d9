"""Codes of 4, 8 and 16 bytes a text: what is found by decoded vectors, and how far they are from the true ones.

    OMP_NUM_THREADS=1 nice -n 10 python -m benchmarks.studies.codes.recall [--quick] [--results FOLDER]

Vectors: paragraphs of ``pydocs`` by WordLlama, split by document: 70 % of the documents teach, of the others 1,500
paragraphs are coded. Queries: first sentences of docstrings of the held-out documents, which are neither taught nor
coded, and stay as they are. Controls: principal axes (8 bits an axis, one bit an axis), product quantisation (ours and
that of faiss), the autoencoder whose decoder is deterministic, and the diffusion decoder without its chain.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.studies.byte_energy.tables import spread
from benchmarks.studies.codes.autoencoder import fit_autoencoder
from benchmarks.studies.codes.codec import Codec, Cost, cost
from benchmarks.studies.codes.diffusion import fit_diffusion
from benchmarks.studies.codes.principal import fit_principal
from benchmarks.studies.codes.product import fit_product
from benchmarks.studies.codes.residual import fit_shelves
from unmask.data.embeddings import WordLlamaEmbedder
from unmask.data.pydocs import documents, pydocs_pairs

SEEDS = (0, 1, 2)
BYTES = (4, 8, 16)
DRAWS = 4


class Data:
    """Vectors of one seed: to learn from, to code, and queries."""

    def __init__(self, seed: int, quick: bool) -> None:
        texts, pairs = list(documents())[: 500 if quick else None], pydocs_pairs()
        order = np.random.default_rng([seed, 4]).permutation(len(texts))
        taught, aside = np.split(order, [int(0.7 * len(texts))])
        home = {part: number for number, text in enumerate(texts) for part in text.split("\n\n")}
        asked, held = {query for query, _ in pairs}, set(aside.tolist())
        parts = [(number, part) for number, text in enumerate(texts) for part in text.split("\n\n")]
        embedder, rng = WordLlamaEmbedder(), np.random.default_rng([seed, 5])
        self.learn = embedder.embed([part for number, part in parts if number not in held and part not in asked])
        rest = [part for number, part in parts if number in held and part not in asked]
        self.coded = embedder.embed([rest[i] for i in np.sort(rng.permutation(len(rest))[: 200 if quick else 1500])])
        queries = [query for query, _ in pairs if home.get(query) in held]
        self.queries = embedder.embed([queries[i] for i in rng.permutation(len(queries))[:1000]])


class FaissProduct:
    """The product quantiser of faiss, as a codec."""

    def __init__(self, vectors: np.ndarray, bytes: int) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.name, self.bytes = "faiss PQ", bytes
        self._quantiser = faiss.ProductQuantizer(vectors.shape[1], bytes, 8)
        self._quantiser.train(vectors)
        self.shared_bytes = 4 * 256 * vectors.shape[1]

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the codes."""
        return self._quantiser.compute_codes(np.ascontiguousarray(vectors))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the vectors."""
        return self._quantiser.decode(np.ascontiguousarray(codes))


def codecs(x: np.ndarray, m: int, seed: int, steps: int) -> Iterator[tuple[str, Codec, float]]:
    """Yield name, codec and seconds to fit it (0: another one's)."""
    began = time.process_time()

    def done(codec: Codec, name: str | None = None) -> tuple[str, Codec, float]:
        nonlocal began
        spent, began = time.process_time() - began, time.process_time()
        return name or codec.name, codec, spent

    yield done(fit_principal(x, m, "int8"))
    yield done(fit_principal(x, m, "signs", seed))
    yield done(fit_product(x, m, balanced=False, seed=seed))
    yield done(FaissProduct(x, m))
    yield done(fit_product(x, m, seed=seed))
    yield done(fit_shelves(x, lambda rest: fit_product(rest, m - 1, seed=seed), seed=seed))
    learned = fit_autoencoder(x, m, steps=3 * steps, seed=seed)
    yield done(learned)
    if m == 8 and seed == 0:
        yield done(fit_autoencoder(x, m, steps=10 * steps, seed=seed), "autoencoder, 2,000 steps")
    diffused = fit_diffusion(x, learned, steps=steps, seed=seed)
    yield done(diffused)
    yield *done(replace(diffused, way="mean"))[:2], 0.0
    if m == 8:
        yield *done(replace(diffused, draws=DRAWS))[:2], 0.0
        if seed == 0:
            yield *done(replace(diffused, steps=4 * diffused.steps), f"{diffused.name}, four times the steps")[:2], 0.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--quick", action="store_true", help="500 documents, one seed, few steps; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    seeds, steps = (SEEDS[:1], 10) if given.quick else (SEEDS, 200)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        data = Data(seed, given.quick)
        say(f"seed {seed}: {time.process_time():.0f} s; {len(data.learn)} teach, {len(data.coded)} are coded")
        for m in BYTES:
            for name, codec, fitting in codecs(data.learn, m, seed, steps):
                codes = codec.encode(data.coded)
                if codes.shape[1] != m or codes.dtype != np.uint8:
                    raise AssertionError(f"{name}: codes of {codes.shape[1]} bytes, not {m}")
                began = time.process_time()
                decoded = codec.decode(codes)
                spent = time.process_time() - began
                found = cost(data.coded, decoded, data.queries)
                about = {"bytes": m, "codec": name, "seed": seed, "shared KiB": codec.shared_bytes // 1024}
                times = {"fit seconds": fitting, "decode seconds a thousand": 1000 * spent / len(codes)}
                rows.append({**about, **found._asdict(), **times})
    shown = []
    for m, name in dict.fromkeys((row["bytes"], row["codec"]) for row in rows):
        mine = [row for row in rows if (row["bytes"], row["codec"]) == (m, name)]
        line: dict[str, Any] = {"bytes": m, "codec": name, "shared KiB": mine[0]["shared KiB"]}
        line |= {field: spread(np.array([row[field] for row in mine])) for field in Cost._fields}
        for field in ("fit seconds", "decode seconds a thousand"):
            line[field] = float(np.mean([row[field] for row in mine]))
        shown.append(line)
    print("\n".join(table(shown)))
    if not given.quick:
        settings = {
            "teach": len(data.learn), "coded": len(data.coded), "queries": len(data.queries), "width": 256, "top": 10,
            "steps of the autoencoder": 3 * steps,
            "steps of the score": steps, "seeds": seeds, "in brackets": "95 % t interval over seeds",
            "cpu seconds": round(time.process_time()),
        }  # fmt: skip
        command = f"OMP_NUM_THREADS=1 nice -n 10 python -m {__spec__.name}"
        store(given.results / "codes.json", {**stamp(command), "settings": settings, "table": shown, "rows": rows})
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
