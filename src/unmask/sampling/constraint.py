"""What a text must be: a grammar that rules what is written, and words that some positions must become.

A constraint forbids tokens at open positions, in the one place where samplers ask what is forbidden, so it holds for
whatever draws: left to right, in blocks, anywhere in a canvas. Nothing is kept between steps but the constraint itself;
what it forbids follows from the words that stand.

*Words.* Of the positions of a place only those options are left that agree with its decided words, so it becomes one of
them in any order.

*A grammar* needs all words before a position. So of a text under one the leftmost open positions are decided, as many
as the sampler would have decided anywhere.

Positions that are decided in one step are drawn one after another from one answer of the network, each with the words
before it standing. **The law** is that of the sampler with every draw restricted to what may still become a text that
fits, and renormalised, step by step. It is not the network's law given that the text fits: an early word is drawn
without regard to how likely the texts are that it leaves.

Letters: B rows, T positions, V vocabulary, n asked positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unmask.diffusion.carried import Carried, Texts
from unmask.errors import Error
from unmask.sampling.grammar import Grammar

if TYPE_CHECKING:
    from unmask.sampling.request import Request
    from unmask.sampling.settings import Settings
    from unmask.sampling.state import SamplerState


@dataclass(frozen=True)
class Words:
    """A place that becomes one of several words.

    Attributes:
        start: Its first position.
        options: Their tokens, equally many each.
    """

    start: int
    options: tuple[tuple[int, ...], ...]

    @property
    def until(self) -> int:
        """The position behind its last."""
        return self.start + len(self.options[0])

    def left(self, tokens: Sequence[int], opened: Sequence[bool], place: int) -> set[int]:
        """Return the tokens that may stand at a position, given the decided ones of the others."""
        others = [p for p in range(self.start, self.until) if p != place and not opened[p]]
        agree = (own for own in self.options if all(own[p - self.start] == tokens[p] for p in others))
        return {own[place - self.start] for own in agree}


@dataclass(frozen=True)
class Constraint:
    """What a text must be.

    Attributes:
        grammar: Rules all that is written, from the first open position to the end; ``None``: nothing does.
        words: Places that become one of several words each.
        read: What was written before this window, which the grammar has read.
    """

    grammar: Grammar | None = None
    words: tuple[Words, ...] = ()
    read: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Plain values that it is told apart by."""
        own = None if self.grammar is None else (self.grammar.source, self.grammar.fingerprint)
        return own, tuple((one.start, one.options) for one in self.words), self.read

    def fits(self, tokens: Sequence[int], start: int, eos: int) -> bool:
        """Tell whether a finished text fits, whoever ended it.

        Args:
            tokens: The text, BOS first.
            start: Where what was written begins.
            eos: The end, which may be its last token.
        """
        for one in self.words:
            if tuple(tokens[one.start : one.until]) not in one.options:
                return False
        written = tuple(token for token in tokens[start:] if token != eos)
        return self.grammar is None or self.grammar.fits(self.read + written)


@dataclass(frozen=True)
class Constraints(Carried):
    """What the texts of a batch must be.

    Attributes:
        each: Of each row; ``None``: anything.
        start: The position of each row where what is written begins.
    """

    each: tuple[Constraint | None, ...]
    start: Int[Tensor, " B"]

    def rows(self, index: Int[Tensor, " b"] | Bool[Tensor, " B"]) -> Constraints:
        """Return those of some rows."""
        chosen = index.nonzero()[:, 0] if index.dtype == torch.bool else index
        return Constraints(tuple(self.each[i] for i in chosen.tolist()), self.start[index])

    def blank(self, texts: Texts) -> Constraints:
        """Return that some texts may be anything."""
        return Constraints((None,) * len(texts.key), self.start.new_zeros(len(texts.key)))

    @classmethod
    def join(cls, parts: Sequence[Constraints | None], texts: Sequence[Texts]) -> Constraints:
        """Join rows."""
        like = next(part for part in parts if part is not None)
        whole = [like.blank(own) if part is None else part for part, own in zip(parts, texts, strict=True)]
        return cls(tuple(one for part in whole for one in part.each), torch.cat([part.start for part in whole]))

    @property
    def ruled(self) -> Bool[Tensor, " B"]:
        """Rows under a grammar."""
        ruled = [one is not None and one.grammar is not None for one in self.each]
        return torch.tensor(ruled, device=self.start.device)

    @property
    def bound(self) -> Bool[Tensor, " B"]:
        """Rows in which what one position becomes depends on another."""
        return torch.tensor([one is not None and _bound(one) for one in self.each], device=self.start.device)


def _bound(one: Constraint) -> bool:
    return one.grammar is not None or any(own.until - own.start > 1 for own in one.words)


