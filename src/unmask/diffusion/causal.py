"""Left to right: what is hidden is always the future. The likelihood is exact by the chain rule.

loss = 1/(B (T-1)) sum over predictable positions of -log p(x_p | x_<p).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import Likelihood, causal_nats, token_nats
from unmask.diffusion.options import CausalOptions
from unmask.diffusion.process import Corrupted, Network, visible_segments
from unmask.diffusion.state import Shows, State, Visibility


class Causal:
    """Next-token prediction."""

    name = CausalOptions.name
    visibility: Visibility = CausalOptions.visibility
    shows: Shows = CausalOptions.shows
    likelihoods = ("default",)
    told_length = False
    sampler = CausalOptions.sampler
    Options = CausalOptions

    def __init__(self, options: CausalOptions, words: Vocabulary) -> None:
        self.options = options
        self.mask_id = words.mask
        self.never = (words.mask,)

    @property
    def asked_share(self) -> float:
        """All positions are asked."""
        return 1.0

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step, which memory has to be there for."""
        return self.asked_share

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """One forward and one backward pass."""
        return 3 * forward(1.0)

    def check(self, config: Any) -> None:
        """Raise Error unless the network can be causal, and state p-1 predicts token p; at p it would have seen it."""
        self.options.check(config)

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Return the clean text under causal visibility."""
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        state = State(batch.tokens, "causal", segments=segments, valid=valid)
        return Corrupted(state, batch.tokens, batch.askable.float())

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the mean nats a token."""
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        at = batch.askable
        nats = token_nats(model(corrupted.state, at=at).logits, batch.tokens[at], self.mask_id)
        rows, length = at.shape
        return {"loss": nats.sum() / (rows * (length - 1) * batch.share)}

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 1, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return the exact nats of each row; ``draws`` and ``seed`` have nothing to do here."""
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        return Likelihood(causal_nats(model, batch, segments, valid, self.mask_id, scored), "exact", 1)
