"""Filling holes in a sentence: ``the ____ sat on ____``, with hole lengths given, or chosen (see ``lengths``).

For a range of lengths every combination is tried; when there are too many, the same length in every hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch

from unmask.data.tokenizers import Tokenizer
from unmask.sampling.holes import parse_holes as parse_holes
from unmask.sampling.holes import parse_length as parse_length
from unmask.sampling.request import Request, Settings, Vocabulary, canvas

MOST_LAYOUTS = 64
"""Combinations of hole lengths that are tried; beyond, all holes get the same length."""


@dataclass(frozen=True)
class HoleRequest:
    """A request, and where its holes are: (first position, position behind the last)."""

    request: Request
    spans: tuple[tuple[int, int], ...]


def layouts(holes: int, low: int, high: int) -> list[tuple[int, ...]]:
    """Return the combinations of hole lengths to try."""
    span = range(low, high + 1)
    if len(span) ** holes <= MOST_LAYOUTS:
        return list(product(span, repeat=holes))
    return [(n,) * holes for n in span]


@lru_cache(maxsize=4)
def spaced_tokens(tokenizer: Tokenizer, size: int | None = None) -> torch.Tensor | None:
    """Return which tokens begin with a space; ``None`` if no word does, so that a space is its own token (bytes)."""
    spaced = [tokenizer.decode_bytes([i])[:1] == b" " for i in range(tokenizer.vocab_size)]
    if sum(spaced) < 2:
        return None
    return torch.tensor(spaced + [False] * ((size or 0) - len(spaced)))


def hand_over_space(piece: str, vocabulary: Vocabulary) -> tuple[str, bool]:
    """Take a single space off the end of a piece, to be written as the beginning of the word that follows.

    A tokenizer of words has " cat" as one token; after a lone space the model would be where it never was in training.
    """
    if vocabulary.spaced is not None and piece.endswith(" "):
        return piece[:-1], True
    return piece, False


def hole_requests(
    pieces: Sequence[str],
    lengths: Sequence[tuple[int, ...]],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    settings: Settings,
    index: int = 0,
) -> list[HoleRequest]:
    """Return one request for each combination of hole lengths."""
    handed = [hand_over_space(piece, vocabulary) for piece in pieces[:-1]]
    ids = tokenizer.encode_batch([*(piece for piece, _ in handed), pieces[-1]])
    leading = [number for number, (_, space) in enumerate(handed) if space]
    requests = []
    for layout in lengths:
        tokens, lead = canvas(ids, layout, vocabulary, leading)
        spans, start = [], 1
        for piece, length in zip(ids, layout, strict=False):
            spans.append((start + len(piece), start + len(piece) + length))
            start = spans[-1][1]
        requests.append(HoleRequest(Request(tokens, settings, index, lead), tuple(spans)))
    return requests


def hole_texts(tokens: Sequence[int], asked: HoleRequest, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return what was written into each hole of a text, without the space that the hole was handed."""
    fills = []
    for start, end in asked.spans:
        fill = tokenizer.decode(tokens[start:end])
        fills.append(fill.removeprefix(" ") if start in asked.request.lead else fill)
    return tuple(fills)