def constraints_of(request: Request, opened: Sequence[bool]) -> Constraints | None:
    """Return what the one text of a request must be; ``None``: anything.

    Args:
        request: The request.
        opened: Its open positions.

    Raises:
        Error: given words behind open ones under a grammar, or a place for words that is not open.
    """
    own = request.constraint
    if own is None:
        return None
    start = next((place for place, one in enumerate(opened) if one), len(opened))
    if own.grammar is not None and not all(opened[start:]):
        raise Error(
            "a grammar rules what is written to its end, and given words stand behind it; leave the suffix out, or "
            "say which words each hole may become."
        )
    for one in own.words:
        if not all(0 < place < len(opened) and opened[place] for place in range(one.start, one.until)):
            raise Error(f"words are given for position {one.start}, which is not open in the whole of their length.")
    return Constraints((own,), torch.tensor([start]))


def check_constraint(settings: Settings, constraint: Constraint | None) -> None:
    """Refuse a constraint that a sampler cannot keep.

    Raises:
        Error: which, and why.
    """
    if constraint is None:
        return
    if constraint.grammar is not None and not settings.from_the_left:
        raise Error(
            f"a grammar rules words from the left, and the {settings.label!r} sampler decides or changes words before "
            "those to their left stand; use autoregressive, ancestral, confidence, entropy-bound, or block with one "
            "of these rules."
        )
    if constraint.grammar is not None and settings.ignore_eos:
        raise Error("ignore_eos forbids the end, and a text under a grammar ends where that says; leave it out.")
    if constraint.grammar is None and _bound(constraint) and settings.shows in ("token", "candidates"):
        raise Error(
            f"the {settings.name!r} sampler draws all words of its last step apart from each other; give words of one "
            "token each, or use a sampler that shows masks."
        )


def barred(state: SamplerState, at: Bool[Tensor, "B T"], size: int) -> Bool[Tensor, "n V"]:
    """Return the tokens that the texts' constraints forbid at each asked position.

    A grammar says nothing of a position before all to its left is decided, and nothing behind an end of text.

    Raises:
        Error: words that stand and do not fit.
    """
    own = state.constraints
    assert own is not None
    found = torch.zeros(int(at.sum()), size, dtype=torch.bool)
    rows: dict[int, tuple[list[int], list[bool]]] = {}
    starts = own.start.tolist()
    for number, (row, place) in enumerate(at.nonzero().tolist()):
        constraint = own.each[row]
        if constraint is None:
            continue
        if row not in rows:
            rows[row] = state.tokens[row].tolist(), state.open[row].tolist()
        tokens, opened = rows[row]
        for one in constraint.words:
            if one.start <= place < one.until:
                found[number] = _all_but(one.left(tokens, opened, place), size)
            elif place < one.start:
                found[number, state.vocabulary.eos] = True
        if constraint.grammar is not None and not any(opened[starts[row] : place]):
            before = tokens[starts[row] : place]
            if state.vocabulary.eos not in before:
                allowed = constraint.grammar.allowed(constraint.read + tuple(before))
                found[number] = True
                found[number, : len(allowed)] = torch.from_numpy(~allowed)
    return found.to(at.device)


def _all_but(tokens: set[int], size: int) -> Bool[Tensor, " V"]:
    left = np.ones(size, bool)
    left[sorted(tokens)] = False
    return torch.from_numpy(left)


def check_locked(state: SamplerState, row: int, position: int, token: int) -> None:
    """Refuse a word of the user's that a constraint forbids.

    Raises:
        Error: which forbids it, or a word that is not the next one of a text under a grammar.
    """
    own = None if state.constraints is None else state.constraints.each[row]
    if own is None or not bool(state.open[row, position]):
        return
    if own.grammar is not None and int(state.open[row].long().argmax()) != position:
        raise Error(f"the text is under a grammar and written from the left; position {position} is not the next.")
    at = torch.zeros_like(state.open)
    at[row, position] = True
    if bool(barred(state, at, max(state.vocabulary.size, token + 1))[0, token]):
        raise Error(f"token {token} does not fit what the text must be; choose another, or take the constraint away.")


def leftmost(state: SamplerState, chosen: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """Return the positions to decide: of rows under a grammar as many, from the left."""
    own = state.constraints
    if own is None or not bool((ruled := own.ruled).any()):
        return chosen
    first = state.open & (state.open.long().cumsum(1) <= chosen.sum(1, keepdim=True))
    return torch.where(ruled[:, None], first, chosen)


def turns(state: SamplerState, at: Bool[Tensor, "B T"]) -> Int[Tensor, " n"] | None:
    """Return when each asked position is drawn; ``None``: all at once, as none depends on another."""
    own = state.constraints
    if own is None or not bool((bound := own.bound).any()) or int(at[bound].sum(1).max()) < 2:
        return None
    return (bound[:, None] * (at.long().cumsum(1) - 1))[at]
