"""What a recipe may say of the byte network: patches, local layers, what stands between, the head.

Bytropix's own names are those of its lists where it has one: ``n_gram_sizes``, ``num_encoder_layers``;
``local_hidden_size`` and ``num_decoder_layers`` are aliases of ``hidden_size`` and ``num_hidden_layers``. The options
of the nested levels stand in ``wubu``, see :class:`unmask.models.wubu_config.WubuOptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

from pydantic import ValidationError

from unmask.data.patches import PATCHERS
from unmask.data.patches.patcher import Patcher, make_patcher
from unmask.diffusion.options import Visibility
from unmask.errors import Error, nearest
from unmask.models.options import NetworkOptions, check_counts
from unmask.models.wubu_config import WubuOptions

SPECIALS = 4
"""Ids before those of the bytes: padding, BOS, EOS, mask."""
BYTES = 256
ENTROPY_RUN = "run:"
"""Begins the name of a run whose network tells entropies."""
Latent = Literal["wubu", "transformer", "none"]
Read = Literal["attention", "last"]


class BytesOptions(NetworkOptions):
    """Sizes and switches of the byte network: those of every network, and its own.

    ``hidden_size``, ``num_hidden_layers`` and ``num_attention_heads`` are the decoder's, ``hidden_size`` also the
    encoder's.

    Args:
        patcher: What cuts the bytes, see ``unmask.data.patches``.
        patcher_options: Its settings.
        patch_size: Bytes a patch that ``babylon``'s theta is calibrated to; ``None``: theta is given.
        entropy: What ``babylon`` asks: ``ngram``, fitted to the corpus, or ``run:DIR``, the network of a causal run of
            the tokenizer ``bytes``, of which the run keeps a copy.
        entropy_order: Order of the n-gram.
        num_encoder_layers: Layers within patches.
        num_encoder_heads: Their heads, and those of the pooling; default as the decoder's.
        n_gram_sizes: Lengths of the hashed byte n-grams; empty: none.
        n_gram_vocab_size: Rows of each one's table.
        latent: What patches pass: ``wubu``, ``transformer`` or ``none``.
        wubu: Options of the nested levels; their dropout is the network's unless given.
        latent_layers: Blocks of a ``transformer`` between.
        latent_intermediate_size: Width of their SwiGLU layers; default 8/3 of ``decoder_memory_dim``.
        decoder_memory_dim: Width of what the decoder reads of a patch (M).
        memory_read: How it reads: ``attention`` to all finished patches in every layer, or ``last``: the last finished
            one is added to the decoder's input.
        use_hierarchical_decoder: A byte's high four bits and then its low ones, instead of one softmax.
        utf8: Bytes that UTF-8 does not allow next have probability 0 (causal use, on text that is UTF-8).
        **shared: The keys of :class:`NetworkOptions`.
    """

    model_type: ClassVar[str] = "unmask-bytes"
    candidate_places: ClassVar[str] = "real"

    def __init__(
        self,
        patcher: str = "fixed",
        patcher_options: dict[str, Any] | None = None,
        patch_size: float | None = 4.5,
        entropy: str = "ngram",
        entropy_order: int = 5,
        num_encoder_layers: int = 2,
        num_encoder_heads: int | None = None,
        n_gram_sizes: Sequence[int] = (3, 4),
        n_gram_vocab_size: int = 30000,
        latent: Latent = "wubu",
        wubu: dict[str, Any] | None = None,
        latent_layers: int = 2,
        latent_intermediate_size: int | None = None,
        decoder_memory_dim: int | None = None,
        memory_read: Read = "attention",
        use_hierarchical_decoder: bool = True,
        utf8: bool = False,
        **kwargs: Any,
    ) -> None:
        if use_hierarchical_decoder:
            kwargs["tie_word_embeddings"] = False
        super().__init__(**kwargs)
        self.patcher = patcher
        self.patcher_options = patcher_options
        self.patch_size = patch_size
        self.entropy = entropy
        self.entropy_order = entropy_order
        self.num_encoder_layers = num_encoder_layers
        self.num_encoder_heads = self.num_attention_heads if num_encoder_heads is None else num_encoder_heads
        self.n_gram_sizes = list(n_gram_sizes)
        self.n_gram_vocab_size = n_gram_vocab_size
        self.latent = latent
        self.wubu = wubu
        self.latent_layers = latent_layers
        self.latent_intermediate_size = latent_intermediate_size
        self.decoder_memory_dim = 2 * self.hidden_size if decoder_memory_dim is None else decoder_memory_dim
        self.memory_read = memory_read
        self.use_hierarchical_decoder = use_hierarchical_decoder
        self.utf8 = utf8
        _check(self)

    @property
    def visibilities(self) -> tuple[Visibility, ...]:  # type: ignore[override]
        """What the network can be used for: hidden words must not move the cuts."""
        made = self.ready_patcher()
        return ("causal", "bidirectional") if made is not None and made.ignores_content else ("causal",)

    def ready_patcher(self) -> Patcher | None:
        """Return the patcher; ``None`` if it has to be fitted first."""
        if PATCHERS.get(self.patcher).needs_entropy:
            return None
        made: Patcher = make_patcher(self.patcher, self.patcher_options)
        return made

    @property
    def levels(self) -> WubuOptions:
        """The options of the nested levels."""
        return WubuOptions.model_validate({"dropout": self.dropout} | (self.wubu or {}))


def _check(config: BytesOptions) -> None:
    """Refuse what cannot work, with the fix."""
    counts = ("entropy_order", "num_encoder_heads", "n_gram_vocab_size", "latent_layers", "decoder_memory_dim")
    check_counts(config, counts)
    check_counts(config, ("num_encoder_layers",), least=0)
    part = PATCHERS.get(config.patcher)
    options = dict(config.patcher_options or {})
    if not part.needs_entropy:
        make_patcher(config.patcher, options)
    elif unknown := next((key for key in options if key not in part.Options.model_fields), None):
        raise Error(f"unknown option backbone.patcher_options.{unknown}.{nearest(unknown, part.Options.model_fields)}")
    if part.needs_entropy and config.patch_size is None and options.get("theta") is None:
        raise Error("backbone.patch_size is null, so theta is not calibrated: set patch_size or patcher_options.theta.")
    if config.entropy != "ngram":
        if not isinstance(config.entropy, str) or not config.entropy.removeprefix(ENTROPY_RUN).strip():
            raise Error(f"backbone.entropy is {config.entropy!r}; give ngram, or run:DIR with the folder of a run.")
        if not config.entropy.startswith(ENTROPY_RUN):
            raise Error(f"backbone.entropy is {config.entropy!r}; give ngram, or run:{config.entropy} if it is a run.")
        if not part.needs_entropy:
            raise Error(f"backbone.entropy is for the patcher babylon, and this is {config.patcher!r}; leave it out.")
    if config.patch_size is not None and not 1 <= config.patch_size < float("inf"):
        raise Error(f"backbone.patch_size is {config.patch_size}; it must be 1 byte or more.")
    for name, kind in (("latent", Latent), ("memory_read", Read)):
        if getattr(config, name) not in get_args(kind):
            raise Error(f"backbone.{name} is {getattr(config, name)!r}; choose {', '.join(get_args(kind))}.")
    for name, width in (("num_encoder_heads", "hidden_size"), ("num_attention_heads", "decoder_memory_dim")):
        heads, size = getattr(config, name), getattr(config, width)
        if size % heads or size // heads % 2:
            raise Error(f"backbone.{width} {size} does not split into {name} {heads} of an even width.")
    if config.use_hierarchical_decoder and config.tie_word_embeddings:
        raise Error("backbone.tie_word_embeddings needs a flat head: set use_hierarchical_decoder=false.")
    if config.utf8 and config.vocab_size != SPECIALS + BYTES:
        raise Error(
            f"backbone.utf8 speaks of {BYTES} bytes and vocab_size is {config.vocab_size}: set data.tokenizer=bytes."
        )
    try:
        config.levels  # noqa: B018
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("wubu", *first["loc"])))
        hint = nearest(str(first["loc"][0]), WubuOptions.model_fields) if first["type"] == "extra_forbidden" else ""
        raise Error(f"backbone.{key}: {first['msg'].removeprefix('Value error, ')}.{hint}") from error
