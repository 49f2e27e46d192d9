"""A process whose texts have evidence: any process, with vectors of retrieved texts beside the words.

    loss = inner loss of the tokens behind the query, given the query and the evidence found with it
    -log p(x behind the query | query, evidence(query)) <= the inner process's bound (or = , where that is exact)

**No leak.** Evidence is a function of the query, a document's first tokens (:mod:`unmask.data.evidence`). So with it
the query is given: shown, and neither hidden nor asked, as a sampler's prompt is. Were a word of the query asked, the
evidence would have been computed from the answer.

Evidence must be a help and never a need. A share ``dropout`` of the rows trains without: half of them as the inner
process trains any text, its beginning included, half with the query given and nothing found. What decides derives from
(seed, example). A likelihood shows the evidence that the batch has, and is then of the tokens behind the queries alone.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.evidence import Evidence
from unmask.diffusion.likelihood import Likelihood
from unmask.diffusion.memory import Memory
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import check_evidence
from unmask.diffusion.process import Corrupted, Network, Process
from unmask.diffusion.state import Prediction, Shows, State, Visibility


class _Informed:
    """A network that is given the evidence of a batch with every state of it."""

    def __init__(self, model: Network, evidence: Evidence) -> None:
        self.model = model
        self.evidence = evidence

    def __call__(self, state: State, at: Any = None) -> Prediction:
        return self.model(beside(state, self.evidence), at=at)


class Evident:
    """A process over texts with evidence.

    Args:
        inner: What becomes of the words.
        dropout: Share of the rows that train without evidence.
    """

    def __init__(self, inner: Process, dropout: float) -> None:
        self.inner = inner
        self.dropout = dropout
        self.name: str = inner.name
        self.visibility: Visibility = inner.visibility
        self.told_length: bool = inner.told_length
        self.shows: Shows = inner.shows
        self.never = inner.never
        self.likelihoods = inner.likelihoods
        self.sampler: str = inner.sampler

    @property
    def asked_share(self) -> float:
        """As the inner process; queries that are given make it less."""
        return self.inner.asked_share

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step."""
        return self.inner.most_asked

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """What the inner process costs."""
        return self.inner.training_flops(forward)

    def check(self, config: Any) -> None:
        """Raise Error if the network takes no memory, or the inner process shows no clean query."""
        self.inner.check(config)
        check_evidence(self, getattr(self.inner, "options", None), config)

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Corrupt the words behind the queries; the state holds the evidence."""
        batch = self._kept(batch, seed)
        corrupted = self.inner.corrupt(batch, seed, progress)
        if batch.evidence is None:
            return corrupted
        return replace(corrupted, state=beside(corrupted.state, batch.evidence))

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the inner process's loss of what is asked, given the evidence."""
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        return self.inner.loss_of(model, self._kept(batch, seed), corrupted, seed, progress)

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return the nats of each row: with evidence, of the tokens behind the queries given these and it."""
        return self.inner.likelihood(_informed(model, batch), batch, draws, seed, scored)

    def duel(
        self, model: Network, batch: Batch, order: str = "peak", per_step: int = 1, scored: Tensor | None = None
    ) -> Likelihood:
        """Return the exact nats of each row for deterministic unmasking; see :meth:`likelihood`."""
        found: Likelihood = self.inner.duel(_informed(model, batch), batch, order, per_step, scored)  # type: ignore[attr-defined]
        return found

    def _kept(self, batch: Batch, seed: int) -> Batch:
        """Return the batch as it trains: some rows without their evidence, half of these without a given query."""
        if batch.evidence is None:
            return batch
        coin = Noise(seed, batch.order).uniform("evidence", 1)[:, 0]
        return replace(batch, evidence=batch.evidence.only(coin >= self.dropout, coin >= self.dropout / 2))


def beside(state: State, evidence: Evidence) -> State:
    """Return a state with the evidence of its batch."""
    return replace(state, memory=Memory(evidence.vectors, evidence.valid, evidence.segments))


def _informed(model: Network, batch: Batch) -> Network:
    return model if batch.evidence is None else _Informed(model, batch.evidence)
