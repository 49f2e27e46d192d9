"""The encoder that reads a thought off a finished passage, and the reduction that takes one of its axes away.

    x    += Linear(SiLU(DepthwiseConv(norm x)));  x += SwiGLU(norm x)         ``reader_layers`` times, over the words
    r     = W concat_h softmax_t(q_c . k(x_t)) v(x_t)                         C learned queries: one a cell
    z_s   = unit(u r_s + (1 - u) z_(s-1)),  u = sigmoid(G [r_s; z_(s-1)])     the thought persists, and changes
    rho_j = V sum_i softmax_i(q'_j . z_(i,j) / sqrt(E) + b_i) z_(i,j)         attention pooling over one axis

``unit`` divides by the root mean square of all cells together, so that a thought has the variance that its Gaussian
noise is measured against, and cells may differ in weight. Losses of the reader, beside what the words ask of it:

    coherence   1 - R^2 of the thought that an MLP rebuilds from its reduction
    alignment   InfoNCE (arXiv 1807.03748) between thoughts and the mean embeddings of their passages' words
    anchor      mean of relu(1/2 - std over the batch) of the numbers of a thought (after VICReg, arXiv 2105.04906)

The last two compare the passages of a batch: several ranks have each their own, so N ranks equal one only without
them.

Letters: B batch, S passages of a row, T tokens of a passage, C cells, c cells of a reduced thought, E channels, D
width.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.diffusion.thought import Read, Reading, ThoughtOptions
from unmask.models.attention import attend
from unmask.models.convolution import DepthwiseConvolution
from unmask.models.fused import RMSNorm
from unmask.models.slots import SwiGLU
from unmask.models.token_places import HIDDEN

_TAPS = 7
_TEMPERATURE = 0.2
_LEAST_SPREAD = 0.5


class Reader(nn.Module):
    """Words to thoughts, thoughts to reduced ones, and back."""

    def __init__(self, options: ThoughtOptions, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.options, self.heads = options, heads
        cells, channels = options.cells, options.channels
        assert options.shape is not None
        layers = range(options.reader_layers)
        self.conv_norms = nn.ModuleList(RMSNorm(width, eps=eps) for _ in layers)
        self.convs = nn.ModuleList(DepthwiseConvolution(width, _TAPS) for _ in layers)
        self.conv_outs = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in layers)
        self.mlp_norms = nn.ModuleList(RMSNorm(width, eps=eps) for _ in layers)
        self.mlps = nn.ModuleList(SwiGLU(width, width) for _ in layers)
        self.norm = RMSNorm(width, eps=eps)
        self.queries = nn.Parameter(torch.empty(cells, width))
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, channels, bias=False)
        self.gate = nn.Linear(2 * channels, channels) if options.persist else None
        self.pool_query = nn.Parameter(torch.empty(options.reduced, channels))
        self.pool_bias = nn.Parameter(torch.zeros(options.shape[options.axis]))
        self.pool_out = nn.Linear(channels, channels, bias=False)
        self.rebuild_place = nn.Parameter(torch.empty(cells, channels))
        self.rebuild = nn.Sequential(nn.Linear(channels, 4 * channels), nn.SiLU(), nn.Linear(4 * channels, channels))
        self.weigh = nn.Parameter(torch.empty(cells, channels))
        self.project_thought = nn.Linear(channels, width, bias=False)
        self.project_words = nn.Linear(width, width, bias=False)

    def initialise(self) -> None:
        """Draw weights. Queries have unit size: all cells would read the same words else."""
        for part in (self.queries, self.pool_query, self.rebuild_place, self.weigh):
            nn.init.normal_(part)
        nn.init.zeros_(self.pool_bias)
        for part in (self.key_value, self.out, self.pool_out, self.project_thought, self.project_words):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
        for layer in self.rebuild:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, x: Float[Tensor, "B S T D"], reading: Reading) -> tuple[Read, Float[Tensor, "B S C E"]]:
        """Return the thoughts of passages, and what can be rebuilt from their reductions.

        Args:
            x: Embedded words.
            reading: Which of them are read, and which passages go on with a document.
        """
        found = self._found(x.flatten(0, 1), reading.valid.flatten(0, 1)).unflatten(0, reading.follows.shape)
        cells = self._persisting(found, reading)
        reduced = self.reduce(cells)
        return Read(cells, reduced), self.rebuilt(reduced)

    def _found(self, x: Float[Tensor, "R T D"], valid: Bool[Tensor, "R T"]) -> Float[Tensor, "R C E"]:
        """Return what the cells find in the words of each passage alone."""
        live = valid[..., None].to(x.dtype)
        x = x * live
        for conv_norm, conv, out, mlp_norm, mlp in zip(
            self.conv_norms, self.convs, self.conv_outs, self.mlp_norms, self.mlps, strict=True
        ):
            x = torch.addcmul(x, out(F.silu(conv(conv_norm(x)))), live)
            x = torch.addcmul(x, mlp(mlp_norm(x)), live)
        key, value = self.key_value(self.norm(x)).unflatten(-1, (2 * self.heads, -1)).transpose(1, 2).chunk(2, 1)
        asks = self.queries.unflatten(-1, (self.heads, -1)).transpose(0, 1).expand(len(x), -1, -1, -1)
        mask = torch.where(valid, 0.0, HIDDEN).to(key.dtype)[:, None, None]
        mixed = attend(asks.to(key.dtype), key, value, mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _persisting(self, found: Float[Tensor, "B S C E"], reading: Reading) -> Float[Tensor, "B S C E"]:
        """Return the thoughts: each goes on from the one before it where its document does."""
        if self.gate is None:
            return _unit(found)
        before = torch.zeros_like(found[:, 0]) if reading.before is None else reading.before.to(found.dtype)
        thoughts = []
        for passage in range(found.shape[1]):
            here = found[:, passage]
            before = before * reading.follows[:, passage, None, None].to(here.dtype)
            share = torch.sigmoid(self.gate(torch.cat([here, before], -1)))
            before = _unit(before + share * (here - before))
            thoughts.append(before)
        return torch.stack(thoughts, 1)

    def reduce(self, cells: Float[Tensor, "*B C E"]) -> Float[Tensor, "*B c E"]:
        """Return thoughts without the axis that is pooled away."""
        apart = self._apart(cells)
        score = (apart * self.pool_query).sum(-1) / math.sqrt(self.options.channels)
        weight = (score + self.pool_bias[:, None]).softmax(-2)
        return self.pool_out((weight[..., None] * apart).sum(-3))

    def rebuilt(self, reduced: Float[Tensor, "*B c E"]) -> Float[Tensor, "*B C E"]:
        """Return full thoughts, as far as they can be told from reduced ones."""
        apart = reduced.unsqueeze(-3) + self._apart(self.rebuild_place)
        return self._together(self.rebuild(apart))

    def _apart(self, cells: Float[Tensor, "*B C E"]) -> Float[Tensor, "*B d c E"]:
        """Return the pooled axis in front, all other cells flat behind it."""
        shape, axis = self.options.shape, self.options.axis
        assert shape is not None
        outer = cells.shape[:-2]
        full = cells.reshape(*outer, *shape)
        return full.movedim(len(outer) + axis, len(outer)).reshape(*outer, shape[axis], -1, shape[-1])

    def _together(self, apart: Float[Tensor, "*B d c E"]) -> Float[Tensor, "*B C E"]:
        shape, axis = self.options.shape, self.options.axis
        assert shape is not None
        outer = apart.shape[:-3]
        rest = [size for place, size in enumerate(shape[:-1]) if place != axis]
        full = apart.reshape(*outer, shape[axis], *rest, shape[-1])
        return full.movedim(len(outer), len(outer) + axis).reshape(*outer, -1, shape[-1])


def _unit(cells: Float[Tensor, "*B C E"]) -> Float[Tensor, "*B C E"]:
    """Return thoughts of unit mean square."""
    square = cells.float().square().mean((-2, -1), keepdim=True)
    return cells * torch.rsqrt(square + 1e-6).to(cells.dtype)


def sides(
    reader: Reader, x: Float[Tensor, "B S T D"], reading: Reading, read: Read
) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R D"]]:
    """Return what is matched by the alignment: each passage's thought, and the mean embedding of its words."""
    live = reading.valid.flatten(0, 1)[..., None].to(x.dtype)
    words = (x.flatten(0, 1) * live).sum(1) / live.sum(1).clamp(min=1)
    thought = (read.cells.flatten(0, 1) * reader.weigh).mean(1)
    return reader.project_thought(thought).float(), reader.project_words(words).float()


