"""How much memory a text takes while it is written: an estimate from sizes alone, before anything is allocated."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from unmask.sampling.request import Request
from unmask.sampling.sampler import Sampler

_STATE = 128
"""Bytes of a position in a sampler's state, its frames and what was asked: about sixteen numbers."""
_LAYER = 12
"""Numbers of a position, in widths of the network, that a layer has in hand at once."""


def row_bytes(model: Any, sampler: Sampler, request: Request, width: int) -> int:
    """Return the bytes that a text takes: caches (twice, as they are copied when a batch changes), states, one answer.

    Args:
        model: The network that writes.
        sampler: How; a verifier or drafter inside it has a cache, too.
        request: The text.
        width: The positions that it has in the network's view at most.
    """
    networks = {id(one): one for one in (model, *_networks(sampler))}.values()
    kept = 2 * width * sum(token_bytes(network) for network in networks if _keeps(network, sampler))
    config = getattr(model, "config", None)
    words, hidden = (int(getattr(config, name, 0)) for name in ("vocab_size", "hidden_size"))
    sees = sampler.Settings.visibility
    asked = 1 if sees == "causal" else width if sees == "bidirectional" else min(width, _block(config, request))
    answer = asked * words * 32  # float32 logits, and three copies in float64
    return kept + _STATE * len(request.tokens) + answer + 4 * _LAYER * hidden * width + width * width


def token_bytes(network: Any) -> int:
    """Return the bytes that a network keeps of each token of a text."""
    few, more = (_bytes(network.new_cache(1, size)) for size in (8, 16))
    return (more - few) // 8


def _keeps(network: Any, sampler: Any) -> bool:
    return hasattr(network, "new_cache") and sampler.Settings.visibility != "bidirectional"


def _block(config: Any, request: Request) -> int:
    return int(getattr(request.settings, "block_size", None) or getattr(config, "block_size", None) or 8)


def _networks(part: Any) -> list[torch.nn.Module]:
    """Return the networks inside a sampler."""
    if isinstance(part, torch.nn.Module):
        return [part]
    if not is_dataclass(part):
        return []
    return [network for field in fields(part) for network in _networks(getattr(part, field.name))]


def _bytes(part: Any) -> int:
    if isinstance(part, Tensor):
        return part.numel() * part.element_size()
    if isinstance(part, list | tuple):
        return sum(map(_bytes, part))
    return sum(_bytes(getattr(part, field.name)) for field in fields(part)) if is_dataclass(part) else 0
