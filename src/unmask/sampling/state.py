"""The state of a sampler: rows that stack and split, each with its own settings, noise and cache.

A state is a value. A step makes a new one; only the key-value cache's storage is handed on, so a state that was stepped
may be stepped again, but to follow two continuations of one state take ``rows`` of it first.

Letters: B rows, T positions of the longest row, b chosen rows, C cells of a thought, E channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.carried import Notes, Texts, changed, is_carried, joined, moved, picked
from unmask.diffusion.memory import Memory
from unmask.diffusion.noise import Noise
from unmask.diffusion.state import SparseState, State
from unmask.diffusion.thought import Thought
from unmask.errors import Error
from unmask.models.cache import Cache
from unmask.sampling.checks import Checks
from unmask.sampling.constraint import Constraints, constraints_of
from unmask.sampling.looks import Looks
from unmask.sampling.request import Request, Settings, Vocabulary
from unmask.sampling.span import Span


@dataclass(frozen=True)
class SamplerState:
    """B texts that are being written.

    Attributes:
        tokens: Ids; the mask id at open positions, the pad id behind the end.
        open: Positions that are still undecided.
        fixed: Positions that the user gave or locked.
        lead: Positions whose token must begin with a space.
        valid: Positions that belong to the text; False behind its end.
        confidence: The model's probability of each token that it chose, when it chose it, calibrated where that is
            asked (``unmask.sampling.calibrated``); 1 at fixed positions.
        step: Steps that each row has taken.
        forwards: Network calls that each row took part in.
        total: Positions that were open at the start.
        reopened: Positions whose word was taken back once: they take a word again, never the end of the text.
        settles: The step from which on nothing decided is reopened; 0 for samplers that never do.
        key: Noise key of each row.
        settings: Settings of each row.
        vocabulary: The special tokens, common to all rows.
        cache: Keys and values of a causal model.
        candidates: Weighted candidates of open positions, from the model's last answer; ``None`` before the first, and
            for models that take none.
        thought: The thought of each text and those of the passages before it; ``None`` before the first step unless
            the request gave one, and for models without.
        notes: What the model's last answer left for its next one.
        memory: Vectors of retrieved texts; ``None``: no row has any.
        span: The block that each row writes in; ``None``: they are not written in blocks.
        looks: What was said of open positions when they were last looked at; ``None``: no row decides by it.
        checks: What a verifier has said of each text; ``None``: there is none.
        constraints: What each text must be; ``None``: all may be anything.
    """

    tokens: Int[Tensor, "B T"]
    open: Bool[Tensor, "B T"]
    fixed: Bool[Tensor, "B T"]
    lead: Bool[Tensor, "B T"]
    valid: Bool[Tensor, "B T"]
    confidence: Float[Tensor, "B T"]
    step: Int[Tensor, " B"]
    forwards: Int[Tensor, " B"]
    total: Int[Tensor, " B"]
    reopened: Bool[Tensor, "B T"]
    settles: Int[Tensor, " B"]
    key: Int[Tensor, " B"]
    settings: tuple[Settings, ...]
    vocabulary: Vocabulary
    cache: Cache | None = None
    candidates: SparseState | None = None
    thought: Thought | None = None
    notes: Notes = Notes()
    memory: Memory | None = None
    span: Span | None = None
    looks: Looks | None = None
    checks: Checks | None = None
    constraints: Constraints | None = None

    @property
    def loose(self) -> Bool[Tensor, "B T"]:
        """Decided positions that may be reopened: neither given nor locked, nor the end of the text."""
        return self.valid & ~self.open & ~self.fixed & (self.tokens != self.vocabulary.eos)

    @cached_property
    def settled(self) -> Bool[Tensor, " B"]:
        """True for rows whose decided positions are final."""
        return (self.step >= self.settles) | ~self.loose.any(1)

    @cached_property
    def done(self) -> Bool[Tensor, " B"]:
        """True for rows with nothing left to decide, now or later."""
        return ~self.open.any(1) & self.settled

    @cached_property
    def noise(self) -> Noise:
        """Noise of this step, each row's own."""
        return Noise(0, self.key).fold(self.step)

    @property
    def masked_fraction(self) -> Float[Tensor, " B"]:
        """The actual noise level: open positions / positions of the text without BOS."""
        predictable = self.valid & (self.tokens != self.vocabulary.bos)
        return self.open.sum(1) / predictable.sum(1).clamp(min=1)

    def setting(self, name: str) -> Float[Tensor, " B"]:
        """Return one numeric setting of each row, float64."""
        values = [float(getattr(s, name)) for s in self.settings]
        return torch.tensor(values, dtype=torch.float64, device=self.tokens.device)

    @property
    def texts(self) -> Texts:
        """What is carried belongs to these."""
        return Texts(self.key, self.tokens.shape[1])

    def shown(self, length: int) -> dict[str, Any]:
        """Return what is carried of the first positions and seen by a network: fields of a ``State``."""
        parts = {f.name: getattr(self, f.name, None) for f in fields(State)}
        return {name: part.upto(length) for name, part in parts.items() if is_carried(part)}

    def to(self, device: torch.device | str) -> SamplerState:
        """Return the state on another device."""
        return replace(moved(self, device), vocabulary=moved(self.vocabulary, device))


