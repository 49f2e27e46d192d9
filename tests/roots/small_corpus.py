"""A corpus of a few topics that an embedder tells apart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

TOPICS = {
    "sea": "ship sail harbour captain wave anchor storm island rope deck".split(),
    "kitchen": "bake sugar flour butter oven cake recipe knife salt bread".split(),
    "garden": "flower seed soil water leaf root sun bee tree grass".split(),
    "town": "street market bridge tower clock train window school shop river".split(),
}


def lines(count: int, seed: int = 0) -> list[str]:
    """Return texts about four topics, no two alike."""
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    texts = []
    for number in range(count):
        words = rng.choice(TOPICS[names[number % 4]], size=int(rng.integers(8, 14)))
        texts.append(f"{' '.join(words)} and word{seed}x{number}.")
    return texts


def write(path: Path, texts: Iterable[str]) -> Path:
    """Write a corpus."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path
