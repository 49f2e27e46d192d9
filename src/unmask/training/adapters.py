"""Adapters of low rank beside the matrices of a network's blocks, and the plain weights that they come to.

    y = W x + (alpha / rank) B A x,     W' = W + (alpha / rank) B A           (LoRA, Hu et al. 2021, arXiv 2106.09685)

W is frozen, B begins at zero: the first answers are the network's. Embeddings and head stay what they are, but for the
mask's own embedding, which a run that wrote left to right never learned: it is trained as what is added to it.

Letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import set_seed

from unmask.models.network import Denoiser
from unmask.training.lora_options import LoraOptions, check_peft

_BASE = ".base_layer."


class MaskEmbedding(nn.Module):
    """A frozen embedding, and what is learned beside its row of the mask.

    Attributes:
        base_layer: The embedding.
        mask: The mask's id.
        lora_mask: What is added to its row.
    """

    def __init__(self, embed: nn.Embedding, mask: int) -> None:
        super().__init__()
        self.base_layer, self.mask = embed, mask
        self.lora_mask = nn.Parameter(torch.zeros(embed.embedding_dim))

    @property
    def weight(self) -> Tensor:
        """The frozen rows."""
        return self.base_layer.weight

    @property
    def num_embeddings(self) -> int:
        """How many rows."""
        return self.base_layer.num_embeddings

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Look up."""
        found: Tensor = self.base_layer(tokens)
        return found + (tokens == self.mask)[..., None].to(found.dtype) * self.lora_mask


def add_adapters(network: Denoiser, options: LoraOptions, seed: int, mask: int | None = None) -> int:
    """Freeze a network and put adapters beside the linear layers of its blocks.

    Args:
        network: The network; changed in place.
        options: Section ``lora`` of the recipe.
        seed: What the adapters are drawn from.
        mask: The mask, whose embedding is trained, too; ``None``: the run's texts show none.

    Returns:
        The parameters that are trained.

    Raises:
        Error: peft is not there.
    """
    check_peft()
    from peft import LoraConfig, inject_adapter_in_model

    blocks = [name for name, module in network.named_modules() if type(module).__name__ in network._no_split_modules]
    targets = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and any(name.startswith(f"{block}.") for block in blocks)
    ]
    set_seed(seed)
    network.requires_grad_(False)
    config = LoraConfig(r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=targets)
    inject_adapter_in_model(config, network)
    if mask is not None:
        network.embed = MaskEmbedding(network.embed, mask)  # type: ignore[assignment]
    return sum(value.numel() for value in network.parameters() if value.requires_grad)


def plain_weights(network: nn.Module) -> dict[str, Tensor] | None:
    """Return a network's weights with its adapters added, under the names that they have without any.

    ``None``: it has no adapters.
    """
    held = network.state_dict()
    if not any(_BASE in name for name in held):
        return None
    found = {name.replace(_BASE, "."): value for name, value in held.items() if ".lora_" not in name}
    with torch.no_grad():
        for name, module in network.named_modules():
            if hasattr(module, "get_delta_weight"):
                found[f"{name}.weight"] = found[f"{name}.weight"] + _added(module)
            elif isinstance(module, MaskEmbedding):
                found[f"{name}.weight"] = rows = found[f"{name}.weight"].clone()
                rows[module.mask] += module.lora_mask
    if isinstance(network, Denoiser) and network.config.tie_word_embeddings:
        found["head.weight"] = found["embed.weight"]
    return found


def _added(module: Any) -> Tensor:
    delta: Tensor = module.get_delta_weight("default")
    return delta
