"""ModernBERT (Warner et al. 2024, arXiv 2412.13663), as a masked run: GeGLU, windows in two of three layers.

BERT-Chat of dLLM has the same layout. The answer at a place is that place's own.
"""

from __future__ import annotations

from typing import Any

from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.families.family import Family, Keys, Native, Told, only, wanted


def _theta(told: Told, layers: str, usual: float) -> float:
    """Return the base of the angles of layers that see all, or of those with a window, in either form of the file."""
    rope = (told.get("rope_parameters") or {}).get(f"{layers}_attention") or {}
    old = {"full": "global_rope_theta", "sliding": "local_rope_theta"}[layers]
    return float(rope.get("rope_theta") or told.get(old) or usual)


def _options(told: Told) -> dict[str, Any]:
    known = {"hidden_activation": ("gelu",), "classifier_activation": ("gelu",), "classifier_bias": (False,)}
    only("modernbert", told, {**known, "position_embedding_type": ("absolute", "rope", "sans_pos")})
    heads, biased = wanted(told, "num_attention_heads"), bool(told.get("attention_bias"))
    every = told.get("global_attn_every_n_layers") or 3
    if types := told.get("layer_types"):
        full = [layer for layer, kind in enumerate(types) if kind == "full_attention"]
        every = full[1] if len(full) > 1 else len(types)
        if full != list(range(0, len(types), every)):
            raise Error(f"config.json has full attention in the layers {full}, which is not each {every}-th.")
    return {
        "hidden_size": wanted(told, "hidden_size"),
        "num_hidden_layers": wanted(told, "num_hidden_layers"),
        "num_attention_heads": heads,
        "intermediate_size": wanted(told, "intermediate_size"),
        "max_position_embeddings": told.get("max_position_embeddings", 8192),
        "rms_norm_eps": told.get("norm_eps", 1e-5),
        "tie_word_embeddings": bool(told.get("tie_word_embeddings", True)),
        "output_shift": 0,
        "norm": "layer",
        "norm_bias": bool(told.get("norm_bias", False)),
        "mlp": "geglu",
        "qkv_bias": biased,
        "out_bias": biased,
        "mlp_bias": bool(told.get("mlp_bias", False)),
        "head_bias": bool(told.get("decoder_bias", True)),
        "embed_norm": True,
        "head_mlp": True,
        "window": (told.get("local_attention") or 128) // 2,
        "window_every": every,
        "rope_theta": _theta(told, "full", 160000.0),
        "window_theta": _theta(told, "sliding", 10000.0),
    }


def _keys(config: TransformerConfig) -> dict[str, Any]:
    every = config.window_every
    kinds = ["sliding_attention" if layer % every else "full_attention" for layer in range(config.num_hidden_layers)]
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "norm_eps": config.rms_norm_eps,
        "norm_bias": config.norm_bias,
        "attention_bias": config.qkv_bias,
        "mlp_bias": config.mlp_bias,
        "decoder_bias": config.head_bias,
        "local_attention": 2 * config.window,
        "layer_types": kinds,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": config.rope_theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": config.window_theta},
        },
        "tie_word_embeddings": config.tie_word_embeddings,
        **dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id"), None),
    }


FAMILY = Family(
    name="modernbert",
    about="ModernBERT base and large, BERT-Chat",
    types=("modernbert",),
    process="masked",
    options=_options,
    keys=Keys(
        outer={
            "embed.weight": "model.embeddings.tok_embeddings.weight",
            "embed_norm.weight": "model.embeddings.norm.weight",
            "embed_norm.bias": "model.embeddings.norm.bias",
            "norm.weight": "model.final_norm.weight",
            "norm.bias": "model.final_norm.bias",
            "head_mlp.dense.weight": "head.dense.weight",
            "head_mlp.norm.weight": "head.norm.weight",
            "head_mlp.norm.bias": "head.norm.bias",
            "head.weight": "decoder.weight",
            "head.bias": "decoder.bias",
        },
        inner={
            "attention_norm.weight": "attn_norm.weight",
            "attention_norm.bias": "attn_norm.bias",
            "attention.qkv.weight": "attn.Wqkv.weight",
            "attention.qkv.bias": "attn.Wqkv.bias",
            "attention.out.weight": "attn.Wo.weight",
            "attention.out.bias": "attn.Wo.bias",
            "mlp_norm.weight": "mlp_norm.weight",
            "mlp_norm.bias": "mlp_norm.bias",
            "gate_up.weight": "mlp.Wi.weight",
            "gate_up.bias": "mlp.Wi.bias",
            "down.weight": "mlp.Wo.weight",
            "down.bias": "mlp.Wo.bias",
        },
        layer="model.layers.{}.",
    ),
    masks=("[MASK]",),
    native=Native("ModernBertForMaskedLM", "ModernBertConfig", _keys, causal=False),
)
