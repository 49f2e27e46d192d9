"""Folders as the Hub has them, of tiny models with random weights: a causal family, a masked one and one of blocks."""

import json

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from unmask.data.adopt import special
from unmask.data.token_bytes import CHARACTERS

END, TURN, MASK = "<|endoftext|>", "<|im_start|>", "<|mask|>"
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}"
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def tokenizer(folder, normalizer=None, **named):
    """Write a byte-level tokenizer of 256 bytes, three merges and three tokens that no text can hold."""
    merges = [("h", "e"), ("t", "he"), ("e", "n")]
    words = [*sorted(CHARACTERS), *("".join(pair) for pair in merges)]
    backend = Backend(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([special(name) for name in (END, TURN, MASK)])
    tree = json.loads(backend.to_str())
    tree["normalizer"] = normalizer
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "tokenizer.json").write_text(json.dumps(tree))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE, **named}))
    return backend.get_vocab_size()


def drawn(kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return model


def qwen2(folder):
    """Write a Qwen2 as the Hub has it: more rows than tokens, one token that begins and ends; return the folder."""
    size = tokenizer(folder, {"type": "NFC"}, eos_token=END, pad_token=END)
    config = transformers.Qwen2Config(
        vocab_size=size + 30, num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=True, **SIZES
    )
    drawn(transformers.Qwen2ForCausalLM, config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def llada(folder):
    """Write a LLaDA whose mask has a row behind the tokenizer's tokens; return the Llama that it is, and that row."""
    size = tokenizer(folder, eos_token=END, bos_token=TURN)
    weights = {}
    theirs = drawn(transformers.LlamaForCausalLM, transformers.LlamaConfig(vocab_size=size + 1, **SIZES))
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ff_norm", "self_attn.o_proj": "attn_out"}
    names |= {"mlp.gate_proj": "ff_proj", "mlp.up_proj": "up_proj", "mlp.down_proj": "ff_out", "model.layers": "blocks"}
    names |= {"self_attn.": "", "model.norm": "ln_f", "model.embed_tokens": "wte", "lm_head": "ff_out"}
    for name, value in theirs.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        weights[f"model.transformer.{name}"] = value.clone()
    save_file(weights, folder / "model.safetensors")
    told = {"model_type": "llada", "d_model": 32, "n_layers": 2, "n_heads": 4, "mlp_hidden_size": 48}
    told |= {"max_sequence_length": 64, "mask_token_id": size, "rms_norm_eps": 1e-6}
    (folder / "config.json").write_text(json.dumps(told))
    return theirs, size


def a2d(folder):
    """Write a Qwen3 made a model of blocks of four words, whose mask is a token of its own; return the folder."""
    size = tokenizer(folder, eos_token=END, bos_token=TURN, mask_token=MASK)
    config = transformers.Qwen3Config(
        vocab_size=size, num_key_value_heads=2, head_dim=16, max_position_embeddings=64, **SIZES
    )
    drawn(transformers.Qwen3ForCausalLM, config).save_pretrained(folder)
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, "model_type": "a2d-block", "block_size": 4}))
    return folder
