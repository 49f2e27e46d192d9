"""A memory of M slots that the tokens of a document share: tokens read it, it reads the tokens, both by attention.

    read      x   += W_o concat_h softmax_m( q_h(norm x) . k_h(norm mem) / sqrt E ) v_h(norm mem)
    update    mem += W_o concat_h softmax_t( q_h(norm mem) . k_h(norm x) / sqrt E ) v_h(norm x)
              mem += SwiGLU(norm mem)

The cost grows with T M and not with T^2 (Set Transformer, arXiv 1810.00825; Perceiver, arXiv 2103.03206). The inner
width of the attention, A = H E, is a key of its own. As slots are few, products may be ordered so that tokens need no
projections at all: the scores q . k = x (W_q^T k) are one product of x with a D x HM matrix, and so is the way back.
That is the same function; ``folds`` says when it costs less. It needs the matrices of one document to meet the tokens
of one row, so packed documents take the other order.

Letters: R rows and P places of the layout, G documents, L tokens of the longest, D width, M slots, S slow slots, H
heads, E head width, A = H E.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.models.attention import attend
from unmask.models.eco_config import EcoConfig
from unmask.models.fused import RMSNorm
from unmask.models.routing import Routing, kept
from unmask.models.token_places import HIDDEN, Layout


class Memory(NamedTuple):
    """The slots of each document.

    Attributes:
        fast: The network's own, and retrieved ones behind them.
        slow: The slow bank, or ``None``.
        hidden: ``HIDDEN`` at slots that are not there, else 0, in the order slow, fast; ``None``: all are there.
    """

    fast: Float[Tensor, "G M D"]
    slow: Float[Tensor, "G S D"] | None
    hidden: Float[Tensor, "G 1 1 M+S"] | None

    @property
    def all(self) -> Float[Tensor, "G M+S D"]:
        """All slots, the network's own first."""
        return self.fast if self.slow is None else torch.cat([self.slow, self.fast], 1)


def folds(length: float, slots: int, width: int, inner: int, heads: int) -> bool:
    """Tell whether folding the tokens' projections into the slots saves multiplications.

    Folded: L H M D for each of the two products with the tokens, and M A D to fold a matrix. Else: L A (D + M).
    """
    return length * heads * slots * width + slots * inner * width < length * inner * (width + slots)


def _heads(x: Float[Tensor, "G n A"], heads: int) -> Float[Tensor, "G H n E"]:
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


