"""Drafts: words that are proposed to a verifier, and the probabilities with which they were really drawn.

A draft is made from left to right in chunks, one network call each. The words of a chunk are drawn apart from each
other, given the text before the chunk. So the law of a word, given all words to its left in the draft, is the one it
was drawn from, whatever those are: in its own chunk they were drawn apart from it, and the earlier chunks are what it
was given. That is what :mod:`unmask.sampling.speculative` needs.

Words in another order have no such law at hand. If the third word is drawn first, and then the first given the third,
the law of the third *given that the first was accepted* is no longer the one it was drawn from: a draft in the order of
``confidence`` would not be lossless (tested).

Letters: B rows, T positions, n words of the longest draft, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.options import Visibility
from unmask.models.cache import Cache
from unmask.sampling.block import USUAL
from unmask.sampling.carry import answered
from unmask.sampling.categorical import picked
from unmask.sampling.decide import believed_words
from unmask.sampling.left_to_right import kept, read_on
from unmask.sampling.span import Span, answered_in_block, roomy
from unmask.sampling.state import SamplerState

LONGEST = 4
"""Words at a text's end that are looked for in the text before."""


@dataclass(frozen=True)
class Draft:
    """Words that are proposed.

    Attributes:
        tokens: The words; any word behind a row's last one.
        law: The distribution that each was drawn from, given those before it; ``None``: it was certain.
        count: Words of each row.
        calls: Network calls that each row took part in.
        cache: Keys and values of the network that was asked; ``None``: none was, or it keeps none.
    """

    tokens: Int[Tensor, "B n"]
    law: Float[Tensor, "B n V"] | None
    count: Int[Tensor, " B"]
    calls: Int[Tensor, " B"]
    cache: Cache | None = None


class Drafter(Protocol):
    """What proposes words."""

    def __call__(
        self, model: Any, state: SamplerState, first: Int[Tensor, " B"], room: Int[Tensor, " B"], cache: Cache | None
    ) -> Draft:
        """Return a draft.

        Args:
            model: The verifier.
            state: The texts; no row is done.
            first: The first open position of each.
            room: Most words of each, all of them open positions.
            cache: What the last draft of these texts left.
        """
        ...


@dataclass(frozen=True)
class Copies:
    """Propose what stood behind the last words where they stood before: the longest such end, the last such place.

    No network is asked (prompt lookup). What is copied may run into the copy itself: a text that repeats goes on so.
    """

    def __call__(
        self, model: Any, state: SamplerState, first: Int[Tensor, " B"], room: Int[Tensor, " B"], cache: Cache | None
    ) -> Draft:
        """Return a draft; none where the last word is new."""
        tokens = state.tokens
        column = torch.arange(tokens.shape[1], device=tokens.device)
        same = torch.ones_like(tokens, dtype=torch.bool)
        length = torch.zeros_like(tokens)
        for back in range(1, LONGEST + 1):
            own = tokens.gather(1, (first[:, None] - back).clamp(min=0))
            earlier = tokens.roll(back, 1)
            same = same & (earlier == own) & (column > back) & (first[:, None] > back)
            length = length + same
        length = length.masked_fill(column >= first[:, None], 0)
        from_ = (length * len(column) + column).argmax(1)
        found = length.gather(1, from_[:, None])[:, 0] > 0
        count = torch.where(found, room, 0)
        place = torch.arange(int(count.max()), device=tokens.device)
        period = (first - from_).clamp(min=1)
        source = from_[:, None] + place % period[:, None]
        return Draft(tokens.gather(1, source), None, count, torch.zeros_like(count))


@dataclass(frozen=True)
class Drawn:
    """Propose words that a network draws, as the row's settings say: temperature, top-k, top-p.

    Attributes:
        network: The network; ``None``: the verifier itself, whose cache it shares.
        sees: What it was trained to see. ``causal``: a word a call. ``block``: as many words a call as its largest
            block has, in a block that begins where the text ends. ``bidirectional``: all words in one call, beside the
            masks of the whole canvas.
    """

    network: Any = None
    sees: Visibility = "block"

    def __call__(
        self, model: Any, state: SamplerState, first: Int[Tensor, " B"], room: Int[Tensor, " B"], cache: Cache | None
    ) -> Draft:
        """Return a draft of as many words as there is room for."""
        network = model if self.network is None else self.network
        trained = getattr(getattr(network, "config", None), "block_size", 0) or USUAL
        own = state.setting("span").long()
        size = {"causal": own.clamp(max=1), "block": own.clamp(max=trained), "bidirectional": own}[self.sees]
        column = torch.arange(state.tokens.shape[1], device=own.device)
        uniform = state.noise.uniform("draft", len(column))
        tokens, asked_of, laws = state.tokens, [], []
        done, calls = torch.zeros_like(room), torch.zeros_like(room)
        while bool((done < room).any()):
            begin = first + done
            until = torch.minimum(begin + size, first + room)
            at = (column >= begin[:, None]) & (column < until[:, None])
            inner = replace(state, tokens=tokens, open=state.open & (column >= begin[:, None]))
            logits, cache = self._asked(network, inner, at, begin, size, cache)
            law = believed_words(state, at, logits)
            tokens = tokens.masked_scatter(at, picked(law, uniform[at]))
            row, place = at.nonzero(as_tuple=True)
            laws.append(law)
            asked_of.append((row, place - first[row]))
            calls = calls + at.any(1)
            done = torch.minimum(done + size, room)
        whole = laws[0].new_zeros(len(room), int(room.max()), laws[0].shape[1])
        for (row, place), law in zip(asked_of, laws, strict=True):
            whole[row, place] = law
        place = (first[:, None] + torch.arange(whole.shape[1], device=own.device)).clamp(max=len(column) - 1)
        return Draft(tokens.gather(1, place), whole, room, calls, cache)

    def _asked(
        self,
        network: Any,
        state: SamplerState,
        at: Tensor,
        begin: Int[Tensor, " B"],
        size: Int[Tensor, " B"],
        cache: Cache | None,
    ) -> tuple[Float[Tensor, "m V"], Cache | None]:
        """Return logits of a chunk, and the cache with the text before it."""
        if self.sees == "causal":
            told = read_on(network, state, state.tokens, at, kept(network, state, cache))
            upto = None if told.cache is None else told.cache.rewound(torch.minimum(told.cache.lengths, begin))
            return told.logits, upto
        if self.sees == "bidirectional":
            return answered(network, replace(state, span=None, cache=None), at).logits, None
        none = torch.zeros_like(begin)
        inner = replace(state, span=Span(begin, begin + size, none, none), cache=cache)
        if hasattr(network, "new_cache"):
            inner = replace(inner, cache=roomy(network, inner))
        answer = answered_in_block(network, inner, at)
        return answer.logits, answer.cache
