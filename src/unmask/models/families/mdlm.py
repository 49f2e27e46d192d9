r"""MDLM and BD3-LM on OpenWebText (Sahoo et al. 2024, arXiv 2406.07524; Arriola et al. 2025, arXiv 2503.09573).

Their blocks are modulated by an embedding c of the noise level, of which these models are told none: it is always that
of level 0, so shift, scale and gate are constants, and fold into weights. With n(x) a LayerNorm without bias,

    n(x) w (1 + scale) + shift     a LayerNorm with weight w (1 + scale) and bias shift
    x + gate (A y + b)             a matrix of rows gate A, and a bias gate b

exactly, but for rounding (1e-6 in float32).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from unmask.errors import Error
from unmask.models.families.family import Family, Keys, Told, only, wanted

_INNER = {
    "attention_norm.weight": "norm1.weight",
    "attention_norm.bias": "norm1.bias",
    "attention.qkv.weight": "attn_qkv.weight",
    "attention.out.weight": "attn_out.weight",
    "mlp_norm.weight": "norm2.weight",
    "mlp_norm.bias": "norm2.bias",
    "gate_up.weight": "mlp.0.weight",
    "gate_up.bias": "mlp.0.bias",
    "down.weight": "mlp.2.weight",
    "down.bias": "mlp.2.bias",
}
_OUTER = {
    "embed.weight": "vocab_embed.embedding",
    "norm.weight": "output_layer.norm_final.weight",
    "norm.bias": "output_layer.norm_final.bias",
    "head.weight": "output_layer.linear.weight",
    "head.bias": "output_layer.linear.bias",
}
_WAVES = 256  # numbers that a noise level is told in: cosines, then sines
_MADE = {"norm1.weight": 1, "norm1.bias": 0, "attn_out.weight": 2, "norm2.weight": 4, "norm2.bias": 3, "mlp.2": 5}
_LEVEL = ("adaLN_modulation", "sigma_map.mlp.0", "sigma_map.mlp.2")
_BEFORE = "backbone."


def _options(told: Told) -> dict[str, Any]:
    off = dict.fromkeys(("time_conditioning", "causal", "causal_attention"), (False,))
    only("mdlm", told, {**off, "adaln": (True,)})
    width = wanted(told, "hidden_dim", "hidden_size")
    return {
        "hidden_size": width,
        "num_hidden_layers": wanted(told, "n_blocks"),
        "num_attention_heads": wanted(told, "n_heads"),
        "intermediate_size": 4 * width,
        "max_position_embeddings": told.get("model_length") or told.get("length") or 1024,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "output_shift": 0,
        "norm": "layer",
        "norm_bias": True,
        "mlp": "gelu_tanh",
        "mlp_bias": True,
        "head_bias": True,
    }


def _made(read: Callable[[str], Tensor], told: Told) -> Callable[[str], Tensor]:
    @cache
    def level() -> Tensor:
        told_zero = torch.cat([torch.ones(_WAVES // 2), torch.zeros(_WAVES // 2)])
        first, second = (_BEFORE + f"sigma_map.mlp.{layer}." for layer in (0, 2))
        inner = F.silu(F.linear(told_zero, read(first + "weight").float(), read(first + "bias").float()))
        return F.silu(F.linear(inner, read(second + "weight").float(), read(second + "bias").float()))

    @cache
    def modulation(of: str) -> tuple[Tensor, ...]:
        at = f"{of}adaLN_modulation."
        whole = F.linear(level(), read(at + "weight").float(), read(at + "bias").float())
        return whole.chunk(2 if "output_layer" in of else 6)

    def made(name: str) -> Tensor:
        layer, _, part = name.partition("norm_final.")
        if part:
            shift, scale = modulation(layer)
            return shift if part == "bias" else _kept(read(name), 1 + scale)
        for end, number in _MADE.items():
            layer, found, rest = name.rpartition(end)
            if not found or "blocks." not in layer:
                continue
            factor = modulation(layer)[number]
            if end.endswith(".bias"):
                return factor
            value = read(name)
            factor = factor + 1 if end.startswith("norm") else factor
            return _kept(value, factor[:, None] if value.ndim > 1 else factor)
        return read(name)

    return made


def _kept(value: Tensor, factor: Tensor) -> Tensor:
    """Return a product in float32: it is rounded once, where it is written."""
    return value.float() * factor


def _blocked(told: Told) -> int:
    size = told.get("block_size")
    if not isinstance(size, int) or size < 1:
        raise Error("config.json has no block_size, which a BD3-LM says.")
    return size


def _under(keys: dict[str, str], before: str) -> dict[str, str]:
    return {ours: before + theirs for ours, theirs in keys.items()}


KEYS = Keys(
    outer=_under(_OUTER, _BEFORE),
    inner=_INNER,
    layer=_BEFORE + "blocks.{}.",
    extra=("rotary_emb.inv_freq", *(f"{part}.{end}" for part in _LEVEL for end in ("weight", "bias"))),
)

MDLM = Family(
    name="mdlm",
    about="MDLM-OWT, with the tokenizer of GPT-2",
    types=("mdlm",),
    process="masked",
    options=_options,
    keys=KEYS,
    mask=lambda told: told.get("mask_token_id", wanted(told, "vocab_size") - 1),
    before=_BEFORE,
    made=_made,
)
BD3LM = Family(
    name="bd3lm",
    about="BD3-LM-OWT in blocks of 4, 8 and 16, with the tokenizer of GPT-2",
    types=("bd3lm",),
    process="block",
    options=lambda told: {**_options(told), "block_size": _blocked(told), "block_context": True},
    keys=KEYS,
    process_options=lambda told: {"block_size": _blocked(told), "causal_weight": 0},
    mask=lambda told: told.get("mask_token_id", wanted(told, "vocab_size") - 1),
    before=_BEFORE,
    made=_made,
)
