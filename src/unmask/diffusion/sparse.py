"""Sparse distribution diffusion, repaired: masked diffusion whose open positions carry K weighted candidates.

A fully noised position is ``{[MASK]: 1}``. A partly known one holds the K most probable tokens of the model's own
previous answer with their true softmax values; the rest of the mass stays with the mask. So candidates are hints that
can be wrong, in training as in sampling, and never a noisy truth (as in the original: docs/origins.md).

    x_t         masked state, hidden where u_p < r(t)
    x_t'        a *noisier* state of the same trajectory, hidden where u_p < r(t'), t' = min(1, t + 1/N)
    c           top K of p_theta(. | x_t'), gradients stopped, at the positions that are still hidden in x_t
    loss        w(t) sum over hidden p of -log p_theta(x_p | x_t, c)

The candidates see only what a sampler would have seen one of its N steps earlier, so the loss is a bound on -log p(x)
of the generator that first answers x_t' and then x_t. They are given to a row with probability p, which is ramped up
(self-conditioning, Chen et al. 2022, arXiv 2208.04202; soft masking, arXiv 2510.17206). With K = 0 this *is* masked
diffusion, bit for bit.

Letters: B batch, T tokens, K candidates, V vocabulary, n asked positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import Likelihood, askable, masked_bound, without
from unmask.diffusion.masked import Masked
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import SparseOptions
from unmask.diffusion.process import Corrupted, Network, visible_segments
from unmask.diffusion.state import Shows, SparseState, State, Visibility
from unmask.diffusion.times import spread


def top_candidates(logits: Float[Tensor, "n V"], at: Bool[Tensor, "B T"], count: int) -> SparseState:
    """Return the ``count`` most probable tokens at each asked position, with their softmax values.

    Args:
        logits: At the positions of ``at``, the mask's taken out.
        at: Where they belong.
        count: K.
    """
    shape = (*at.shape, count)
    tokens = torch.zeros(shape, dtype=torch.int64, device=at.device)
    mass = torch.zeros(shape, dtype=torch.float32, device=at.device)
    best = logits.float().softmax(-1).topk(min(count, logits.shape[-1]), dim=-1)
    kept = best.values.shape[-1]
    tokens[..., :kept][at] = best.indices
    mass[..., :kept][at] = best.values
    return SparseState(tokens, mass)


class Sparse:
    """Masked diffusion with candidates at open positions."""

    name = SparseOptions.name
    visibility: Visibility = SparseOptions.visibility
    shows: Shows = SparseOptions.shows
    likelihoods = ("default",)
    told_length = True
    sampler = SparseOptions.sampler
    Options = SparseOptions

    def __init__(self, options: SparseOptions, words: Vocabulary) -> None:
        self.options = options
        self.mask_id = words.mask
        self.never = (words.mask,)
        self.masked = Masked(options, words)
        self.scripts = self.masked.scripts
        self.candidates = options.candidates

    @property
    def asked_share(self) -> float:
        """As masked."""
        return self.masked.asked_share

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step."""
        return self.masked.most_asked

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """What masked costs, and ``candidate_passes`` more forward passes for the rows that get candidates."""
        extra = 0.0
        if self.candidates:
            warm, ramp = self.options.causal_warmup, self.options.candidate_ramp
            given = self.options.candidate_rate * (1 - warm) * (1 - ramp / 2)
            extra = self.options.candidate_passes * given * forward(self.masked.expected_rate(1.0))
        return self.masked.training_flops(forward) + extra

    def check(self, config: Any) -> None:
        """Raise Error if the network takes no candidates."""
        self.options.check(config)

    def share(self, progress: float) -> float:
        """Return how much of masked training is done."""
        warm = self.options.causal_warmup
        return min(max((progress - warm) / (1 - warm), 0.0), 1.0)

    def rate(self, progress: float) -> float:
        """Return the probability of candidates at this point of training."""
        ramp = self.options.candidate_ramp
        return self.options.candidate_rate * (min(1.0, self.share(progress) / ramp) if ramp else 1.0)

    def count(self, progress: float) -> int:
        """Return K at this point of training: fixed, or doubling in even shares."""
        first, last = self.options.candidates_from, self.candidates
        if first is None or last == 0:
            return last
        stages = math.ceil(math.log2(last / first)) + 1
        return min(last, first * 2 ** int(self.share(progress) * stages))

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Hide tokens as masked does. Candidates are the network's own, so they come with the loss."""
        return self.masked.corrupt(batch, seed, progress)

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the weighted nats of hidden tokens, given candidates in some of the rows.

        The network is called ``candidate_passes`` times and once more, whatever the coins say (once while warming up,
        or with K = 0).
        """
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        count = self.count(progress)
        if self.masked.warming(progress) or not count:
            return self.masked.loss_of(model, batch, corrupted, seed, progress)
        coin = Noise(seed, batch.order).uniform("candidates", 1)[:, 0] < self.rate(progress)
        given = self._given(model, batch, corrupted, coin, seed, progress, count)
        state = replace(corrupted.state, candidates=given)
        return self.masked.loss_of(model, batch, replace(corrupted, state=state), seed, progress)

    def _given(
        self,
        model: Network,
        batch: Batch,
        corrupted: Corrupted,
        coin: Bool[Tensor, " B"],
        seed: int,
        progress: float,
        count: int,
    ) -> SparseState:
        """Return candidates for the rows of the coin, from noisier states of their own trajectory."""
        hidden = corrupted.state.tokens == self.mask_id
        low, high = self.options.candidate_steps
        u = Noise(seed, batch.order).uniform("candidate-steps", 1)[:, 0]
        steps = low * (high / low) ** u
        times = replace(self.masked.times, upper=self.masked.upper(progress))
        now = times.draw(spread(seed, batch.order))
        asked = coin.clone()
        asked[0] |= not bool(coin.any())  # as many calls on every rank; an answer that no coin asked for is not used

        def at_step(back: int) -> Bool[Tensor, "B T"]:
            earlier = (now + back / steps).clamp(max=1.0)
            return self.masked.hidden_at(batch, seed, earlier)

        given = None
        for back in range(self.options.candidate_passes, 0, -1):
            more = at_step(back)
            tokens = batch.tokens.masked_fill(more, self.mask_id)
            noisier = replace(corrupted.state, tokens=tokens, t=self.masked.level(more, batch), candidates=given)
            at = (hidden if back == 1 else at_step(back - 1)) & asked[:, None]
            with torch.no_grad():
                logits = without(model(noisier.rows(asked), at=at[asked]).logits, self.mask_id)
            given = top_candidates(logits, at, count)
        assert given is not None
        own = coin[:, None, None]
        return SparseState(given.tokens * own, given.mass * own)

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return an upper bound on the nats of each row from ``draws`` times (passes + 1) network calls.

        It bounds -log p of the generator that decides one position at a time in random order, and at each first answers
        the state of n/N positions earlier, whose K best answers are its candidates (N is ``bound_steps``).
        """
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        if not self.candidates:
            return self.masked.likelihood(model, batch, draws, seed, scored)
        whole = batch.predictable.sum(1).clamp(min=1)
        gap = -(-askable(batch, scored).sum(1) // self.options.bound_steps)

        def dress(state: State, at: Bool[Tensor, "B T"], rank: Tensor, hidden: Tensor, total: Tensor) -> State:
            given = None
            for back in range(self.options.candidate_passes, 0, -1):
                before, after = (torch.minimum(hidden + n * gap, total)[:, None] for n in (back, back - 1))
                more = rank < before
                tokens = batch.tokens.masked_fill(more, self.mask_id)
                noisier = State(tokens, "bidirectional", None, segments, valid, more.sum(1) / whole, given)
                wanted = at if back == 1 else rank < after
                found = top_candidates(without(model(noisier, at=wanted).logits, self.mask_id), wanted, self.candidates)
                # Where all is hidden a sampler has had no answer yet.
                given = SparseState(found.tokens, found.mass * (after < total[:, None])[..., None])
            return replace(state, candidates=given)

        nats = masked_bound(model, batch, segments, valid, self.mask_id, draws, seed, scored, dress)
        return Likelihood(nats, "upper bound", (self.options.candidate_passes + 1) * draws)
