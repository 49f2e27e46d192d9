"""Bits per byte of what a run wrote behind a prompt, given the prompt: the quality that ways to write are chosen by.

    bits = -sum log2 p(written | prompt) / bytes written

The judge is exact: a causal network, the left-to-right side of a block network, or a byte n-gram. As of any judge
(:mod:`unmask.evaluation.judge`) fewer bits than real text's are no better, so what is written is held against the real
text that follows the same prompts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unmask.data.ngram import ByteModel
from unmask.errors import Error
from unmask.evaluation.batches import Scorer, batch_size_for, batches
from unmask.evaluation.bits import scorer
from unmask.evaluation.continuation import encode_pairs, fit, tail
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.intervals import interval

Pairs = Sequence[tuple[str, str]]
"""Prompts, and what follows each."""


@dataclass(frozen=True)
class ContinuationJudge:
    """Scores what follows prompts.

    Attributes:
        name: How tables call it.
        nats: Nats of what follows each prompt, given it.
    """

    name: str
    nats: Callable[[Pairs], NDArray[np.float64]]

    def bits(self, pairs: Pairs) -> tuple[float | None, tuple[float, float] | None]:
        """Return bits per byte of all that follows, and the 95 % interval over prompts; ``None``: nothing does."""
        pairs = [pair for pair in pairs if pair[1]]
        if not pairs:
            return None, None
        nats, sizes = self.nats(pairs), np.array([len(text.encode()) for _, text in pairs], float)
        return float(nats.sum()) / math.log(2) / float(sizes.sum()), interval(nats, sizes)


def network_judge(name: str, network: Any, process: Any, tokenizer: Scorer) -> ContinuationJudge:
    """Return the judge that a run's exact left-to-right likelihood is.

    Args:
        name: How tables call it.
        network: In eval mode.
        process: What it was trained as: ``causal``, or one that has an exact left-to-right side.
        tokenizer: Its tokenizer.

    Raises:
        Error: it has no such likelihood.
    """
    exact = left_to_right(process)
    if exact is None:
        raise Error(
            f"{name} is of process {process.name}, which has no exact left-to-right likelihood; judge by a causal run."
        )

    def nats(pairs: Pairs) -> NDArray[np.float64]:
        context = int(network.config.max_position_embeddings)
        ids = fit(encode_pairs(tokenizer, pairs), context)[0]
        rows = [[tokenizer.bos_id, *before, *after] for before, after in ids]
        counts = torch.tensor([len(after) for _, after in ids])
        score, found = scorer(process, exact, 1, 0), np.zeros(len(rows))
        with torch.inference_mode():
            for index, batch in batches(rows, tokenizer, batch_size_for(rows, network)):
                scored = tail(batch.valid, counts[index])
                answer = score(network, batch.to(network.device), scored=scored.to(network.device))
                found[index] = answer.nats.double().cpu().numpy()
        refuse_not_finite(found, "continuations", network)
        return found

    return ContinuationJudge(name, nats)


def left_to_right(process: Any) -> str | None:
    """Return the name of a process's exact left-to-right likelihood; ``None``: it has none."""
    if process.visibility == "causal":
        return "default"
    return "causal" if "causal" in process.likelihoods else None


def ngram_judge(model: ByteModel) -> ContinuationJudge:
    """Return the judge that a byte n-gram is."""

    def nats(pairs: Pairs) -> NDArray[np.float64]:
        each = [
            float(model.nats((before + after).encode())[len(before.encode()) : -1].sum()) for before, after in pairs
        ]
        return np.array(each)

    return ContinuationJudge("n-gram", nats)
