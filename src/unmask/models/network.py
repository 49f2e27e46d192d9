"""What all our networks have in common: a token embedding, a noise level, candidates, a head on asked positions.

Letters: B batch, T tokens, D width, n asked positions.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from unmask.diffusion.state import State
from unmask.models.candidates import FullCandidates, PooledCandidates
from unmask.models.fused import RMSNorm
from unmask.models.time import TimeEmbedding

Positions = tuple[Int[Tensor, " n"], Int[Tensor, " n"]]
"""Rows and columns of some positions."""


class Denoiser(PreTrainedModel):
    """The parts that a network has around its blocks. A subclass makes them, in its own order.

    Attributes:
        embed: Token embedding.
        time: Embedding of the noise level, or ``None``.
        candidates: How candidates of open positions enter, or ``None``.
        norm: The last norm.
        head: From width to vocabulary.
    """

    base_model_prefix = ""
    main_input_name = "state"
    supports_gradient_checkpointing = True
    _tied_weights_keys = {"head.weight": "embed.weight"}

    embed: nn.Embedding
    time: TimeEmbedding | None
    candidates: PooledCandidates | FullCandidates | None
    norm: RMSNorm
    head: nn.Linear

    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, RMSNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, PooledCandidates):
            nn.init.zeros_(module.query)
            nn.init.ones_(module.sharpness)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token embedding."""
        return self.embed

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embedding."""
        self.embed = value

    def get_output_embeddings(self) -> nn.Linear:
        """Return the output head."""
        return self.head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        """Replace the output head."""
        self.head = value

    def learning_rate_scales(self) -> dict[str, float]:
        """Return what the learning rate is multiplied by, for the parameters (by name) where that is not 1."""
        return {}

    def _embedded(self, state: State) -> Float[Tensor, "B T D"]:
        """Return the embeddings of a state: tokens, pooled candidates, noise level."""
        x = self.embed(state.tokens)
        if state.candidates is not None and isinstance(self.candidates, PooledCandidates):
            x = x + self.candidates(self.embed, state.candidates)
        if self.time is not None:
            t = state.t if state.t is not None else torch.zeros(len(x), device=x.device)
            x = x + self.time(t)
        return x

    def _predictors(self, at: Bool[Tensor, "B T"] | None, batch: int, length: int, device: torch.device) -> Positions:
        """Return where the hidden states lie that predict the asked positions."""
        if at is not None:
            rows, columns = at.nonzero(as_tuple=True)
        else:
            index = torch.arange(batch * length, device=device)
            rows, columns = index // length, index % length
        return rows, (columns - self.config.output_shift).clamp(min=0)
