"""A sentence with holes laid out for a run: how long each hole is in each text, and the canvases to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unmask.api.writing import vocabulary_of
from unmask.errors import Error
from unmask.sampling import Settings, Vocabulary
from unmask.sampling.infill import HoleRequest, hole_requests, layouts
from unmask.sampling.lengths import Choice, around_nats, posterior
from unmask.sampling.lengths import chosen as chosen_layout
from unmask.sampling.result_cache import remembered
from unmask.training.own_text import own_text
from unmask.training.run import Run


@dataclass(frozen=True)
class HolesLaidOut:
    """Texts whose holes are to be filled.

    Attributes:
        vocabulary: The special tokens.
        tried: Combinations of hole lengths that were compared.
        probabilities: Of each.
        lengths: Those of each text.
        asked: One a text.
    """

    vocabulary: Vocabulary
    tried: list[tuple[int, ...]]
    probabilities: list[float]
    lengths: list[tuple[int, ...]]
    asked: list[HoleRequest]


def lay_out_holes(
    run: Run,
    model: Any,
    settings: Settings,
    pieces: Sequence[str],
    span: tuple[int, int],
    n: int,
    *,
    length_by: Choice = "draw",
    orders: int = 4,
    batch_size: int = 8,
) -> HolesLaidOut:
    """Lay a sentence out. Arguments: :func:`unmask.infill`.

    Args:
        run: The run.
        model: Its network.
        settings: Those of its sampler.
        pieces: The text around the holes.
        span: Shortest and longest hole.
        n: How many texts.
        length_by: How lengths are chosen.
        orders: Random orders that their probabilities are averaged over.
        batch_size: Most rows of a network call.

    Raises:
        Error: a causal run, a range of lengths for a run that cannot weigh them, or a text longer than the context.
    """
    low, high = span
    if settings.visibility == "causal":
        raise Error(f"run {run.path} writes left to right and cannot fill holes; use a run of the masked process.")
    if low < high and run.process.shows != "mask":  # their probabilities are those of the text around hidden words
        raise Error(
            f"run {run.path} was trained as {run.process.name}, which cannot weigh hole lengths against each other; "
            f"give one length, such as --length {low}."
        )
    tokenizer = run.tokenizer
    pieces = [own_text(piece, run) for piece in pieces]
    vocabulary = vocabulary_of(tokenizer, model)
    holes, context = len(pieces) - 1, model.config.max_position_embeddings
    (narrow,) = hole_requests(pieces, [(1,) * holes], tokenizer, vocabulary, settings)
    longest = len(narrow.request.tokens) + holes * (high - 1)
    if longest > context:  # before any layout is made: a range may be of any size
        raise Error(
            f"the text with its holes is {longest} tokens long (1 is BOS) and the context is {context}; "
            "shorten the text or the holes (--length)."
        )
    tried = layouts(holes, low, high)
    probabilities = [1.0]
    if len(tried) > 1:
        each = hole_requests(pieces, tried, tokenizer, vocabulary, settings)

        def weighed() -> list[float]:
            nats = around_nats(model, each, vocabulary, orders=orders, seed=settings.seed, batch_size=batch_size)
            return posterior(nats)

        about = [one.request for one in each]
        probabilities = remembered(run.cache, run.path, model, about, ("lengths", orders, batch_size), weighed)
    lengths = [tried[chosen_layout(probabilities, length_by, settings.seed, i)] for i in range(n)]
    asked = [hole_requests(pieces, [own], tokenizer, vocabulary, settings, i)[0] for i, own in enumerate(lengths)]
    return HolesLaidOut(vocabulary, tried, probabilities, lengths, asked)
