"""From bytes to patches: embeddings of bytes and hashed n-grams, a transformer within patches, attention pooling.

    x_t = e(b_t) + sum_n e_n(h_n(b_t-n+1 .. b_t))                    h_n: see byte_ngrams
    x   = Blocks(x), attention from t to the bytes of t's own patch that t may see
    p_k = norm(W softmax_t(q . K x_t) V x_t)                         over the bytes t of patch k; q is learned

All patches of a batch pass at once, by masks. The bytes go on to the decoder as they leave the encoder. Under causal
visibility a byte sees those before it alone, so that this is no leak.

Letters: B batch, T bytes, P patches, D width, H heads, E head width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.models.attention import attend
from unmask.models.byte_ngrams import byte_ngrams
from unmask.models.bytes_config import BytesConfig
from unmask.models.config import TransformerConfig
from unmask.models.fused import RMSNorm


def blocks_config(config: BytesConfig, width: int, heads: int, layers: int, inner: int | None) -> TransformerConfig:
    """Return the configuration of transformer blocks inside the byte network."""
    return TransformerConfig(
        vocab_size=config.vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        rope_theta=config.rope_theta,
        rms_norm_eps=config.rms_norm_eps,
        dropout=config.dropout,
        initializer_range=config.initializer_range,
    )


class Ngrams(nn.Module):
    """The sum of the embeddings of the n-grams that end at each byte: one table, a part of it for each length."""

    def __init__(self, config: BytesConfig) -> None:
        super().__init__()
        self.orders, self.rows = list(config.n_gram_sizes), config.n_gram_vocab_size
        self.table = nn.Embedding(len(self.orders) * self.rows, config.hidden_size)

    def forward(self, tokens: Int[Tensor, "B T"], pieces: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Return the sum; n-grams do not reach into another piece."""
        rows = byte_ngrams(tokens, self.orders, self.rows, pieces)
        rows = rows + self.rows * torch.arange(len(self.orders), device=rows.device)
        return self.table(rows).sum(-2)


class Pooling(nn.Module):
    """One vector a patch, by attention of a learned query to the patch's bytes."""

    def __init__(self, config: BytesConfig) -> None:
        super().__init__()
        width, self.heads = config.hidden_size, config.num_encoder_heads
        self.norm = RMSNorm(width, eps=config.rms_norm_eps)
        self.query = nn.Parameter(torch.randn(self.heads, 1, width // self.heads) / 2)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.last_norm = RMSNorm(width, eps=config.rms_norm_eps)

    def forward(self, x: Float[Tensor, "B T D"], member: Bool[Tensor, "B P T"]) -> Float[Tensor, "B P D"]:
        """Return the patches' vectors; ``member`` says which bytes are each one's. Without bytes: of all, finite."""
        batch, count, length = member.shape
        both = self.key_value(self.norm(x)).view(batch, length, 2 * self.heads, -1).transpose(1, 2)
        key, value = both.chunk(2, 1)
        query = self.query.to(x.dtype).expand(batch, -1, count, -1)
        mask = (member | ~member.any(-1, keepdim=True))[:, None]
        mixed = attend(query, key, value, mask)
        pooled: Tensor = self.last_norm(self.out(mixed.transpose(1, 2).flatten(2)))
        return pooled
