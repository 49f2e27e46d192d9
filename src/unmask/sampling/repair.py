"""Repair: what a verifier finds unlikely of a finished text is opened, and its writer writes it again.

A text is cut into spans of a few words. When the writer has decided all, the verifier, a model that writes left to
right, reads the spans that the writer itself was least sure of. Those whose words surprise it by much more than it
expects, -ln p(word) - H(p), are opened and written again, given all that stands (of a block run: what stands before).
In a later round it reads what was written again, and no more than ``rounds`` times anything is. Whether and where a
text ends is never changed.

**What local costs.** A verifier that reads left to right has to have read what stands before a span. So it reads up to
the last suspect span and not beyond, a text without any not at all; its logits are computed at suspect words alone; and
in a later round it reads on from the first word that was changed (a key-value cache).

The writer's steps, settings and noise are those of any text; each round has noise of its own.

Letters: B rows, T positions, S spans, n words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.errors import Error
from unmask.sampling.categorical import refuse_nan
from unmask.sampling.checks import ACCEPTED, REWRITTEN, SKIPPED, Checks, Places, Round
from unmask.sampling.decide import reopen
from unmask.sampling.left_to_right import kept, read_on
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, Sampler
from unmask.sampling.settings import Settings as AnySettings
from unmask.sampling.state import Frame, SamplerState, frame
from unmask.sampling.verifier_settings import RepairSettings

_NEVER = 2**62
"""The step from which a text is settled that may be opened again."""


@dataclass(frozen=True)
class Repair:
    """Write with a sampler, and write again what a verifier finds unlikely.

    Attributes:
        writer: The sampler.
        verifier: A network that writes left to right.
        how: What is read, and what is written again.
    """

    writer: Sampler
    verifier: Any
    how: RepairSettings = RepairSettings()

    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()

    @property
    def Settings(self) -> type[AnySettings]:  # type: ignore[override]  # noqa: N802
        """The writer's."""
        return self.writer.Settings

    def promise(self, settings: Any) -> Promise:
        """What is kept is chosen by how likely it is."""
        return "none"

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the writer's opening state.

        Raises:
            Error: as the writer; open positions that show words or candidates, which cannot be opened again, or a
            grammar.
        """
        if self.Settings.shows != "mask":
            raise Error(
                f"repair opens words again, and the {self.Settings.name!r} sampler shows {self.Settings.shows} where a "
                "word is open; use one that shows masks (unmask samplers)."
            )
        if any(one.constraint is not None and one.constraint.grammar is not None for one in requests):
            raise Error("repair opens words again, and a text under a grammar is written from the left; leave one out.")
        state = self.writer.start(requests, vocabulary)
        zero = torch.zeros_like(state.step)
        own = Round(zero, zero, state.total, state.settles)
        return replace(state, settles=torch.full_like(state.settles, _NEVER), checks=Checks.none(state.open, own))

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Take the writer's next step; where it has none left, read what it was unsure of."""
        if bool(state.done.all()):
            return state, frame(state, state)
        inner = _as_writer(state)
        written = inner.done & ~state.done
        after = state
        if not bool(inner.done.all()):
            after = self._as_told(state, self.writer.step(model, inner)[0])
        if bool(written.any()):
            after = self._checked(after, written)
        return after, frame(after, state)

    def suspect(
        self, state: SamplerState, words: Bool[Tensor, "B T"], number: Int[Tensor, " T"]
    ) -> Bool[Tensor, "B S"]:
        """Return the spans that the verifier reads: those that were written again, at first those of little confidence.

        Args:
            state: The finished texts.
            words: Words that the writer wrote.
            number: The span of each position.
        """
        checks = state.checks
        assert checks is not None and checks.round is not None
        there = _any(words, number)
        sure = _mean(state.confidence.double().log(), words, number).masked_fill(~there, torch.inf)
        place = sure.argsort(dim=1, stable=True).argsort(dim=1)
        unsure = there & (place < (self.how.suspect * there.sum(1, keepdim=True)).ceil())
        again = _any(checks.places.again & words, number)
        return torch.where((checks.round.number > 0)[:, None], again, unsure)

    def unlikely(
        self, state: SamplerState, spans: Bool[Tensor, "B S"], told: Float[Tensor, "B S"]
    ) -> Bool[Tensor, "B S"]:
        """Return which of the spans that were read are written again.

        Args:
            state: The finished texts.
            spans: Those that were read.
            told: How much a word of each surprises the verifier beyond what it expects, mean, in nats.
        """
        return spans & (told > self.how.unlikely)

    def _as_told(self, state: SamplerState, after: SamplerState) -> SamplerState:
        """Return what became of a state that its writer took a step further; after its last round nothing is read."""
        checks = state.checks
        assert checks is not None and checks.round is not None
        turn, step = checks.round, after.step + checks.round.since
        over = after.done & (turn.number >= self.how.rounds)
        return replace(
            after,
            fixed=state.fixed,
            step=step,
            total=state.total,
            settles=torch.where(over, torch.minimum(state.settles, step), state.settles),
            key=state.key,
            checks=replace(checks, round=replace(turn, settles=after.settles)),
        )

    def _checked(self, state: SamplerState, rows: Bool[Tensor, " B"]) -> SamplerState:
        """Return the state after the verifier has read some finished rows: opened, or settled."""
        checks = state.checks
        assert checks is not None and checks.round is not None
        number = (torch.arange(state.tokens.shape[1], device=rows.device) - 1).clamp(min=0) // self.how.span
        words = state.loose & rows[:, None]
        spans = self.suspect(state, words, number)
        read = words & spans[:, number]
        asked = read.any(1)
        surprise = torch.zeros(words.shape, dtype=torch.float64, device=rows.device)
        cache, count = checks.cache, torch.zeros_like(checks.read)
        if bool(asked.any()):
            answer = read_on(self.verifier, state, state.tokens, read, kept(self.verifier, state, cache))
            surprise = surprise.masked_scatter(read, _surprise(state, answer.logits, state.tokens[read]))
            cache, count = answer.cache, answer.read
        opened = words & self.unlikely(state, spans, _mean(surprise, words, number))[:, number]
        again = opened.any(1)
        first = torch.where(again, opened.long().argmax(1), opened.shape[1])
        if cache is not None:
            cache = cache.rewound(torch.minimum(cache.lengths, first))
        new = words & (checks.round.number == 0)[:, None]
        verdict = torch.where(new, torch.where(read, ACCEPTED, SKIPPED), checks.places.verdict)
        turn = checks.round
        step = state.step + rows
        span = state.span
        if span is not None:  # the next block is the one of the first open word, wherever the last one was
            span = replace(span, until=span.until.masked_fill(again, 0))
        return replace(
            reopen(state, opened),
            span=span,
            step=step,
            forwards=state.forwards + asked,
            settles=torch.where(rows & ~again, step, state.settles),
            checks=replace(
                checks,
                places=Places(
                    torch.where(opened, REWRITTEN, verdict),
                    torch.where(again[:, None], opened, checks.places.again),
                ),
                calls=checks.calls + asked,
                read=checks.read + count,
                proposed=checks.proposed + read.sum(1),
                cache=cache,
                round=Round(
                    turn.number + again,
                    torch.where(again, step, turn.since),
                    torch.where(again, opened.sum(1), turn.opened),
                    turn.settles,
                ),
            ),
        )


