"""A GGUF file (llama.cpp): its header read as a ``config.json``, its tensors under the names of ``transformers``.

The file is mapped into memory; quantised tensors become float32 when they are asked for. Llama's queries and keys lie
there with the two halves of each head's pairs side by side, and are put back. Needs ``gguf`` (extra ``weights``).

Letters: H heads, E head width.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unmask.errors import Error

_OUTER = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
_INNER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_SIZES = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "head_dim": "attention.key_length",
    "rope_theta": "rope.freq_base",
}
ARCHITECTURES = ("llama", "qwen2", "qwen3")
_PAIRED = ("self_attn.q_proj.", "self_attn.k_proj.")


class GGUFFile:
    """A GGUF file, opened.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _reader(self) -> Any:
        try:
            from gguf import GGUFReader
        except ImportError as error:
            raise Error("a GGUF file needs the package gguf. Install it with: pip install 'unmask[weights]'") from error
        try:
            return GGUFReader(self.path)
        except Exception as error:  # the reader raises what numpy raises at a file that is none
            raise Error(
                f"{self.path} is no GGUF file that can be read ({str(error)[:200]}); fetch it again."
            ) from error

    def value(self, key: str) -> Any:
        """Return what the header says; ``None``: nothing."""
        field = self._reader.get_field(key)
        return None if field is None else field.contents()

    @cached_property
    def told(self) -> dict[str, Any]:
        """The header as a ``config.json``.

        Raises:
            Error: an architecture that is not known, or angles that are stretched.
        """
        kind = self.value("general.architecture")
        if kind not in ARCHITECTURES:
            raise Error(
                f"{self.path.name} is of the architecture {kind!r}; GGUF files are read of {', '.join(ARCHITECTURES)}. "
                "Import the model's safetensors instead: hf:owner/name, or its folder."
            )
        if (scaled := self.value(f"{kind}.rope.scaling.type")) not in (
            None,
            "none",
        ) or "rope_freqs.weight" in self._tensors:
            raise Error(f"{self.path.name} stretches rotary angles ({scaled}); import the model's safetensors instead.")
        sizes = {ours: self.value(f"{kind}.{theirs}") for ours, theirs in _SIZES.items()}
        ids = {f"{role}_token_id": self.value(f"tokenizer.ggml.{name}_token_id") for role, name in _ROLES.items()}
        told = {key: value for key, value in {**sizes, **ids}.items() if value is not None}
        return {"model_type": kind, "tie_word_embeddings": "output.weight" not in self._tensors, **told}

    @cached_property
    def _tensors(self) -> dict[str, Any]:
        return {tensor.name: tensor for tensor in self._reader.tensors}

    @cached_property
    def _theirs(self) -> dict[str, str]:
        """The name in the file for each name of ``transformers``."""
        stems = dict(_OUTER)
        for layer in range(self.told["num_hidden_layers"]):
            stems |= {f"model.layers.{layer}.{ours}": f"blk.{layer}.{name}" for ours, name in _INNER.items()}
        pairs = {f"{ours}.{end}": f"{name}.{end}" for ours, name in stems.items() for end in ("weight", "bias")}
        known = {ours: name for ours, name in pairs.items() if name in self._tensors}
        left = sorted(set(self._tensors) - set(known.values()))
        return known | {name: name for name in left}  # who asks what is left over hears of them

    @property
    def names(self) -> frozenset[str]:
        """The names of the tensors, as ``transformers`` has them."""
        return frozenset(self._theirs)

    @property
    def quantised(self) -> bool:
        """Whether its matrices have fewer bits than any float."""
        kinds = {tensor.tensor_type.name for tensor in self._tensors.values()}
        return bool(kinds - {"F32", "F16", "BF16"})

    def read(self, name: str) -> Tensor:
        """Return a tensor in float32, or as the file has it where that is a float of 16 bits.

        Raises:
            Error: there is none of that name.
        """
        from gguf.quants import dequantize

        if name not in self._theirs:
            raise Error(f"{self.path.name} has no tensor {name}, which a network of its header has.")
        tensor = self._tensors[self._theirs[name]]
        value = torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        if tensor.tensor_type.name in ("F16", "BF16"):
            value = value.to(torch.float16 if tensor.tensor_type.name == "F16" else torch.bfloat16)
        if self.told["model_type"] == "llama" and any(part in name for part in _PAIRED):
            heads = self.told["num_attention_heads" if ".q_proj." in name else "num_key_value_heads"]
            value = value.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
        return value


_ROLES = {"bos": "bos", "eos": "eos", "pad": "padding", "mask": "mask"}
