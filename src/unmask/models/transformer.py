"""One transformer for causal and bidirectional use: the same class, the same parameters, another visibility.

Pre-norm blocks: x + Attention(RMSNorm(x)), x + SwiGLU(RMSNorm(x)); rotary positions (Su et al. 2021, arXiv 2104.09864),
SwiGLU (Shazeer 2020, arXiv 2002.05202), RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467). With Llama's weights its
logits are Llama's; what other open families have instead are options of the same class. The head runs on asked
positions only.

Letters: B batch, T tokens, S keys, D width, V vocabulary, H heads, G key heads, E head width, n asked positions.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Reading
from unmask.errors import Error
from unmask.models.attention import attend
from unmask.models.cache import KVCache
from unmask.models.candidates import FullCandidates, PooledCandidates, embedded
from unmask.models.checkpointing import CheckpointedBlock
from unmask.models.config import TransformerConfig
from unmask.models.cost import forward_flops, forward_kept
from unmask.models.fused import RMSNorm, rotate
from unmask.models.network import Denoiser
from unmask.models.norms import HeadMLP, activated, inner_width, make_norm
from unmask.models.rope import Rotary, rotary
from unmask.models.side_vectors import Memories
from unmask.models.thought_cost import beside, reader_flops
from unmask.models.time import TimeEmbedding
from unmask.models.token_places import Positions
from unmask.models.visibility import attention_mask, blocks_of, last_seen, mask_beside, near


class Attention(nn.Module):
    """Grouped-query self-attention through PyTorch's scaled dot product."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.width = config.head_width
        self.qkv = nn.Linear(config.hidden_size, (self.heads + 2 * self.kv_heads) * self.width, bias=config.qkv_bias)
        self.out = nn.Linear(self.heads * self.width, config.hidden_size, bias=config.out_bias)
        self.query_norm = RMSNorm(self.width, eps=config.rms_norm_eps) if config.qk_norm else None
        self.key_norm = RMSNorm(self.width, eps=config.rms_norm_eps) if config.qk_norm else None

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        by: Rotary | None,
        mask: Bool[Tensor, "B 1 T T"] | None,
        causal: bool,
        cache: KVCache | None,
        at: Int[Tensor, "B T"] | slice,
    ) -> Float[Tensor, "B T D"]:
        """Attend; with a cache, write the new keys and values at ``at`` and read all that is visible.

        Without a mask they are at a slice and see all up to its end. Without angles nothing is turned.
        """
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, self.heads + 2 * self.kv_heads, self.width).transpose(1, 2)
        turned, v = qkv.split([self.heads + self.kv_heads, self.kv_heads], dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = turned.split([self.heads, self.kv_heads], dim=1)
            turned = torch.cat([self.query_norm(q), self.key_norm(k)], 1)
        turned = turned if by is None else rotate(turned, *by)
        q, k = turned.split([self.heads, self.kv_heads], dim=1)
        if cache is not None:
            cache.write(self.layer, k, v, at)
            upto = at.stop if mask is None and isinstance(at, slice) else mask.shape[-1]
            k, v = (part.to(q.dtype) for part in cache.read(self.layer, upto))
        return self.out(self._mixed(q, k, v, mask, causal).transpose(1, 2).reshape(batch, length, -1))

    def _mixed(
        self,
        q: Float[Tensor, "B H T E"],
        k: Float[Tensor, "B G S E"],
        v: Float[Tensor, "B G S E"],
        mask: Tensor | None,
        causal: bool,
    ) -> Float[Tensor, "B H T E"]:
        """Return the attended values."""
        return attend(q, k, v, mask, causal and mask is None)


class Block(CheckpointedBlock):
    """One pre-norm block."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.Identity() if config.embed_norm and layer == 0 else make_norm(config)
        self.attention = Attention(config, layer)
        self.mlp_norm = make_norm(config)
        self.gate_up = nn.Linear(config.hidden_size, inner_width(config), bias=config.mlp_bias)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.mlp_bias)
        self.mlp, self.dropout = config.mlp, config.dropout
        self.local = int(config.window > 0 and layer % config.window_every > 0)

    def run(  # type: ignore[override]
        self,
        x: Float[Tensor, "B T D"],
        by: Rotary | None,
        mask: Bool[Tensor, "B 1 T T"] | None,
        causal: bool,
        cache: KVCache | None,
        at: Int[Tensor, "B T"] | slice,
        asked: Positions | None = None,
    ) -> Float[Tensor, "B T D"] | Float[Tensor, "n D"]:
        """Apply attention and the feed-forward layer, each behind its norm, each added to the residual.

        With ``asked`` (rows, columns) the answer is [n, D]: those positions only.
        """
        x = x + self._drop(self.attention(self.attention_norm(x), by, mask, causal, cache, at))
        if asked is not None:
            x = x[asked]
        return x + self._drop(self.down(activated(self.gate_up(self.mlp_norm(x)), self.mlp)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


def _candidate_input(config: TransformerConfig) -> PooledCandidates | FullCandidates | None:
    if config.candidate_input is None:
        return None
    if config.candidate_input == "pooled":
        return PooledCandidates(config.hidden_size)
    return FullCandidates(config.hidden_size, config.num_hidden_layers)


class Transformer(Denoiser):
    """The denoiser (bidirectional) and the autoregressive model (causal) in one.

    ``model(state, at=...)`` returns logits at the asked positions only. See :class:`State` and :class:`Prediction`.
    """

    config_class = TransformerConfig
    config: TransformerConfig
    _no_split_modules = ["Block"]

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.time = TimeEmbedding(config.hidden_size) if config.time_input else None
        self.candidates = _candidate_input(config)
        learned = config.places == "learned"
        self.place = nn.Embedding(config.max_position_embeddings, config.hidden_size) if learned else None
        self.embed_norm = make_norm(config) if config.embed_norm else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = make_norm(config)
        self.head_mlp = HeadMLP(config) if config.head_mlp else None
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=config.head_bias)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, FullCandidates):
            nn.init.zeros_(module.read)
            nn.init.ones_(module.sharpness)
            nn.init.ones_(module.read_sharpness)

    def flops(self, length: int, asked: float = 1.0) -> float:
        """Return floating-point operations a token of one forward pass, see :func:`unmask.models.cost.forward_flops`.

        With thoughts their vectors are positions, too, and the passage is read once.

        Args:
            length: Tokens in the block, or in a passage (T).
            asked: Share of positions whose logits are computed.
        """
        cells, vectors = beside(self.config)
        if not vectors:
            return forward_flops(self.config, length, asked)
        whole, config = length + vectors, self.config
        both = forward_flops(config, whole, (asked * length + cells) / whole) * whole / length
        no_logits = 2.0 * cells / length * config.hidden_size * config.vocab_size
        return both - no_logits + reader_flops(config, length)

    def kept(self, length: int) -> float:
        """Return the numbers that a position of a text of so many tokens keeps for the backward pass, logits aside."""
        return forward_kept(self.config, length)

    def new_cache(self, rows: int, capacity: int) -> KVCache:
        """Return an empty key-value cache for ``rows`` texts of up to ``capacity`` tokens."""
        config = self.config
        like = self.blocks[0].attention.qkv.weight  # what is kept is what this makes, in its type
        heads, width = config.num_key_value_heads, config.head_width
        return KVCache.empty(config.num_hidden_layers, rows, heads, capacity, width, like)

    def rolled(self, cache: KVCache, first: int, gone: int) -> KVCache:
        """Return a cache without ``gone`` of its tokens, those behind the ``first``; what follows moves up.

        Its keys are turned to their new places: R(p - n) = R(-n) R(p). Keys and values of layers above the lowest still
        carry what they saw of the tokens that are gone.

        Raises:
            Error: the network knows its places by learned vectors, which cannot be turned.
        """
        if self.place is not None or self.config.window:
            raise Error(
                "this network's places cannot be moved up (they are learned, or it has a window); set beyond=reread."
            )
        by = self._rotary(torch.full((1, 1), -gone, device=cache.keys.device))
        keys, values = torch.zeros_like(cache.keys), torch.zeros_like(cache.values)
        until = cache.keys.shape[3] - gone
        keys[..., :first, :], values[..., :first, :] = cache.keys[..., :first, :], cache.values[..., :first, :]
        keys[..., first:until, :] = rotate(cache.keys[..., first + gone :, :], *by)
        values[..., first:until, :] = cache.values[..., first + gone :, :]
        return KVCache(keys, values, cache.lengths - gone)

    def forward(
        self,
        state: State | Reading,
        at: Bool[Tensor, "B T"] | None = None,
        cache: KVCache | None = None,
        return_hidden: bool = False,
    ) -> Prediction:
        """Predict clean tokens.

        Args:
            state: What the network sees. With a cache: only the *new* tokens of each row, right-padded (``valid``). Or
                passages, whose thoughts are read.
            at: Positions whose logits are wanted, ``None``: all. Logits at p predict token p.
            cache: A key-value cache (causal or block use, ``output_shift`` 1): it is advanced in place by all that is
                new, and without ``at`` the answer is one row of logits [B, V] per text, for the token *after* its last
                new one. The places of ``state.block`` are those of the whole text. A block that is not decided yet has
                to be taken back (``cache.rewound``).
            return_hidden: Also return the final hidden states (a network with a latent pathway always does).

        Returns:
            Logits [n, V] in row-major order of ``at``, and the thought where it sees one.

        Raises:
            Error: a cache, or candidates in full, beside memory or thoughts.
        """
        if isinstance(state, Reading):
            return self._read(state)
        return_hidden = return_hidden or self.latent is not None
        beside = self._memories(state)
        tokens = state.tokens
        batch, length = tokens.shape
        causal = state.visibility == "causal" and cache is None
        places: Int[Tensor, "B T"] | slice
        if cache is not None:
            places = positions = cache.lengths[:, None] + torch.arange(length, device=tokens.device)
            read = cache.lengths.tolist()
            upto = min(max(read) + length, cache.capacity)
            mask = cache.visible(last_seen(state, positions), upto)
            if min(read) == max(read) == upto - length:  # the rows stand at the same place, and there is room
                places = slice(upto - length, upto)
                mask = None if bool(mask.all()) else mask
        else:
            positions = torch.arange(length, device=tokens.device)[None] if state.positions is None else state.positions
            places, mask = positions, attention_mask(state, self.config.block_context)
        if beside is not None and (cache is not None or isinstance(self.candidates, FullCandidates)):
            raise Error("memory and thoughts go with neither a key-value cache nor candidate_input=full.")
        given = state.candidates if self.candidates is not None else None
        if given is not None and isinstance(self.candidates, FullCandidates):
            return self._all_slots(state, at, positions, mask, return_hidden)
        x = self._embedded(state)
        recited = 0
        if cache is not None:
            fed = torch.full_like(cache.lengths, length) if state.valid is None else state.valid.sum(1)
            cache.lengths = cache.lengths + fed
            asked = torch.arange(batch, device=tokens.device), fed - 1
            if at is not None:
                asked = self._predictors(at, batch, length, tokens.device)
        elif state.clean is not None:
            x = torch.cat([self.embed(state.clean), x], 1)
            positions = positions.repeat(1, 2)
            asked, recited = self._beside_clean(state, at)
        else:
            asked = self._predictors(at, batch, length, tokens.device)
        if beside is not None:
            return self._with_memory(state, asked, x, positions, mask, beside, return_hidden)
        x = self._placed(x, positions)
        views = self._views(positions, mask, causal, None if cache is None else upto)
        for block in self.blocks[:-1]:
            x = block(x, *views[block.local], causal, cache, places)
        # What follows the last attention is needed where something is asked, and nowhere else.
        last = self.blocks[-1]
        x = last(x, *views[last.local], causal, cache, places, None if return_hidden else asked)
        x = self.norm(x)
        states = x[asked] if return_hidden else x
        states = states if self.head_mlp is None else self.head_mlp(states)
        logits = self.head(states)
        hidden = x[:, -length:] if return_hidden else None
        if state.clean_at is None:
            return Prediction(logits, hidden, cache, notes=self._notes(hidden), states=states)
        return Prediction(logits[recited:], hidden, clean=logits[:recited])

    def _beside_clean(self, state: State, at: Bool[Tensor, "B T"] | None) -> tuple[Positions, int]:
        """Return where the hidden states lie that predict what is asked of the clean text and of the noisy one.

        The clean text's places come first. With ``output_shift`` 1 they predict the first word of each block.

        Returns:
            Rows and columns, those of the clean text first, and the count of these.
        """
        asked = torch.ones_like(state.tokens, dtype=torch.bool) if at is None else at
        noisy = self._predictors(asked, *asked.shape, asked.device)
        beyond = (blocks_of(state) < torch.arange(asked.shape[1], device=asked.device))[asked]
        if not self.config.output_shift:
            beyond = torch.ones_like(beyond)
        columns = noisy[1] + asked.shape[1] * beyond
        if state.clean_at is None:
            return (noisy[0], columns), 0
        clean = self._predictors(state.clean_at, *asked.shape, asked.device)
        return (torch.cat([clean[0], noisy[0]]), torch.cat([clean[1], columns])), len(clean[0])

    def _with_memory(
        self,
        state: State,
        asked: Positions,
        x: Float[Tensor, "B T D"],
        positions: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B 1 T T"] | None,
        beside: Memories,
        return_hidden: bool,
    ) -> Prediction:
        """Answer a state with vectors beside its words: positions of their own, all at place 0."""
        batch, count = beside.there.shape
        x = torch.cat([beside.vectors.to(x.dtype), x], 1)
        positions = torch.cat([positions.new_zeros(batch, count), positions.expand(batch, -1)], 1)
        by, mask = self._rotary(positions), mask_beside(mask, state, beside)
        for block in self.blocks[:-1]:
            x = block(x, by, mask, False, None, positions)
        # The last block runs where something is asked, and at the cells of the text's own thought.
        cells = self.thoughts.options.cells if self.thoughts is not None and state.thought is not None else 0
        rows = torch.arange(batch, device=x.device).repeat_interleave(cells)
        columns = torch.arange(cells, device=x.device).repeat(batch)
        wanted = torch.cat([rows, asked[0]]), torch.cat([columns, asked[1] + count])
        x = self.blocks[-1](x, by, mask, False, None, positions, None if return_hidden else wanted)
        picked = x[wanted] if return_hidden else x
        became = picked[: batch * cells].view(batch, cells, picked.shape[-1])
        thought = self._thought(state, became) if cells else None
        states = self.norm(picked[batch * cells :])
        hidden = self.norm(x[:, count:]) if return_hidden else None
        return Prediction(self.head(states), hidden, thought=thought, notes=self._notes(hidden), states=states)

    def _all_slots(
        self,
        state: State,
        at: Bool[Tensor, "B T"] | None,
        positions: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B 1 T T"] | None,
        return_hidden: bool,
    ) -> Prediction:
        """Answer a state whose candidates are positions of their own: T*S slots in every attention, then a readout."""
        assert isinstance(self.candidates, FullCandidates)
        tokens, mass = self.candidates.slots(state)
        batch, length, slots = tokens.shape
        x = self.embed(tokens)
        if state.candidates is not None and state.candidates.jitter is not None:
            x = torch.cat([x[:, :, :1], embedded(self.embed, state.candidates)], 2)
        x = x.reshape(batch, length * slots, -1)
        if self.time is not None:
            t = state.t if state.t is not None else torch.zeros(batch, device=tokens.device)
            x = x + self.time(t if t.ndim == 1 else t.repeat_interleave(slots, 1))
        # The slots of a position share its place: nothing tells the first from the last, unless places count slots.
        places = positions.repeat_interleave(slots, -1)
        by = self._rotary(places, torch.arange(slots, device=tokens.device).repeat(length))
        rows, columns = self._predictors(at, batch, length, tokens.device)
        each = torch.arange(slots, device=tokens.device)
        asked = (rows[:, None].expand(-1, slots).reshape(-1), (columns[:, None] * slots + each).reshape(-1))
        for layer, block in enumerate(self.blocks):
            last = layer == len(self.blocks) - 1 and not return_hidden
            bias = self.candidates.bias(layer, mass, mask).to(x.dtype)
            x = block(x, by, bias, False, None, places, asked if last else None)
        hidden = None
        if return_hidden:
            hidden = self.candidates.readout(x.view(batch, length, slots, -1), mass)
            x = x[asked]
            hidden = self.norm(hidden)
        x = self.norm(self.candidates.readout(x.view(-1, slots, x.shape[-1]), mass[rows, columns]))
        return Prediction(self.head(x), hidden, notes=self._notes(hidden), states=x)

    def _placed(self, x: Float[Tensor, "B T D"], positions: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Return embeddings with what the network adds to them for their places, and their norm.

        Raises:
            Error: a place that it has learned no vector of.
        """
        if self.place is not None:
            if (far := int(positions.max())) >= len(self.place.weight):
                raise Error(f"this network has learned {len(self.place.weight)} places, and a text has {far + 1}.")
            x = x + self.place(positions)
        return x if self.embed_norm is None else self.embed_norm(x)

    def _views(
        self, positions: Int[Tensor, "B T"], mask: Bool[Tensor, "B 1 T S"] | None, causal: bool, upto: int | None
    ) -> list[tuple[Rotary | None, Bool[Tensor, "B 1 T S"] | None]]:
        """Return angles and mask of blocks that see all, and of those with a window.

        Args:
            positions: Of the tokens.
            mask: Who may attend to whom.
            causal: No token sees a later one, and the mask does not say so.
            upto: Cached positions that are read; ``None``: there is no cache.
        """
        config = self.config
        views = [(None if self.place is not None else self._rotary(positions), mask)]
        if config.window:
            seen = positions if upto is None else torch.arange(upto, device=positions.device)[None]
            by = rotary(positions, config.head_width, config.window_theta, config.rope_rule)
            views.append((by, near(positions, seen, config.window, mask, causal)))
        return views

    def _rotary(self, positions: Int[Tensor, "B T"], slots: Int[Tensor, " T"] | int = 0) -> Rotary:
        """Return the rotary angles of positions, or of their slots where those are counted, as many as in training."""
        if self.config.candidate_places == "flattened":
            stride = self.config.candidates + 1
            positions = positions * stride + (slots if isinstance(slots, int) else slots.clamp(max=stride - 1))
        if self.config.candidate_places == "lost":
            positions = positions.clamp(max=1)
        return rotary(positions, self.config.head_width, self.config.rope_theta, self.config.rope_rule)
