"""Speculative decoding: a draft of several words is read in one call and kept as far as it holds, without any loss.

A drafter proposes words x_1 .. x_n behind a text, each drawn from a law q_i(. | text, x_1 .. x_(i-1)); the verifier, a
model that writes left to right, answers all of them in one call, p_i(. | text, x_1 .. x_(i-1)). From left to right, x_i
is accepted with probability min(1, p_i(x_i) / q_i(x_i)). The first that is refused is drawn anew from the residual
(p_i - q_i)+, normalised, and what was proposed behind it is forgotten; if none is, p_(n+1) gives a word more.
(Leviathan et al. 2023, arXiv 2211.17192; Chen et al. 2023, arXiv 2302.01318.)

The text is distributed exactly as the verifier's own, whatever the drafter. Say all words before i were accepted. Then

    P(word i is y)  =  q_i(y) min(1, p_i(y) / q_i(y))  +  P(refused) (p_i(y) - q_i(y))+ / sum_z (p_i(z) - q_i(z))+
                    =  min(q_i(y), p_i(y))  +  (p_i(y) - q_i(y))+   =   p_i(y),

as P(refused) = 1 - sum_z min(q_i, p_i)(z) = sum_z (p_i - q_i)+(z). The first line needs that x_i, *given that the words
before it were accepted*, is still distributed as q_i. Acceptance looks at those words and at random numbers of its own.
So it holds if q_i is the law of x_i given x_1 .. x_(i-1) and the text, and nothing else of the draft: words that are
drawn apart in one call do, for their law does not depend on each other, and so do chunks from left to right
(:mod:`unmask.sampling.drafters`). The residual is drawn with a random number of its own, too, and what depended on the
refused draft is thrown away with it.

Temperature, top-k and top-p shape p, and the drafter's q alike: the text is then the verifier's under these settings.

Letters: B rows, T positions, n words of the longest draft, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, pad

from unmask.errors import Error
from unmask.sampling.autoregressive import without_suffix
from unmask.sampling.categorical import picked
from unmask.sampling.checks import ACCEPTED, ADDED, REWRITTEN, Checks, Places
from unmask.sampling.decide import believed_words, commit, forbidden_at
from unmask.sampling.drafters import Copies, Draft, Drafter
from unmask.sampling.left_to_right import kept, read_on
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, started
from unmask.sampling.state import Frame, SamplerState, frame, rows, stack
from unmask.sampling.thought_steps import remembers
from unmask.sampling.verifier_settings import SpeculativeSettings


@dataclass(frozen=True)
class Speculative:
    """Read a draft and keep what holds. The model is the verifier.

    Attributes:
        drafter: What proposes words; by default they are copied from the text, and no other network is asked.
        use_cache: Keep keys and values of what was read. Without it, and for a model that keeps none, each step reads
            the whole text again: same text.
    """

    drafter: Drafter = Copies()
    use_cache: bool = True

    Settings: ClassVar[type[SpeculativeSettings]] = SpeculativeSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"span": 1}, {"span": 2}, {"temperature": 0.8})

    def promise(self, settings: SpeculativeSettings) -> Promise:
        """What is drafted changes no law; a sharpened or truncated draw is another one."""
        return "exact" if settings.draws_as_told else "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state.

        Raises:
            Error: given text after an open position.
        """
        state = without_suffix(started(self.Settings, requests, vocabulary))
        return replace(state, checks=Checks.none(state.open))

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Propose a draft for each row, and decide its words up to the first that does not hold, and one more.

        Raises:
            Error: a model whose answers leave something for its next one.
        """
        if remembers(model):
            raise Error(
                "a verifier reads several words in one call, and each answer of this run leaves a thought or notes for "
                "its next one; use a run without, or the 'autoregressive' sampler."
            )
        active = ~state.done
        if bool(active.all()):
            after = self._round(model, state)
        elif not bool(active.any()):
            return state, frame(state, state)
        else:
            going, resting = active.nonzero()[:, 0], state.done.nonzero()[:, 0]
            both = stack([self._round(model, rows(state, going)), rows(state, resting)])
            after = rows(both, torch.cat([going, resting]).argsort())
        return after, frame(after, state)

    def _round(self, model: Any, state: SamplerState) -> SamplerState:
        """Return the state after a draft of each row; none is done."""
        checks = state.checks
        assert checks is not None
        first = state.open.long().argmax(1)
        ahead = torch.arange(state.tokens.shape[1], device=first.device) - first[:, None]
        ready = state.open & ((~state.open & (ahead > 0)).cumsum(1) == 0)  # in one piece, from the first on
        own = kept(model, state, state.cache) if self.use_cache else None
        shares = getattr(self.drafter, "network", self) is None
        room = torch.minimum(ready.sum(1), state.setting("span").long())
        draft = self.drafter(model, state, first, room, own if shares else checks.cache)
        if shares and own is not None:
            own = draft.cache
        asked = ready & (ahead <= draft.count[:, None])
        inside = asked & (ahead < draft.count[:, None])
        drafted = torch.arange(draft.tokens.shape[1], device=first.device) < draft.count[:, None]
        tokens = state.tokens.masked_scatter(inside, draft.tokens[drafted])
        told = read_on(model, state, tokens, asked, own)
        held, word = judged(state, draft, first, ahead, asked, believed_words(state, asked, told.logits))

        last = asked & (ahead == held[:, None])
        tokens = torch.where(last, word[:, None], tokens)
        decided = asked & (ahead <= held[:, None])
        sure = torch.zeros(asked.shape, dtype=torch.float64, device=first.device).masked_scatter(
            asked, _probability(state, asked, told.logits, tokens[asked])
        )
        after = commit(state, decided, tokens, sure)
        by = torch.where(held < draft.count, REWRITTEN, ADDED)[:, None]
        verdict = torch.where(decided, torch.where(last, by, ACCEPTED), checks.places.verdict)
        cache = None if told.cache is None else told.cache.rewound(torch.minimum(told.cache.lengths, first + held))
        return replace(
            after,
            step=state.step + 1,
            forwards=state.forwards + 1 + draft.calls,
            cache=cache,
            checks=replace(
                checks,
                places=Places(verdict * after.valid, checks.places.again),
                calls=checks.calls + 1,
                read=checks.read + told.read,
                proposed=checks.proposed + draft.count,
                cache=None if shares else draft.cache,
            ),
        )


def judged(
    state: SamplerState,
    draft: Draft,
    first: Int[Tensor, " B"],
    ahead: Int[Tensor, "B T"],
    asked: Bool[Tensor, "B T"],
    law: Float[Tensor, "m V"],
) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """Return how many words of each draft hold, and the word behind them.

    Args:
        state: The rows, whose noise decides.
        draft: What is proposed.
        first: Position of its first word.
        ahead: How far each position is behind that.
        asked: Positions of the draft, and the one behind it where that is open.
        law: The verifier's distributions there.
    """
    row, place = asked.nonzero(as_tuple=True)
    p = law.new_zeros(len(first), draft.tokens.shape[1] + 1, law.shape[1])
    p[row, ahead[row, place]] = law
    given = one_hot(draft.tokens, law.shape[1]).to(p) if draft.law is None else draft.law
    column = torch.arange(draft.tokens.shape[1], device=first.device)
    there = column < draft.count[:, None]
    q = pad(given * there[..., None], (0, 0, 0, 1))
    places = (first[:, None] + torch.arange(p.shape[1], device=first.device)).clamp(max=asked.shape[1] - 1)
    luck = state.noise.uniform("accept", asked.shape[1]).gather(1, places)[:, :-1]
    p_of, q_of = (x[:, :-1].gather(2, draft.tokens[..., None])[..., 0] for x in (p, q))
    held = (accepted(p_of, q_of, luck) & there).long().cumprod(1).sum(1)
    every = torch.arange(len(first), device=first.device)
    mass = p[every, held]
    left = (mass - q[every, held]).clamp(min=0)
    left = torch.where(left.sum(1, keepdim=True) > 0, left, mass)  # by rounding alone nothing is left
    again = state.noise.uniform("token", asked.shape[1])[every, places[every, held]]
    return held, picked(left, again)


def accepted(p: Float[Tensor, "B n"], q: Float[Tensor, "B n"], luck: Float[Tensor, "B n"]) -> Bool[Tensor, "B n"]:
    """Return which words hold by themselves: each with probability min(1, p/q)."""
    return luck * q < p


def _probability(
    state: SamplerState, at: Bool[Tensor, "B T"], logits: Float[Tensor, "n V"], tokens: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Return the verifier's own probability of words, untempered."""
    plain = logits.double().masked_fill(forbidden_at(state, at, logits), -torch.inf).softmax(-1)
    return plain.gather(1, tokens[:, None])[:, 0]
