"""Prepared token files: a corpus packed into blocks once, at most 50 MB, for training without text or network.

    FOLDER/tokens.safetensors  train, valid, judge: uint16 [blocks, T]; counts and fingerprint as metadata
    FOLDER/tokenizer/

Document pieces begin with BOS and only the end of a block is padding, so the pieces' numbers need not be stored.

Letters: B blocks, T tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from unmask.data.tokenizers import Tokenizer, load_tokenizer
from unmask.errors import Error
from unmask.training.recipe import Recipe

FILE = "tokens.safetensors"
MOST_BYTES = 50_000_000
VALID_BLOCKS, JUDGE_BLOCKS = 512, 4096


class AllLearned:
    """What training asks of blocks besides their tokens, where no word is given and all are learned."""

    notes: tuple[str, ...] = ()
    learned = 1.0

    def supervised(self, indices: Sequence[int]) -> None:
        """Return which words are learned; ``None``: all."""


class PreparedBlocks(AllLearned):
    """Blocks in memory, with what training reads of :class:`unmask.data.blocks.Blocks`."""

    def __init__(self, tokens: NDArray[np.uint16], pad: int, bos: int, size: int) -> None:
        self.array = tokens
        self.pad, self.bos = pad, bos
        self.bytes = size
        self.length = tokens.shape[1]
        self.tokens = int(((tokens != bos) & (tokens != pad)).sum())

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, indices: Sequence[int]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        """Return (tokens, segments) of some blocks."""
        tokens = torch.from_numpy(self.array[list(indices)].astype(np.int64))
        segments = (tokens == self.bos).cumsum(1).masked_fill(tokens == self.pad, 0)
        return tokens, segments

    def pieces(self, tokenizer: Tokenizer) -> list[bytes]:
        """Return the text of every document piece."""
        found = []
        for row in self.array.astype(np.int64):
            starts = np.flatnonzero(row == self.bos)
            found += [tokenizer.decode_bytes(piece) for piece in np.split(row, starts[1:])]
        return found


@dataclass(frozen=True)
class Prepared:
    """An opened folder.

    Attributes:
        folder: Where it lies.
        info: Source, fingerprint, counts.
        notes: What to know about the choice of files: nothing.
    """

    folder: Path
    info: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """What the corpus was read from."""
        return str(self.info["source"])

    @property
    def fingerprint(self) -> str:
        """The corpus's fingerprint."""
        return str(self.info["fingerprint"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the tokens."""
        return load_tokenizer(self.folder / "tokenizer")

    def blocks(self, split: str) -> PreparedBlocks:
        """Return the blocks of ``train``, ``valid`` or ``judge``."""
        with safe_open(self.folder / FILE, framework="numpy") as file:
            tokens = file.get_tensor(split)
        return PreparedBlocks(tokens, self.tokenizer.pad_id, self.tokenizer.bos_id, self.info["bytes"][split])


def open_prepared(folder: Path) -> Prepared:
    """Open what :func:`prepare` wrote.

    Raises:
        Error: nothing is there.
    """
    if not (folder / FILE).is_file():
        raise Error(
            f"{folder} holds no {FILE}; make it on any machine with: python -m benchmarks.speed.gpu --piece prepare"
        )
    with safe_open(folder / FILE, framework="numpy") as file:
        return Prepared(folder, json.loads(file.metadata()["info"]))


def prepare(recipe: Recipe, folder: Path) -> Prepared:
    """Pack a recipe's corpus into token files of at most 50 MB; blocks that do not fit are left out, evenly.

    Raises:
        Error: an unusable corpus, or a vocabulary that does not fit into 16 bits.
    """
    from unmask.data.blocks import pack
    from unmask.data.corpus import documents, load_corpus
    from unmask.data.tokenizers import make_tokenizer

    data = recipe.data
    corpus = load_corpus(
        data.source, valid=data.valid, valid_fraction=data.valid_fraction, judge_fraction=data.judge_fraction
    )
    tokenizer = make_tokenizer(data.tokenizer, documents(corpus.split("train")), data.vocab_size)
    if tokenizer.vocab_size > 1 << 16:
        raise Error(f"the tokenizer has {tokenizer.vocab_size} tokens; prepared files hold up to 65536.")
    arrays: dict[str, NDArray[np.uint16]] = {}
    sizes: dict[str, int] = {}
    room = MOST_BYTES // (2 * data.length)
    for split, most in (("valid", VALID_BLOCKS), ("judge", JUDGE_BLOCKS), ("train", room)):
        blocks = pack(corpus.split(split), tokenizer, data.length)
        count = min(len(blocks), most, room)
        room -= count
        taken = np.linspace(0, len(blocks) - 1, count).astype(np.int64).tolist()
        arrays[split] = blocks.rows(taken)[0].numpy().astype(np.uint16)
        sizes[split] = len(tokenizer.decode_bytes(arrays[split].ravel().tolist()))
    info = {
        "format": 1,
        "source": corpus.source,
        "fingerprint": corpus.fingerprint,
        "length": data.length,
        "vocab_size": tokenizer.vocab_size,
        "bytes": sizes,
        "blocks": {split: len(array) for split, array in arrays.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / "tokenizer")
    save_file(arrays, folder / FILE, metadata={"info": json.dumps(info)})
    return open_prepared(folder)
