"""LLaDA (Nie et al. 2025, arXiv 2502.09992): Llama's shape that sees both sides; a place answers for itself."""

from __future__ import annotations

from typing import Any

from unmask.models.families.family import Family, Keys, Told, only, wanted

_KNOWN: dict[str, tuple[Any, ...]] = {
    "block_type": ("llama",),
    "layer_norm_type": ("rms",),
    "activation_type": ("silu",),
    "include_bias": (False,),
    "attention_layer_norm": (False,),
    "alibi": (False,),
    "rope": (True,),
    "scale_logits": (False,),
    "input_emb_norm": (False,),
    "multi_query_attention": (False,),
    "bias_for_layer_norm": (False,),
}


def _options(told: Told) -> dict[str, Any]:
    only("llada", told, _KNOWN)
    width, heads = wanted(told, "d_model"), wanted(told, "n_heads")
    return {
        "hidden_size": width,
        "num_hidden_layers": wanted(told, "n_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": told.get("n_kv_heads") or heads,
        "intermediate_size": told.get("mlp_hidden_size") or told.get("mlp_ratio", 4) * width,
        "max_position_embeddings": told.get("max_sequence_length", 4096),
        "rms_norm_eps": told.get("rms_norm_eps", 1e-5),
        "rope_theta": float(told.get("rope_theta", 10000.0)),
        "qkv_bias": bool(told.get("include_qkv_bias", False)),
        "tie_word_embeddings": bool(told.get("weight_tying", False)),
        "output_shift": 0,
    }


FAMILY = Family(
    name="llada",
    about="LLaDA-8B base and instruct, LLaDA 1.5",
    types=("llada",),
    process="masked",
    options=_options,
    keys=Keys(
        outer={
            "embed.weight": "model.transformer.wte.weight",
            "norm.weight": "model.transformer.ln_f.weight",
            "head.weight": "model.transformer.ff_out.weight",
        },
        inner={
            "attention_norm.weight": "attn_norm.weight",
            "attention.qkv.weight": ("q_proj.weight", "k_proj.weight", "v_proj.weight"),
            "attention.qkv.bias": ("q_proj.bias", "k_proj.bias", "v_proj.bias"),
            "attention.out.weight": "attn_out.weight",
            "mlp_norm.weight": "ff_norm.weight",
            "gate_up.weight": ("ff_proj.weight", "up_proj.weight"),
            "down.weight": "ff_out.weight",
        },
        layer="model.transformer.blocks.{}.",
    ),
    mask=lambda told: told.get("mask_token_id", 126336),
)
