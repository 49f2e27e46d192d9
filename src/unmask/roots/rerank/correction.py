"""The correction f of a residual energy: what byte n-grams say that the byte model does not.

    p(x) = p_model(x) exp(-f(x) - ln Z)          E(x) = -ln p_model(x) + f(x)

    linear   f(x) = sum_t sum_n w[row_n(t)]                            a log-linear model: n-grams are features
    mlp      f(x) = T / 100 MLP(10 / T sum_t sum_n e[row_n(t)])        e: a table of W numbers a row

Both are extensive: a text twice as long has twice the energy. Longer n-grams than the model's own see where its samples
fall apart. A residual energy on a language model: Deng et al. 2020 (arXiv 2004.11714).

Letters: S texts, T bytes of a text, W width, R rows of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.roots.rerank.byte_bags import ORDERS, ROWS, Bags, bags

Kind = Literal["linear", "mlp"]
BYTES = 100  # whose energy is one output of the MLP


class Correction(nn.Module):
    """f, and ln Z as a parameter. Before training f is 0 (linear) or near it.

    Args:
        kind: ``linear`` or ``mlp``.
        orders: Lengths of the n-grams.
        rows: R.
        width: W, of the table and of the hidden layer.
        seed: Of the initial weights.
    """

    def __init__(
        self, kind: Kind, *, orders: Sequence[int] = ORDERS, rows: int = ROWS, width: int = 32, seed: int = 0
    ) -> None:
        super().__init__()
        self.kind, self.orders, self.rows = kind, tuple(orders), rows
        self.log_z = nn.Parameter(torch.zeros(()))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.table = nn.EmbeddingBag(rows, 1 if kind == "linear" else width, mode="sum")
            self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1, bias=False))
            nn.init.normal_(self.table.weight, std=0 if kind == "linear" else 0.1)
            if kind == "linear":
                self.head = nn.Sequential()

    def forward(self, x: Bags) -> Float[Tensor, " S"]:
        """Return f of each text, in nats."""
        summed: Tensor = self.table(x.rows, x.starts[:-1])
        if self.kind == "linear":
            return summed.squeeze(-1)
        found: Tensor = self.head(summed * BYTES**0.5 / x.sizes.clamp(min=1)[:, None]).squeeze(-1)
        return found * x.sizes / BYTES

    def of(self, texts: Sequence[bytes]) -> Float[Tensor, " S"]:
        """Return f of texts, without gradient, in blocks."""
        with torch.no_grad():
            parts = [self(self.bags(texts[at : at + 1024])) for at in range(0, len(texts), 1024)]
        return torch.cat(parts) if parts else torch.zeros(0)

    def bags(self, texts: Sequence[bytes]) -> Bags:
        """Return texts as this correction reads them."""
        return bags(texts, self.orders, self.rows)
