r"""Distillation: a student's one step learns what its teacher says along two (SDTT, Deschenaux & Gulcehre 2024).

A hidden text is shown to the teacher, which decides as many words as a step of its own does, and is asked again
(arXiv 2410.21035, algorithm 1). Its word for each hidden position is the target of the student, who sees the first
text only:

    q_p  = teacher(x_t)_p     where the first half-step decided p,
           teacher(x_t')_p    elsewhere; x_t' is what it left
    loss = sum over hidden p of KL(q_p, student(x_t)_p)

In rounds: the student of the last one, its average if it has one, is the teacher of the next, whose steps are twice as
large. A perfect teacher's q_p has the mean of its own answer to x_t, so ``forward`` KL asks a perfect student to stay
as it is; ``reverse`` makes it keep to words that all continuations allow, which costs variety.

**Mixtures.** With a random mask (:mod:`unmask.diffusion.random_mask`) the student's step is no product any more, and
can learn which words go together. N vectors are shown; to the KL of the mean over them is added the loss of the text
itself, y, under the mixture (Di4C, arXiv 2410.08709, its loss on data):

    sum over stretches s of   - log 1/N sum_n prod over hidden p in s of student(y_p | x_t, z_n)

Its gradient is that of the vectors by which the words are likely *together*, so vectors come to mean something; a
stretch tells them apart by log N at most, which is why short stretches teach more. A stretch is a block, or
``random_mask_words`` positions of a text, or a document piece. Di4C's control variate (less the same of single words)
is left out: it is right only as far as the teacher is.

Letters: B rows, T positions, V vocabulary, n hidden positions, N vectors, G stretches.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.block import Block
from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.likelihood import token_nats, without
from unmask.diffusion.masked import Masked
from unmask.diffusion.noise import Noise
from unmask.diffusion.process import Corrupted, Network
from unmask.diffusion.random_mask import with_random_mask
from unmask.diffusion.state import State

_NEVER = -1e4


class Distilled:
    """A process whose loss is a teacher's; all else is the process's own.

    Attributes:
        inner: The process, ``masked`` or ``block``.
        options: What the recipe says.
        teacher: Who is learnt from; it changes from round to round.
    """

    def __init__(self, inner: Masked | Block, options: DistillOptions, teacher: Network) -> None:
        self.inner = inner
        self.options = options
        self.teacher = teacher
        self.vectors = options.vectors if inner.options.random_mask else 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def round_at(self, progress: float) -> int:
        """Return the round that this share of training is in, from 0."""
        return min(int(progress * self.options.rounds), self.options.rounds - 1)

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the mean divergence of a hidden word, and what else the process's network learns."""
        return self.loss_of(model, batch, self.inner.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        state, at = corrupted.state, corrupted.weights > 0
        noise = Noise(seed, batch.order)
        share = 2.0 ** self.round_at(progress) / self.options.teacher_steps
        with torch.no_grad():
            target = self._targets(state, at, share, noise)
        copies = self._copies(state, noise)
        answer = model(copies, at=at.repeat(self.vectors, 1))
        each = self._log_probabilities(answer.logits).unflatten(0, (self.vectors, -1))
        together = log_mean(each) if self.vectors > 1 else each[0]
        wrong = divergence(target, together, self.options.divergence).sum()
        told = {"target": wrong.detach()}
        if self.vectors > 1:
            told["together"] = nats = _mixture_nats(each, corrupted.targets[at], _stretches(state)[at])
            wrong = wrong + nats
        rows, length = batch.tokens.shape
        masked = self.inner.masked if isinstance(self.inner, Block) else self.inner
        hidden = rows * (length - 1) * masked.expected_share(progress)
        parts = {"loss": wrong / hidden, **{name: value.detach() / hidden for name, value in told.items()}}
        if state.clean_at is None or not isinstance(self.inner, Block):
            return parts
        clean = token_nats(answer.clean, corrupted.targets[state.clean_at], self.inner.mask_id)
        causal = clean.sum() / (rows * (length - 1))
        return parts | {"loss": parts["loss"] + self.inner.options.causal_weight * causal, "causal": causal.detach()}

    def _copies(self, state: State, noise: Noise) -> State:
        """Return a state as often as there are vectors; words that are read left to right see none, and come once."""
        if self.vectors == 1:
            return state
        rows = len(state.tokens)
        copies = state.rows(torch.arange(rows, device=state.tokens.device).repeat(self.vectors))
        number = torch.arange(self.vectors, device=state.tokens.device).repeat_interleave(rows)
        keys = noise.keys.repeat(self.vectors)
        if state.clean_at is not None and copies.clean_at is not None:
            copies = replace(copies, clean_at=copies.clean_at & (number == 0)[:, None])
        return self._veiled(copies, Noise(0, keys).fold(number))

    def _veiled(self, state: State, noise: Noise) -> State:
        """Return a state with random vectors of its own, if the process has any."""
        if not self.inner.options.random_mask:
            return state
        return with_random_mask(state, self.inner.mask_id, noise.keys, self.inner.options.random_mask_words)

    def _targets(self, state: State, at: Bool[Tensor, "B T"], share: float, noise: Noise) -> Float[Tensor, "n V"]:
        """Return the log-probabilities that the teacher gives to the words at ``at`` along two of its steps.

        Args:
            state: What the student sees.
            at: The hidden positions.
            share: Of a text that a step of the teacher decides.
            noise: Of the rows.
        """
        state = replace(state, clean_at=None)
        target = self._asked(state, at, noise, 0)
        text = _texts(state)
        hidden = torch.zeros(int(text.max()) + 1, device=at.device).index_add(0, text.flatten(), at.flatten().float())
        there = torch.ones_like(at) if state.valid is None else state.valid
        whole = torch.zeros_like(hidden).index_add(0, text.flatten(), there.flatten().float())
        chance = (share * whole / hidden.clamp(min=1))[text]
        decided = at & (noise.uniform("teacher decides", at.shape[1]) < chance)
        still = at & ~decided
        if not bool(decided.any()) or not bool(still.any()):
            return target
        sums = target[decided[at]].double().exp().cumsum(-1)
        place = noise.uniform("teacher's word", at.shape[1])[decided][:, None] * sums[:, -1:]
        words = torch.searchsorted(sums, place, right=True)[:, 0].clamp(max=sums.shape[1] - 1)
        level = state.t
        if level is not None and level.ndim == 2:  # of each document
            left = torch.zeros_like(hidden).index_add(0, text.flatten(), still.flatten().float())
            level = level * (left / hidden.clamp(min=1))[text]
        elif level is not None:
            level = level * still.sum(1) / at.sum(1).clamp(min=1)
        later = replace(state, tokens=state.tokens.masked_scatter(decided, words), t=level)
        target[still[at]] = self._asked(later, still, noise, 1)
        return target

    def _asked(self, state: State, at: Bool[Tensor, "B T"], noise: Noise, step: int) -> Float[Tensor, "n V"]:
        """Return the teacher's log-probabilities, with a vector of its own at each step."""
        state = self._veiled(state, noise.fold(torch.full_like(noise.keys, step + self.vectors)))
        return self._log_probabilities(self.teacher(state, at=at).logits)

    def _log_probabilities(self, logits: Float[Tensor, "n V"]) -> Float[Tensor, "n V"]:
        """Return log-probabilities, that of the mask as good as minus infinity, which would have no gradient."""
        return without(logits, self.inner.mask_id).float().log_softmax(-1).clamp(min=_NEVER)


def _texts(state: State) -> Int[Tensor, "B T"]:
    """Number what one call decides: the blocks, or the document pieces."""
    rows, length = state.tokens.shape
    inside = state.block if state.block is not None else state.segments
    own = torch.zeros_like(state.tokens) if inside is None else inside
    return torch.arange(rows, device=own.device)[:, None] * (length + 1) + own


def _stretches(state: State) -> Int[Tensor, "B T"]:
    """Number what shares a random vector in one call."""
    text = _texts(state)
    return text if state.random_mask is None else text * (text.shape[1] + 1) + state.random_mask.stretch


def log_mean(each: Float[Tensor, "N n V"]) -> Float[Tensor, "n V"]:
    """Return the log of the mean of probabilities, given as logs."""
    return each.logsumexp(0) - math.log(len(each))


def divergence(target: Float[Tensor, "n V"], own: Float[Tensor, "n V"], kind: str) -> Float[Tensor, " n"]:
    """Return the KL divergence of each position in nats: ``forward`` of the target, ``reverse`` of one's own."""
    most, other = (target, own) if kind == "forward" else (own, target)
    return (most.exp() * (most - other)).sum(-1)


def _mixture_nats(
    each: Float[Tensor, "N n V"], words: Int[Tensor, " n"], stretch: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Return the nats of the words under the mixture, the words of a stretch together."""
    single = each.gather(2, words.expand(len(each), -1)[..., None])[..., 0].double()
    number, place = stretch.unique(return_inverse=True)
    joint = single.new_zeros(len(each), len(number)).index_add(1, place, single)
    return -log_mean(joint).sum().to(each.dtype)
