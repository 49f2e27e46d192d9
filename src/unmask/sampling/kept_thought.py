"""A thought that is kept: a text so far, what was read of it, and how the text goes on from there.

A text of n tokens (BOS first) has n // T finished passages and a rest. The finished ones are seen through the stack
alone, so a stack, one clean thought (the next one persists from it) and the rest are all that a continuation needs:
nothing before them is read again, and the text is the one that would have been written without a break.

Letters: B texts, T tokens of a passage, C cells, c cells of a reduced thought, E channels, n thoughts on a stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.diffusion.thought import Reading, ThoughtOptions
from unmask.errors import Error
from unmask.sampling.passages import Write, cut, part_index
from unmask.sampling.request import Request, Settings, Vocabulary
from unmask.sampling.thought_steps import fresh, options_of


@dataclass(frozen=True)
class Kept:
    """A text so far, and its thoughts.

    Attributes:
        tokens: The text, BOS first.
        cells: Clean thought of the text, read to its end.
        before: Clean thought of its last finished passage; zeros before there is one.
        stack: Reduced thoughts of its finished passages, the newest first; not more than the network sees.
        space: Whether a space was taken off the text's end, for the next word to begin with.
        ended: Whether the text ended.
    """

    tokens: tuple[int, ...]
    cells: Float[Tensor, "C E"]
    before: Float[Tensor, "C E"]
    stack: Float[Tensor, "n c E"]
    space: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Continued:
    """How a text went on.

    Attributes:
        kept: The longer text, and its thoughts.
        written: The new tokens, without EOS.
        confidence: The model's probability of each of them when it was chosen.
        steps: Steps taken.
        forwards: Network calls that this text took part in.
    """

    kept: Kept
    written: tuple[int, ...]
    confidence: tuple[float, ...]
    steps: int
    forwards: int


def thought_options(model: Any) -> ThoughtOptions:
    """Return how a model's thoughts are made.

    Raises:
        Error: it has none.
    """
    options = options_of(model)
    if options is None:
        raise Error(
            "this model has no thoughts; train one with thought.shape set: unmask train nano-thought --output DIR"
        )
    return options


@torch.no_grad()
def keep(model: Any, tokens: Sequence[int], vocabulary: Vocabulary, start: Kept | None = None) -> Kept:
    """Read a text into a thought.

    Args:
        model: The network.
        tokens: The text, BOS first, without EOS.
        vocabulary: The special tokens.
        start: What was kept of the same text when it was shorter; only what is new is read.

    Raises:
        Error: an empty text, a model without thoughts.
    """
    options = thought_options(model)
    if len(tokens) < 2:
        raise Error("there is no text to read a thought off; give some.")
    device = next(iter(model.parameters())).device
    read_before = 0 if start is None else len(start.tokens) // options.passage
    passages = cut(tokens, options.passage, vocabulary.bos)[read_before:]
    finished = len(tokens) // options.passage - read_before
    old = torch.zeros(0, options.reduced, options.channels) if start is None else start.stack
    before = torch.zeros(options.cells, options.channels) if start is None else start.before
    if not passages and start is not None:
        return replace(start, tokens=tuple(tokens))
    size = max(map(len, passages))
    words = torch.tensor([[*p, *[vocabulary.pad] * (size - len(p))] for p in passages])
    valid = torch.tensor([[True] * len(p) + [False] * (size - len(p)) for p in passages])
    follows = torch.ones(1, len(passages), dtype=torch.bool)
    follows[0, 0] = read_before > 0
    given = (words[None], valid[None], follows, before[None])
    read = model(Reading(*(part.to(device) for part in given))).read
    assert read is not None
    cells, reduced = read.cells[0].float().cpu(), read.reduced[0].float().cpu()
    return Kept(
        tokens=tuple(tokens),
        cells=cells[-1],
        before=cells[finished - 1] if finished else before,
        stack=torch.cat([reduced[:finished].flip(0), old])[: options.stack],
    )


def opening(
    options: ThoughtOptions,
    kept: Kept,
    most: int,
    vocabulary: Vocabulary,
    settings: Settings,
    index: int = 0,
) -> Request:
    """Return the request for the rest of the passage that a text is in.

    Args:
        options: How the model's thoughts are made.
        kept: The text so far.
        most: Most tokens to write; the passage may have room for fewer.
        vocabulary: The special tokens.
        settings: How to write.
        index: Number of the text under one seed.
    """
    number, size = len(kept.tokens) // options.passage, options.passage
    rest = kept.tokens[number * size :]
    head = (vocabulary.bos, *rest) if number else rest
    tokens = head + (vocabulary.mask,) * min(most, size - len(rest))
    lead = frozenset({len(head)} if kept.space else ())
    request = Request(tokens, settings, index, lead)
    if number == 0:
        return request
    key = Noise(settings.seed, torch.tensor([index])).fold(torch.tensor([number])).keys
    thought = fresh(options, key, kept.stack[None])
    return replace(request, thought=thought, index=part_index(request, number))


def go_on(
    model: Any,
    kept: Sequence[Kept],
    most: int,
    vocabulary: Vocabulary,
    settings: Settings,
    write: Write,
) -> list[Continued]:
    """Write texts on from what was kept of them, passage after passage.

    Args:
        model: The network.
        kept: The texts so far; text i is number i under the seed [B].
        most: Most tokens to write.
        vocabulary: The special tokens.
        settings: How to write.
        write: Writes the canvases of one passage.

    Raises:
        Error: nothing to write, or a text that has ended.
    """
    options = thought_options(model)
    if most < 1:
        raise Error(f"max_tokens is {most}; it must be at least 1.")
    if any(one.ended for one in kept):
        raise Error("the text has ended; there is nothing to go on with.")
    found = [Continued(one, (), (), 0, 0) for one in kept]
    left = [most] * len(kept)
    while live := [i for i in range(len(kept)) if left[i] and not found[i].kept.ended]:
        asked = [opening(options, found[i].kept, left[i], vocabulary, settings, i) for i in live]
        for i, request, sample in zip(live, asked, write(asked), strict=True):
            head = sum(token != vocabulary.mask for token in request.tokens)
            left[i] -= len(request.tokens) - head
            whole = found[i].kept.tokens + sample.tokens[head:]
            text = whole[:-1] if sample.ended else whole
            found[i] = Continued(
                kept=replace(keep(model, text, vocabulary, found[i].kept), ended=sample.ended),
                written=found[i].written + sample.written,
                confidence=found[i].confidence + sample.confidence[head : head + len(sample.written)],
                steps=found[i].steps + sample.steps,
                forwards=found[i].forwards + sample.forwards,
            )
    return found
