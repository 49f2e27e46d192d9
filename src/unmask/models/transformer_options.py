"""What a recipe may say of the transformer: known without torch and transformers.

Its defaults are Llama's shape. What other open families do otherwise (biases, norms, activations, places) are options
of the same class, so that their weights are runs like any other (:mod:`unmask.models.families`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from unmask.diffusion.options import Visibility
from unmask.errors import Error
from unmask.models.options import NetworkOptions, check_counts

GATED = ("swiglu", "geglu")
"""The feed-forward layers whose activation multiplies a second product."""
_CHOICES = {
    "candidate_places": ("real", "flattened", "lost"),
    "norm": ("rms", "layer"),
    "mlp": (*GATED, "gelu", "gelu_tanh"),
    "places": ("rotary", "learned"),
}
_RULES = {"linear": {"factor"}, "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original"}}


class TransformerOptions(NetworkOptions):
    """Sizes and switches of the transformer: those of every network, and its own.

    Args:
        num_key_value_heads: Key and value heads (grouped-query attention); default as many as query heads.
        head_dim: Width of a head; default hidden_size / num_attention_heads.
        candidate_places: Where the network believes positions and candidates to be: ``real``: at their position;
            ``flattened``: at position * slots + slot, so that the slot's number shows; ``lost``: the first position at
            0, all others at 1. The last two are defects of the original, kept for process
            ``sparse_flatten`` to measure.
        block_size: Words of the largest block that the network was trained with (process ``block``); 0: of none.
        block_context: Whether the text before a block is read in whole blocks, too (BD3-LM, Fast-dLLM v2), and not
            left to right.
        qkv_bias: Queries, keys and values have biases.
        out_bias: What leaves attention has a bias.
        mlp_bias: The feed-forward layer has biases.
        head_bias: The logits have a bias.
        qk_norm: Queries and keys are normed, each head's (Qwen3).
        norm: ``rms``, or ``layer`` (LayerNorm).
        norm_bias: LayerNorms have biases.
        mlp: ``swiglu``, ``geglu``, ``gelu`` or ``gelu_tanh`` (GELU by its approximation with tanh).
        places: ``rotary``, or ``learned``: a vector of each place is added to the embedding.
        rope_rule: How rotary angles are stretched: ``{"type": "linear", "factor": 4.0}``, or ``llama3`` with its
            ``factor``, ``low_freq_factor``, ``high_freq_factor`` and ``original`` length; ``None``: they are not.
        embed_norm: Embeddings are normed, and the first block's attention has no norm of its own (ModernBERT).
        window: Blocks see this many places to either side, all but each ``window_every``-th; 0: all see all.
        window_every: See ``window``; the first block is one that sees all.
        window_theta: Base of the rotary embedding in blocks with a window.
        head_mlp: The head is a dense layer, GELU and a norm before the logits (ModernBERT).
        **shared: The keys of :class:`NetworkOptions`.
    """

    model_type: ClassVar[str] = "unmask-transformer"
    candidate_inputs: ClassVar[tuple[str, ...]] = ("pooled", "full")
    beside_text: ClassVar[bool] = True
    visibilities: ClassVar[tuple[Visibility, ...]] = ("causal", "bidirectional", "block")

    def __init__(
        self,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        candidate_places: str = "real",
        block_size: int = 0,
        block_context: bool = False,
        qkv_bias: bool = False,
        out_bias: bool = False,
        mlp_bias: bool = False,
        head_bias: bool = False,
        qk_norm: bool = False,
        norm: str = "rms",
        norm_bias: bool = False,
        mlp: str = "swiglu",
        places: str = "rotary",
        rope_rule: dict[str, Any] | None = None,
        embed_norm: bool = False,
        window: int = 0,
        window_every: int = 3,
        window_theta: float = 10000.0,
        head_mlp: bool = False,
        **kwargs: Any,
    ) -> None:
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.candidate_places = candidate_places
        self.block_size = block_size
        self.block_context = block_context
        self.qkv_bias = qkv_bias
        self.out_bias = out_bias
        self.mlp_bias = mlp_bias
        self.head_bias = head_bias
        self.qk_norm = qk_norm
        self.norm = norm
        self.norm_bias = norm_bias
        self.mlp = mlp
        self.places = places
        self.rope_rule = rope_rule
        self.embed_norm = embed_norm
        self.window = window
        self.window_every = window_every
        self.window_theta = window_theta
        self.head_mlp = head_mlp
        super().__init__(**kwargs)
        if num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        self._check_own()

    @property
    def head_width(self) -> int:
        """Width of a head (E)."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def _check_own(self) -> None:
        check_counts(self, ("num_key_value_heads", "window_every"))
        check_counts(self, ("block_size", "window"), least=0)
        if self.head_dim is not None:
            check_counts(self, ("head_dim",), least=2)
            if self.head_dim % 2:
                raise Error(f"backbone.head_dim is {self.head_dim}; it must be even.")
        heads, kv = self.num_attention_heads, self.num_key_value_heads
        if heads % kv:
            raise Error(f"backbone.num_key_value_heads {kv} must divide num_attention_heads {heads}.")
        for key, known in _CHOICES.items():
            if (given := getattr(self, key)) not in known:
                raise Error(f"backbone.{key} is {given!r}; choose {', '.join(known[:-1])} or {known[-1]}.")
        if self.norm_bias and self.norm == "rms":
            raise Error("backbone.norm_bias is for LayerNorm: set backbone.norm=layer, or leave it out.")
        if not 0 < self.window_theta < float("inf"):
            raise Error(f"backbone.window_theta is {self.window_theta}; it must be above 0.")
        self._check_rule()
        if self.places == "learned" or self.window or self.head_mlp or self.embed_norm:
            self._check_plain()

    def _check_rule(self) -> None:
        if self.rope_rule is None:
            return
        kind = self.rope_rule.get("type")
        if kind not in _RULES:
            raise Error(f"backbone.rope_rule has the type {kind!r}; known: {', '.join(_RULES)}.")
        values = {key: value for key, value in self.rope_rule.items() if key != "type"}
        if values.keys() != _RULES[kind] or not all(
            isinstance(value, int | float) and 0 < value < float("inf") for value in values.values()
        ):
            raise Error(f"backbone.rope_rule {kind} takes numbers above 0 for {', '.join(sorted(_RULES[kind]))}.")

    def _check_plain(self) -> None:
        """Refuse what was never put beside places that are learned, windows and heads with a layer of their own."""
        others = {"candidate_input": self.candidate_input, "memory_width": self.memory_width, "thought": self.thought}
        if beside := [key for key, value in others.items() if value]:
            raise Error(
                f"backbone.{beside[0]} goes with none of places=learned, window, embed_norm, head_mlp; leave one out."
            )
