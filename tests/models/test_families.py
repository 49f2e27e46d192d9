"""Each family's weights, in its own layout, answer in our network as they do in theirs; and ours go back."""

import json
import math

import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch.nn import functional as F

from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.families.convert import MEAN, read_weights, to_native
from unmask.models.families.registry import FAMILIES, family_of
from unmask.models.weight_files import WeightFiles

V, T = 60, 24
LLAMA = {
    "vocab_size": V,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
GPT2 = {"vocab_size": V, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
BERT = {
    "vocab_size": V,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "local_attention": 8,
    "pad_token_id": 0,
}
STRETCHED = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
NATIVE = {
    "llama": ("Llama", {**LLAMA, "attention_bias": True, "mlp_bias": True}),
    "smollm": (
        "Llama",
        {**LLAMA, "tie_word_embeddings": True, "rope_parameters": {"rope_theta": 1e5, "rope_type": "default"}},
    ),
    "llama3": ("Llama", {**LLAMA, "rope_parameters": STRETCHED}),
    "linear": ("Llama", {**LLAMA, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0}}),
    "qwen2": ("Qwen2", {**LLAMA, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {**LLAMA, "head_dim": 16}),
    "gpt2": ("GPT2", GPT2),
    "modernbert": ("ModernBert", BERT),
}
HEADS = {"GPT2": "GPT2LMHeadModel", "ModernBert": "ModernBertForMaskedLM"}


def shaken(model):
    """Return a network none of whose weights is 0 or 1, which would hide a swap."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter + 0.2 * torch.randn_like(parameter))
    return model.eval()


def native(name):
    kind, sizes = NATIVE[name]
    config = getattr(transformers, f"{kind}Config")(**sizes)
    return shaken(getattr(transformers, HEADS.get(kind, f"{kind}ForCausalLM"))(config))


def read(folder, family=None, **changed):
    """Return the family and our network of a folder."""
    told = json.loads((folder / "config.json").read_text())
    stored = WeightFiles(folder)
    found = FAMILIES.get(family) if family else family_of(told, stored.names)
    config = TransformerConfig(vocab_size=V, **{**found.options(told), **changed})
    return found, read_weights(found, told, stored, config, range(V))


def written(folder, told, weights):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(told))
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, V, (3, T), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def ours_of(model, tokens, visibility="bidirectional", **state):
    return model(State(tokens, visibility, **state)).logits.view(*tokens.shape, -1)


@torch.no_grad()
def masked_reference(model, tokens, mask):
    """Their logits where ``mask`` [T, T] says who sees whom."""
    bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    return model(tokens, attention_mask=bias.expand(len(tokens), 1, *mask.shape), use_cache=False).logits


@pytest.mark.parametrize("name", NATIVE)
def test_weights_of_a_family_answer_as_in_transformers_and_go_back(name, tokens, tmp_path):
    theirs = native(name)
    theirs.save_pretrained(tmp_path)
    with torch.no_grad():
        wanted = theirs(tokens).logits
    family, model = read(tmp_path)
    assert wanted.std() > 0.3
    if family.native.causal:
        found = ours_of(model, tokens, "causal")[:, 1:]
        torch.testing.assert_close(found, wanted[:, :-1], atol=2e-4, rtol=2e-4)
    else:
        torch.testing.assert_close(ours_of(model, tokens), wanted, atol=2e-4, rtol=2e-4)
    with torch.no_grad():
        back = to_native(model, family)(tokens).logits
    torch.testing.assert_close(back, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["qwen3", "gpt2"])
def test_families_write_word_by_word_as_at_once(name, tokens, tmp_path):
    native(name).save_pretrained(tmp_path)
    _, model = read(tmp_path)
    cache, whole = model.new_cache(len(tokens), T), ours_of(model, tokens, "causal")
    for place in range(T - 1):
        told = model(State(tokens[:, place : place + 1], "causal"), cache=cache)
        torch.testing.assert_close(told.logits, whole[:, place + 1], atol=2e-4, rtol=2e-4)


EVERY = torch.ones(T, T, dtype=torch.bool)


def test_llada_is_llamas_shape_that_sees_both_sides(tokens, tmp_path):
    theirs = shaken(transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)))
    inner = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ff_norm",
        "self_attn.q_proj": "q_proj",
        "self_attn.k_proj": "k_proj",
        "self_attn.v_proj": "v_proj",
        "self_attn.o_proj": "attn_out",
        "mlp.gate_proj": "ff_proj",
        "mlp.up_proj": "up_proj",
        "mlp.down_proj": "ff_out",
    }
    weights = {}
    for name, value in theirs.state_dict().items():
        for old, new in inner.items():
            name = name.replace(f".{old}.", f".{new}.")
        name = name.replace("model.layers.", "model.transformer.blocks.").replace(
            "model.norm.", "model.transformer.ln_f."
        )
        name = name.replace("model.embed_tokens.", "model.transformer.wte.").replace(
            "lm_head.", "model.transformer.ff_out."
        )
        weights[name] = value
    told = {
        "model_type": "llada",
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "mlp_hidden_size": 48,
        "max_sequence_length": 64,
        "rms_norm_eps": 1e-6,
        "auto_map": {"AutoModel": "modeling_llada.LLaDAModelLM"},
    }
    family, model = read(written(tmp_path, told, weights))
    torch.testing.assert_close(ours_of(model, tokens), masked_reference(theirs, tokens, EVERY), atol=2e-4, rtol=2e-4)
    assert family.mask(told) == 126336


def test_dream_is_qwen_that_sees_both_sides_and_answers_for_the_next_place(tokens, tmp_path):
    theirs = shaken(transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**LLAMA)))
    told = {**LLAMA, "model_type": "Dream", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "mask_token_id": 5}
    _, model = read(written(tmp_path, told, theirs.state_dict()))
    wanted = masked_reference(theirs, tokens, EVERY)
    torch.testing.assert_close(ours_of(model, tokens)[:, 1:], wanted[:, :-1], atol=2e-4, rtol=2e-4)


def test_a2d_is_qwen3_that_sees_both_sides_and_answers_for_its_own_place(tokens, tmp_path):
    theirs = shaken(transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA, head_dim=16)))
    told = {**LLAMA, "model_type": "a2d-qwen3", "head_dim": 16, "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
    _, model = read(written(tmp_path, told, theirs.state_dict()))
    torch.testing.assert_close(ours_of(model, tokens), masked_reference(theirs, tokens, EVERY), atol=2e-4, rtol=2e-4)


def test_diffugpt_is_gpt2_that_sees_both_sides_and_answers_for_the_next_place(tokens, tmp_path):
    theirs = shaken(transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)))
    weights = {}
    for name, value in theirs.state_dict().items():
        name = name.replace("transformer.wte.", "embed_tokens.").replace("transformer.", "denoise_model.")
        weights[name] = value
    weights["denoise_model.h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    family, model = read(written(tmp_path, {**GPT2, "model_type": "gpt2"}, weights))
    assert family.name == "diffugpt"
    wanted = masked_reference(theirs, tokens, EVERY)
    torch.testing.assert_close(ours_of(model, tokens)[:, 1:], wanted[:, :-1], atol=2e-4, rtol=2e-4)


def block_mask(size):
    """Who sees whom of a text that is read in whole blocks behind its first token."""
    number = (torch.arange(T) + size - 1) // size
    return number[:, None] >= number[None, :]


def beside(size):
    """The same of the clean text and of a noisy copy behind it: its blocks see clean ones before, and themselves."""
    number = (torch.arange(T) + size - 1) // size
    earlier, own = number[:, None] > number[None, :], number[:, None] == number[None, :]
    return torch.cat([torch.cat([earlier | own, torch.zeros_like(own)], 1), torch.cat([earlier, own], 1)])


def starts(tokens, size):
    place = torch.arange(T)
    return (place - torch.where(place > 0, (place - 1) % size, 0)).expand(len(tokens), -1)


def test_fast_dllm_is_qwen_in_whole_blocks_and_the_text_before_predicts_the_first_word(tokens, tmp_path):
    theirs = shaken(transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**LLAMA)))
    told = {**LLAMA, "model_type": "Fast_dLLM_Qwen", "bd_size": 4, "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
    family, model = read(written(tmp_path, told, theirs.state_dict()))
    noisy = tokens.masked_fill(torch.rand(tokens.shape, generator=torch.Generator().manual_seed(2)) < 0.5, 7)
    found = ours_of(model, noisy, "block", block=starts(tokens, 4), clean=tokens)
    both, places = torch.cat([tokens, noisy], 1), torch.arange(T).repeat(1, 2)
    bias = torch.zeros(2 * T, 2 * T).masked_fill(~beside(4), torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        wanted = theirs(both, attention_mask=bias.expand(3, -1, -1, -1), position_ids=places, use_cache=False).logits
    inside = torch.arange(T)[1:] != starts(tokens, 4)[0, 1:]
    clean, shown = wanted[:, : T - 1], wanted[:, T:-1]
    torch.testing.assert_close(found[:, 1:], torch.where(inside[:, None], shown, clean), atol=2e-4, rtol=2e-4)
    assert family.process_options(told) == {"block_size": 4, "causal_weight": 0}
    decided = ours_of(model, tokens, "block", block=starts(tokens, 4))
    torch.testing.assert_close(
        decided[:, 1:], masked_reference(theirs, tokens, block_mask(4))[:, :-1], atol=2e-4, rtol=2e-4
    )


def dit(blocks, width, level, block_size=None):
    """Random weights of MDLM-OWT and BD3-LM-OWT."""
    g = torch.Generator().manual_seed(3)

    def of(*shape):
        return 0.3 * torch.randn(shape, generator=g)

    weights = {"vocab_embed.embedding": of(V, width)}
    for layer, shape in ((0, (level, 256)), (2, (level, level))):
        weights |= {f"sigma_map.mlp.{layer}.weight": 0.2 * of(*shape), f"sigma_map.mlp.{layer}.bias": of(level)}
    for number in range(blocks):
        at = f"blocks.{number}."
        weights |= {at + f"norm{n}.weight": 1 + of(width) for n in (1, 2)}
        weights |= {at + "attn_qkv.weight": of(3 * width, width), at + "attn_out.weight": of(width, width)}
        weights |= {at + "mlp.0.weight": of(4 * width, width), at + "mlp.0.bias": of(4 * width)}
        weights |= {at + "mlp.2.weight": of(width, 4 * width), at + "mlp.2.bias": of(width)}
        weights |= {at + "adaLN_modulation.weight": of(6 * width, level), at + "adaLN_modulation.bias": of(6 * width)}
    out = "output_layer."
    weights |= {
        out + "norm_final.weight": 1 + of(width),
        out + "linear.weight": of(V, width),
        out + "linear.bias": of(V),
    }
    weights |= {out + "adaLN_modulation.weight": of(2 * width, level), out + "adaLN_modulation.bias": of(2 * width)}
    return weights


def dit_answer(w, tokens, blocks, heads, mask):
    """The reference: modulated at level 0, as the research code computes it."""
    wave = torch.cat([torch.ones(128), torch.zeros(128)])
    c = F.silu(F.linear(wave, w["sigma_map.mlp.0.weight"], w["sigma_map.mlp.0.bias"]))
    c = F.silu(F.linear(c, w["sigma_map.mlp.2.weight"], w["sigma_map.mlp.2.bias"]))
    x = w["vocab_embed.embedding"][tokens]
    width = x.shape[-1]
    each = width // heads
    angle = torch.arange(tokens.shape[1])[:, None] * 10000 ** (-torch.arange(0, each, 2) / each)
    cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)

    def turned(q):
        a, b = q.chunk(2, -1)
        return q * cos + torch.cat([-b, a], -1) * sin

    def norm(x, weight, shift, scale):
        return F.layer_norm(x, (width,)) * weight * (1 + scale) + shift

    for number in range(blocks):
        at = f"blocks.{number}."
        s1, c1, g1, s2, c2, g2 = F.linear(c, w[at + "adaLN_modulation.weight"], w[at + "adaLN_modulation.bias"]).chunk(
            6
        )
        qkv = F.linear(norm(x, w[at + "norm1.weight"], s1, c1), w[at + "attn_qkv.weight"])
        q, k, v = qkv.view(*tokens.shape, 3, heads, each).permute(2, 0, 3, 1, 4)
        score = (turned(q) @ turned(k).transpose(-1, -2) / math.sqrt(each)).masked_fill(~mask, -torch.inf)
        mixed = (score.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + g1 * F.linear(mixed, w[at + "attn_out.weight"])
        inner = F.linear(norm(x, w[at + "norm2.weight"], s2, c2), w[at + "mlp.0.weight"], w[at + "mlp.0.bias"])
        inner = F.gelu(inner, approximate="tanh")
        x = x + g2 * F.linear(inner, w[at + "mlp.2.weight"], w[at + "mlp.2.bias"])
    out = "output_layer."
    shift, scale = F.linear(c, w[out + "adaLN_modulation.weight"], w[out + "adaLN_modulation.bias"]).chunk(2)
    last = norm(x, w[out + "norm_final.weight"], shift, scale)
    return F.linear(last, w[out + "linear.weight"], w[out + "linear.bias"])


DIT = {"hidden_dim": 32, "n_blocks": 2, "n_heads": 4, "cond_dim": 16, "model_length": 64, "vocab_size": V}


@pytest.mark.parametrize("before", ["", "backbone."])
def test_the_constant_modulation_of_mdlm_folds_into_norms_and_matrices(before, tokens, tmp_path):
    weights = dit(2, 32, 16)
    told = {**DIT, "model_type": "mdlm", "time_conditioning": False}
    family, model = read(written(tmp_path, told, {before + name: value for name, value in weights.items()}))
    wanted = dit_answer(weights, tokens, 2, 4, EVERY)
    assert wanted.std() > 0.3
    found = ours_of(model, tokens)
    assert float((found - wanted).abs().max() / wanted.std()) < 1e-5
    assert family.mask(told) == V - 1


def test_bd3lm_folds_too_and_reads_the_text_before_a_block_in_whole_blocks(tokens, tmp_path):
    weights = dit(2, 32, 16)
    told = {**DIT, "model_type": "bd3lm", "time_conditioning": False, "block_size": 4, "adaln": True}
    _, model = read(written(tmp_path, told, {f"backbone.{name}": value for name, value in weights.items()}))
    wanted = dit_answer(weights, tokens, 2, 4, block_mask(4))
    found = ours_of(model, tokens, "block", block=starts(tokens, 4))
    assert float((found - wanted).abs().max() / wanted.std()) < 1e-5


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba' is of no family"),
        ({"model_type": "x", "auto_map": {"AutoModel": "evil.Model"}}, "auto_map, is never run"),
        ({"model_type": "diffusion_gemma"}, "states hold words drawn at random"),
        ({**LLAMA, "model_type": "llama", "hidden_act": "relu"}, "hidden_act 'relu'.*'silu'"),
        ({**LLAMA, "model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window True"),
        ({**LLAMA, "model_type": "llama", "rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "'yarn'"),
        ({**DIT, "model_type": "mdlm", "time_conditioning": True}, "time_conditioning True"),
        ({"model_type": "llama", "hidden_size": 32}, "no num_attention_heads"),
    ],
)
def test_what_a_family_has_not_is_refused_by_name(told, says):
    with pytest.raises(Error, match=says):
        family_of(told, ()).options(told)


def test_weights_without_a_place_are_refused_and_missing_ones_too(tmp_path):
    theirs = native("llama")
    theirs.save_pretrained(tmp_path)
    told, weights = json.loads((tmp_path / "config.json").read_text()), dict(theirs.state_dict())
    more = written(tmp_path / "more", told, {**weights, "model.layers.0.self_attn.sinks": torch.zeros(4)})
    with pytest.raises(Error, match=r"self_attn.sinks have no place in a network of the family llama"):
        read(more)
    del weights["model.layers.1.mlp.up_proj.bias"]
    with pytest.raises(Error, match=r"no model.layers.1.mlp.up_proj.bias"):
        read(written(tmp_path / "less", told, weights))


def test_sharded_weights_are_read_by_their_index_and_pickles_never(tokens, tmp_path):
    theirs = native("gpt2")
    theirs.save_pretrained(tmp_path / "one")
    theirs.save_pretrained(tmp_path / "many", max_shard_size="20KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    one, many = (read(tmp_path / name)[1].state_dict() for name in ("one", "many"))
    assert all(torch.equal(one[name], many[name]) for name in one)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(Error, match="pickle"):
        _ = WeightFiles(tmp_path / "pickled").names


def test_rows_are_taken_by_token_and_a_token_that_has_none_gets_their_mean(tmp_path):
    theirs = native("llama").to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    told, stored = json.loads((tmp_path / "config.json").read_text()), WeightFiles(tmp_path)
    family = FAMILIES.get("llama")
    config = TransformerConfig(vocab_size=12, **family.options(told))
    model = read_weights(family, told, stored, config, [*range(10), 3, MEAN])
    was = theirs.model.embed_tokens.weight
    assert model.dtype == torch.bfloat16, "what came in bf16 stays so"
    assert torch.equal(model.embed.weight[10], was[3])
    torch.testing.assert_close(model.embed.weight[11], was.float().mean(0).bfloat16())
    with pytest.raises(Error, match="do not fit"):
        read_weights(family, told, stored, config, [*range(11), V])
