"""What a model answers where the process has hidden text: one pass, from which accuracy and calibration are read.

A process corrupts each window at several noise levels, and the network is asked for the clean token at every corrupted
position. Only :class:`~unmask.diffusion.process.Corrupted` is read, so a process that hides, replaces or narrows tokens
is measured the same way. The noise level is the state's own ``t``, which is the actual one by contract; a process
without one (left to right) has a single level, "next token".

Which states: the process's own corruption, at consecutive points of its low-discrepancy sequence of times (see
``diffusion.times``), until each window has ``draws`` states at each level that it can have. So each level is well
filled whatever the schedule, and within a level the states are distributed as the process draws them.

End-of-text is never counted: a network that sees both sides also sees where its canvas ends.

Letters: B batch, T tokens, V vocabulary, L noise levels, n corrupted positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import without
from unmask.diffusion.process import Corrupted
from unmask.diffusion.uniform import Words, told_too
from unmask.errors import Error
from unmask.evaluation.batches import Scorer, batch_size_for, batches, token_rows
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.windows import cut_all, reads_bytes

EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
NEXT = "next token"
_TRIES = 128  # tries for each draw: enough for a level that holds one in a hundred of the process's states
_STRIDE = 1 << 20  # distance of two windows' places in the sequence of times


class MaskScorer(Scorer, Protocol):
    """A tokenizer that also names the mask, which is never predicted."""

    mask_id: int


@dataclass(frozen=True)
class Predictions:
    """Answers at n corrupted positions of held-out text.

    Attributes:
        levels: Names of the noise levels (L), such as ``(0.1, 0.3]``.
        states: Corrupted windows at each level [L].
        documents: Number of documents.
        level: Noise level of each position [n].
        document: Document of each position [n].
        correct: Whether the most probable token is the clean one [n].
        nats: -log p of the clean token [n].
        confidence: Probability of the most probable token [n].
        squares: Sum of the squared probabilities over the vocabulary [n].
        quartics: Sum of their fourth powers [n].
        unigram_correct: Whether the most frequent token of other windows is the clean one [n].
        unigram_nats: -log of the clean token's frequency in other windows [n].
        copied: Whether the token in view at the position is the clean one; left to right: the token before it [n].
    """

    levels: tuple[str, ...]
    states: NDArray[np.int64]
    documents: int
    level: NDArray[np.int64]
    document: NDArray[np.int64]
    correct: NDArray[np.bool_]
    nats: NDArray[np.float32]
    confidence: NDArray[np.float32]
    squares: NDArray[np.float32]
    quartics: NDArray[np.float32]
    unigram_correct: NDArray[np.bool_]
    unigram_nats: NDArray[np.float32]
    copied: NDArray[np.bool_]

    def at(self, level: int) -> Predictions:
        """Return the positions of one noise level."""
        chosen = self.level == level
        arrays = {f.name: getattr(self, f.name) for f in fields(self)[3:]}
        return replace(self, **{name: array[chosen] for name, array in arrays.items()})


def predict_corrupted(
    model: Any,
    process: Any,
    tokenizer: MaskScorer,
    texts: Sequence[str],
    *,
    window: int,
    edges: Sequence[float] = EDGES,
    draws: int = 1,
    seed: int = 0,
    batch_size: int | None = None,
    unigram: Float[Tensor, " V"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Ask a model for the clean token at every corrupted position of held-out text.

    Args:
        model: A network of ours, on its device.
        process: The process it was trained with.
        tokenizer: The model's tokenizer.
        texts: Documents.
        window: Bytes of a window, as for :func:`unmask.evaluation.bits.bits_per_byte`.
        edges: Borders of the noise levels, rising from 0 to 1; a level holds its upper border, not its lower one.
        draws: States of each window at each level. One costs a network call a window and level.
        seed: Of the corruption.
        batch_size: States a batch; by default as many as keep the logits near 32 MB.
        unigram: Token counts for the unigram control, such as those of the training text; by default those of the
            other windows.
        progress: Called with (windows done, windows in all).

    Raises:
        Error: no text; a window that does not fit the context; fewer than 1 draw; edges that do not rise from 0 to 1;
            an answer that is not finite.
    """
    if draws < 1:
        raise Error(f"draws is {draws}; it must be at least 1.")
    if len(edges) < 2 or edges[0] != 0 or edges[-1] != 1 or any(a >= b for a, b in zip(edges, edges[1:], strict=False)):
        raise Error(f"the noise levels' borders {list(edges)} must rise from 0 to 1.")
    windows = cut_all(texts, window, reads_bytes(tokenizer))
    rows = token_rows(windows, tokenizer, int(model.config.max_position_embeddings), window)
    size = batch_size or batch_size_for(rows, model, 1 << 23)
    document = torch.tensor([w.document for w in windows])
    count = torch.bincount(torch.tensor([i for row in rows for i in row]), minlength=int(model.config.vocab_size))
    parts: list[list[Tensor]] = []
    single, done = False, 0
    states = torch.zeros(len(edges) - 1, dtype=torch.int64)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():  # not inference mode: a process may take its schedule's slope
            for index, batch in batches(rows, tokenizer, size):
                chosen = _choose(process, batch, edges, draws, seed, tokenizer.eos_id)
                single = chosen.single
                states += torch.bincount(chosen.level, minlength=len(states))
                frequency = _Unigram(batch, count, unigram, tokenizer)
                for first in range(0, len(chosen.row), size):
                    part = slice(first, first + size)
                    row, level = chosen.row[part], chosen.level[part]
                    corrupted = process.corrupt(_rows(batch, row, chosen.order[part]), seed)
                    at = _asked(corrupted, tokenizer.eos_id)
                    which = at.nonzero()[:, 0]
                    answer = _answers(model, corrupted, at, tokenizer)
                    number = torch.from_numpy(index)[row][which]
                    control = frequency(row[which], corrupted.targets[at])
                    parts.append([level[which], document[number], *answer, *control, _copied(corrupted, at)])
                done += len(index)
                if progress is not None:
                    progress(done, len(rows))
    finally:
        model.train(was_training)
    columns = [torch.cat(column).numpy() for column in zip(*parts, strict=True)] if parts else None
    if columns is None or not len(columns[0]):
        raise Error("the process hid nothing in this text; give longer documents.")
    refuse_not_finite(columns[3], "corrupted positions", model)
    names = (NEXT,) if single else tuple(f"({a:g}, {b:g}]" for a, b in zip(edges, edges[1:], strict=False))
    return Predictions(names, states[: len(names)].numpy(), len(texts), *columns)


