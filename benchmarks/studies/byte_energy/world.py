"""Docstrings in three parts, and the byte-aware energies that are counted and learned from the first two."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu

from unmask.data.ngram import ByteNgram
from unmask.roots.rerank.correction import Correction
from unmask.roots.rerank.nce import learn_correction
from unmask.roots.rerank.tree_coherence import TreeCoder, learn_coder

PARTS = (0.3, 0.45)  # counted, learned from; the rest is held out
BYTES = 128  # of a text that is told from a sample
SENTENCES = 4  # of a text that is told from a splice
TOP = 50


class World(NamedTuple):
    """The documents of one seed."""

    counted: list[bytes]
    learned: list[bytes]
    held_out: list[bytes]
    names: np.ndarray  # of the held-out documents


class Parts(NamedTuple):
    """What was fitted."""

    model: ByteNgram
    linear: Correction
    mlp: Correction
    coder: TreeCoder


def world(texts: list[bytes], seed: int) -> World:
    order = np.random.default_rng([seed, 3]).permutation(len(texts))
    first, second = int(PARTS[0] * len(texts)), int(sum(PARTS) * len(texts))
    counted, learned, held_out = ([texts[i] for i in part] for part in np.split(order, [first, second]))
    return World(counted, learned, held_out, order[second:])


def openings(texts: list[bytes]) -> list[bytes]:
    """Return the beginnings of the paragraphs that are long enough."""
    return [part[:BYTES] for text in texts for part in text.split(b"\n\n") if len(part) >= BYTES]


def whole(samples: list[bytes]) -> list[bytes]:
    return [text for text in samples if len(text) == BYTES]


def area(low: Any, high: Any) -> float:
    """Return the chance that an energy of ``low`` is below one of ``high``."""
    return float(mannwhitneyu(np.asarray(high), np.asarray(low)).statistic / len(low) / len(high))


def fit(w: World, seed: int, steps: int) -> tuple[Parts, Correction, list[bytes]]:
    """Return the parts, a correction that learned from shuffled labels, and samples that nothing learned from."""
    model = ByteNgram(5).fit(part for text in w.counted for part in text.split(b"\n\n"))
    real, aside = openings(w.learned), len(openings(w.held_out))
    samples = whole(model.sample(4 * (len(real) + aside), BYTES, seed=seed))
    learn = samples[:-aside]
    linear, mlp, mixed = Correction("linear", seed=seed), Correction("mlp", seed=seed), Correction("linear", seed=seed)
    learn_correction(linear, real, learn, steps=steps, seed=seed)
    learn_correction(mlp, real, learn, steps=steps, seed=seed)
    both = [(real + learn[: len(real)])[i] for i in np.random.default_rng(seed).permutation(2 * len(real))]
    learn_correction(mixed, both[: len(real)], both[len(real) :], steps=steps // 3, held_out=0, seed=seed)
    coder = TreeCoder(seed=seed)
    learn_coder(coder, w.learned, steps=2 * steps, seed=seed)
    return Parts(model, linear, mlp, coder), mixed, samples[-aside:]
