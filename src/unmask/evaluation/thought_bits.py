"""Does the thought matter? Bits per byte of a text's later passages, with its own stack of thoughts and with others.

    own         the thoughts of the passages before, as they are
    absent      no thought at all, as at the start of a text
    zeroed      thoughts of zeros, said to be there
    shuffled    the thoughts of another text's passages
    random      Gaussian thoughts of the same mean square

A passage sees the words of earlier ones through its stack alone. So if a control costs nothing, nothing was carried.
First passages have an empty stack and are left out. Where the network is told the length of a row, the later passages
pay for it (see ``lengths``), the same under every change.

Letters: N documents, S passages of a row, R passages of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.diffusion.passages import Passages, passages
from unmask.diffusion.with_thoughts import Change, Thinking
from unmask.errors import Error
from unmask.evaluation.batches import batch_size_for, batches, token_rows
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.intervals import interval, paired_interval
from unmask.evaluation.lengths import told_nats
from unmask.evaluation.windows import cut_all, reads_bytes

Reals = NDArray[np.float64]


def absent(cut: Passages, stack: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Take all thoughts away."""
    return torch.zeros_like(stack), torch.zeros_like(there)


def zeroed(cut: Passages, stack: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Make all thoughts zeros."""
    return torch.zeros_like(stack), there


def shuffled(cut: Passages, stack: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Give each row the stacks of the next row of the batch, passage by passage, where both have one.

    Raises:
        Error: a batch of one text, which has no other.
    """
    rows = len(stack) // cut.count
    if rows < 2:
        raise Error("shuffled thoughts need two texts or more in a batch.")
    others = stack.view(rows, cut.count, *stack.shape[1:]).roll(1, 0).flatten(0, 1)
    theirs = there.view(rows, cut.count, -1).roll(1, 0).flatten(0, 1)
    return torch.where((there & theirs)[..., None, None], others, stack), there


def random(cut: Passages, stack: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Make all thoughts noise of the same mean square."""
    noise = Noise(0, cut.batch.order).normal("random-thought", stack[0].numel()).view_as(stack)
    live = there[..., None, None].float()
    size = (stack.square() * live).sum() / (live.sum() * stack[0, 0].numel()).clamp(min=1)
    return noise * size.sqrt(), there


CHANGES: dict[str, Change | None] = {
    "own": None,
    "absent": absent,
    "zeroed": zeroed,
    "shuffled": shuffled,
    "random": random,
}


@dataclass(frozen=True)
class LaterBits:
    """Bits per byte of later passages.

    Attributes:
        value: Bits per byte.
        interval: 95 % over documents.
        cost: What is lost against the text's own thoughts, in bits per byte; 0 for those.
        cost_interval: 95 % of it, over the same documents.
        bound: Kind of the likelihood.
        bytes: Of later passages.
        documents: That have any (N).
        per_document: Nats and bytes of each, [N] each.
    """

    value: float
    interval: tuple[float, float] | None
    cost: float
    cost_interval: tuple[float, float] | None
    bound: str
    bytes: int
    documents: int
    per_document: tuple[Reals, Reals]


def later_bits(
    model: Any,
    process: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    window: int,
    draws: int = 8,
    seed: int = 0,
    changes: Sequence[str] = tuple(CHANGES),
) -> dict[str, LaterBits]:
    """Score the later passages of texts, under each change of their thoughts.

    Args:
        model: The network.
        process: A process over passages.
        tokenizer: The run's.
        texts: Documents.
        window: Bytes of a row, see :func:`unmask.evaluation.windows.cut_all`; a row has several passages.
        draws: Network calls of a bound.
        seed: Of its noise.
        changes: Names of :data:`CHANGES`; ``own`` first.

    Raises:
        Error: a process without passages, unknown changes, no text with a second passage, a score that is not finite.
    """
    if not isinstance(process, Thinking):
        raise Error("this run has no passages; train it with a section thought.")
    for name in changes:
        if name not in CHANGES:
            raise Error(f"unknown change {name!r} of thoughts; choose from {', '.join(CHANGES)}.")
    windows = cut_all(texts, window, reads_bytes(tokenizer))
    rows = token_rows(windows, tokenizer, int(model.config.max_position_embeddings), window)
    document = np.array([w.document for w in windows])
    size = max(2, batch_size_for(rows, model))
    nats = {name: np.zeros(len(rows)) for name in changes}
    bytes_later = np.zeros(len(rows))
    bound = ""
    model.eval()
    with torch.inference_mode():
        for index, batch in batches(rows, tokenizer, size):
            cut = passages(batch, process.options_of_thought.passage)
            later = cut.follows.numpy()
            bytes_later[index] = (_bytes(cut, tokenizer) * later).sum(1)
            for name in changes:
                change = CHANGES[name] if len(index) > 1 or name != "shuffled" else random
                found = process.passage_nats(model, batch.to(model.device), draws, seed, change=change)
                nats[name][index] = (found.nats.double().cpu().view(later.shape).numpy() * later).sum(1)
                bound = found.bound
    refuse_not_finite(np.stack(list(nats.values())), "rows of passages", model)
    told = np.zeros(len(rows))
    behind = np.flatnonzero(bytes_later)
    told[behind] = told_nats(process, [len(rows[i]) - 1 for i in behind], int(model.config.max_position_embeddings) - 1)
    sizes = np.bincount(document, bytes_later, minlength=len(texts))
    kept = sizes > 0
    if not kept.any():
        raise Error("no text is longer than one passage; give longer ones, or a smaller thought.passage.")
    each = {name: np.bincount(document, values + told, minlength=len(texts))[kept] for name, values in nats.items()}
    sizes = sizes[kept]
    total = float(sizes.sum())
    own = each[changes[0]]
    return {
        name: LaterBits(
            value=float(values.sum() / np.log(2) / total),
            interval=interval(values, sizes),
            cost=float((values - own).sum() / np.log(2) / total),
            cost_interval=None if name == changes[0] else paired_interval(values, own, sizes),
            bound=bound,
            bytes=int(total),
            documents=len(sizes),
            per_document=(values, sizes),
        )
        for name, values in each.items()
    }


def _bytes(cut: Passages, tokenizer: Any) -> Reals:
    """Return the bytes of each passage's own tokens, [B, S]."""
    tokens = cut.batch.tokens.masked_fill(~cut.batch.valid, cut.batch.bos)
    counts = [len(tokenizer.decode_bytes(row)) for row in tokens.tolist()]
    return np.array(counts, dtype=np.float64).reshape(cut.follows.shape)
