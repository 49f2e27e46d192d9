"""Llama: the transformer's own shape. SmolLM2, Llama 2 and 3, TinyLlama, and our own causal runs."""

from __future__ import annotations

from typing import Any

from unmask.models.config import TransformerConfig
from unmask.models.families.family import Family, Keys, Native, Told, angles, only, told_angles, wanted

KEYS = Keys(
    outer={
        "embed.weight": "model.embed_tokens.weight",
        "norm.weight": "model.norm.weight",
        "head.weight": "lm_head.weight",
    },
    inner={
        "attention_norm.weight": "input_layernorm.weight",
        "attention.qkv.weight": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
        "attention.qkv.bias": ("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"),
        "attention.query_norm.weight": "self_attn.q_norm.weight",
        "attention.key_norm.weight": "self_attn.k_norm.weight",
        "attention.out.weight": "self_attn.o_proj.weight",
        "attention.out.bias": "self_attn.o_proj.bias",
        "mlp_norm.weight": "post_attention_layernorm.weight",
        "gate_up.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
        "gate_up.bias": ("mlp.gate_proj.bias", "mlp.up_proj.bias"),
        "down.weight": "mlp.down_proj.weight",
        "down.bias": "mlp.down_proj.bias",
    },
    layer="model.layers.{}.",
)


def shape(family: str, told: Told) -> dict[str, Any]:
    """Return the options that Llama's relatives tell under the same names."""
    only(family, told, {"hidden_act": ("silu",), "pretraining_tp": (1,)})
    width, heads = wanted(told, "hidden_size"), wanted(told, "num_attention_heads")
    own = told.get("head_dim")
    return {
        "hidden_size": width,
        "num_hidden_layers": wanted(told, "num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": told.get("num_key_value_heads") or heads,
        "head_dim": own if own is not None and own * heads != width else None,
        "intermediate_size": wanted(told, "intermediate_size"),
        "max_position_embeddings": told.get("max_position_embeddings", 2048),
        "rms_norm_eps": told.get("rms_norm_eps", 1e-6),
        "tie_word_embeddings": bool(told.get("tie_word_embeddings", False)),
        "initializer_range": told.get("initializer_range", 0.02),
        **angles(family, told),
    }


def sizes(config: TransformerConfig) -> dict[str, Any]:
    """Return the keys of ``transformers`` that Llama's relatives share, from our options."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_parameters": told_angles(config),
        "tie_word_embeddings": config.tie_word_embeddings,
        "initializer_range": config.initializer_range,
    }


def _options(told: Told) -> dict[str, Any]:
    biased, inner = bool(told.get("attention_bias")), bool(told.get("mlp_bias"))
    return {**shape("llama", told), "qkv_bias": biased, "out_bias": biased, "mlp_bias": inner}


def _keys(config: TransformerConfig) -> dict[str, Any]:
    return {**sizes(config), "attention_bias": config.out_bias, "mlp_bias": config.mlp_bias}


FAMILY = Family(
    name="llama",
    about="Llama 2 and 3, SmolLM and SmolLM2, TinyLlama",
    types=("llama",),
    process="causal",
    options=_options,
    keys=KEYS,
    native=Native("LlamaForCausalLM", "LlamaConfig", _keys),
)
