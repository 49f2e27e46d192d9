"""The latent pathway: hidden states of an earlier answer, kept as a note and added to the input of the next.

x_p += W norm(h_p): what an answer knew and could not say in a token is not lost (Loopholing, arXiv 2510.19304). Where
there was no earlier answer h is 0, which adds exactly 0.

Letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from unmask.diffusion.carried import Carried
from unmask.models.fused import RMSNorm


@dataclass(frozen=True)
class Hidden(Carried):
    """What the last layer said of each position.

    Attributes:
        states: Final hidden states; 0 where there was no answer.
    """

    states: Float[Tensor, "B T D"]

    placed: ClassVar[bool] = True


class Latent(nn.Module):
    """The way of hidden states into the input.

    Args:
        width: Of the network (D).
        eps: Of the norm.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.norm = RMSNorm(width, eps=eps)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, earlier: Hidden) -> Float[Tensor, "B T D"]:
        """Return what is added to the embeddings."""
        return self.out(self.norm(earlier.states.to(self.out.weight.dtype)))
