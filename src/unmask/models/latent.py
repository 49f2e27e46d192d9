"""The latent pathway: hidden states of an earlier answer, added to the input of the next.

x_p += W norm(h_p): what an answer knew and could not say in a token is not lost (Loopholing, arXiv 2510.19304). Where
there was no earlier answer h is 0, which adds exactly 0.

Letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from unmask.models.fused import RMSNorm


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

    def forward(self, hidden: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Return what is added to the embeddings."""
        return self.out(self.norm(hidden.to(self.out.weight.dtype)))
