"""A2D of dLLM: Qwen2 and Qwen3 made masked or block models; a place answers for itself.

A run of blocks says its size nowhere: theirs are of 32, and ``block_size`` in ``config.json`` says another.
"""

from __future__ import annotations

from typing import Any

from unmask.models.families.family import Family, Told
from unmask.models.families.llama import KEYS
from unmask.models.families.qwen2 import qwen2
from unmask.models.families.qwen3 import qwen3


def _shape(told: Told) -> dict[str, Any]:
    of = qwen2 if "qwen2" in str(told.get("model_type")) else qwen3
    return {**of(told), "output_shift": 0}


def _size(told: Told) -> int:
    return int(told.get("block_size") or 32)


MASKED = Family(
    name="a2d",
    about="Qwen3-0.6B and Qwen2.5-Coder-0.5B of dLLM, mdlm",
    types=("a2d-qwen2", "a2d-qwen3"),
    process="masked",
    options=_shape,
    keys=KEYS,
    masks=("<|mask|>",),
)
BLOCK = Family(
    name="a2d-block",
    about="the same, bd3lm: --family a2d-block",
    types=("a2d-block",),
    process="block",
    options=lambda told: {**_shape(told), "block_size": _size(told), "block_context": True},
    keys=KEYS,
    process_options=lambda told: {"block_size": _size(told), "causal_weight": 0},
    masks=("<|mask|>",),
)