@dataclass(frozen=True)
class _Chosen:
    """States to ask about: row of the batch, place in the sequence of times, and noise level of each."""

    row: Int[Tensor, " S"]
    order: Int[Tensor, " S"]
    level: Int[Tensor, " S"]
    single: bool


def _choose(process: Any, batch: Batch, edges: Sequence[float], draws: int, seed: int, eos: int) -> _Chosen:
    """Find ``draws`` states of each window at each level, by corrupting alone: no network is asked."""
    rows = len(batch.tokens)
    taken = torch.zeros(rows, len(edges) - 1, dtype=torch.int64)
    active = torch.arange(rows)
    row, order, level = [], [], []
    for turn in range(_TRIES * draws):
        place = batch.order[active] * _STRIDE + turn
        corrupted = process.corrupt(_rows(batch, active, place), seed)
        good = _asked(corrupted, eos).any(1)
        t = corrupted.state.t
        if t is None:
            return _Chosen(active[good], place[good], torch.zeros_like(active[good]), True)
        into = torch.bucketize(t, torch.tensor(edges[1:-1], dtype=t.dtype))
        good &= taken[active, into] < draws
        taken[active, into] += good
        row.append(active[good])
        order.append(place[good])
        level.append(into[good])
        active = active[(taken[active] < draws).any(1)]
        if not len(active):
            break
    return _Chosen(torch.cat(row), torch.cat(order), torch.cat(level), False)


def _rows(batch: Batch, index: Int[Tensor, " S"], order: Int[Tensor, " S"]) -> Batch:
    return replace(batch, tokens=batch.tokens[index], segments=batch.segments[index], order=order)


def _asked(corrupted: Corrupted, eos: int) -> Bool[Tensor, "B T"]:
    return (corrupted.weights > 0) & (corrupted.targets != eos)


def _answers(model: Any, corrupted: Corrupted, at: Bool[Tensor, "B T"], tokenizer: MaskScorer) -> list[Tensor]:
    """Return correct, nats, confidence, squares and quartics of the asked positions, on the CPU."""
    device = model.device
    logits = model(corrupted.state.to(device), at=at.to(device)).logits
    log_p = without(logits.float(), tokenizer.mask_id).log_softmax(-1)
    if corrupted.state.level is not None:  # the answer is silent about the word that is shown
        special = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id)
        words = Words(Vocabulary(*special, logits.shape[1]))
        log_p = told_too(logits.float(), corrupted.state.to(device), at.to(device), words)
    target = corrupted.targets.to(device)[at.to(device)]
    best, token = log_p.max(-1)
    nats = -log_p.gather(1, target[:, None])[:, 0]
    square = log_p.exp_().square_()
    return [v.cpu() for v in (token == target, nats, best.exp(), square.sum(-1), square.square_().sum(-1))]


class _Unigram:
    """The unigram control: what the frequency of tokens in other windows says, with half a count added to each."""

    def __init__(self, batch: Batch, total: Tensor, given: Tensor | None, tokenizer: MaskScorer) -> None:
        counts = total.expand(len(batch.tokens), -1).clone()
        if given is not None:
            counts = given.to(total.dtype).expand(len(batch.tokens), -1).clone()
        else:
            counts.scatter_add_(1, batch.tokens, -batch.valid.to(counts.dtype))
        for special in (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id):
            counts[:, special] = 0
        self._counts, self._best = counts, counts.argmax(1)
        self._whole = counts.sum(1) + 0.5 * (counts.shape[1] - 1)  # every token but the mask

    def __call__(self, row: Int[Tensor, " n"], target: Int[Tensor, " n"]) -> list[Tensor]:
        share = (self._counts[row, target] + 0.5) / self._whole[row]
        return [self._best[row] == target, -share.log()]


def _copied(corrupted: Corrupted, at: Bool[Tensor, "B T"]) -> Bool[Tensor, " n"]:
    """Tell where the token in view, or the likeliest candidate, is the clean one. Left to right: the token before."""
    shown, given = corrupted.state.tokens, corrupted.state.candidates
    if given is not None:
        best = given.tokens.gather(-1, given.mass.argmax(-1, keepdim=True))[..., 0]
        shown = torch.where(given.mass.sum(-1) > 0, best, shown)
    if corrupted.state.visibility == "causal":
        shown = shown.roll(1, 1)
    return shown[at] == corrupted.targets[at]
