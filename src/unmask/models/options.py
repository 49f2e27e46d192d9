"""What a recipe may say of every network: known without torch and transformers.

The keys of a network are the parameters of its options' ``__init__``, those of the bases included: a subclass names its
own and passes the rest on. :mod:`unmask.models.config` makes configurations of ``transformers`` of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar, get_type_hints

from unmask.diffusion.options import Visibility
from unmask.errors import Error


def config_options(kind: type[NetworkOptions]) -> dict[str, Any]:
    """Return the keys that a network's options take, with their types."""
    return dict(_config_options(kind))


@cache
def _config_options(kind: type[NetworkOptions]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, NetworkOptions) and "__init__" in vars(base):
            hints = get_type_hints(vars(base)["__init__"])
            keys = inspect.signature(vars(base)["__init__"]).parameters
            found |= {key: hints[key] for key in keys if key not in ("self", "kwargs")}
    return found


class NetworkOptions:
    """Sizes and switches that every network has. The names are Hugging Face Llama's.

    Args:
        vocab_size: Number of token ids, specials included (V).
        hidden_size: Width (D).
        num_hidden_layers: Blocks.
        num_attention_heads: Query heads.
        intermediate_size: Width of the SwiGLU layer; default 8/3 D rounded up to a multiple of 64.
        max_position_embeddings: Longest context in tokens.
        rope_theta: Base of the rotary embedding.
        rms_norm_eps: Epsilon of RMSNorm.
        dropout: Dropout on residual branches while training.
        output_shift: 1: hidden state p-1 predicts token p (causal models, and masked ones warm-started from
            them); 0: hidden state p predicts token p.
        time_input: Add an embedding of the noise level t.
        candidate_input: How weighted candidates of open positions enter (process ``sparse``): ``pooled``, ``full``, or
            ``None``: not at all.
        memory_width: Width of retrieved vectors (E); 0: the network takes none.
        memory_dropout: Probability that a row's retrieved memory is left out in training.
        thought: The recipe's section ``thought`` (:class:`unmask.diffusion.thought.ThoughtOptions`); ``None``: none.
        candidates: Candidates that an open position carried in training (K); samplers carry as many.
        random_mask: Width of the random vector that is added to a text's masks (``process.random_mask``); 0: none is.
        random_mask_words: Positions that share such a vector; 0: all of a text do.
        tie_word_embeddings: Share the input embedding with the output head.
        initializer_range: Standard deviation of the initial weights.

    Attributes:
        visibilities: What the network can be used for.
        candidate_inputs: The ways in which candidates may enter it.
        beside_text: Whether it takes what stands beside a text: retrieved memory and thoughts.
        model_type: Its name in ``config.json``.
    """

    model_type: ClassVar[str]
    visibilities: ClassVar[tuple[Visibility, ...]] = ("causal", "bidirectional")
    candidate_inputs: ClassVar[tuple[str, ...]] = ("pooled",)
    beside_text: ClassVar[bool] = False

    def __init__(
        self,
        vocab_size: int = 260,
        hidden_size: int = 128,
        num_hidden_layers: int = 4,
        num_attention_heads: int = 4,
        intermediate_size: int | None = None,
        max_position_embeddings: int = 128,
        rope_theta: float = 10000.0,
        rms_norm_eps: float = 1e-5,
        dropout: float = 0.0,
        output_shift: int = 1,
        time_input: bool = False,
        candidate_input: str | None = None,
        candidates: int = 0,
        memory_width: int = 0,
        memory_dropout: float = 0.0,
        thought: dict[str, Any] | None = None,
        random_mask: int = 0,
        random_mask_words: int = 0,
        tie_word_embeddings: bool = True,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = _swiglu_width(hidden_size) if intermediate_size is None else intermediate_size
        self.max_position_embeddings = max_position_embeddings
        self.rope_theta = rope_theta
        self.rms_norm_eps = rms_norm_eps
        self.dropout = dropout
        self.output_shift = output_shift
        self.time_input = time_input
        self.candidate_input = candidate_input
        self.candidates = candidates
        self.memory_width = memory_width
        self.memory_dropout = memory_dropout
        self.thought = thought
        self.random_mask = random_mask
        self.random_mask_words = random_mask_words
        self.initializer_range = initializer_range
        self.tie_word_embeddings = tie_word_embeddings
        _check(self)
        self.take(kwargs)

    def take(self, others: dict[str, Any]) -> None:
        """Take keys that no network of ours has; a configuration of ``transformers`` has its own.

        Raises:
            TypeError: there are any.
        """
        if others:
            raise TypeError(f"a network has no {', '.join(others)}")


def _swiglu_width(width: int) -> int:
    """Return 8/3 of the width, rounded up to a multiple of 64."""
    return -(-8 * width // 3 // 64) * 64 if isinstance(width, int) else 0


_COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)


_MOST = {"layers": 4096, "max_position_embeddings": 1 << 24, "vocab_size": 1 << 24}
_WIDEST = 1 << 20
"""Largest numbers by what a name ends in, and of all others: far above any network of ours, far below any memory."""


def check_counts(config: NetworkOptions, names: Iterable[str], least: int = 1) -> None:
    """Refuse what is no whole number, too small, or so large that it can only be a mistake."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise Error(f"backbone.{name} is {value!r}; it must be a whole number, at least {least}.")
        if value > (most := next((m for end, m in _MOST.items() if name.endswith(end)), _WIDEST)):
            raise Error(f"backbone.{name} is {value}; it must be at most {most}.")


def _check(config: NetworkOptions) -> None:
    """Refuse shapes that cannot work, with the fix."""
    width, heads = config.hidden_size, config.num_attention_heads
    check_counts(config, _COUNTS)
    for name in ("rope_theta", "rms_norm_eps", "initializer_range"):
        if not 0 < getattr(config, name) < float("inf"):
            raise Error(f"backbone.{name} is {getattr(config, name)}; it must be above 0.")
    if not 0 <= config.dropout < 1:
        raise Error(f"backbone.dropout is {config.dropout}; it must be at least 0 and below 1.")
    if getattr(config, "head_dim", None) is None and (width % heads or (width // heads) % 2):
        raise Error(
            f"backbone.hidden_size {width} does not split into {heads} heads of an even width; "
            f"make hidden_size a multiple of {2 * heads}."
        )
    check_counts(config, ("memory_width", "random_mask", "random_mask_words"), least=0)
    if not 0 <= config.memory_dropout < 1:
        raise Error(f"backbone.memory_dropout is {config.memory_dropout}; it must be at least 0 and below 1.")
    if config.memory_dropout and not config.memory_width:
        raise Error("backbone.memory_dropout leaves out retrieved memory, and memory_width is 0; set that, too.")
    name = config.model_type.removeprefix("unmask-")
    for what, asked in (("retrieved memory (memory_width)", config.memory_width), ("thoughts", config.thought)):
        if asked and not config.beside_text:
            raise Error(f"backbone {name} does not take {what}; leave it out, or set backbone=transformer.")
    if config.candidate_input not in (None, "pooled", "full"):
        raise Error(f"backbone.candidate_input is {config.candidate_input!r}; choose pooled, full or null.")
    if config.candidate_input == "full" and "full" not in config.candidate_inputs:
        raise Error(
            f"backbone {name} takes candidates pooled, not as positions of their own: set "
            "backbone.candidate_input=pooled, or backbone=transformer."
        )
    if config.output_shift not in (0, 1):
        raise Error(f"backbone.output_shift is {config.output_shift}; it must be 0 or 1.")
