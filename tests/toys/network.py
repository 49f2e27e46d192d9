"""A network without attention: a learned kernel over distances mixes the words of a text, twice."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from unmask.diffusion.options import Visibility
from unmask.diffusion.state import Prediction, State
from unmask.models.candidates import PooledCandidates
from unmask.models.config import NetworkConfig
from unmask.models.network import Denoiser
from unmask.models.options import NetworkOptions
from unmask.models.time import TimeEmbedding


class ToyOptions(NetworkOptions):
    """It has no keys of its own."""

    model_type: ClassVar[str] = "unmask-toy"
    visibilities: ClassVar[tuple[Visibility, ...]] = ("bidirectional",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class ToyConfig(NetworkConfig, ToyOptions):
    """What ``config.json`` holds."""

    model_type = ToyOptions.model_type
    __init__ = ToyOptions.__init__


class Toy(Denoiser):
    """Embed, mix by distance, predict."""

    config_class = ToyConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.embed = nn.Embedding(config.vocab_size, width)
        self.time = TimeEmbedding(width) if config.time_input else None
        self.candidates = PooledCandidates(width) if config.candidate_input else None
        self.kernels = nn.ModuleList(nn.Embedding(2 * config.max_position_embeddings, width) for _ in range(2))
        self.mixers = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.norm = nn.RMSNorm(width, eps=config.rms_norm_eps)
        self.head = nn.Linear(width, config.vocab_size, bias=False)
        self.post_init()

    def flops(self, length: int, asked: float = 1.0) -> float:
        width = self.config.hidden_size
        return 4.0 * width * (length + width) + 2.0 * asked * width * self.config.vocab_size

    def kept(self, length: int) -> float:
        return 6.0 * self.config.hidden_size

    def forward(self, state: State, at: Any = None, **_: Any) -> Prediction:
        if state.visibility != "bidirectional":
            from unmask.errors import Error

            raise Error("this network cannot hide what is to the right; set backbone=transformer.")
        x = self._embedded(state)
        batch, length = state.tokens.shape
        there = torch.ones_like(state.tokens) if state.valid is None else state.valid.long()
        piece = there if state.segments is None else state.segments
        near = (piece[:, :, None] == piece[:, None, :]) & (piece > 0)[:, None, :]
        place = torch.arange(length)
        apart = place[:, None] - place[None] + self.config.max_position_embeddings
        for kernel, mixer in zip(self.kernels, self.mixers, strict=True):
            mixed = torch.einsum("bpq,pqd,bqd->bpd", near.to(x.dtype), kernel(apart), x)
            x = x + mixer(mixed).tanh()
        rows, columns = self._predictors(at, batch, length, x.device)
        shifted = near[rows, columns, (columns + self.config.output_shift).clamp(max=length - 1)]
        return Prediction(self.head(self.norm(x[rows, columns] * shifted[:, None])))