def read_losses(
    reader: Reader, x: Float[Tensor, "B S T D"], reading: Reading, read: Read, rebuilt: Float[Tensor, "B S C E"]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the reader's weighted losses, normalised by the number of passages, and what it tells."""
    weights = reader.options.weights
    there = reading.valid.any(-1).flatten()
    cells = read.cells.flatten(0, 1).float()
    share = there.float() / len(there)
    lost = ((rebuilt.flatten(0, 1).float() - cells).square().mean((1, 2)) * share).sum()
    asks, answers = (F.normalize(side, dim=-1) for side in sides(reader, x, reading, read))
    score = (asks @ answers.t() / _TEMPERATURE).masked_fill(~there, HIDDEN)
    target = torch.arange(len(score), device=score.device)
    alignment = (F.cross_entropy(score, target, reduction="none") * share).sum()
    kept = cells[there]
    spread = kept.std(0, unbiased=False) if len(kept) > 1 else cells.new_full(cells.shape[1:], _LEAST_SPREAD)
    anchor = F.relu(_LEAST_SPREAD - spread).mean()
    losses = {
        "coherence": weights.coherence * lost,
        "alignment": weights.alignment * alignment,
        "anchor": weights.anchor * anchor,
    }
    right = (score.argmax(-1) == target) & there
    metrics = {
        "thought_explained": 1 - lost.detach() / share.sum().clamp(min=1e-9),
        "thought_alignment": right.float().sum() / there.sum().clamp(min=1),
        "thought_spread": spread.detach().mean(),
    }
    return losses, metrics
