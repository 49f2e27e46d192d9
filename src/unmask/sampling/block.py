"""Blocks of words, left to right: a rule of masked diffusion decides the words of a block, then the next one begins.

The rule (``ancestral``, ``confidence``, ``entropy-bound`` or ``remasking``) takes its steps as if the block ended the
canvas: ``steps`` are those of a block. Rows may be at different blocks, and under different rules, and share a batch.
What a network sees of a block is said in :mod:`unmask.sampling.span`.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from unmask.errors import Error
from unmask.sampling.ancestral import Ancestral
from unmask.sampling.block_settings import BlockSettings
from unmask.sampling.confidence import Confidence
from unmask.sampling.entropy_bound import EntropyBound
from unmask.sampling.remasking import Remasking, settling_step
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Promise, Sampler, started
from unmask.sampling.span import Span, roomy
from unmask.sampling.state import Frame, SamplerState, frame, rows, stack

USUAL = 8
"""Words of a block where neither the settings nor the model say."""


@dataclass(frozen=True)
class Blocks:
    """Write block after block, each by a rule of masked diffusion.

    Attributes:
        use_cache: Keep keys and values of finished text. Without it, and for a model that keeps none, each step
            reads the whole text again: same text.
        skip: Ask the network only for rows that decide something in this step, where the rule can tell: same text.
    """

    use_cache: bool = True
    skip: bool = True

    Settings: ClassVar[type[BlockSettings]] = BlockSettings
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = tuple(
        {"rule": rule, "block_size": size}
        for rule in ("ancestral", "confidence", "entropy-bound", "remasking")
        for size in (1, 2, 4)
    )

    def promise(self, settings: BlockSettings) -> Promise:
        """The chain rule over blocks is exact, so the texts are the rule's, block by block."""
        if settings.block_size == 1 and settings.within.draws_as_told:
            return "exact"  # one word has nothing to hang together with
        own = self._rule(settings.rule).promise(settings.within)
        if own == "reverse":  # on a grid in each block, which is no law of the whole text at few steps
            return "limit"
        return "none" if own == "process" else own

    def _rule(self, name: str) -> Sampler:
        rules: dict[str, Sampler] = {
            "ancestral": Ancestral(self.skip),
            "confidence": Confidence(),
            "entropy-bound": EntropyBound(),
            "remasking": Remasking(self.skip),
        }
        return rules[name]

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the opening state."""
        state = started(self.Settings, requests, vocabulary)
        none = torch.zeros_like(state.step)
        return replace(state, span=Span(none, none, none, none))

    @torch.no_grad()
    def step(self, model: Any, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Take the rule's next step in the block of each row; where it is finished, in the next one.

        Raises:
            Error: given words behind the first block, which it cannot see.
        """
        if bool(state.done.all()):
            return state, frame(state, state)
        before = _moved(model, state)
        if self.use_cache and hasattr(model, "new_cache"):
            before = replace(before, cache=roomy(model, before))
        names = [own.rule for own in state.settings]
        if len(set(names)) == 1:
            after = self._ruled(model, before)
        else:
            each = {name: [row for row, own in enumerate(names) if own == name] for name in names}
            parts = [self._ruled(model, rows(before, index)) for index in each.values()]
            after = rows(stack(parts), torch.tensor(sum(each.values(), [])).argsort())
        return after, frame(after, state)

    def _ruled(self, model: Any, state: SamplerState) -> SamplerState:
        """Return the state after one step of a rule, the same for all rows, within the block of each."""
        span = state.span
        assert span is not None
        column = torch.arange(state.tokens.shape[1], device=state.tokens.device)
        behind = column >= span.until[:, None]
        inner = replace(
            state,
            open=state.open & ~behind,
            fixed=state.fixed | (column < span.begin[:, None]),
            valid=state.valid & (~behind | state.fixed),
            step=state.step - span.since,
            settles=state.settles - span.since,
            total=span.opened,
            settings=tuple(own.within for own in state.settings),
        )
        after, _ = self._rule(state.settings[0].rule).step(model, inner)
        ended = (inner.open & ~after.open & (after.tokens == state.vocabulary.eos)).any(1)
        rest = behind & ~ended[:, None]
        step = after.step + span.since
        return replace(
            after,
            open=after.open | (state.open & rest),
            fixed=state.fixed,
            valid=after.valid | (state.valid & rest),
            step=step,
            settles=torch.where(after.done, torch.minimum(state.settles, step), state.settles),
            total=state.total,
            settings=state.settings,
        )


def _moved(model: Any, state: SamplerState) -> SamplerState:
    """Return the state with each row at the block that it writes in: the next one where its own is finished."""
    span = state.span
    assert span is not None
    column = torch.arange(state.tokens.shape[1], device=state.tokens.device)
    writing = (state.open & (column < span.until[:, None])).any(1) | ~state.settled
    moves = state.open.any(1) & ~writing
    if not bool(moves.any()):
        return state

    def of_rows(values: list[int]) -> Tensor:
        return torch.tensor(values, device=column.device)

    trained = getattr(getattr(model, "config", None), "block_size", 0) or USUAL
    size = of_rows([own.block_size or trained for own in state.settings])
    first = state.open.long().argmax(1)
    begin = torch.where(moves, first - (first - 1) % size, span.begin)
    until = torch.where(moves, begin + size, span.until)
    if bool((moves & (span.begin == 0) & (state.fixed & state.valid & (column >= until[:, None])).any(1)).any()):
        raise Error(
            "a block sees nothing of what stands behind it, and given words follow: write without a suffix, set "
            "block_size to the whole canvas, or use a run of the masked process."
        )
    opened = (state.open & (column < until[:, None])).sum(1)
    final = of_rows([settling_step(own.within) if own.rule == "remasking" else 0 for own in state.settings])
    return replace(
        state,
        settles=torch.where(moves, state.step + final, state.settles),
        span=Span(
            begin,
            until,
            since=torch.where(moves, state.step, span.since),
            opened=torch.where(moves, opened, span.opened),
        ),
    )
