"""The network that a recipe names: its configuration once the vocabulary is known, and its first weights."""

from __future__ import annotations

import copy

from transformers import set_seed

from unmask.models.backbones import BACKBONES
from unmask.models.config import NetworkConfig
from unmask.models.network import Denoiser
from unmask.training.combination import network_keys
from unmask.training.match import matched_width
from unmask.training.recipe import Recipe


def network_config(recipe: Recipe, vocab_size: int) -> NetworkConfig:
    """Return the configuration of a recipe's network, a matched width (``backbone.match``) worked out.

    Args:
        recipe: The recipe.
        vocab_size: Token ids.

    Raises:
        Error: a rival that cannot be matched.
    """
    name, sizes = recipe.backbone.name, {"vocab_size": vocab_size, **network_keys(recipe)}
    if recipe.backbone.match is not None:
        sizes["intermediate_size"] = matched_width(name, sizes, recipe.backbone.match)
    return BACKBONES.get(name).config(**sizes)


def draw_network(recipe: Recipe, config: NetworkConfig) -> Denoiser:
    """Return a network with fresh weights, drawn from the recipe's seed; the configuration stays the caller's."""
    kind, config = BACKBONES.get(recipe.backbone.name).model, copy.deepcopy(config)
    set_seed(recipe.seed)
    return kind(config)


def make_model(recipe: Recipe, vocab_size: int) -> Denoiser:
    """Return the recipe's network for a vocabulary, with fresh weights."""
    return draw_network(recipe, network_config(recipe, vocab_size))