class SwiGLU(nn.Module):
    """W_down (silu(W_gate x) * W_up x)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Apply it."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class MemoryAttention(nn.Module):
    """The four projections that reading and updating have in common: queries ask, keys and values answer."""

    def __init__(self, config: EcoConfig) -> None:
        super().__init__()
        self.heads, inner, width = config.num_attention_heads, config.memory_size, config.hidden_size
        self.query = nn.Linear(width, inner, bias=False)
        self.key_value = nn.Linear(width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)
        self.scale = (inner // self.heads) ** -0.5

    def _folds(self, layout: Layout, x: Tensor, slots: int) -> bool:
        return layout.whole and folds(x.shape[1], slots, x.shape[2], self.query.weight.shape[0], self.heads)

    def _by_head(self, weight: Float[Tensor, "A D"]) -> Float[Tensor, "H E D"]:
        return weight.view(self.heads, -1, weight.shape[-1])


class Read(MemoryAttention):
    """Tokens read the slots; with ``route_top_k`` each reads that many of them."""

    def __init__(self, config: EcoConfig) -> None:
        super().__init__(config)
        self.top_k = config.route_top_k
        self.own = config.memory_slots + config.slow_slots

    def forward(
        self,
        x: Float[Tensor, "R P D"],
        memory: Float[Tensor, "G M D"],
        layout: Layout,
        hidden: Float[Tensor, "G 1 1 M"] | None,
    ) -> tuple[Float[Tensor, "R P D"], Routing | None]:
        """Return what the tokens read, and how they used the slots if they are routed.

        Args:
            x: Normed tokens.
            memory: Normed slots, the network's own first.
            layout: Where tokens stand.
            hidden: ``HIDDEN`` at slots that are not there, else 0.
        """
        key, value = self.key_value(memory).chunk(2, dim=-1)
        if self._folds(layout, x, memory.shape[1]):
            return self._folded(x, key, value, layout, hidden)
        query = layout.by_document(self.query(x))
        routing = None
        if self.top_k:
            score = _heads(query, self.heads) @ _heads(key * self.scale, self.heads).transpose(2, 3)
            weights = (score if hidden is None else score + hidden).softmax(-1).transpose(1, 2)
            weights, routing = self._routed(weights, layout)
            mixed = weights.transpose(1, 2) @ _heads(value, self.heads)
        else:
            mask = None if hidden is None else hidden.to(query.dtype)
            asks, keys, values = (_heads(part, self.heads) for part in (query, key, value))
            mixed = attend(asks, keys, values, mask)
        mixed = mixed.transpose(1, 2).reshape(query.shape)
        return self.out(layout.by_place(mixed)), routing

    def _folded(
        self, x: Tensor, key: Tensor, value: Tensor, layout: Layout, hidden: Tensor | None
    ) -> tuple[Float[Tensor, "R P D"], Routing | None]:
        documents, slots = key.shape[:2]
        key, value = (part.view(documents, slots, self.heads, -1) for part in (key * self.scale, value))
        into = torch.einsum("gmhe,hed->gdhm", key, self._by_head(self.query.weight)).flatten(2)
        back = torch.einsum("gmhe,hed->ghmd", value, self._by_head(self.out.weight.t())).flatten(1, 2)
        score = (x @ into).view(*x.shape[:2], self.heads, slots)
        weights = (score if hidden is None else score + hidden).softmax(-1)
        weights, routing = self._routed(weights, layout)
        return weights.flatten(2).to(back.dtype) @ back, routing

    def _routed(self, weights: Tensor, layout: Layout) -> tuple[Float[Tensor, "G L H M"], Routing | None]:
        if not self.top_k:
            return weights, None
        return kept(weights, self.top_k, self.own, layout.present, layout.shape[0] * layout.shape[1])


class Write(MemoryAttention):
    """Slots read the tokens of their document."""

    def forward(
        self, memory: Float[Tensor, "G M D"], x: Float[Tensor, "R P D"], layout: Layout
    ) -> Float[Tensor, "G M D"]:
        """Return what the slots read.

        Args:
            memory: Normed slots.
            x: Normed tokens; 0 at empty places.
            layout: Where tokens stand.
        """
        query = self.query(memory)
        present = layout.present
        hidden = None if present is None else ((1 - present) * HIDDEN).transpose(1, 2)[:, None]
        if self._folds(layout, x, memory.shape[1]):
            return self._folded(query, x, None if hidden is None else hidden[:, 0])
        parts = (query, *layout.by_document(self.key_value(x)).chunk(2, dim=-1))
        query, key, value = (_heads(part, self.heads) for part in parts)
        mask = None if hidden is None else hidden.to(query.dtype)
        mixed = attend(query, key, value, mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _folded(self, query: Tensor, x: Tensor, hidden: Tensor | None) -> Float[Tensor, "G M D"]:
        documents, slots, inner = query.shape
        key, value = (self._by_head(part) for part in self.key_value.weight.split(inner))
        query = (query * self.scale).view(documents, slots, self.heads, -1)
        from_tokens = torch.einsum("gmhe,hed->ghmd", query, key).flatten(1, 2)
        score = from_tokens @ x.transpose(1, 2)
        weights = (score if hidden is None else score + hidden).softmax(-1)
        pooled = (weights.to(x.dtype) @ x).view(documents, self.heads, slots, -1)
        mixed = torch.einsum("ghmd,hed->gmhe", pooled, value.to(pooled.dtype))
        return self.out(mixed.flatten(2))


class Update(nn.Module):
    """One update of a bank of slots: they read the tokens, and think about it."""

    def __init__(self, config: EcoConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.rms_norm_eps
        self.norm, self.token_norm, self.mlp_norm = (RMSNorm(width, eps=eps) for _ in range(3))
        self.write = Write(config)
        self.mlp = SwiGLU(width, config.memory_intermediate_size)
        self.dropout = config.dropout

    def forward(
        self, memory: Float[Tensor, "G M D"], x: Float[Tensor, "R P D"], layout: Layout
    ) -> Float[Tensor, "G M D"]:
        """Return the bank after it has read the tokens ``x``."""
        read = self.write(self.norm(memory), self.token_norm(x), layout)
        memory = memory + F.dropout(read, self.dropout, self.training)
        return memory + F.dropout(self.mlp(self.mlp_norm(memory)), self.dropout, self.training)


class InputSlots(nn.Module):
    """Slots that have read the embedded text before the first block."""

    def __init__(self, config: EcoConfig) -> None:
        super().__init__()
        self.norm, self.token_norm = (RMSNorm(config.hidden_size, eps=config.rms_norm_eps) for _ in range(2))
        self.write = Write(config)

    def forward(
        self, memory: Float[Tensor, "G M D"], x: Float[Tensor, "R P D"], layout: Layout
    ) -> Float[Tensor, "G M D"]:
        """Return the slots, each with what it found in the tokens ``x``."""
        return memory + self.write(self.norm(memory), self.token_norm(x), layout)