@dataclass(frozen=True)
class Frame:
    """What one step did: all that the terminal, page, server, trace and calibration read.

    Attributes:
        step: Steps that each row has taken.
        tokens: Ids; the mask id at open positions that show no word.
        committed: Decided positions of the text.
        changed: Positions that this step decided, reopened or closed.
        valid: Positions of the text.
        confidence: As in the state.
        candidates: Weighted candidates of open positions; ``None``: there are none.
        thought: The clean thought that the model believes in; ``None``: it has none, or was not asked yet.
        doubtful: Whether open positions show words, which may be wrong.
        block: First position of each row's block and the one behind its last; ``None``: it is not written in blocks.
        forwards: Network calls that each row has taken part in; ``None``: not known, in an older trace.
        verdict: What a verifier said of each word, as a number in ``VERDICTS``; ``None``: there is none.
    """

    step: Int[Tensor, " B"]
    tokens: Int[Tensor, "B T"]
    committed: Bool[Tensor, "B T"]
    changed: Bool[Tensor, "B T"]
    valid: Bool[Tensor, "B T"]
    confidence: Float[Tensor, "B T"]
    candidates: SparseState | None = None
    thought: Float[Tensor, "B C E"] | None = None
    doubtful: bool = False
    block: Int[Tensor, "B 2"] | None = None
    forwards: Int[Tensor, " B"] | None = None
    verdict: Int[Tensor, "B T"] | None = None

    @property
    def waiting(self) -> Bool[Tensor, "B T"]:
        """Open positions of blocks that were not begun yet."""
        if self.block is None:
            return torch.zeros_like(self.valid)
        column = torch.arange(self.valid.shape[1], device=self.valid.device)
        return self.valid & ~self.committed & (column >= self.block[:, 1:])


