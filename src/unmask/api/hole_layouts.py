"""A sentence with holes laid out for a run: how long each hole is in each text, and the canvases to be written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unmask.api.constraints import words_at
from unmask.api.writing import vocabulary_of
from unmask.errors import Error
from unmask.lines import counted
from unmask.sampling import Settings, Vocabulary
from unmask.sampling.constraint import Constraint, Words
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
    words: Sequence[Sequence[str] | None] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
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
        words: For each hole, the words that it may become; ``None``: anything.
        progress: Called with (layouts weighed, layouts in all), each order for itself.

    Raises:
        Error: a causal run, a range of lengths for a run that cannot weigh them, or a text longer than the context;
            words for other holes than there are, or of unlike lengths.
    """
    low, high = span
    owned = [*(words or [None] * (len(pieces) - 1))]
    if len(owned) != len(pieces) - 1:
        raise Error(f"words are given for {counted(len(owned), 'hole')}, and there are {len(pieces) - 1}.")
    if settings.visibility == "causal":
        raise Error(f"run {run.path} writes left to right and cannot fill holes; use a run of the masked process.")
    # probabilities of lengths are those of the text around hidden words
    if low < high and None in owned and run.process.shows != "mask":
        raise Error(
            f"run {run.path} was trained as {run.process.name}, which cannot weigh hole lengths against each other; "
            f"give one length, such as --length {low}."
        )
    tokenizer = run.tokenizer
    pieces = [own_text(piece, run) for piece in pieces]
    vocabulary = vocabulary_of(tokenizer, model)
    holes, context = len(pieces) - 1, model.config.max_position_embeddings
    (narrow,) = hole_requests(pieces, [(1,) * holes], tokenizer, vocabulary, settings)
    places = [None if own is None else _words_in(run, narrow, number, own) for number, own in enumerate(owned)]
    sizes = [high if own is None else own.until - own.start for own in places]
    longest = len(narrow.request.tokens) + sum(sizes) - holes
    if longest > context:  # before any layout is made: a range may be of any size
        raise Error(
            f"the text with its holes is {longest} tokens long (1 is BOS) and the context is {context}; "
            "shorten the text or the holes (--length)."
        )
    tried = [_filled(own, places) for own in layouts(places.count(None), low, high)]
    probabilities = [1.0]
    if len(tried) > 1:
        each = hole_requests(pieces, tried, tokenizer, vocabulary, settings)

        def weighed() -> list[float]:
            how = {"orders": orders, "seed": settings.seed, "batch_size": batch_size}
            nats = around_nats(model, each, vocabulary, **how, progress=progress)
            return posterior(nats)

        about = [one.request for one in each]
        probabilities = remembered(run.cache, run.path, model, about, ("lengths", orders, batch_size), weighed)
    lengths = [tried[chosen_layout(probabilities, length_by, settings.seed, i)] for i in range(n)]
    asked = [hole_requests(pieces, [own], tokenizer, vocabulary, settings, i)[0] for i, own in enumerate(lengths)]
    return HolesLaidOut(vocabulary, tried, probabilities, lengths, [_limited(one, places) for one in asked])


def _words_in(run: Run, asked: HoleRequest, number: int, words: Sequence[str]) -> Words:
    """Return the words of a hole; where its space was taken off the text before, they begin with it."""
    lead = " " if asked.spans[number][0] in asked.request.lead else ""
    return words_at(run, asked.spans[number][0], [lead + word if word else "" for word in words])


def _filled(lengths: Sequence[int], places: Sequence[Words | None]) -> tuple[int, ...]:
    """Return the length of every hole: those that are tried, and those of words."""
    left = iter(lengths)
    return tuple(next(left) if own is None else own.until - own.start for own in places)


def _limited(asked: HoleRequest, places: Sequence[Words | None]) -> HoleRequest:
    """Return a request whose holes become the words that are given for them."""
    own = tuple(Words(span[0], one.options) for span, one in zip(asked.spans, places, strict=True) if one is not None)
    return replace(asked, request=replace(asked.request, constraint=Constraint(words=own))) if own else asked
