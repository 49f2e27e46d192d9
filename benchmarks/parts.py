"""What several benchmarks share: the networks and processes of the small recipes, and token blocks without a corpus.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unmask.training.recipe import Recipe, load_recipe
from unmask.training.train import make_model

BOS, EOS, SPECIALS = 1, 2, 4
SMALL = ("stories-small-causal", "stories-small-masked")

_QUICK = [
    "data={length: 24, vocab_size: 300}",
    "backbone={hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}",
    "training.per_device_train_batch_size=4",
]


def small(process: str, quick: bool, overrides: Sequence[str] = ()) -> Recipe:
    """Return ``stories-small-PROCESS``, or its sizes cut down for a quick run."""
    return load_recipe(f"stories-small-{process}", [*(_QUICK if quick else []), *overrides])


def network(recipe: Recipe, length: int | None = None) -> Any:
    """Return a recipe's network with fresh weights; its speed is that of trained ones.

    Args:
        recipe: Its sizes.
        length: Longest context; by default the recipe's.
    """
    if length is not None:
        sections = recipe.model_dump()
        sections["data"]["length"] = length
        recipe = Recipe.model_validate(sections)
    return make_model(recipe, recipe.data.vocab_size)


class SyntheticBlocks:
    """Blocks of made-up tokens, laid out as real ones are: pieces of documents behind their BOS, EOS where one ends.

    Args:
        count: Number of blocks.
        length: Tokens in a block (T).
        vocab_size: Token ids.
        document: Mean tokens of a document; ``None``: no document ends, each block is one piece.
        seed: Of the tokens.
    """

    def __init__(self, count: int, length: int, vocab_size: int, document: int | None, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        # small ids are common and large ones rare, as in a BPE vocabulary
        tokens = SPECIALS + (rng.random((count, length)) ** 3 * (vocab_size - SPECIALS)).astype(np.int64)
        starts = np.zeros((count, length), bool)
        if document is not None:
            starts[:, 3:] = rng.random((count, length - 3)) < 1 / document
        tokens[:, :-1][starts[:, 1:]] = EOS
        starts[:, 0] = True
        tokens[starts] = BOS
        self.tokens_array = torch.from_numpy(tokens)
        self.segments = torch.from_numpy(starts.cumsum(1))

    def __len__(self) -> int:
        return len(self.tokens_array)

    def rows(self, indices: Sequence[int]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        """Return (tokens, segments) of some blocks."""
        index = torch.tensor(indices)
        return self.tokens_array[index], self.segments[index]
