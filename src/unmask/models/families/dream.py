"""Dream and DiffuCoder: Qwen2.5 that sees both sides; the answer at a place is the next word's (arXiv 2508.15487)."""

from __future__ import annotations

from unmask.models.families.family import Family
from unmask.models.families.llama import KEYS
from unmask.models.families.qwen2 import qwen2

FAMILY = Family(
    name="dream",
    about="Dream-7B, Dream-Coder, DiffuCoder; open-dcoder with --family dream",
    types=("Dream", "dream"),
    process="masked",
    options=lambda told: {**qwen2(told), "output_shift": 1},
    keys=KEYS,
    mask=lambda told: told.get("mask_token_id"),
    masks=("<|mask|>", "<M>"),
)
