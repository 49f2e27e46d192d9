"""The byte network: bytes, patches of them, what patches pass, and back to bytes (Bytropix, mended: docs/origins.md).

    bytes -> encoder (within patches) -> pooled patches -> WuBu levels | transformer | nothing -> memory
    logits for byte t + 1 = head(decoder(encoder's byte t; memory of the patches finished by then))

A byte is predicted from finished patches and from the bytes before it, all patches pass at once, and where patches end
is known before the next byte is.

The cuts come from ``patcher``: made from the configuration, or, for ``babylon``, fitted and then stored with the
weights.

Letters: B batch, T bytes, P patches, D width, M width of the memory, V vocabulary, n asked positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unmask.data.hub import hub_run_folder
from unmask.data.patches import Patcher
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.models.byte_cache import ByteCache
from unmask.models.byte_cost import byte_flops, byte_kept
from unmask.models.byte_decoder import LastMemory, MemoryAttention, finished, stored
from unmask.models.byte_encoder import Ngrams, Pooling, blocks_config
from unmask.models.byte_entropy import load_cutter, save_cutter
from unmask.models.byte_head import HierarchicalHead
from unmask.models.byte_latent import PatchLatent
from unmask.models.bytes_config import BytesConfig
from unmask.models.bytes_options import SPECIALS
from unmask.models.cache import KVCache
from unmask.models.candidates import PooledCandidates
from unmask.models.cuts import Cuts, cut
from unmask.models.fused import RMSNorm
from unmask.models.network import Denoiser
from unmask.models.patch_attention import PatchAttention, inside
from unmask.models.rope import rotary
from unmask.models.time import TimeEmbedding
from unmask.models.token_places import Positions
from unmask.models.transformer_block import Block
from unmask.models.utf8_next import allowed
from unmask.models.visibility import attention_mask
from unmask.models.wubu_past import put


class Bytes(Denoiser):
    """A network over bytes that reads patches.

    Attributes:
        patcher: What cuts the bytes; ``None``: it has to be fitted first.
    """

    config_class = BytesConfig
    config: BytesConfig
    _no_split_modules = ["Block"]

    def __init__(self, config: BytesConfig) -> None:
        super().__init__(config)
        self.patcher: Patcher | None = config.ready_patcher()
        width, heads, inner = config.hidden_size, config.num_attention_heads, config.intermediate_size
        within, after = config.num_encoder_layers, config.num_hidden_layers
        self.embed = nn.Embedding(config.vocab_size, width)
        self.time = TimeEmbedding(width) if config.time_input else None
        self.candidates = PooledCandidates(width) if config.candidate_input else None
        self.ngrams = Ngrams(config) if config.n_gram_sizes else None
        coder = blocks_config(config, width, config.num_encoder_heads, max(within, 1), inner)
        self.encoder = nn.ModuleList(Block(coder, layer) for layer in range(within))
        for layer, block in enumerate(self.encoder):
            block.attention = PatchAttention(coder, layer)
        self.pooling = Pooling(config)
        self.latent_stack = PatchLatent(config)
        attends = config.memory_read == "attention"
        self.reads = nn.ModuleList(MemoryAttention(config, layer) for layer in range(after if attends else 0))
        self.last = None if attends else LastMemory(config)
        decoder = blocks_config(config, width, heads, after, inner)
        self.blocks = nn.ModuleList(Block(decoder, layer) for layer in range(after))
        self.norm = RMSNorm(width, eps=config.rms_norm_eps)
        if config.use_hierarchical_decoder:
            self.head = HierarchicalHead(width, config.vocab_size)
        else:
            self.head = nn.Linear(width, config.vocab_size, bias=False)
        self.post_init()
        if self.latent_stack.stack is not None:
            self.latent_stack.stack.initialise()  # its maps are narrow: the width of one says how it is drawn

    def learning_rate_scales(self) -> dict[str, float]:
        """Return a tenth for what bends the levels: a small change there moves every point."""
        return {name: 0.1 for name in self.undecayed() if name.endswith(".raw")}

    def undecayed(self) -> frozenset[str]:
        """Return the levels' own numbers: decay would pull curvatures to softplus(0) and landmarks to the origin."""
        ends = (".raw", ".boundary", ".descriptor", ".shift", ".step")
        return frozenset(name for name, _ in self.named_parameters() if name.endswith(ends))

    def flops(self, length: int, asked: float = 1.0) -> float:
        """Return floating-point operations a byte of one forward pass, see :func:`byte_flops`."""
        levels = sum(p.numel() for p in self.latent_stack.parameters() if p.ndim > 1)
        return byte_flops(self.config, length, levels, asked)

    def kept(self, length: int) -> float:
        """Return the numbers that a byte keeps for the backward pass, logits aside."""
        return byte_kept(self.config)

    def save_pretrained(self, save_directory: str | Path, state_dict: Mapping[str, Tensor] | None = None) -> None:
        """Write weights and configuration, and the patcher where it was fitted."""
        super().save_pretrained(save_directory, state_dict)
        if self.patcher is not None and self.config.ready_patcher() is None:
            save_cutter(self.patcher, Path(save_directory))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **given: Any) -> Self:
        """Read weights and configuration, and the patcher where it was fitted."""
        model = super().from_pretrained(pretrained_model_name_or_path, **given)
        if model.patcher is None:
            folder = Path(pretrained_model_name_or_path)
            model.patcher = load_cutter(folder if folder.is_dir() else hub_run_folder(str(folder)))
        return model

    def new_cache(self, rows: int, capacity: int) -> ByteCache:
        """Return an empty cache for ``rows`` texts of up to ``capacity`` tokens."""
        config, like = self.config, self.embed.weight
        each = config.hidden_size // config.num_attention_heads
        within = config.hidden_size // config.num_encoder_heads
        caches = [
            KVCache.empty(layers, rows, heads, capacity, width, like)
            for layers, heads, width in (
                (config.num_encoder_layers, config.num_encoder_heads, within),
                (config.num_hidden_layers, config.num_attention_heads, each),
                (config.num_hidden_layers, config.num_attention_heads, each),
            )
        ]
        return ByteCache(
            torch.zeros(rows, capacity, dtype=torch.int64, device=like.device),
            like.new_zeros(rows, capacity, config.hidden_size),
            like.new_zeros(rows, capacity, config.decoder_memory_dim),
            caches[0],
            self.latent_stack.new_past(rows, capacity),
            None if self.last is not None else caches[1],
            caches[2],
        )

    def forward(
        self,
        state: State,
        at: Bool[Tensor, "B T"] | None = None,
        cache: ByteCache | None = None,
        return_hidden: bool = False,
    ) -> Prediction:
        """Predict clean bytes; see :meth:`unmask.models.transformer.Transformer.forward` for the arguments.

        Raises:
            Error: a patcher that is not fitted, or one that reads words while some are hidden.
        """
        self._check(state)
        if cache is not None:
            return self._grown(state, cache, at)
        tokens, causal = state.tokens, state.visibility == "causal"
        own = _pieces(state)
        cuts = cut(self._cutter(), tokens, own, SPECIALS)
        mask = attention_mask(state)
        x = self._embedded(state)
        if self.ngrams is not None:
            x = x + self.ngrams(tokens, own)
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        positions = places if state.positions is None else state.positions
        within = inside(cuts.patch, causal)
        by = rotary(positions, self.config.hidden_size // self.config.num_encoder_heads, self.config.rope_theta)
        for block in self.encoder:
            x = block(x, by, within, False, None, positions)
        member = cuts.patch[:, None, :] == torch.arange(cuts.count, device=x.device)[:, None]
        memory = self.latent_stack(self.pooling(x, member), cuts, causal)
        asked = self._predictors(at, *tokens.shape, tokens.device)
        x, hidden = self._decoded(x, positions, mask, causal, memory, cuts, own, None if return_hidden else asked)
        states = x[asked] if return_hidden else x
        return Prediction(self._logits(states, state, asked), hidden, metrics=self._told(), states=states)

    def _told(self) -> dict[str, Float[Tensor, " L"]]:
        """Return how the nested levels are bent, one number a level, while they learn."""
        if self.latent_stack.stack is None or not self.training:
            return {}
        levels = self.latent_stack.stack.levels
        numbers = {
            "curvature": [level.c for level in levels],
            "scale": [level.scale() for level in levels],
            "spread": [level.sigma for level in levels],
        }
        return {name: torch.stack([value.detach().float() for value in each]) for name, each in numbers.items()}

    def _check(self, state: State) -> None:
        for what, given in (("memory", state.memory), ("thoughts", state.thought), ("slots", state.slots)):
            if given is not None:
                raise Error(f"backbone bytes takes no {what}; set backbone=transformer.")
        if state.visibility != "causal" and not self._cutter().ignores_content:
            raise Error(
                f"the patcher {self.config.patcher!r} reads words, and some are hidden: set backbone.patcher=none, or "
                "fixed with patcher_options.whole_characters=false, or process=causal."
            )
        self._check_visibility(state)

    def _cutter(self) -> Patcher:
        if self.patcher is None:
            raise Error(
                f"the patcher {self.config.patcher!r} has to be fitted to text first: train a recipe, or set "
                "model.patcher to what unmask.training.patches.fit_patcher returns."
            )
        return self.patcher

    def _decoded(
        self,
        x: Float[Tensor, "B T D"],
        positions: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B 1 T T"] | None,
        causal: bool,
        memory: Float[Tensor, "B P M"],
        cuts: Cuts,
        own: Int[Tensor, "B T"],
        asked: Positions | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return normed states [n, D] at the asked positions; or, if these are ``None``, [B, T, D] twice."""
        each = self.config.hidden_size // self.config.num_attention_heads
        by, turn = rotary(positions, each, self.config.rope_theta), rotary(cuts.done, each, self.config.rope_theta)
        seen = finished(cuts.done, own, cuts.piece, causal)
        if self.last is not None:
            x = x + self.last(memory, last_of(cuts, own, causal))
        numbers = torch.arange(cuts.count, device=x.device)[None]
        turned = rotary(numbers, each, self.config.rope_theta)
        for layer, block in enumerate(self.blocks):
            if self.last is None:
                read = self.reads[layer]
                x = x + read(x, turn, read.keys(memory, turned), seen)
            x = block(x, by, mask, causal, None, positions, asked if layer == len(self.blocks) - 1 else None)
        x = self.norm(x)
        return x, x if asked is None else None

    def _logits(self, x: Float[Tensor, "n D"], state: State, asked: Positions) -> Float[Tensor, "n V"]:
        logits: Tensor = self.head(x)
        if self.config.utf8 and state.visibility == "causal":
            logits = logits.masked_fill(~allowed(state.tokens)[asked], -torch.inf)
        return logits

    def _grown(self, state: State, cache: ByteCache, at: Bool[Tensor, "B T"] | None) -> Prediction:
        """Answer new tokens of each row: those that are asked, or logits [B, V] for the token after its last one."""
        batch, length = state.tokens.shape
        device = state.tokens.device
        fed = torch.full_like(cache.lengths, length) if state.valid is None else state.valid.sum(1)
        positions = cache.lengths[:, None] + torch.arange(length, device=device)
        capacity = cache.tokens.shape[1]
        upto = min(int(cache.lengths.max()) + length, capacity)
        put(cache.tokens, state.tokens, positions)
        read = cache.lengths + fed
        tokens = cache.tokens[:, :upto]
        whole = torch.where(torch.arange(upto, device=device) < read[:, None], 0, -1)
        cuts = cut(self._cutter(), tokens, whole, SPECIALS)
        rows = torch.arange(batch, device=device)[:, None]
        held = positions.clamp(max=upto - 1)

        x = self._embedded(state)
        if self.ngrams is not None:
            x = x + self.ngrams(tokens, whole)[rows, held]
        config = self.config
        by = rotary(positions, config.hidden_size // config.num_encoder_heads, config.rope_theta)
        mask = cache.decoder.visible(positions, upto)
        within = (cuts.patch[rows, held][:, :, None] == cuts.patch[:, None, :])[:, None] & mask
        within = within | ~within.any(-1, keepdim=True)
        for block in self.encoder:
            x = block(x, by, within, False, cache.encoder, positions)
        put(cache.hidden, x, positions)

        before = cuts.done[rows, (cache.lengths[:, None] - 1).clamp(min=0)] * (cache.lengths > 0)[:, None]
        now = cuts.done[rows, (read[:, None] - 1).clamp(min=0)] * (read > 0)[:, None]
        fresh = torch.arange(int((now - before).clamp(min=0).max()), device=device)
        if len(fresh):
            self._new_patches(cache, cuts, before + fresh, now, upto)

        each = config.hidden_size // config.num_attention_heads
        done = cuts.done[rows, held]
        seen = (torch.arange(cuts.count, device=device) < done[:, :, None])[:, None]
        by, turn = rotary(positions, each, config.rope_theta), rotary(done, each, config.rope_theta)
        if self.last is not None:
            x = x + self.last(cache.memory, done - 1)
        for layer, block in enumerate(self.blocks):
            if self.last is None and cache.reads is not None:
                keys = cache.reads.keys[layer][:, :, : cuts.count], cache.reads.values[layer][:, :, : cuts.count]
                x = x + self.reads[layer](x, turn, keys, seen)
            x = block(x, by, mask, True, cache.decoder, positions)
        cache.decoder.lengths = read
        view = State(tokens, "causal")
        if at is not None:
            which = self._predictors(at, batch, length, device)
            return Prediction(self._logits(self.norm(x[which]), view, (which[0], held[which])), cache=cache)
        x = self.norm(x[rows[:, 0], fed - 1])
        return Prediction(self._logits(x, view, (rows[:, 0], read.clamp(max=upto) - 1)), cache=cache)

    def _new_patches(
        self, cache: ByteCache, cuts: Cuts, at: Int[Tensor, "B n"], now: Int[Tensor, "B 1"], upto: int
    ) -> None:
        """Take in the patches that have been finished; ``at`` are their numbers, those from ``now`` on are padding."""
        member = cuts.patch[:, None, :] == at[:, :, None]
        pooled = self.pooling(cache.hidden[:, :upto], member)
        numbers = torch.where(at < now, at, cache.memory.shape[1])  # behind the end: nothing is written there
        memory = self.latent_stack.grown(pooled, numbers, int(now.max()), cache.latent)
        put(cache.memory, memory, numbers)
        if cache.reads is not None:
            each = self.config.hidden_size // self.config.num_attention_heads
            stored(self.reads, cache.reads, memory, rotary(at, each, self.config.rope_theta), numbers)


def _pieces(state: State) -> Int[Tensor, "B T"]:
    """Return the document piece of each position, -1 at padding."""
    own = torch.ones_like(state.tokens) if state.segments is None else state.segments
    own = torch.where(own > 0, own, -1) if state.segments is not None else own
    return own if state.valid is None else torch.where(state.valid, own, -1)


def last_of(cuts: Cuts, own: Int[Tensor, "B T"], causal: bool) -> Int[Tensor, "B T"]:
    """Return the patch whose memory each position reads, -1: none: the last finished one, or that of the next word."""
    which = (cuts.done - 1 if causal else cuts.done).clamp(max=cuts.count - 1)
    return torch.where(cuts.piece.gather(1, which.clamp(min=0)) == own, which, -1)
