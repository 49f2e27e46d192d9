"""Our causal transformer and Hugging Face's Llama are the same function: our weights, as a Llama has them.

What differs is how they are stored: we fuse the query, key and value projections into ``qkv`` and the SwiGLU's two
inputs into ``gate_up``.

Letters: D width, H query heads, G key heads, E head width, F width of the SwiGLU layer.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer

_OUTER = {
    "embed.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
_INNER = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "mlp_norm.weight": "post_attention_layernorm.weight",
    "down.weight": "mlp.down_proj.weight",
}


def to_llama(model: Transformer) -> LlamaForCausalLM:
    """Return a Llama with our transformer's weights; its logits at position p - 1 are our causal logits for token p.

    Raises:
        Error: the transformer has a part that Llama does not.
    """
    ours = model.config
    reasons = {
        "backbone.output_shift is 0, and Llama's position p predicts token p + 1": ours.output_shift != 1,
        "backbone.time_input is on, and Llama takes no noise level": ours.time_input,
        "it has passages with thoughts, or takes retrieved memory": bool(ours.thought or ours.memory_width),
        "its mask is random (random_mask), and Llama has none": bool(ours.random_mask),
    }
    _refuse("this network cannot become a Llama", reasons, "train one without that")
    config = LlamaConfig(
        vocab_size=ours.vocab_size,
        hidden_size=ours.hidden_size,
        intermediate_size=ours.intermediate_size,
        num_hidden_layers=ours.num_hidden_layers,
        num_attention_heads=ours.num_attention_heads,
        num_key_value_heads=ours.num_key_value_heads,
        max_position_embeddings=ours.max_position_embeddings,
        rms_norm_eps=ours.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": ours.rope_theta},
        tie_word_embeddings=ours.tie_word_embeddings,
        initializer_range=ours.initializer_range,
        bos_token_id=None,
        eos_token_id=None,
    )
    source = model.state_dict()
    weights = {name: source[a] for a, name in _OUTER.items()}
    for layer in range(ours.num_hidden_layers):
        a, prefix = f"blocks.{layer}.", f"model.layers.{layer}."
        weights |= {prefix + name: source[a + own] for own, name in _INNER.items()}
        for name, part in zip("qkv", _split_qkv(source[a + "attention.qkv.weight"], ours), strict=True):
            weights[f"{prefix}self_attn.{name}_proj.weight"] = part
        for name, part in zip(("gate", "up"), source[a + "gate_up.weight"].chunk(2), strict=True):
            weights[f"{prefix}mlp.{name}_proj.weight"] = part
    out = LlamaForCausalLM(config).to(model.dtype)
    out.load_state_dict(weights)
    return out.train(model.training)


def _split_qkv(qkv: Float[Tensor, "(H+2G)*E D"], config: TransformerConfig) -> tuple[Tensor, ...]:
    width = config.hidden_size // config.num_attention_heads
    keys = config.num_key_value_heads * width
    return qkv.split([config.hidden_size, keys, keys])


def _refuse(what: str, reasons: dict[str, bool], fix: str) -> None:
    for reason, holds in reasons.items():
        if holds:
            raise Error(f"{what}: {reason}; {fix}.")
