"""The order of training examples: one endless stream of shuffled epochs, addressed by its global position.

A position is (epoch, place in the epoch's permutation). Noise derives from it, so a run resumes bit-exactly, and N
ranks that share the stream see what one rank would.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.data.batch import Batch
from unmask.data.blocks import Blocks
from unmask.data.evidence import Evidence
from unmask.data.tokenizers import Tokenizer
from unmask.training.evidence_table import EvidenceTable, Extra, padded


class Example(TypedDict):
    """One block on its way to a batch."""

    tokens: Tensor
    segments: Tensor
    order: Tensor
    evidence: NotRequired[Extra]
    supervised: NotRequired[Tensor]


class BlockStream(Dataset[Example]):
    """Blocks addressed by global position.

    Args:
        blocks: The packed corpus.
        total: Number of positions: steps times examples a step.
        seed: Seed of the permutations.
        evidence: What goes with the blocks.
    """

    def __init__(self, blocks: Blocks, total: int, seed: int, evidence: EvidenceTable | None = None) -> None:
        self.blocks = blocks
        self.total = total
        self.seed = seed
        self.evidence = evidence
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return self.total

    def index(self, position: int) -> int:
        """Return the block at a global position."""
        epoch, place = divmod(position, len(self.blocks))
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(len(self.blocks))
            self._epoch = epoch
        return int(self._permutation[place])

    def __getitems__(self, positions: list[int]) -> list[Example]:
        """Return the examples at some positions, read from disk in one go."""
        indices = [self.index(p) for p in positions]
        tokens, segments = self.blocks.rows(indices)
        order = torch.tensor(positions, dtype=torch.int64)
        examples = [Example(tokens=tokens[i], segments=segments[i], order=order[i]) for i in range(len(positions))]
        supervised = self.blocks.supervised(indices)
        if supervised is not None:
            for example, row in zip(examples, supervised, strict=True):
                example["supervised"] = row
        if self.evidence is not None:
            for example, index in zip(examples, indices, strict=True):
                example["evidence"] = self.evidence.of(index, self.blocks.length)
        return examples

    def __getitem__(self, position: int) -> Example:
        return self.__getitems__([position])[0]


def tokens_a_byte(blocks: Blocks, count: int, seed: int, tokenizer: Tokenizer) -> float:
    """Return the predictable tokens of the first ``count`` blocks of a stream, for each byte of their text.

    Of talks: those that are learned.
    """
    stream = BlockStream(blocks, count, seed)
    indices = [stream.index(place) for place in range(count)]
    tokens, segments = blocks.rows(indices)
    supervised = blocks.supervised(indices)
    held = tokens[segments > 0 if supervised is None else supervised]
    return int((held != tokenizer.bos_id).sum()) / max(1, len(tokenizer.decode_bytes(held.tolist())))


def collate(examples: list[Example]) -> dict[str, Tensor]:
    """Stack examples into the tensors of a :class:`Batch`."""
    extras = [e["evidence"] for e in examples if "evidence" in e]
    learned = [e["supervised"] for e in examples if "supervised" in e]
    return {
        "tokens": torch.stack([e["tokens"] for e in examples]),
        "segments": torch.stack([e["segments"] for e in examples]),
        "order": torch.stack([e["order"] for e in examples]),
        **({"supervised": torch.stack(learned)} if learned else {}),
        **(padded(extras) if extras else {}),
    }


def as_batch(inputs: dict[str, Tensor], bos: int, share: float = 1.0) -> Batch:
    """Return the batch that the collated tensors make, of blocks of which this share is learned."""
    evidence = None
    if "memory" in inputs:
        owner = inputs["memory_segments"]
        evidence = Evidence(inputs["memory"], owner > 0, owner, inputs["given"])
    supervised = inputs.get("supervised")
    return Batch(inputs["tokens"], inputs["segments"], inputs["order"], bos, evidence, supervised, share)
