"""The norms and feed-forward layers that a transformer may have: Llama's by default, those of other families by name.

RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467), LayerNorm (Ba et al. 2016, arXiv 1607.06450); SwiGLU and GeGLU
(Shazeer 2020, arXiv 2002.05202), GELU (Hendrycks & Gimpel 2016, arXiv 1606.08415).

Letters: D width, F width inside the feed-forward layer.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.models.config import TransformerConfig
from unmask.models.fused import RMSNorm
from unmask.models.transformer_options import GATED


def make_norm(config: TransformerConfig) -> RMSNorm | nn.LayerNorm:
    """Return a norm of the width, of the kind that a transformer has."""
    if config.norm == "layer":
        return nn.LayerNorm(config.hidden_size, eps=config.rms_norm_eps, bias=config.norm_bias)
    return RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


def inner_width(config: TransformerConfig) -> int:
    """Return how many numbers enter the activation: two for each of F where it multiplies."""
    return (2 if config.mlp in GATED else 1) * config.intermediate_size


def activated(inner: Float[Tensor, "... F2"], kind: str) -> Float[Tensor, "... F"]:
    """Return what leaves the activation of a feed-forward layer."""
    if kind == "swiglu":
        gate, up = inner.chunk(2, dim=-1)
        return F.silu(gate) * up
    if kind == "geglu":
        gate, up = inner.chunk(2, dim=-1)
        return F.gelu(gate) * up
    return F.gelu(inner, approximate="tanh" if kind == "gelu_tanh" else "none")


class HeadMLP(nn.Module):
    """A dense layer, GELU and a norm before the logits."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.norm = make_norm(config)

    def forward(self, x: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        """Return what the logits are made of."""
        return self.norm(F.gelu(self.dense(x)))
