"""Features of texts for the divergence: a judge network's mean hidden state, or static embeddings.

A network that is neither rival sees word order and grammar; static embeddings see only which words there are (their
"shuffled words" control equals real text, and says so).

Letters: N texts, T tokens, D feature width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.embeddings import Embedder
from unmask.diffusion.process import visible_segments
from unmask.diffusion.state import State
from unmask.evaluation.batches import Scorer, batches


class TextFeatures(Protocol):
    """Anything that turns texts into features.

    Attributes:
        name: How a report calls it.
    """

    name: str

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Return the features of each text."""
        ...


@dataclass(frozen=True)
class NetworkFeatures:
    """The mean of a network's last hidden states over a text's tokens; what exceeds the context is not read.

    Attributes:
        network: A network of ours that no rival was trained from; see ``judge.refuse_biased_judge``.
        process: The process it was trained with.
        tokenizer: Its tokenizer.
        name: How a report calls it.
        batch_size: Texts in one call.
    """

    network: Any
    process: Any
    tokenizer: Scorer
    name: str = "judge network"
    batch_size: int = 32

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Return the features of each text, float32 on the CPU."""
        room = int(self.network.config.max_position_embeddings) - 1
        bos = self.tokenizer.bos_id
        rows = [[bos, *ids[:room]] for ids in self.tokenizer.encode_batch(list(texts))]
        features: list[Tensor] = [torch.empty(0)] * len(rows)
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                for index, batch in batches(rows, self.tokenizer, self.batch_size):
                    segments, valid = visible_segments(batch, True)
                    state = State(batch.tokens, self.process.visibility, segments=segments, valid=valid)
                    asked = torch.zeros_like(batch.valid)
                    asked[:, 0] = True  # the head is not needed; a network is asked for something
                    device = self.network.device
                    hidden = self.network(state.to(device), at=asked.to(device), return_hidden=True).hidden
                    read = batch.valid.to(device)[..., None]
                    mean = (hidden.float() * read).sum(1) / read.sum(1)
                    for place, feature in zip(index, mean.cpu(), strict=True):
                        features[place] = feature
        finally:
            self.network.train(was_training)
        return torch.stack(features)


@dataclass(frozen=True)
class StaticFeatures:
    """Static embeddings of whole texts.

    Attributes:
        embedder: The embedder.
    """

    embedder: Embedder

    @property
    def name(self) -> str:
        """How a report calls it."""
        return self.embedder.name

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Return the features of each text."""
        return torch.from_numpy(self.embedder.embed(texts))
