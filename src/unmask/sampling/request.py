"""What a user asks of a sampler: a canvas with open positions, and settings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unmask.data.vocabulary import Vocabulary as Vocabulary
from unmask.errors import Error
from unmask.sampling.settings import Settings as Settings

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from unmask.diffusion.thought import Thought
    from unmask.sampling.constraint import Constraint


@dataclass(frozen=True)
class Request:
    """One text to write: a canvas that starts with BOS and holds the mask id at open positions.

    Attributes:
        tokens: The canvas.
        settings: How to sample it: its sampler's own, or those that every sampler has.
        index: Tells texts under one seed apart: text ``index`` of a request for n texts.
        lead: Open positions whose token must begin with a space (the user's text had a space before the hole).
        thought: One row: the thought that the text begins with, and those of the passages before it; ``None``: noise of
            the text's own, and no passages.
        memory: Vectors of retrieved texts; ``None``: there are none.
        constraint: What the text must be; ``None``: anything.
    """

    tokens: tuple[int, ...]
    settings: Settings = field(default_factory=Settings)
    index: int = 0
    lead: frozenset[int] = frozenset()
    thought: Thought | None = None
    memory: Float[Tensor, "M E"] | None = None
    constraint: Constraint | None = None


def canvas(
    pieces: Sequence[Sequence[int]], holes: Sequence[int], vocabulary: Vocabulary, lead: Collection[int] = ()
) -> tuple[tuple[int, ...], frozenset[int]]:
    """Lay out BOS, then given pieces with holes between them.

    Args:
        pieces: Given token ids, one more than there are holes (empty ones are fine).
        holes: Length of each hole in tokens.
        vocabulary: The special tokens.
        lead: Numbers of the holes whose first token must begin with a space.

    Returns:
        The canvas, and the positions that must begin with a space.

    Raises:
        Error: counts that do not fit, or a hole without room.
    """
    if len(pieces) != len(holes) + 1:
        raise Error(f"{len(holes)} holes need {len(holes) + 1} pieces of text around them, not {len(pieces)}.")
    tokens, leads = [vocabulary.bos, *pieces[0]], set()
    for number, (hole, piece) in enumerate(zip(holes, pieces[1:], strict=True)):
        if hole < 1:
            raise Error(f"hole {number + 1} is {hole} tokens long; it must be at least 1.")
        if number in lead:
            leads.add(len(tokens))
        tokens += [vocabulary.mask] * hole + list(piece)
    return tuple(tokens), frozenset(leads)


def fill_request(
    prefix: Sequence[int],
    max_tokens: int,
    vocabulary: Vocabulary,
    settings: Settings | None = None,
    *,
    suffix: Sequence[int] = (),
    index: int = 0,
) -> Request:
    """Return the request for up to ``max_tokens`` tokens after a prefix and, where given, before a suffix."""
    tokens, _ = canvas([prefix, suffix], [max_tokens], vocabulary)
    return Request(tokens, settings or Settings(), index)
