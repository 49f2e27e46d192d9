"""An imperfect denoiser: a known world whose answers are sharpened or flattened."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from unmask.certificates.worlds import HMM
from unmask.diffusion.state import Prediction, State


@dataclass(frozen=True)
class Tempered:
    """A world that answers at a temperature; other than 1 it is wrong by a known amount.

    Attributes:
        world: The source.
        temperature: Divides the log-probabilities of the answers.
    """

    world: HMM
    temperature: float = 1.0

    def __call__(self, state: State, at: Bool[Tensor, "B T"] | None = None) -> Prediction:
        return Prediction(self.world(state, at).logits / self.temperature)
