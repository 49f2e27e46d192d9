"""Evidence for training: each document's beginning is looked up once, and its blocks carry what was found.

The *query* of a document is its first tokens, ``evidence.query`` of them, wherever its pieces lie: a piece in a later
block has the evidence of its document's beginning. A document that ends within its query has none, as nothing of it
would be left to predict; nor has a piece that lies within it. Who looks is the caller's: this layer knows no index.

Letters: N documents, P pieces of documents, M texts that are found, E width of their vectors, T tokens of a block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import numpy as np
import torch
from jaxtyping import Float16, Float32, Int64
from torch import Tensor

from unmask.data.blocks import Blocks
from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.training.sections import EvidenceSection

_ROWS = 1024


@dataclass(frozen=True)
class Found:
    """What queries found.

    Attributes:
        vectors: Of the texts, best first.
        members: Their numbers in the index; -1 where fewer were found.
        scores: Cosine of each with its query.
        told: What the run's manifest says of the index.
    """

    vectors: Float16[np.ndarray, "N M E"]
    members: Int64[np.ndarray, "N M"]
    scores: Float32[np.ndarray, "N M"]
    told: dict[str, Any]


class Finder(Protocol):
    """What looks texts up."""

    def __call__(self, wanted: EvidenceSection, queries: Sequence[str], documents: Iterable[str], key: str) -> Found:
        """Return what each document's query finds, the document itself and its copies left out.

        Args:
            wanted: The recipe's section.
            queries: One a document; an empty one finds nothing.
            documents: The documents, which say what must not be found.
            key: Names the documents and queries, for a cache.
        """
        ...


class Extra(TypedDict):
    """What an example of a run with evidence has besides."""

    memory: Tensor
    memory_segments: Tensor
    given: Tensor


class Pieces:
    """Where the documents lie in packed blocks, and what their queries are.

    Args:
        blocks: The packed corpus.
        tokenizer: Its tokenizer.
        query: Tokens of a query.

    Attributes:
        first: Number of the first piece of each block, and the count of all.
        document: Document of each piece, in the order of the corpus.
        start: Column of its BOS.
        length: Its tokens, BOS left out and EOS counted.
        offset: Tokens of its document before it.
        queries: Text of each document's query; empty where the document ends within it.
    """

    def __init__(self, blocks: Blocks, tokenizer: Tokenizer, query: int) -> None:
        counts, parts = [np.zeros(1, np.int64)], []
        heads: list[list[int]] = [[]]
        for begin in range(0, len(blocks), _ROWS):
            tokens, segments = (x.numpy() for x in blocks.rows(range(begin, min(begin + _ROWS, len(blocks)))))
            edge = np.zeros((len(tokens), 1), np.int64)
            starts = (segments > 0) & (np.diff(segments, axis=1, prepend=edge) != 0)
            ends = (segments > 0) & (np.diff(segments, axis=1, append=edge) != 0)
            rows, columns = starts.nonzero()
            last = ends.nonzero()[1]
            closed = tokens[rows, last] == tokenizer.eos_id
            counts.append(starts.sum(1))
            parts.append(np.stack([columns, last - columns, closed]))
            for row, column, end, done in zip(rows, columns, last, closed, strict=True):
                if len(heads[-1]) <= query:  # one more tells whether the document goes on behind its query
                    heads[-1] += tokens[row, column + 1 : end + 1 - done][: query + 1].tolist()
                if done:
                    heads.append([])
        self.first = np.cumsum(np.concatenate(counts))
        self.start, self.length, closed = np.concatenate(parts, axis=1)
        self.document = np.cumsum(closed) - closed
        before = np.cumsum(self.length) - self.length
        opening = np.flatnonzero(np.diff(self.document, prepend=-1))
        self.offset = before - before[opening][self.document]
        heads = heads[: int(closed.sum())]
        self.queries = [tokenizer.decode(head[:query]) if len(head) > query else "" for head in heads]
        self.query = query


class EvidenceTable:
    """The evidence of every block.

    Args:
        pieces: Where the documents lie.
        found: What their queries found.
    """

    def __init__(self, pieces: Pieces, found: Found) -> None:
        self.pieces = pieces
        self.found = found

    def of(self, block: int, length: int) -> Extra:
        """Return what goes with a block.

        Args:
            block: Its number.
            length: Its tokens (T).
        """
        pieces = self.pieces
        memory: list[Tensor] = [torch.zeros(0, self.found.vectors.shape[2])]
        owner: list[int] = []
        given = torch.zeros(length, dtype=torch.bool)
        for number, piece in enumerate(range(pieces.first[block], pieces.first[block + 1]), 1):
            document, left = pieces.document[piece], pieces.query - pieces.offset[piece]
            there = self.found.members[document] >= 0
            if left >= pieces.length[piece] or not there.any():
                continue
            memory.append(torch.from_numpy(self.found.vectors[document][there].astype(np.float32)))
            owner += [number] * int(there.sum())
            first = int(pieces.start[piece]) + 1
            given[first : first + max(int(left), 0)] = True
        return Extra(memory=torch.cat(memory), memory_segments=torch.tensor(owner, dtype=torch.int64), given=given)


def padded(extras: Sequence[Extra]) -> dict[str, Tensor]:
    """Stack what goes with some examples; at least one vector a row, so that every batch asks the projection."""
    most = max(1, *(len(extra["memory"]) for extra in extras))
    width = extras[0]["memory"].shape[1]
    memory = torch.zeros(len(extras), most, width)
    segments = torch.zeros(len(extras), most, dtype=torch.int64)  # no piece has number 0
    for row, extra in enumerate(extras):
        memory[row, : len(extra["memory"])] = extra["memory"]
        segments[row, : len(extra["memory"])] = extra["memory_segments"]
    given = torch.stack([extra["given"] for extra in extras])
    return {"memory": memory, "memory_segments": segments, "given": given}


def evidence_table(
    wanted: EvidenceSection,
    width: int,
    blocks: Blocks,
    tokenizer: Tokenizer,
    documents: Iterable[str],
    find: Finder | None,
) -> EvidenceTable:
    """Look up the beginnings of all documents of a split.

    Args:
        wanted: The recipe's section.
        width: Vectors that the network takes.
        blocks: The packed split.
        tokenizer: Its tokenizer.
        documents: Its documents, in order.
        find: What looks texts up.

    Raises:
        Error: nobody to look them up, an index of another width, or one that holds nothing for any document.
    """
    if find is None:
        raise Error("this recipe has evidence, which is looked up in an index: train it with unmask train.")
    pieces = Pieces(blocks, tokenizer, wanted.query)
    if not any(pieces.queries):
        raise Error(f"every document ends within evidence.query, {wanted.query} tokens; lower it.")
    found = find(wanted, pieces.queries, documents, blocks.fingerprint)
    if found.vectors.shape[2] != width:
        own = found.vectors.shape[2]
        raise Error(
            f"the index {wanted.index} has vectors of {own} numbers and the network takes {width}; "
            f"set backbone.memory_width={own}."
        )
    if not (found.members >= 0).any():
        raise Error(f"the index {wanted.index} has no text for any document but the document itself; index other text.")
    return EvidenceTable(pieces, found)
