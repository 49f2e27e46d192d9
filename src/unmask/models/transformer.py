"""One transformer for causal and bidirectional use: the same class, the same parameters, another visibility.

Pre-norm blocks: x + Attention(RMSNorm(x)), x + SwiGLU(RMSNorm(x)); rotary positions (Su et al. 2021, arXiv 2104.09864),
SwiGLU (Shazeer 2020, arXiv 2002.05202), RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467). With Llama's weights its
logits are Llama's; what other open families have instead are options of the same class. The head runs on asked
positions only.

A block is in :mod:`unmask.models.transformer_block`; places in ``transformer_places``; texts with vectors beside them
and texts whose candidates are positions in ``transformer_beside`` and ``transformer_slots``.

Letters: B batch, T tokens, D width, V vocabulary, n asked positions.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Reading
from unmask.errors import Error
from unmask.models.cache import KVCache
from unmask.models.candidates import FullCandidates, PooledCandidates
from unmask.models.config import TransformerConfig
from unmask.models.cost import forward_flops, forward_kept
from unmask.models.fused import rotate
from unmask.models.int8 import Int8Linear
from unmask.models.network import Denoiser
from unmask.models.norms import HeadMLP, make_norm
from unmask.models.thought_cost import beside, reader_flops
from unmask.models.time import TimeEmbedding
from unmask.models.token_places import Positions
from unmask.models.transformer_beside import answer_beside
from unmask.models.transformer_block import Block
from unmask.models.transformer_places import angles, placed, views
from unmask.models.transformer_slots import answer_slots
from unmask.models.visibility import attention_mask, blocks_of, last_seen


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
        made = self.blocks[0].attention.qkv  # what is kept is what this makes, in its type
        like = made.weight_scale if isinstance(made, Int8Linear) else made.weight
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
        by = angles(self.config, torch.full((1, 1), -gone, device=cache.keys.device))
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
            rows = self._predictors(at, batch, length, tokens.device)
            return answer_slots(self, self.candidates, state, rows, positions, mask, return_hidden)
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
            return answer_beside(self, state, asked, x, positions, mask, beside, return_hidden)
        x = placed(x, positions, self.place, self.embed_norm)
        seen = views(self.config, positions, mask, causal, None if cache is None else upto)
        for block in self.blocks[:-1]:
            x = block(x, *seen[block.local], causal, cache, places)
        # What follows the last attention is needed where something is asked, and nowhere else.
        last = self.blocks[-1]
        x = last(x, *seen[last.local], causal, cache, places, None if return_hidden else asked)
        x = self.norm(x)
        states = x[asked] if return_hidden else x
        states = states if self.head_mlp is None else self.head_mlp(states)
        logits = self.head(states)
        hidden = x[:, -length:] if return_hidden else None
        if state.clean_at is None:
            return Prediction(logits, hidden, cache, notes=self.notes_of(hidden), states=states)
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
