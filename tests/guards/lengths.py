"""The guard of what is told: all texts together have no more probability than one.

Letters: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from itertools import product
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from guards.guard import guard
from guards.parts import IDS, VOCABULARY
from unmask.diffusion.state import Prediction, State
from unmask.evaluation.batches import token_rows
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.windows import cut_all

WINDOW, CONTEXT = 4, 8


class Words:
    """A tokenizer of unequal tokens: a text of four bytes has one token or four."""

    pad_id, bos_id, eos_id, mask_id = VOCABULARY.pad, VOCABULARY.bos, VOCABULARY.eos, VOCABULARY.mask
    words = ("a", "b", "aa", "bbbb")

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Take the longest word that fits, again and again."""
        return [self.encode(text) for text in texts]

    def encode(self, text: str) -> list[int]:
        """Return the ids of one text."""
        ids = []
        while text:
            fitting = [i for i, word in enumerate(self.words) if text.startswith(word)]
            number = max(fitting, key=lambda i: len(self.words[i]))
            ids.append(4 + number)
            text = text[len(self.words[number]) :]
        return ids


class Listener(torch.nn.Module):
    """A network that makes the most of what it is told: at each place the tokens of all texts of the row's length.

    Left to right it is told nothing, and answers with the tokens of all texts at that place; in a block, too.
    """

    device = torch.device("cpu")
    config = SimpleNamespace(max_position_embeddings=CONTEXT, vocab_size=IDS)

    def __init__(self, rows: list[list[int]]) -> None:
        super().__init__()
        table = torch.zeros(CONTEXT + 1, 2 * CONTEXT, IDS)
        for row in rows:
            for place, token in enumerate(row):
                table[len(row), place, token] += 1
        self.told = (table + 1e-9).log()
        self.untold = (table.sum(0) + 1e-9).log()
        for row in rows:  # behind an end of text there are more of them, where blocks are filled
            if row[-1] == VOCABULARY.eos:
                table[len(row), len(row) :, VOCABULARY.eos] += 1
        self.filled = (table.sum(0) + 1e-9).log()

    def forward(self, state: State, at: Tensor) -> Prediction:
        """Answer from the tables."""
        width = state.tokens.shape[1]
        if state.visibility == "causal":
            return Prediction(self.untold[:width].expand(len(at), -1, -1)[at])
        if state.visibility == "block":
            return Prediction(self.filled[:width].expand(len(at), -1, -1)[at])
        there = state.valid if state.segments is None else state.segments > 0
        lengths = torch.full((len(at),), width) if there is None else there.sum(1)
        return Prediction(self.told[lengths, :width][at])


@guard("the probabilities of all texts sum to at most one")
def all_texts_share_one(process: Any, longest: int = 5, draws: int = 32) -> None:
    """Every text of two letters up to some bytes, in windows of four, each scored by itself, bounds in expectation.

    Tolerance: 2 %, for the draws of a bound, whose spread makes a mean of exp(-nats) larger and not smaller.
    """
    words = Words()
    texts = ["".join(letters) for size in range(1, longest + 1) for letters in product("ab", repeat=size)]
    rows = token_rows(cut_all(texts, WINDOW), words, CONTEXT, WINDOW)
    model = Listener(rows)
    total = 0.0
    for text in texts:
        found = bits_per_byte(model, process, words, [text], window=WINDOW, draws=draws)
        total += math.exp(-found.nats)
    assert total <= 1.02, f"the probabilities of {len(texts)} texts sum to {total:.2f}"