def _as_writer(state: SamplerState) -> SamplerState:
    """Return the state as its writer knows it: its own steps; what it does not write again in this round is given."""
    checks = state.checks
    assert checks is not None and checks.round is not None
    turn, later = checks.round, checks.round.number > 0
    folded = Noise(0, state.key).fold(turn.number).keys
    return replace(
        state,
        fixed=state.fixed | (later[:, None] & ~checks.places.again),
        step=state.step - turn.since,
        total=turn.opened,
        settles=turn.settles,
        key=torch.where(later, folded, state.key),
    )


def _mean(x: Float[Tensor, "B T"], words: Bool[Tensor, "B T"], number: Int[Tensor, " T"]) -> Float[Tensor, "B S"]:
    """Return the mean over the words of each span; 0 where there are none."""
    count = int(number.max()) + 1
    total = x.new_zeros(len(x), count).index_add(1, number, torch.where(words, x, 0.0))
    return total / x.new_zeros(len(x), count).index_add(1, number, words.to(x)).clamp(min=1)


def _any(words: Bool[Tensor, "B T"], number: Int[Tensor, " T"]) -> Bool[Tensor, "B S"]:
    return torch.zeros(len(words), int(number.max()) + 1, device=words.device).index_add(1, number, words.float()) > 0


def _surprise(state: SamplerState, logits: Float[Tensor, "n V"], tokens: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return -ln p of words less the entropy of p, float64: 0 on the mean over texts of the verifier's own."""
    special = torch.tensor([state.vocabulary.mask, state.vocabulary.bos, state.vocabulary.pad], device=logits.device)
    told = logits.double().index_fill(1, special, -torch.inf).log_softmax(-1)
    refuse_nan(told.amax(1), logits)
    return -told.gather(1, tokens[:, None])[:, 0] - torch.special.entr(told.exp()).sum(-1)
