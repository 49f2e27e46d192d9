"""Fast-dLLM v2 (Wu et al. 2025, arXiv 2509.26328): Qwen2.5 in blocks of 32; a block's text is read whole, both ways."""

from __future__ import annotations

from unmask.models.families.family import Family, Told
from unmask.models.families.llama import KEYS
from unmask.models.families.qwen2 import qwen2


def _size(told: Told) -> int:
    return int(told.get("bd_size") or told.get("block_size") or 32)


FAMILY = Family(
    name="fast-dllm",
    about="Fast-dLLM v2, 1.5 B and 7 B",
    types=("Fast_dLLM_Qwen",),
    process="block",
    options=lambda told: {**qwen2(told), "output_shift": 1, "block_size": _size(told), "block_context": True},
    keys=KEYS,
    process_options=lambda told: {"block_size": _size(told), "causal_weight": 0},
    masks=("|<MASK>|",),
)
