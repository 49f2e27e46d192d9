"""DiffuGPT (Gong et al. 2025, arXiv 2410.17891): GPT-2 that sees both sides; a place answers for the next."""

from __future__ import annotations

from unmask.models.families.family import Family, Keys
from unmask.models.families.gpt2 import EXTRA, INNER, gpt2

FAMILY = Family(
    name="diffugpt",
    about="DiffuGPT-s and -m",
    types=("diffugpt",),
    process="masked",
    options=lambda told: {**gpt2(told), "output_shift": 1},
    keys=Keys(
        outer={
            "embed.weight": "embed_tokens.weight",
            "place.weight": "denoise_model.wpe.weight",
            "norm.weight": "denoise_model.ln_f.weight",
            "norm.bias": "denoise_model.ln_f.bias",
            "head.weight": "lm_head.weight",
        },
        inner=INNER,
        layer="denoise_model.h.{}.",
        extra=(*EXTRA, "denoise_model.wte.weight"),
    ),
    marks="denoise_model.wpe.weight",
)
