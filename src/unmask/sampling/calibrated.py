"""Calibrated confidence: how often the most probable word is right where a network is so sure of it.

With p the probability of the most probable word, z the logits and l the noise level of the text, one of the maps

    none         q = p
    temperature  q = max softmax(z / T_l)
    platt        q = sigmoid(a_l logit p + b_l)
    isotonic     q = rising in p at each level, linear between its steps
    head         q = sigmoid(a_l logit p + b_l + f(hidden state, logit p, entropy, l))

stands for p wherever confidences are compared: with each other (the order), with a number (a stop, a threshold), or by
a reader. The other words share 1 - q as the network shares 1 - p, none more than q. Words are *drawn* as before.

All open positions of a text have one noise level in a step. So a map that rises with p (platt, isotonic) leaves their
order as it was; temperature and head may change it. Every one is a function of what is visible, as p is.

Letters: B rows, T positions, V vocabulary, n open positions, L noise levels, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import gelu

from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling.doubt import allowed
from unmask.sampling.state import SamplerState

TIE = 1e-6
"""Share of p in an isotonic q, so that equals stay in their order; and how near to p a word is the most probable."""


class Seen(Protocol):
    """What a map reads of n positions: from a network's answer, or as it was collected."""

    @property
    def level(self) -> Float[Tensor, " n"]:
        """Share of the text, or of its block, that is still open."""
        ...

    @property
    def peak(self) -> Float[Tensor, " n"]:
        """The largest probability, float64."""
        ...

    @property
    def states(self) -> Float[Tensor, "n D"] | None:
        """Final hidden states; ``None``: the network does not tell them."""
        ...

    @property
    def entropy(self) -> Float[Tensor, " n"]:
        """Nats."""
        ...

    def cooled(self, temperature: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the largest probability at a temperature."""
        ...


@dataclass(frozen=True)
class Answer:
    """A network's answer at open positions of a sampler's state; see :class:`Seen`.

    Attributes:
        level: As there.
        peak: As there.
        states: As there.
        logits: -inf where a token must not be drawn.
        state: The rows that were asked.
        at: Their open positions, in whose order all else is.
    """

    level: Float[Tensor, " n"]
    peak: Float[Tensor, " n"]
    states: Float[Tensor, "n D"] | None
    logits: Float[Tensor, "n V"]
    state: SamplerState
    at: Bool[Tensor, "B T"]

    @property
    def entropy(self) -> Float[Tensor, " n"]:
        """Nats."""
        return torch.special.entr(self.logits.softmax(-1)).clamp(min=0).sum(-1).double()

    def cooled(self, temperature: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the largest probability at a temperature."""
        logits = self.logits.double() / temperature[:, None]
        return (logits.amax(-1) - logits.logsumexp(-1)).exp()


Map = Callable[[Answer], Float[Tensor, " n"]]
"""What a network's attribute ``calibration`` holds: from an answer to calibrated confidences, float64."""


@dataclass(frozen=True)
class Calibration:
    """A fitted map.

    Attributes:
        method: Which.
        edges: Borders of the noise levels, from 0 to 1; a level holds its upper border.
        numbers: ``T``, or ``a`` and ``b``, a number a level; ``x`` and ``y``, a list of steps a level.
        head: Tensors of f: mean and scale of its input, weights and biases of two layers.
    """

    method: str = "none"
    edges: Sequence[float] = (0.0, 1.0)
    numbers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    head: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> Float[Tensor, " n"]:
        """Return the calibrated confidence at each position, float64.

        Raises:
            Error: a head, and a network that does not tell its hidden states.
        """
        level = level_of(seen.level, self.edges)
        if self.method == "temperature":
            return seen.cooled(self._number("T", level))
        if self.method == "isotonic":
            return self._stepped(seen.peak, level)
        if self.method == "none":
            return seen.peak
        told = self._number("a", level) * logit(seen.peak) + self._number("b", level)
        if self.method == "head":
            told = told + bent(self.head, head_input(seen))
        return told.sigmoid()

    def _number(self, name: str, level: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        return torch.tensor(self.numbers[name], dtype=torch.float64, device=level.device)[level]

    def _stepped(self, peak: Float[Tensor, " n"], level: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        told = peak.clone()
        for number in level.unique().tolist():
            mine = level == number
            x, y = (torch.tensor(self.numbers[key][number], dtype=torch.float64, device=peak.device) for key in "xy")
            p = peak[mine].clamp(x[0], x[-1])
            right = torch.searchsorted(x, p).clamp(1, len(x) - 1)
            share = (p - x[right - 1]) / (x[right] - x[right - 1]).clamp(min=1e-12)
            told[mine] = (1 - TIE) * torch.lerp(y[right - 1], y[right], share) + TIE * peak[mine]
        return told


def level_of(share: Float[Tensor, " n"], edges: Sequence[float]) -> Int[Tensor, " n"]:
    """Return the number of the level that each share of open positions is in."""
    return torch.bucketize(share, torch.tensor(edges[1:-1], dtype=share.dtype, device=share.device))


def logit(p: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return log p / (1 - p), finite: no float32 lies between the last border and 1."""
    return p.clamp(1e-9, 1 - 1e-9).logit()


def head_input(seen: Seen) -> Float[Tensor, "n D+3"]:
    """Return what the head reads.

    Raises:
        Error: a network that does not tell its hidden states.
    """
    if seen.states is None:
        raise Error("this network does not tell its hidden states; calibrate with another --method than head.")
    beside = torch.stack([logit(seen.peak), seen.entropy, seen.level.double()], 1)
    return torch.cat([seen.states.double(), beside], 1)


def bent(head: Mapping[str, Tensor], x: Float[Tensor, "n D+3"]) -> Float[Tensor, " n"]:
    """Return what the head adds to the logit."""
    own = {name: value.to(x) for name, value in head.items()}
    inner = gelu((x - own["mean"]) / own["scale"] @ own["into"] + own["into_bias"])
    return (inner @ own["out"] + own["out_bias"])[:, 0]


def worth(
    probability: Float[Tensor, " *n"], peak: Float[Tensor, " *n"], told: Float[Tensor, " *n"]
) -> Float[Tensor, " *n"]:
    """Return what a word's probability is worth: q of the most probable one, else its part of 1 - q, at most q.

    Args:
        probability: The network's, of the word.
        peak: Its largest there (p).
        told: What that is worth (q).
    """
    rest = (1 - told) * probability / (1 - peak).clamp(min=1e-12)
    return torch.where(probability >= peak * (1 - TIE), told, torch.minimum(rest, told))


@dataclass(frozen=True)
class Trust:
    """What probabilities of words are worth in a step.

    Attributes:
        peak: The network's largest probability at each open position, float64.
        told: What it is worth; ``None``: no row asked.
        asked: Rows that did.
    """

    peak: Float[Tensor, "B T"]
    told: Float[Tensor, "B T"] | None
    asked: Bool[Tensor, " B"]

    def __call__(self, probability: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """Return what the network's probability of a word at each position is worth; as it is in rows that ask not."""
        if self.told is None:
            return probability
        return torch.where(self.asked[:, None], worth(probability, self.peak, self.told), probability)


def trust_in(model: Any, state: SamplerState, peak: Float[Tensor, "B T"], answer: Prediction) -> Trust:
    """Return what an answer's probabilities are worth, by the map that the network carries (``calibration``).

    Args:
        model: The network.
        state: The rows that were asked, at all their open positions.
        peak: The largest probability at each of these.
        answer: What it said.

    Raises:
        Error: a row asks for it, and the network was not calibrated.
    """
    asked = torch.tensor([bool(own.calibrated) for own in state.settings], device=peak.device)  # type: ignore[attr-defined]
    if not bool(asked.any()):
        return Trust(peak, None, asked)
    calibration: Map | None = getattr(model, "calibration", None)
    if calibration is None:
        raise Error("this network has no calibration; fit one with: unmask calibrate RUN, or leave calibrated out.")
    at = state.open
    level = noise_level(state)[:, None].expand(at.shape)[at]
    logits = allowed(state, at, answer.logits)
    told = calibration(Answer(level, peak[at], answer.states, logits, state, at))
    return Trust(peak, torch.zeros_like(peak).masked_scatter(at, told), asked)


def noise_level(state: SamplerState) -> Float[Tensor, " B"]:
    """Return the share of each text that is open; of a text in blocks, the share of its block that shows the mask."""
    if state.span is None:
        return state.masked_fraction
    column = torch.arange(state.tokens.shape[1], device=state.tokens.device)
    inside = (column >= state.span.begin[:, None]) & (column < state.span.until[:, None])
    decided = (inside & state.valid & ~state.open).sum(1)
    return 1 - decided / (state.span.until - state.span.begin).clamp(min=1)
