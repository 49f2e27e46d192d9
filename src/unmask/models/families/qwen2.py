"""Qwen2 and Qwen2.5: Llama with biases on queries, keys and values."""

from __future__ import annotations

from typing import Any

from unmask.models.config import TransformerConfig
from unmask.models.families.family import Family, Native, Told, only
from unmask.models.families.llama import KEYS, shape, sizes


def qwen2(told: Told) -> dict[str, Any]:
    """Return the options of Qwen2's relatives.

    Raises:
        Error: windows in attention.
    """
    only("qwen2", told, {"use_sliding_window": (False,)})
    return {**shape("qwen2", told), "qkv_bias": True}


def _keys(config: TransformerConfig) -> dict[str, Any]:
    return {key: value for key, value in sizes(config).items() if key != "head_dim"}


FAMILY = Family(
    name="qwen2",
    about="Qwen2, Qwen2.5 and Qwen2.5-Coder",
    types=("qwen2",),
    process="causal",
    options=qwen2,
    keys=KEYS,
    native=Native("Qwen2ForCausalLM", "Qwen2Config", _keys),
)
