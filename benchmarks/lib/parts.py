"""What several benchmarks share: the networks and processes of the small recipes, and token blocks without a corpus.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import TrainerCallback

from benchmarks.lib.prepared import AllLearned
from unmask.data.vocabulary import Vocabulary
from unmask.training import train as training
from unmask.training.network import make_model
from unmask.training.prepared import Prepared
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import Run

BOS, EOS, SPECIALS = 1, 2, 4

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


class SyntheticBlocks(AllLearned):
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
        self.length = length
        self.bytes = 0
        self.tokens_array = torch.from_numpy(tokens)
        self.segments = torch.from_numpy(starts.cumsum(1))

    def __len__(self) -> int:
        return len(self.tokens_array)

    def rows(self, indices: Sequence[int]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        """Return (tokens, segments) of some blocks."""
        index = torch.tensor(indices)
        return self.tokens_array[index], self.segments[index]


def train_on(
    recipe: Recipe,
    folder: Path,
    data: tuple[Any, Any, Any, Any],
    resume: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
) -> Run:
    """Train as ``unmask train`` does, on tokens that are packed already.

    Only the step from text to blocks is replaced; all that is measured is what users run.

    Args:
        recipe: What to train.
        folder: The run folder.
        data: Corpus (its name and fingerprint are recorded), tokenizer, training blocks, held-out blocks or ``None``.
        resume: Continue from the newest checkpoint.
        callbacks: Called after all of the Trainer's own.
    """

    def prepared(*arguments: Any, **more: Any) -> Prepared:
        folder.mkdir(parents=True, exist_ok=True)
        data[1].save(folder / "tokenizer")
        return Prepared(*data)

    def trainer(**arguments: Any) -> Any:
        made = made_by(**arguments)
        for callback in callbacks:
            made.add_callback(callback)
        return made

    made_by = training.ProcessTrainer
    with patch.object(training, "prepare", prepared), patch.object(training, "ProcessTrainer", trainer):
        return training.train(recipe, folder, resume)


class SyntheticCorpus:
    """Stands for both the corpus and the tokenizer of synthetic blocks."""

    source = name = "synthetic tokens"
    fingerprint = "none"
    notes: tuple[str, ...] = ()
    pad_id, bos_id, eos_id, mask_id = range(SPECIALS)

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.vocabulary = Vocabulary(self.pad_id, self.bos_id, self.eos_id, self.mask_id, vocab_size)

    def save(self, folder: Path) -> None:
        """There is nothing to save."""
