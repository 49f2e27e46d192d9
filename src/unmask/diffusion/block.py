r"""Blocks: left to right from block to block, masked diffusion inside a block (BD3-LM, Arriola et al. 2025).

    -log p(x) <= sum over blocks b of  masked bound of x_b given x_<b                       (arXiv 2503.09573, eq. 7)

One pass reads the text twice: the clean copy left to right, and a noisy copy whose blocks each see the clean text
before them and the whole of themselves. So all blocks are trained at once, and the clean copy is a left-to-right model
with the same weights, whose loss costs no further pass (Fast-dLLM v2, arXiv 2509.26328; Eso-LM, arXiv 2506.01928):

    loss = masked loss of the noisy copy + causal_weight * causal loss of the clean copy

State p-1 predicts token p. For the first word of a block that is the clean copy's, so it is predicted exactly as left
to right, whatever the block shows. With blocks of one word nothing else is: the bound is the chain rule. With one
block the bound is that of ``masked``. What tells nothing of a text's length is said in ``block_layout``.

Every block of every text draws a noise level of its own, evenly spread along a text and over the texts. Blocks may grow
in training (``block_growth``): each batch is one of a valid block process, and the bound is that of the largest.

Letters: B batch, T tokens, L places, n words of a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.block_layout import Layout, laid_out
from unmask.diffusion.likelihood import Likelihood, causal_nats, masked_bound, token_nats
from unmask.diffusion.masked import Masked
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import BlockOptions
from unmask.diffusion.process import Corrupted, Network, visible_segments
from unmask.diffusion.state import Shows, State, Visibility
from unmask.diffusion.times import spread

_ALONG = math.sqrt(2)  # of a text; over texts it is the golden ratio


class Block:
    """Masked diffusion in blocks, with the times, curriculum and causal warm start of ``masked``."""

    name = BlockOptions.name
    visibility: Visibility = BlockOptions.visibility
    shows: Shows = BlockOptions.shows
    told_length = False
    copies = 2
    sampler = BlockOptions.sampler
    Options = BlockOptions

    def __init__(self, options: BlockOptions, words: Vocabulary) -> None:
        self.options = options
        self.words = words
        self.masked = Masked(options, words)
        self.scripts = self.masked.scripts
        self.mask_id = words.mask
        self.never = self.masked.never
        self.largest = options.sizes[-1]
        self.also = options.also if options.recites else ()
        self.likelihoods = ("default", "causal") if options.recites else ("default",)

    @property
    def asked_share(self) -> float:
        """Of the noisy copy as ``masked``, and all of the clean copy where its loss counts."""
        return self.masked.asked_share + self._recited * (1 - self.options.causal_warmup)

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step."""
        return max(1.0, self._recited + self.masked.expected_rate(1.0))

    @property
    def _recited(self) -> float:
        return 1.0 if self.options.causal_weight else 0.0

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """A forward and a backward pass over each copy, but for the warm start, which has one copy."""
        warm = self.options.causal_warmup
        noisy = (self.masked.asked_share - warm) / (1 - warm)
        return 3 * (warm * forward(1.0) + (1 - warm) * (forward(noisy) + forward(self._recited)))

    def check(self, config: Any) -> None:
        """Raise Error if the network cannot read a text twice in one pass, or predicts a word from its own place."""
        self.options.check(config)

    def laid_out(self, batch: Batch) -> Layout:
        """Return the batch in whole blocks of the largest size."""
        return laid_out(batch, self.largest, self.words, self.options.isolate_documents)

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Hide each word of a block with the block's probability; the state holds the clean text, too."""
        if self.masked.warming(progress):
            return self.masked.corrupt(batch, seed, progress)
        laid = self.laid_out(batch)
        noise = Noise(seed, batch.order)
        sizes = torch.tensor(self.options.sizes_at(progress), device=batch.tokens.device)
        start = laid.starts(sizes[(noise.uniform("block", 1)[:, 0] * len(sizes)).long()])
        place = torch.remainder(spread(seed, batch.order)[:, None] + _number(start) * _ALONG, 1.0)
        hidden, weight = self.masked.hide(laid.batch, seed, place, progress)
        hidden = hidden & ~laid.fill.gather(1, start)  # a block behind the end of its text
        state = self._state(laid, start, laid.batch.tokens.masked_fill(hidden, self.mask_id), seed)
        if self.options.causal_weight:
            state = replace(state, clean_at=laid.batch.askable & ~laid.fill)
        return Corrupted(state, laid.batch.tokens, hidden * weight.float())

    def _state(self, laid: Layout, start: Int[Tensor, "B L"], tokens: Int[Tensor, "B L"], seed: int) -> State:
        """Return what the network sees where the noisy copy shows ``tokens``."""
        several = bool((laid.owner != laid.owner[:, :1]).any())
        state = State(
            tokens.masked_fill(laid.unknown, self.mask_id),
            "block",
            segments=laid.owner if several else None,
            block=start,
            clean=laid.batch.tokens,
        )
        return self.masked.shown(state, seed, laid.batch)

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the nats of hidden words and, weighted, of the clean text, each normalised by a constant."""
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        if self.masked.warming(progress):
            return self.masked.loss_of(model, batch, corrupted, seed, progress)
        state, at = corrupted.state, corrupted.weights > 0
        answer = model(state, at=at)
        rows, length = batch.tokens.shape
        nats = token_nats(answer.logits, corrupted.targets[at], self.mask_id) * corrupted.weights[at]
        tokens = rows * (length - 1) * batch.share
        loss = nats.sum() / (tokens * self.masked.expected_share(progress))
        if state.clean_at is None:
            return {"loss": loss}
        clean = token_nats(answer.clean, corrupted.targets[state.clean_at], self.mask_id)
        causal = clean.sum() / tokens
        whole = loss + self.options.causal_weight * causal
        return {"loss": whole, "block": loss.detach(), "causal": causal.detach()}

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return an upper bound on the nats of each row, in blocks of the largest size; of size 1 it is exact."""
        laid = self.laid_out(batch)
        start = laid.starts(torch.full_like(batch.order, self.largest))

        def dress(state: State, *_: Tensor) -> State:
            return self._state(laid, start, state.tokens, seed)

        asked = None if scored is None else scored.gather(1, laid.source)
        draws = draws if self.largest > 1 else 1
        nats = masked_bound(model, laid.batch, None, None, self.mask_id, draws, seed, asked, dress, _number(start))
        return Likelihood(nats, "upper bound" if self.largest > 1 else "exact", draws)

    def causal(self, model: Network, batch: Batch, scored: Tensor | None = None) -> Likelihood:
        """Return the exact nats of each row, written left to right by the same weights."""
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        return Likelihood(causal_nats(model, batch, segments, valid, self.mask_id, scored), "exact, left to right", 1)


def _number(start: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """Number blocks by their first place, so that the first block of a text has number 0."""
    return (start - 1).clamp(min=0)
