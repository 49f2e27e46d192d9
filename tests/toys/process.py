"""A process: so many tokens as a number drawn evenly says are hidden, any of them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from unmask.diffusion.likelihood import Likelihood, masked_bound, token_nats, without
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import ProcessOptions, Shows, Visibility
from unmask.diffusion.process import Corrupted, visible_segments
from unmask.diffusion.state import State


class ToyOptions(ProcessOptions):
    """It has no options of its own."""

    name: ClassVar[str] = "toy"
    visibility: ClassVar[Visibility] = "bidirectional"
    shows: ClassVar[Shows] = "mask"
    sampler: ClassVar[str] = "toy"


class Toy:
    """Hide k tokens, k even in 1 .. n."""

    name, visibility, shows, sampler = "toy", "bidirectional", "mask", "toy"
    Options, likelihoods, told_length = ToyOptions, ("default",), True
    asked_share, most_asked = 0.5, 0.5

    def __init__(self, options: ToyOptions, words: Any) -> None:
        self.options, self.mask_id, self.never = options, words.mask, (words.mask,)

    def training_flops(self, forward: Any) -> float:
        return 3 * forward(self.asked_share)

    def check(self, config: Any) -> None:
        pass

    def corrupt(self, batch: Any, seed: int, progress: float = 1.0) -> Corrupted:
        noise, count = Noise(seed, batch.order), batch.askable.sum(1)
        hidden = (noise.uniform("count", 1)[:, 0] * count).long() + 1
        keys = noise.uniform("place", batch.tokens.shape[1]).masked_fill(~batch.askable, 2.0)
        at = (keys.argsort(1).argsort(1) < hidden[:, None]) & batch.askable
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        tokens = batch.tokens.masked_fill(at, self.mask_id)
        state = State(tokens, segments=segments, valid=valid, t=at.sum(1) / batch.predictable.sum(1).clamp(min=1))
        return Corrupted(state, batch.tokens, at.float())

    def loss(self, model: Any, batch: Any, seed: int, progress: float = 1.0) -> dict[str, torch.Tensor]:
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(self, model: Any, batch: Any, corrupted: Corrupted, seed: int, progress: float = 1.0) -> Any:
        at = corrupted.weights > 0
        logits = without(model(corrupted.state, at=at).logits, self.mask_id)
        return {"loss": token_nats(logits, batch.tokens[at]).sum() / (0.5 * at.numel())}

    def likelihood(self, model: Any, batch: Any, draws: int = 8, seed: int = 0, scored: Any = None) -> Likelihood:
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        nats = masked_bound(model, batch, segments, valid, self.mask_id, draws, seed, scored)
        return Likelihood(nats, "upper bound", draws)
