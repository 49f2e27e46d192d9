"""Matrices in 8 bits: a scale for each row, symmetric, and products in float32.

    q = round(W / s),   s = max |W| / 127 over a row,   y = s (q x)

A matrix becomes float32 a piece at a time while it is used, and a piece fits the processor's cache: 8-bit weights stay
8-bit weights in memory, and what is computed of them is what the rounded matrix gives, whoever stands in the same
batch. In a file a matrix lies as ``NAME.weight`` (int8) and ``NAME.weight_scale``.

Letters: N rows, K columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.errors import Error

if TYPE_CHECKING:
    from unmask.models.stored import StoredNetwork

Network = TypeVar("Network", bound="StoredNetwork")
SCALE = ".weight_scale"
"""How the name of a matrix's scales ends."""
_WEIGHT = ".weight"
_PIECE = 1 << 19
"""Numbers of a matrix that are float32 at a time."""


def rounded(weight: Float[Tensor, "N K"]) -> tuple[Int[Tensor, "N K"], Float[Tensor, " N"]]:
    """Return a matrix in 8 bits, and the scale of each row."""
    weight = weight.detach().float()
    scale = weight.abs().amax(1).div_(127).clamp_(min=torch.finfo(torch.float32).tiny)
    return (weight / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8), scale


class _Rounded(nn.Module):
    """A matrix in 8 bits."""

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, weight: Int[Tensor, "N K"], scale: Float[Tensor, " N"]) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", scale)

    def share(self, other: _Rounded) -> None:
        """Take another's matrix for one's own."""
        self.weight, self.weight_scale = other.weight, other.weight_scale


class Int8Linear(_Rounded):
    """A linear layer whose matrix is in 8 bits."""

    def __init__(self, weight: Int[Tensor, "N K"], scale: Float[Tensor, " N"], bias: nn.Parameter | None) -> None:
        super().__init__(weight, scale)
        self.bias = bias

    def forward(self, x: Float[Tensor, "*B K"]) -> Float[Tensor, "*B N"]:
        """Multiply, a piece of the rows at a time."""
        pieces = self.weight.split(max(1, _PIECE // self.weight.shape[1]))
        parts = [F.linear(x, piece.to(x.dtype)) for piece in pieces]
        y = (parts[0] if len(parts) == 1 else torch.cat(parts, -1)) * self.weight_scale.to(x.dtype)
        return y if self.bias is None else y + self.bias


class Int8Embedding(_Rounded):
    """An embedding whose vectors are in 8 bits."""

    def forward(self, tokens: Int[Tensor, "*B"]) -> Float[Tensor, "*B K"]:
        """Look up."""
        return F.embedding(tokens, self.weight).to(self.weight_scale.dtype) * self.weight_scale[tokens][..., None]


def in_int8(network: Network) -> Network:
    """Round the matrices of a network's embedding, blocks and head to 8 bits, in place.

    Raises:
        Error: parts of it read their matrices otherwise than as a product.
    """
    if type(network).__name__ != "Transformer" or getattr(network, "candidates", None) is not None:
        raise Error("int8 weights are for the backbone transformer without candidates; store this run in bf16.")
    blocks = [name for name, module in network.named_modules() if type(module).__name__ in network._no_split_modules]
    names = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Embedding)
        and (name in ("embed", "head") or any(name.startswith(f"{block}.") for block in blocks))
    ]
    for name in names:
        _put(network, name, *rounded(network.get_submodule(name).weight))
    network.tie_weights()
    return network


def make_room(network: StoredNetwork, scales: Iterable[str]) -> None:
    """Put layers of 8 bits in the places whose scales a file holds; on the meta device.

    Raises:
        Error: a scale of no matrix.
    """
    places = {name.removesuffix(SCALE) for name in scales}
    layers = dict(network.named_modules())
    if odd := sorted(name for name in places if not isinstance(layers.get(name), nn.Linear | nn.Embedding)):
        raise Error(f"the weights hold {odd[0]}{SCALE}, and the network has no matrix of that name.")
    if "embed" in places and network.config.tie_word_embeddings:
        places.add("head")
    for name in places:
        matrix = layers[name].weight
        _put(network, name, matrix.to(torch.int8), matrix[:, 0].float())
    network.tie_weights()


def in_float(held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a network with its 8-bit matrices as the floats that they stand for."""
    found = {name: value for name, value in held.items() if not name.endswith(SCALE)}
    for name in held:
        if name.endswith(SCALE):
            matrix = name.removesuffix(SCALE) + _WEIGHT
            found[matrix] = held[matrix].to(held[name].dtype) * held[name][:, None]
    return found


def has_int8(network: nn.Module) -> bool:
    """Tell whether a network has matrices of 8 bits."""
    return any(isinstance(module, _Rounded) for module in network.modules())


def _put(network: nn.Module, name: str, weight: Tensor, scale: Tensor) -> None:
    before, _, last = name.rpartition(".")
    parent = network.get_submodule(before)
    layer = getattr(parent, last)
    made = Int8Embedding(weight, scale) if isinstance(layer, nn.Embedding) else Int8Linear(weight, scale, layer.bias)
    setattr(parent, last, made.train(layer.training))
