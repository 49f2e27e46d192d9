"""Masked (absorbing) diffusion: each token is hidden with probability r(t), and the network restores the hidden ones.

Known tokens are carried over and the mask is never predicted (Sahoo et al. 2024, arXiv 2406.07524), so the loss

    E_t [ w(t) sum over hidden p of -log p(x_p | visible) ],   w = r'(t) / r(t) for the ELBO, 1 for plain cross-entropy

needs logits at hidden positions only. Plain cross-entropy has less variance and is the better teacher
(arXiv 2602.15014); the bound is what evaluation reports. Small budgets never leave the unigram plateau without help;
two options that end it:

* a mask-rate curriculum: the largest t grows from ``curriculum_start`` to 1;
* a causal warm start: the first ``causal_warmup`` of the steps train left to right with the same weights, whose output
  is shifted by one (hidden state p-1 predicts token p) before and after.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.causal import Causal
from unmask.diffusion.likelihood import Likelihood, duel_nats, masked_bound, token_nats
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import CausalOptions, MaskedOptions
from unmask.diffusion.process import Corrupted, Network, visible_segments
from unmask.diffusion.random_mask import with_random_mask
from unmask.diffusion.schedules import Schedule, get_schedule
from unmask.diffusion.scripts import Scripts
from unmask.diffusion.state import Shows, State, Visibility
from unmask.diffusion.times import Times, spread

_TINY = 1e-30  # a rate of 0 hides nothing
_POINTS = 64  # of a run, at which its mean share of hidden tokens is taken


class Masked:
    """Masked diffusion, with a curriculum and a causal warm start as options."""

    name = MaskedOptions.name
    visibility: Visibility = MaskedOptions.visibility
    shows: Shows = MaskedOptions.shows
    told_length = True
    sampler = MaskedOptions.sampler
    Options = MaskedOptions

    def __init__(self, options: MaskedOptions, words: Vocabulary) -> None:
        self.options = options
        self.mask_id = words.mask
        self.never = (words.mask,)
        self.likelihoods = ("default",) if options.random_mask else ("default", "duel")  # a mixture has no exact one
        self.schedule = get_schedule(options.schedule)
        self.times = Times(options.times, options.bell_center, options.bell_width)
        self.scripts = None if options.scripts is None else Scripts(options.scripts, options.schedule, words.table)
        self.warm = Causal(CausalOptions(isolate_documents=options.isolate_documents), words)
        self.expected_rate = lru_cache(maxsize=2 * _POINTS)(self._expected_rate)

    @property
    def asked_share(self) -> float:
        """All positions during the warm start, then the expected share of hidden ones."""
        points = [(point + 0.5) / _POINTS for point in range(_POINTS)]
        return sum(1.0 if self.warming(p) else self.expected_rate(self.upper(p)) for p in points) / _POINTS

    @property
    def most_asked(self) -> float:
        """All positions if there is a warm start, else the largest expected share."""
        points = [(point + 0.5) / _POINTS for point in range(_POINTS)]
        return max(1.0 if self.warming(p) else self.expected_rate(self.upper(p)) for p in points)

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """One forward and one backward pass; what it costs is linear in the share of asked positions."""
        return 3 * forward(self.asked_share)

    def check(self, config: Any) -> None:
        """Raise Error if the network cannot see both sides, or cannot hide one for a causal warm start."""
        self.options.check(config)

    def upper(self, progress: float) -> float:
        """Return the largest t at this share of training."""
        start, warm = self.options.curriculum_start, self.options.causal_warmup
        if start is None:
            return 1.0
        done = (progress - warm) / ((1 - warm) * self.options.curriculum_span)
        return start + (1 - start) * min(max(done, 0.0), 1.0)

    def warming(self, progress: float) -> bool:
        """Tell whether this part of training is the causal warm start."""
        return progress < self.options.causal_warmup

    def rates(self, batch: Batch, seed: int, progress: float) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Return the noise level r of each row, float64, and its weight: 1, or w of the bound (see ``times``)."""
        return self.rates_at(spread(seed, batch.order), progress, self.schedule)

    def rates_at(
        self, place: Float[Tensor, "B ..."], progress: float, schedule: Schedule
    ) -> tuple[Float[Tensor, "B ..."], Float[Tensor, "B ..."]]:
        """Return the noise level and weight that belong to evenly spread numbers in [0, 1) under a schedule."""
        times = replace(self.times, upper=self.upper(progress))
        if self.options.weighting == "elbo":
            return times.weighted(schedule, place)
        rate = schedule(t := times.draw(place))
        return rate, torch.ones_like(rate) if schedule is self.schedule else self.schedule(t) / rate.clamp(min=_TINY)

    def hide(
        self, batch: Batch, seed: int, place: Float[Tensor, "B ..."], progress: float
    ) -> tuple[Bool[Tensor, "B T"], Float[Tensor, "B T"]]:
        """Return which tokens are hidden, and the weight of each.

        Args:
            batch: Clean text.
            seed: Of the run.
            place: Evenly spread numbers in [0, 1), one a row or one a position.
            progress: Share of training that is done.
        """
        noise = Noise(seed, batch.order)
        if self.scripts is not None:
            return self.scripts.hide(batch, noise, lambda schedule: self.rates_at(place, progress, schedule))
        rate, weight = (
            each if each.ndim == 2 else each[:, None] for each in self.rates_at(place, progress, self.schedule)
        )
        return (noise.uniform("mask", batch.tokens.shape[1]) < rate) & batch.askable, weight

    def hidden_at(self, batch: Batch, seed: int, t: Float[Tensor, " B"]) -> Bool[Tensor, "B T"]:
        """Return which tokens of each row's trajectory are hidden at a time."""
        noise = Noise(seed, batch.order)
        if self.scripts is not None:
            return self.scripts.hide(batch, noise, lambda schedule: (schedule(t), t))[0]
        return (noise.uniform("mask", batch.tokens.shape[1]) < self.schedule(t)[:, None]) & batch.askable

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Hide each token that may be asked with probability r(t)."""
        if self.warming(progress):
            return self.warm.corrupt(batch, seed, progress)
        hidden, weight = self.hide(batch, seed, spread(seed, batch.order), progress)
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        tokens, level = batch.tokens.masked_fill(hidden, self.mask_id), self.level(hidden, batch)
        state = State(tokens, "bidirectional", segments=segments, valid=valid, t=level)
        return Corrupted(self.shown(state, seed, batch), batch.tokens, hidden * weight.float())

    def level(self, hidden: Bool[Tensor, "B T"], batch: Batch) -> Float[Tensor, " B"] | Float[Tensor, "B T"]:
        """Return the share of hidden tokens of each row.

        Where it tells of a neighbour's words, whose scripts decide how many are hidden: of each position's document.
        """
        there = batch.predictable
        piece = batch.segments
        if self.scripts is None or not self.options.isolate_documents or not bool((piece > piece[:, :1]).any()):
            return hidden.sum(1) / there.sum(1).clamp(min=1)
        none = torch.zeros(len(piece), int(piece.max()) + 1, device=piece.device)
        count, whole = (none.scatter_add(1, piece, which.float()) for which in (hidden, there))
        return (count / whole.clamp(min=1)).gather(1, piece)

    def shown(self, state: State, seed: int, batch: Batch) -> State:
        """Return a state of a batch with the random vectors of its masks, if the process has any."""
        if not self.options.random_mask:
            return state
        return with_random_mask(state, self.mask_id, Noise(seed, batch.order).keys, self.options.random_mask_words)

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the weighted nats: a hidden token (``ce``) or a token (``elbo``), normalised by a constant."""
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        if self.warming(progress):
            return self.warm.loss_of(model, batch, corrupted, seed, progress)
        at = corrupted.weights > 0
        nats = token_nats(model(corrupted.state, at=at).logits, batch.tokens[at], self.mask_id)
        rows, length = at.shape
        nats = nats * corrupted.weights[at]
        return {"loss": nats.sum() / (rows * (length - 1) * batch.share * self.expected_share(progress))}

    def expected_share(self, progress: float) -> float:
        """Return the constant that makes the weighted nats a mean: over hidden tokens (``ce``), or over all tokens."""
        return self.expected_rate(self.upper(progress)) if self.options.weighting == "ce" else 1.0

    def _expected_rate(self, upper: float) -> float:
        """Return the expected share of hidden tokens, the constant that makes plain CE a mean over hidden tokens."""
        u = (torch.arange(4096, dtype=torch.float64) + 0.5) / 4096
        return float(self.schedule(replace(self.times, upper=upper).draw(u)).mean())

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return an upper bound on the nats of each row from ``draws`` network calls."""
        segments, valid = visible_segments(batch, self.options.isolate_documents)

        def dress(state: State, *_: Tensor) -> State:
            return self.shown(state, seed, batch)

        nats = masked_bound(model, batch, segments, valid, self.mask_id, draws, seed, scored, dress)
        return Likelihood(nats, "upper bound", draws)

    def duel(
        self, model: Network, batch: Batch, order: str = "peak", per_step: int = 1, scored: Tensor | None = None
    ) -> Likelihood:
        """Return the exact nats of each row for the sampler that unmasks in a deterministic order."""
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        nats = duel_nats(model, batch, segments, valid, self.mask_id, order, per_step, scored)
        return Likelihood(nats, f"exact for order {order}, {per_step} a step", 1)
