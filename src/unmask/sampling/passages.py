"""Texts longer than a passage: passage after passage, the finished ones read into thoughts for those to come.

Every passage is a canvas of its own for the sampler: BOS and the next tokens of the text. What was written before it is
seen through the stack of thoughts alone. The cut is that of training (:mod:`unmask.diffusion.passages`).

Letters: B rows, S passages, T tokens of a passage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch

from unmask.diffusion.noise import Noise
from unmask.diffusion.thought import Read, Reading, ThoughtOptions
from unmask.errors import Error
from unmask.sampling.finished import Sample
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.thought_steps import fresh

Write = Callable[[list[Request]], list[Sample]]
"""What writes canvases that fit a passage."""


def cut(tokens: Sequence[int], size: int, bos: int) -> list[tuple[int, ...]]:
    """Return the canvases of a text's passages, each with BOS in front.

    Args:
        tokens: The text, BOS first.
        size: Tokens of a passage; the first holds one less, as the text's own BOS is among them.
        bos: Id of BOS.
    """
    pieces = [tuple(tokens[start : start + size]) for start in range(0, len(tokens), size)]
    return [pieces[0], *((bos, *piece) for piece in pieces[1:])]


@torch.no_grad()
def read_passages(model: Any, rows: Sequence[Sequence[Sequence[int]]], vocabulary: Vocabulary) -> Read:
    """Return the thoughts of finished passages: [B, S, ...].

    Args:
        model: The network.
        rows: The passages of each text, as many in each, BOS first.
        vocabulary: The special tokens.
    """
    device = next(iter(model.parameters())).device
    longest = max(len(passage) for row in rows for passage in row)
    shape = (len(rows), len(rows[0]), longest)
    tokens = torch.full(shape, vocabulary.pad, dtype=torch.int64)
    valid = torch.zeros(shape, dtype=torch.bool)
    for place, row in enumerate(rows):
        for number, passage in enumerate(row):
            tokens[place, number, : len(passage)] = torch.tensor(passage)
            valid[place, number, : len(passage)] = True
    follows = torch.ones(shape[:2], dtype=torch.bool)
    follows[:, 0] = False
    read: Read | None = model(Reading(tokens.to(device), valid.to(device), follows.to(device))).read
    assert read is not None
    return read


def write_passages(
    model: Any, options: ThoughtOptions, requests: Sequence[Request], vocabulary: Vocabulary, write: Write
) -> list[Sample]:
    """Write texts passage by passage, in the order of the requests.

    Args:
        model: The network.
        options: How its thoughts are made.
        requests: Canvases of any length.
        vocabulary: The special tokens.
        write: Writes the canvases of one passage.

    Raises:
        Error: a text under a constraint.
    """
    if any(request.constraint is not None for request in requests):
        raise Error(
            f"a text under a constraint is written in one passage of {options.passage} tokens; ask for fewer tokens."
        )
    canvases = [cut(request.tokens, options.passage, vocabulary.bos) for request in requests]
    parts: list[list[Sample]] = [[] for _ in requests]
    for number in range(max(map(len, canvases))):
        live = [i for i, own in enumerate(canvases) if len(own) > number and not (parts[i] and parts[i][-1].ended)]
        if not live:
            break
        stack = None
        if number and options.shape is not None:
            before = [[part.tokens for part in parts[i]] for i in live]
            stack = read_passages(model, before, vocabulary).reduced.flip(1)  # the newest first
        asked = []
        for place, i in enumerate(live):
            own = requests[i]
            start = number * options.passage - (1 if number else 0)
            lead = frozenset(p - start for p in own.lead if 0 <= p - start < len(canvases[i][number]))
            thought = own.thought if number == 0 else None
            if stack is not None:
                key = Noise(own.settings.seed, torch.tensor([own.index])).fold(torch.tensor([number])).keys
                thought = fresh(options, key, stack[place : place + 1].cpu())
            index = own.index if number == 0 else part_index(own, number)
            asked.append(replace(own, tokens=canvases[i][number], lead=lead, thought=thought, index=index))
        for i, sample in zip(live, write(asked), strict=True):
            parts[i].append(sample)
    return [_joined(found) for found in parts]


def part_index(request: Request, number: int) -> int:
    """Return a number that gives each passage or window of each text noise of its own."""
    keys = Noise(request.settings.seed, torch.tensor([request.index])).fold(torch.tensor([number])).keys
    return int(keys[0] >> 2)


def _joined(parts: Sequence[Sample]) -> Sample:
    """Return one sample of the passages' own; the BOS of later passages is no part of the text."""
    first = parts[0]
    before = list(accumulate((part.steps for part in parts), initial=0))
    decided = [[step and step + ago for step in part.decided] for part, ago in zip(parts, before, strict=False)]
    return Sample(
        tokens=first.tokens + tuple(token for part in parts[1:] for token in part.tokens[1:]),
        written=tuple(token for part in parts for token in part.written),
        confidence=first.confidence + tuple(value for part in parts[1:] for value in part.confidence[1:]),
        decided=tuple(decided[0] + [step for part in decided[1:] for step in part[1:]]),
        looks=first.looks + tuple(calls for part in parts[1:] for calls in part.looks[1:]),
        sure=tuple(value for part in parts for value in part.sure),
        ended=parts[-1].ended,
        steps=sum(part.steps for part in parts),
        forwards=sum(part.forwards for part in parts),
    )
