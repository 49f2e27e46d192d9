"""A text that is written window by window, told whole: what lies before a row's window, and states and frames of both.

Letters: B rows, T positions of a window, N positions of a whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from unmask.diffusion.carried import Notes
from unmask.sampling.checks import Checked, Checks, Places
from unmask.sampling.state import Frame, SamplerState


@dataclass(frozen=True)
class Past:
    """What lies before the open positions of a row's window; nothing in a text's first window.

    Attributes:
        tokens: The text so far, BOS first.
        confidence: The model's probability of each of its tokens when it was chosen; 1 for given ones.
        given: How many of them the user gave.
        own: Positions of the window that show some of them again.
        number: Windows before this one.
        steps: Steps that they took.
        forwards: Network calls that they took.
        checked: What a verifier said of the text so far; ``None``: there is none.
    """

    tokens: tuple[int, ...] = ()
    confidence: tuple[float, ...] = ()
    given: int = 0
    own: int = 0
    number: int = 0
    steps: int = 0
    forwards: int = 0
    checked: Checked | None = None


def whole_state(state: SamplerState, past: Sequence[Past]) -> SamplerState:
    """Return a state of whole texts [B, N] from that of their windows; it is there to be read, not to be stepped."""
    if not any(one.own for one in past):
        return state
    given = [torch.arange(len(one.tokens)) < one.given for one in past]
    none = [torch.zeros(len(one.tokens), dtype=torch.bool) for one in past]
    steps, forwards = (torch.tensor([getattr(one, name) for one in past]) for name in ("steps", "forwards"))
    device = state.tokens.device
    return replace(
        state,
        tokens=_behind(state.tokens, past, _words(past), state.vocabulary.pad),
        open=_behind(state.open, past, none),
        fixed=_behind(state.fixed, past, given),
        lead=_behind(state.lead, past, none),
        valid=_behind(state.valid, past, [~one for one in none]),
        confidence=_behind(state.confidence, past, _trust(past)),
        reopened=_behind(state.reopened, past, none),
        step=state.step + steps.to(device),
        settles=state.settles + steps.to(device),
        forwards=state.forwards + forwards.to(device),
        checks=None if state.checks is None else _checked(state.checks, past),
        cache=None,
        candidates=None,
        notes=Notes(),
        looks=None,
    )


def whole_frame(frame: Frame, past: Sequence[Past], pad: int) -> Frame:
    """Return a frame of whole texts [B, N] from that of their windows."""
    if not any(one.own for one in past):
        return frame
    none = [torch.zeros(len(one.tokens), dtype=torch.bool) for one in past]
    candidates, calls = frame.candidates, torch.tensor([one.forwards for one in past]).to(frame.step)
    if candidates is not None:
        size = candidates.tokens.shape[2]
        blank = [torch.zeros(len(one.tokens), size) for one in past]
        candidates = replace(
            candidates,
            tokens=_behind(candidates.tokens, past, [one.long() for one in blank]),
            mass=_behind(candidates.mass, past, blank),
        )
    return replace(
        frame,
        step=frame.step + torch.tensor([one.steps for one in past]).to(frame.step),
        tokens=_behind(frame.tokens, past, _words(past), pad),
        committed=_behind(frame.committed, past, [~one for one in none]),
        changed=_behind(frame.changed, past, none),
        valid=_behind(frame.valid, past, [~one for one in none]),
        confidence=_behind(frame.confidence, past, _trust(past)),
        candidates=candidates,
        forwards=None if frame.forwards is None else frame.forwards + calls,
        verdict=None if frame.verdict is None else _behind(frame.verdict, past, _verdicts(past)),
    )


def _checked(checks: Checks, past: Sequence[Past]) -> Checks:
    """Return what was said of the whole texts."""
    verdict = _behind(checks.places.verdict, past, _verdicts(past))
    told = {
        name: getattr(checks, name) + torch.tensor([getattr(one.checked, name, 0) for one in past]).to(checks.calls)
        for name in ("calls", "read", "proposed")
    }
    return Checks(Places(verdict, torch.zeros_like(verdict, dtype=torch.bool)), **told)


def _verdicts(past: Sequence[Past]) -> list[Tensor]:
    return [
        torch.zeros(len(one.tokens), dtype=torch.int64) if one.checked is None else torch.tensor(one.checked.verdicts)
        for one in past
    ]


def _words(past: Sequence[Past]) -> list[Tensor]:
    return [torch.tensor(one.tokens, dtype=torch.int64) for one in past]


def _trust(past: Sequence[Past]) -> list[Tensor]:
    return [torch.tensor(one.confidence) for one in past]


def _behind(
    field: Shaped[Tensor, "B T ..."], past: Sequence[Past], before: Sequence[Tensor], fill: float = 0
) -> Shaped[Tensor, "B N ..."]:
    """Return a field of windows behind that of the texts before them, which the windows show again."""
    parts = [
        torch.cat([old.to(field), field[row, one.own :]])
        for row, (one, old) in enumerate(zip(past, before, strict=True))
    ]
    return pad_sequence(parts, batch_first=True, padding_value=fill)
