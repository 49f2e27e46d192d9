"""A process whose texts have thoughts: any process over passages, with Gaussian diffusion of a thought beside it.

Every passage of a block is corrupted by the inner process as if it were a block of its own, and the network sees its
thought, noised, and the reduced thoughts of the passages before it. The loss is

    inner loss + w_thought E || z_0 - z_0_hat(z, text) ||^2 (/ v for ``predict: v``)

and what the network adds for its reader. Gradients reach the reader through the stack, over as many passages as it is
deep, and through the noised thought; the target z_0 has none, or collapse would be the optimum.

**No leak.** A thought read off the passage that is being denoised tells what is hidden. So in the likelihood it is pure
noise, drawn without looking at the text, and the stack holds earlier passages only, which are given by then:

    -log p(x) <= sum_s bound_s(x_s | thoughts of x_<s)

is a bound whenever the inner process's is, by the chain rule, and exact where that is exact: for the generator whose
thoughts stay the noise that they begin with, and whose latents are of the state that is asked about. No sampler is that
generator, since samplers make thoughts clear along with the words and carry latents on, so ``bound`` says which it is.
Training shows both: pure noise in a share ``blind`` of the passages; else a noised thought, whose time goes with the
share of hidden words as in sampling (half of them), or with nothing.

The *latent pathway* is the simpler mechanism: an answer's last hidden states are added to the input of the next
(Loopholing, arXiv 2510.19304). Training answers twice with gradients stopped between; so does the bound.

Letters: B batch, L tokens of a block, S passages, T tokens of a passage, C cells, E channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.carried import Texts, renewed
from unmask.diffusion.gaussian import levels, noised
from unmask.diffusion.likelihood import Likelihood
from unmask.diffusion.noise import Noise
from unmask.diffusion.passages import Passages, passages
from unmask.diffusion.process import Corrupted, Network, Process
from unmask.diffusion.schedules import get_schedule
from unmask.diffusion.state import Prediction, Shows, State, Visibility
from unmask.diffusion.thought import Read, Thought, ThoughtOptions, stacks

Change = Callable[[Passages, Tensor, Tensor], tuple[Tensor, Tensor]]
"""What a test does to the stacks [B*S, N, c, E] and to which of their thoughts are there [B*S, N]."""


@dataclass(frozen=True)
class _Seen:
    """The thoughts of a batch's passages, as the network will see them and as they are."""

    thought: Thought | None
    clean: Float[Tensor, "R C E"] | None


class _Thoughtful:
    """A network that is given thoughts and latents with every state of a batch; what it thinks of them is kept.

    Args:
        model: The network.
        thought: The rows' thoughts, for states that have none of their own.
        coin: Rows that get a latent; ``None``: the network takes none.
    """

    def __init__(self, model: Network, thought: Thought | None, coin: Bool[Tensor, " R"] | None) -> None:
        self.model = model
        self.thought = thought
        self.coin = coin
        self.found: Tensor | None = None

    def __call__(self, state: State, at: Any = None) -> Prediction:
        if self.thought is not None:
            state = replace(state, thought=self.thought)
        if self.coin is not None:
            with torch.no_grad():
                notes = self.model(state, at=torch.zeros_like(state.tokens, dtype=torch.bool)).notes
            texts = Texts(torch.zeros_like(state.tokens[:, 0]), state.tokens.shape[1])
            state = replace(state, notes=renewed(None, notes.rows(self.coin), self.coin.nonzero()[:, 0], texts))
        answer = self.model(state, at=at)
        self.found = answer.thought
        return answer


