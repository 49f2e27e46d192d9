"""GPT-2: LayerNorms with biases, GELU, learned places, matrices that are stored turned."""

from __future__ import annotations

from typing import Any

from unmask.models.config import TransformerConfig
from unmask.models.families.family import Family, Keys, Native, Told, Turned, only, wanted

INNER = {
    "attention_norm.weight": "ln_1.weight",
    "attention_norm.bias": "ln_1.bias",
    "attention.qkv.weight": Turned("attn.c_attn.weight"),
    "attention.qkv.bias": "attn.c_attn.bias",
    "attention.out.weight": Turned("attn.c_proj.weight"),
    "attention.out.bias": "attn.c_proj.bias",
    "mlp_norm.weight": "ln_2.weight",
    "mlp_norm.bias": "ln_2.bias",
    "gate_up.weight": Turned("mlp.c_fc.weight"),
    "gate_up.bias": "mlp.c_fc.bias",
    "down.weight": Turned("mlp.c_proj.weight"),
    "down.bias": "mlp.c_proj.bias",
}
EXTRA = ("attn.bias", "attn.masked_bias")
_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"}


def gpt2(told: Told) -> dict[str, Any]:
    """Return the options of GPT-2's relatives.

    Raises:
        Error: attention that is scaled otherwise.
    """
    usual = {
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    }
    only("gpt2", told, {**usual, "activation_function": tuple(_ACTIVATIONS)})
    width = wanted(told, "n_embd", "hidden_size")
    return {
        "hidden_size": width,
        "num_hidden_layers": wanted(told, "n_layer", "num_hidden_layers"),
        "num_attention_heads": wanted(told, "n_head", "num_attention_heads"),
        "intermediate_size": told.get("n_inner") or 4 * width,
        "max_position_embeddings": wanted(told, "n_positions", "max_position_embeddings"),
        "rms_norm_eps": told.get("layer_norm_epsilon", 1e-5),
        "tie_word_embeddings": bool(told.get("tie_word_embeddings", True)),
        "norm": "layer",
        "norm_bias": True,
        "mlp": _ACTIVATIONS[told.get("activation_function", "gelu_new")],
        "places": "learned",
        **dict.fromkeys(("qkv_bias", "out_bias", "mlp_bias"), True),
    }


def _keys(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "layer_norm_epsilon": config.rms_norm_eps,
        "activation_function": "gelu" if config.mlp == "gelu" else "gelu_new",
        "tie_word_embeddings": config.tie_word_embeddings,
    }


FAMILY = Family(
    name="gpt2",
    about="GPT-2 and DistilGPT-2",
    types=("gpt2",),
    process="causal",
    options=gpt2,
    keys=Keys(
        outer={
            "embed.weight": "transformer.wte.weight",
            "place.weight": "transformer.wpe.weight",
            "norm.weight": "transformer.ln_f.weight",
            "norm.bias": "transformer.ln_f.bias",
            "head.weight": "lm_head.weight",
        },
        inner=INNER,
        layer="transformer.h.{}.",
        extra=EXTRA,
    ),
    before="transformer.",
    native=Native("GPT2LMHeadModel", "GPT2Config", _keys),
)
