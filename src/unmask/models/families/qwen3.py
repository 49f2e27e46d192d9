"""Qwen3: Llama with norms on queries and keys, and heads of a width of their own."""

from __future__ import annotations

from typing import Any

from unmask.models.config import TransformerConfig
from unmask.models.families.family import Family, Native, Told, only
from unmask.models.families.llama import KEYS, shape, sizes


def qwen3(told: Told) -> dict[str, Any]:
    """Return the options of Qwen3's relatives.

    Raises:
        Error: windows in attention.
    """
    only("qwen3", told, {"use_sliding_window": (False,)})
    biased, width = bool(told.get("attention_bias")), told.get("head_dim", 128)
    return {**shape("qwen3", {"head_dim": width, **told}), "qk_norm": True, "qkv_bias": biased, "out_bias": biased}


def _keys(config: TransformerConfig) -> dict[str, Any]:
    return {**sizes(config), "attention_bias": config.out_bias}


FAMILY = Family(
    name="qwen3",
    about="Qwen3, dense",
    types=("qwen3",),
    process="causal",
    options=qwen3,
    keys=KEYS,
    native=Native("Qwen3ForCausalLM", "Qwen3Config", _keys),
)