def begin(requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
    """Return the state before the first step.

    Raises:
        Error: no request, a canvas without BOS, ``lead`` positions without ``vocabulary.spaced``, or a constraint that
            its canvas has no place for.
    """
    if not requests:
        raise Error("there is nothing to sample: give at least one request.")
    states = []
    for request in requests:
        if not request.tokens or request.tokens[0] != vocabulary.bos:
            raise Error("a canvas must start with the BOS token.")
        if request.lead and vocabulary.spaced is None:
            raise Error("a canvas with lead positions needs vocabulary.spaced.")
        if any(p >= len(request.tokens) or request.tokens[p] != vocabulary.mask for p in request.lead):
            raise Error("lead positions must be open positions of the canvas.")
        tokens = torch.tensor([request.tokens], dtype=torch.int64)
        opened = tokens == vocabulary.mask
        lead = torch.zeros_like(opened)
        lead[0, sorted(request.lead)] = True
        zero, given = torch.zeros(1, dtype=torch.int64), request.memory
        states.append(
            SamplerState(
                tokens=tokens,
                open=opened,
                fixed=~opened,
                lead=lead,
                valid=torch.ones_like(opened),
                confidence=(~opened).float(),
                step=zero,
                forwards=zero,
                total=opened.sum(1),
                reopened=torch.zeros_like(opened),
                settles=zero,
                key=Noise(request.settings.seed, zero + request.index).keys,
                settings=(request.settings,),
                vocabulary=vocabulary,
                thought=request.thought,
                memory=None if given is None else Memory(given[None], torch.ones(1, len(given), dtype=torch.bool)),
                constraints=constraints_of(request, opened[0].tolist()),
            )
        )
    return stack(states)


def rows(state: SamplerState, index: Sequence[int] | Int[Tensor, " b"]) -> SamplerState:
    """Return some rows, copied, in the order of ``index``; a row may be taken twice (hypotheses)."""
    at = torch.as_tensor(index, dtype=torch.int64, device=state.tokens.device)
    chosen = tuple(state.settings[i] for i in at.tolist())
    return replace(picked(replace(state, settings=()), at), settings=chosen)


def part(state: SamplerState, index: Int[Tensor, " b"]) -> SamplerState:
    """Return some rows, to be asked about: as :func:`rows`, but what they read goes into the state's own cache."""
    if len(index) == len(state.tokens):
        return state
    chosen = rows(replace(state, cache=None), index)
    return chosen if state.cache is None else replace(chosen, cache=state.cache.part(index))


def narrowed(state: SamplerState, length: int) -> SamplerState:
    """Return the state of rows none of which is longer than ``length``, without the padding behind that."""
    if length >= state.tokens.shape[1]:
        return state

    def cut(part: Any) -> Any:
        if is_carried(part):
            return part.upto(length)
        return part[:, :length] if part.ndim > 1 else part

    return replace(changed(replace(state, settings=()), cut), settings=state.settings)


def split(state: SamplerState) -> list[SamplerState]:
    """Return each row as a state of its own."""
    return [rows(state, [i]) for i in range(len(state.tokens))]


def stack(states: Sequence[SamplerState]) -> SamplerState:
    """Join states row-wise; shorter ones are padded.

    Raises:
        Error: nothing to stack, or vocabularies that differ.
    """
    if not states:
        raise Error("there is no state to stack.")
    first = states[0]
    if any(s.vocabulary != first.vocabulary for s in states):
        raise Error("states of different vocabularies cannot share a batch.")
    texts = [state.texts for state in states]
    whole = {f.name: joined([getattr(state, f.name) for state in states], texts) for f in fields(first)}
    tokens = joined([state.tokens for state in states], texts, first.vocabulary.pad)
    settings = tuple(chain.from_iterable(state.settings for state in states))
    return replace(first, **whole | {"tokens": tokens, "settings": settings})


def frame(state: SamplerState, before: SamplerState | None = None) -> Frame:
    """Return the frame of a state; ``before``, the state one step earlier, says what changed."""
    changed = torch.zeros_like(state.open)
    if before is not None:
        changed = (state.tokens != before.tokens) | (state.open != before.open) | (state.valid != before.valid)
    return Frame(
        step=state.step,
        tokens=state.tokens,
        committed=state.valid & ~state.open,
        changed=changed,
        valid=state.valid,
        confidence=state.confidence,
        candidates=state.candidates,
        thought=None if state.thought is None else state.thought.believed,
        block=None if state.span is None else torch.stack([state.span.begin, state.span.until], 1),
        forwards=state.forwards,
        verdict=None if state.checks is None else state.checks.places.verdict,
    )


def told_again(told: Frame, before: SamplerState, after: SamplerState) -> Frame:
    """Return the frame of a step whose words were changed once more."""
    changed = told.changed | (after.tokens != before.tokens)
    return replace(told, tokens=after.tokens, confidence=after.confidence, changed=changed)