class Thinking:
    """A process over passages with thoughts.

    Args:
        inner: What becomes of the words.
        options: The recipe's section ``thought``.
    """

    def __init__(self, inner: Process, options: ThoughtOptions) -> None:
        self.inner = inner
        self.options_of_thought = options
        self.name: str = inner.name
        self.visibility: Visibility = inner.visibility
        self.told_length: bool = inner.told_length
        self.shows: Shows = inner.shows
        self.never = inner.never
        self.likelihoods = inner.likelihoods
        self.sampler: str = inner.sampler
        self.schedule = get_schedule(options.schedule)

    @property
    def asked_share(self) -> float:
        """As the inner process."""
        return self.inner.asked_share

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step."""
        return self.inner.most_asked

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """What the inner process costs, and another forward pass without logits for the latent pathway."""
        extra = forward(0.0) if self.options_of_thought.latent else 0.0
        return self.inner.training_flops(forward) + extra

    def check(self, config: Any) -> None:
        """Raise Error if the network takes no thoughts, or cannot learn the inner process."""
        self.inner.check(config)
        self.options_of_thought.check(config, self.visibility)

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Corrupt the words of each passage; rows are passages. Thoughts are the network's own: with the loss."""
        return self.inner.corrupt(passages(batch, self.options_of_thought.passage).batch, seed, progress)

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the inner process's loss over all passages, and the thought's."""
        options = self.options_of_thought
        cut = passages(batch, options.passage)
        corrupted = self.inner.corrupt(cut.batch, seed, progress)
        share = corrupted.state.t
        if share is None:  # left to right, nothing is hidden and all is to come
            share = torch.ones(len(cut.batch.order), device=batch.tokens.device)
        elif share.ndim == 2:  # told of each document: of all words of the passage
            there = cut.batch.predictable
            share = (share * there).sum(1) / there.sum(1).clamp(min=1)
        seen = self._seen(model, cut, seed, share)
        corrupted = replace(corrupted, state=replace(corrupted.state, thought=seen.thought))
        coin = None
        if options.latent:
            coin = Noise(seed, cut.batch.order).uniform("latent", 1)[:, 0] < options.latent
        asked = _Thoughtful(model, None, coin)
        parts = dict(self.inner.loss_of(asked, cut.batch, corrupted, seed, progress))
        if seen.clean is None or seen.thought is None:
            return parts
        found = asked.found
        assert found is not None
        error = (found.float() - seen.clean.detach().float()).square().mean(-1)
        if options.predict == "v":
            error = error / seen.thought.level.clamp(min=1e-2)
        there = (cut.last > 0).flatten()[:, None]
        thought = (error * there).mean()
        return {**parts, "loss": parts["loss"] + options.weights.thought * thought, "thought": thought.detach()}

    def likelihood(
        self,
        model: Network,
        batch: Batch,
        draws: int = 8,
        seed: int = 0,
        scored: Tensor | None = None,
        change: Change | None = None,
    ) -> Likelihood:
        """Return the nats of each row: what the inner process says of each passage, given the thoughts before it."""
        found = self.passage_nats(model, batch, draws, seed, scored, change)
        return Likelihood(found.nats.view(len(batch.tokens), -1).sum(1), found.bound, found.draws)

    def passage_nats(
        self,
        model: Network,
        batch: Batch,
        draws: int = 8,
        seed: int = 0,
        scored: Tensor | None = None,
        change: Change | None = None,
    ) -> Likelihood:
        """Return the nats of each passage, [B*S] in order.

        Args:
            model: The network.
            batch: Blocks.
            draws: Network calls of a bound (twice as many with a latent pathway).
            seed: Of the noise.
            scored: As for any process.
            change: What is done to the stacks before they are seen (the controls: zeros, other texts').
        """
        cut, asked = self._for_bound(model, batch, seed, change)
        part = None if scored is None else cut.spread(scored)
        found = self.inner.likelihood(asked, cut.batch, draws, seed, part)
        return replace(
            found, draws=found.draws * (2 if self.options_of_thought.latent else 1), bound=self._of(found.bound)
        )

    def duel(
        self, model: Network, batch: Batch, order: str = "peak", per_step: int = 1, scored: Tensor | None = None
    ) -> Likelihood:
        """Return the exact nats of each row for deterministic unmasking, passage by passage."""
        cut, asked = self._for_bound(model, batch, 0, None)
        part = None if scored is None else cut.spread(scored)
        found = self.inner.duel(asked, cut.batch, order, per_step, part)  # type: ignore[attr-defined]
        return replace(found, nats=found.nats.view(len(batch.tokens), -1).sum(1), bound=self._of(found.bound))

    def _of(self, bound: str) -> str:
        """Return what a likelihood is, saying of an exact one for which generator: not for a sampler's."""
        options = self.options_of_thought
        told = ["thoughts held at noise"] * (options.shape is not None) + ["latents not carried"] * bool(options.latent)
        if not bound.startswith("exact") or not told:
            return bound
        return ("exact for " if bound == "exact" else f"{bound}, ") + ", ".join(told)

    def _for_bound(
        self, model: Network, batch: Batch, seed: int, change: Change | None
    ) -> tuple[Passages, _Thoughtful]:
        cut = passages(batch, self.options_of_thought.passage)
        seen = self._seen(model, cut, seed, None, change)
        coin = None
        if self.options_of_thought.latent:
            coin = torch.ones(len(cut.batch.order), dtype=torch.bool, device=batch.tokens.device)
        return cut, _Thoughtful(model, seen.thought, coin)

    def read(self, model: Network, cut: Passages) -> Read:
        """Read the thoughts of passages: one call of the network."""
        read = model(cut.reading).read  # type: ignore[arg-type]
        assert read is not None
        return read

    def _seen(
        self, model: Network, cut: Passages, seed: int, share: Float[Tensor, " R"] | None, change: Change | None = None
    ) -> _Seen:
        """Return the thoughts that go with each passage; ``share`` of hidden words ``None``: of pure noise."""
        options = self.options_of_thought
        if options.shape is None:
            return _Seen(None, None)
        read = self.read(model, cut)
        clean = read.cells.flatten(0, 1)
        stack, there = (part.flatten(0, 1) for part in stacks(read.reduced, cut.follows, cut.through, options.stack))
        if change is not None:
            stack, there = change(cut, stack, there)
        noise = Noise(seed, cut.batch.order)
        draw = noise.normal("thought", options.cells * options.channels).view_as(clean)
        if share is None:
            level = torch.ones(clean.shape[:2], device=clean.device)
            cells = draw.to(clean.dtype)
        else:
            level = levels(self._times(noise, share), clean, self.schedule, options.saliency)
            cells = noised(clean, level, draw)
        thought = Thought(cells, level, stack, there, cut.last.flatten(), cut.first.flatten())
        return _Seen(thought, clean)

    def _times(self, noise: Noise, share: Float[Tensor, " R"]) -> Float[Tensor, " R"]:
        """Return the thought's time: 1 in a share ``blind``, else the sampler's for this share of words, or any."""
        options = self.options_of_thought
        coin, any_time = noise.uniform("thought-time", 2).unbind(1)
        along = thought_time(share, options.pace)
        time = torch.where(coin < (1 + options.blind) / 2, along, any_time)
        return torch.where(coin < options.blind, torch.ones_like(time), time)


def thought_time(share: Float[Tensor, " R"], pace: float) -> Float[Tensor, " R"]:
    """Return the thought's time where a share of the words is hidden: slower, so that it stays noisy for longer."""
    return share.double().clamp(0, 1) ** (1 / pace)
