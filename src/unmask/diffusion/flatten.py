"""Sparse Distribution Diffusion as its original has it (forward process "B"), with its repairs as switches.

Every position holds K candidates, the true token among them. Noise n(t) = 1 - cos(pi t / 2) flattens their
probabilities towards 1/V and shakes their embeddings; the tokens themselves are never exchanged:

    p_0     true token 1 - .01 (K - 1), the other K - 1, random tokens, .01 each
    p_t     (1 - n) p_0 + n / V
    e_t     E[token] + .1 n eps,   eps ~ N(0, 1), in units of the embeddings' root mean square
    loss    mean of -log p(x_p | state) over *all* positions

So the answer is in view at every noise level: to copy the likeliest candidate is all that there is to learn, accuracy
says nothing, and a sampler that feeds posteriors back amplifies whatever is likeliest everywhere. The process exists to
measure that, one repair at a time. ``sparse`` is the process to use.

The original differs in the network (a 64-dimensional embedding of candidates, sinusoids instead of rotary positions,
no slot for the rest of the mass); what made it fail is here.

Letters: B batch, T tokens, K candidates, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import Likelihood, masked_bound, token_nats
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import FlattenOptions
from unmask.diffusion.process import Corrupted, Network, visible_segments
from unmask.diffusion.schedules import cosine
from unmask.diffusion.state import Jitter, Shows, SparseState, State, Visibility
from unmask.diffusion.times import Times, spread

OTHER = 0.01
"""Probability of each candidate besides the true one, without noise."""
MEAN_NOISE = 1 - 2 / torch.pi
"""Of n(t) over uniform t."""


def flattened(
    tokens: Int[Tensor, "B T"],
    replaced: Bool[Tensor, "B T"],
    level: Float[Tensor, " B"],
    noise: Noise,
    count: int,
    vocabulary: int,
) -> SparseState:
    """Return the noised candidates of a text.

    Args:
        tokens: The clean text. Where ``replaced``, it is not read.
        replaced: Positions whose candidates are all random.
        level: n in [0, 1] of each row.
        noise: Where the random candidates come from.
        count: K.
        vocabulary: V.
    """
    shape = (*tokens.shape, count)
    drawn = noise.uniform("candidate-tokens", tokens.shape[1] * count).view(shape)
    slots = (drawn * vocabulary).long().clamp(max=vocabulary - 1)
    slots[..., 0] = torch.where(replaced, slots[..., 0], tokens)
    clean = torch.full((count,), OTHER, device=tokens.device)
    clean[0] = 1 - OTHER * (count - 1)
    n = level.float()[:, None, None]
    mass = ((1 - n) * clean + n / vocabulary).expand(shape)
    return SparseState(slots, torch.where(replaced[..., None], torch.full_like(mass, 1 / vocabulary), mass))


def time_of(level: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return the time t at which n(t) is this noise."""
    return torch.acos((1 - level).clamp(-1, 1)) * (2 / torch.pi)


class Flatten:
    """K candidates whose probabilities flatten, the answer among them."""

    name = FlattenOptions.name
    visibility: Visibility = FlattenOptions.visibility
    shows: Shows = FlattenOptions.shows
    likelihoods = ("default",)
    told_length = True
    sampler = FlattenOptions.sampler
    Options = FlattenOptions

    def __init__(self, options: FlattenOptions, words: Vocabulary) -> None:
        self.options = options
        self.mask_id = words.mask
        self.never = (words.mask,)
        self.vocab_size = words.size

    @property
    def asked_share(self) -> float:
        """All positions, or the expected share of replaced ones."""
        return MEAN_NOISE if self.options.loss_at == "replaced" else 1.0

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step, which memory has to be there for."""
        return self.asked_share

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """One forward and one backward pass."""
        return 3 * forward(self.asked_share)

    def check(self, config: Any) -> None:
        """Raise Error if the network takes no candidates, or believes another layout than the process was given."""
        self.options.check(config)

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Give every predictable position K candidates at the noise of its row's time."""
        t = Times("uniform").draw(spread(seed, batch.order))
        n = cosine(t)
        noise = Noise(seed, batch.order)
        at = batch.predictable
        gone = torch.zeros_like(at)
        if self.options.replaced:
            gone = (noise.uniform("replace", batch.tokens.shape[1]) < n[:, None]) & at
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        state = State(batch.tokens, "bidirectional", segments=segments, valid=valid, t=t)
        jitter = Jitter((self.options.jitter * n).float(), noise.keys) if self.options.jitter else None
        asked = gone if self.options.loss_at == "replaced" else at
        return Corrupted(self._shown(state, batch, gone, n, noise, jitter), batch.tokens, asked.float())

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the mean nats of the asked positions, normalised by their expected number."""
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        at = corrupted.weights > 0
        nats = token_nats(model(corrupted.state, at=at).logits, batch.tokens[at], self.mask_id)
        rows, length = at.shape
        return {"loss": nats.sum() / (rows * (length - 1) * self.asked_share)}

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return an upper bound on the nats of each row from ``draws`` network calls.

        It bounds -log p of the generator that decides one position at a time in random order, shown all decided tokens
        as training shows its text and random candidates of mass 1/V elsewhere. With the original's options no such
        state occurs in training, which shows the answer everywhere; the bound says what that is worth.
        """
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        calls = iter(range(draws))

        def dress(state: State, at: Bool[Tensor, "B T"], rank: Tensor, hidden: Tensor, total: Tensor) -> State:
            noise = Noise(seed, batch.order).fold(torch.full_like(hidden, next(calls)))
            assert state.t is not None
            level = state.t  # the share of the whole text that is replaced; the network is told the time it belongs to
            return self._shown(replace(state, t=time_of(level)), batch, at, level, noise)

        nats = masked_bound(model, batch, segments, valid, self.mask_id, draws, seed, scored, dress)
        return Likelihood(nats, "upper bound", draws)

    def _shown(
        self,
        state: State,
        batch: Batch,
        gone: Bool[Tensor, "B T"],
        level: Float[Tensor, " B"],
        noise: Noise,
        jitter: Jitter | None = None,
    ) -> State:
        """Return a state whose predictable positions show the mask and candidates; those of ``gone`` random ones."""
        at = batch.predictable
        known = batch.tokens.masked_fill(gone, self.mask_id)  # what is gone is read by nobody
        given = flattened(known, gone, level, noise, self.options.candidates, self.vocab_size)
        given = SparseState(given.tokens, given.mass * at[..., None], jitter)
        return replace(state, tokens=batch.tokens.masked_fill(at, self.mask_id), candidates=given)
