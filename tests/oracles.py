"""Sources whose every conditional probability is known, as networks: what a perfect denoiser would answer.

Letters: B batch, T tokens, N words of the source, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.state import Prediction, State


@dataclass(frozen=True)
class MarkovChain:
    """A Markov chain over word ids 0 .. N-1; BOS is id N and the mask id N+1, so V = N + 2.

    As a network it gives the exact marginal of each asked token: given the past (causal visibility), or given every
    visible token on both sides, by the forward-backward recursion.

    Attributes:
        start: Probabilities of the first word.
        step: Probabilities of the next word (columns) after a word (rows).
        temperature: Divides the log-probabilities of the answers: other than 1 it makes an imperfect denoiser.
    """

    start: Float[Tensor, " N"]
    step: Float[Tensor, "N N"]
    temperature: float = 1.0

    @classmethod
    def random(cls, words: int = 3, seed: int = 0, temperature: float = 1.0) -> MarkovChain:
        """Draw a chain that is far from uniform."""
        generator = torch.Generator().manual_seed(seed)
        logits = 1.5 * torch.randn(words + 1, words, generator=generator, dtype=torch.float64)
        return cls(logits[0].softmax(-1), logits[1:].softmax(-1), temperature)

    @property
    def bos(self) -> int:
        """Id of BOS."""
        return len(self.start)

    @property
    def mask(self) -> int:
        """Id of the mask."""
        return len(self.start) + 1

    def batch(self, words: Int[Tensor, "B T"]) -> Batch:
        """Put BOS before texts."""
        tokens = torch.cat([torch.full_like(words[:, :1], self.bos), words], 1)
        return Batch(tokens, torch.ones_like(tokens), torch.arange(len(tokens)), self.bos)

    def sample(self, rows: int, length: int, seed: int = 0) -> Int[Tensor, "B T"]:
        """Draw texts."""
        generator = torch.Generator().manual_seed(seed)
        words = [torch.multinomial(self.start.expand(rows, -1), 1, generator=generator)[:, 0]]
        while len(words) < length:
            words.append(torch.multinomial(self.step[words[-1]], 1, generator=generator)[:, 0])
        return torch.stack(words, 1)

    def nats(self, words: Int[Tensor, "B T"]) -> Float[Tensor, " B"]:
        """Return the true -log p of texts."""
        return -(self.start[words[:, 0]].log() + self.step[words[:, :-1], words[:, 1:]].log().sum(1))

    def entropy(self, length: int) -> float:
        """Return the true entropy of a text in nats."""
        inner = -(self.step * self.step.log()).sum(1)
        total, word = -(self.start * self.start.log()).sum(), self.start
        for _ in range(length - 1):
            total, word = total + word @ inner, word @ self.step
        return float(total)

    def __call__(self, state: State, at: Bool[Tensor, "B T"] | None = None) -> Prediction:
        """Answer a state whose rows are BOS and then words or masks."""
        marginal = self._marginal(state)
        logits = torch.full((*state.tokens.shape, len(self.start) + 2), -torch.inf, dtype=torch.float64)
        logits[:, 1:, : len(self.start)] = marginal.log() / self.temperature
        logits[:, 0] = 0.0
        return Prediction(logits[at] if at is not None else logits.flatten(0, 1))

    def _marginal(self, state: State) -> Float[Tensor, "B T N"]:
        words = state.tokens[:, 1:]
        rows, length = words.shape
        if state.visibility == "causal":
            return torch.cat([self.start.expand(rows, 1, -1), self.step[words[:, :-1]]], 1)
        seen = torch.zeros(rows, length, len(self.start), dtype=torch.float64)
        seen.scatter_(2, words.clamp(max=len(self.start) - 1)[..., None], 1.0)
        seen[words == self.mask] = 1.0
        ahead, behind = [self.start.expand(rows, -1)], [torch.ones(rows, len(self.start), dtype=torch.float64)]
        for p in range(length - 1):
            ahead.append((ahead[-1] * seen[:, p]) @ self.step)
            behind.append((seen[:, length - 1 - p] * behind[-1]) @ self.step.T)
        marginal = torch.stack(ahead, 1) * torch.stack(behind[::-1], 1)
        return marginal / marginal.sum(-1, keepdim=True)


def all_texts(words: int, length: int) -> Int[Tensor, "B T"]:
    """Return every text of a length over word ids 0 .. words-1."""
    return torch.cartesian_prod(*[torch.arange(words)] * length).view(-1, length)
