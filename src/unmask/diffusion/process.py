"""A process corrupts text and says what a network must predict; left-to-right is one process among others.

A process touches the network only by calling it, and makes the same number of calls on every rank. Its noise derives
from (seed, example), so that a run resumes bit-exactly and N ranks equal one.

Letters: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Float, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.likelihood import Likelihood
from unmask.diffusion.options import ProcessOptions as ProcessOptions
from unmask.diffusion.registry import PROCESSES as PROCESSES
from unmask.diffusion.state import Prediction, Shows, State, Visibility


class Network(Protocol):
    """Anything that answers a state: our networks, a DDP wrapper, an oracle in a test."""

    def __call__(self, state: State, at: Any = None) -> Prediction:
        """Return logits [n, V] at the asked positions."""
        ...


@dataclass(frozen=True)
class Corrupted:
    """What a process makes of a clean batch.

    Attributes:
        state: What the network sees.
        targets: The clean tokens.
        weights: Weight of each position's cross-entropy; 0 where nothing is asked.
    """

    state: State
    targets: Int[Tensor, "B T"]
    weights: Float[Tensor, "B T"]


class Process(Protocol):
    """The contract that every registered process keeps (see the contract tests).

    Attributes:
        name: Its name in recipes.
        visibility: What its finished model may see.
        shows: What an open position shows it; a sampler drives the models of a process that shows the same.
        also: Other ways in which its finished model may be driven, each (visibility, shows). May be left out.
        copies: How often a training step reads each text in one pass. May be left out: once.
        never: Ids that it never predicts.
        likelihoods: The likelihoods that it has: ``default``, its own; ``duel`` where positions can be decided one
            by one in a deterministic order (``duel(model, batch, order, per_step, scored)``); ``causal`` where the same
            model writes left to right, too (``causal(model, batch, scored)``).
        told_length: Whether its network sees how many tokens a text has before it predicts any. The likelihood of a
            text is then that of a text of so many tokens, and who scores texts codes the number, too.
        sampler: Name of the sampler that its runs use by default.
    """

    name: str
    visibility: Visibility
    shows: Shows
    never: tuple[int, ...]
    likelihoods: tuple[str, ...]
    told_length: bool
    sampler: str

    @property
    def asked_share(self) -> float:
        """Mean share of positions whose logits a training step asks for, over a whole run."""
        ...

    @property
    def most_asked(self) -> float:
        """The largest expected share of a step, which memory has to be there for."""
        ...

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """Return floating-point operations a token of a training step, mean over a whole run.

        ``forward(asked)`` is the network's own count a token of one forward pass with that share of positions asked; a
        backward pass counts as two.
        """
        ...

    def check(self, config: Any) -> None:
        """Raise Error if a network of this configuration cannot learn this process."""
        ...

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Corrupt a batch; ``progress`` in [0, 1] is the share of training that is done (curricula read it)."""
        ...

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return ``loss`` to minimise, normalised by a constant, and named parts to log."""
        ...

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what :meth:`corrupt` made of the batch, whatever has been added to its state since."""
        ...

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return the nats of each row: exact, or a labelled upper bound.

        ``scored`` (bool [B, T]): the positions whose nats are asked, the others being given; ``None``: all predictable.
        """
        ...


def visible_segments(batch: Batch, isolate: bool) -> tuple[Tensor | None, Tensor | None]:
    """Return (segments, valid) for a state: ``None`` where they say nothing, so that attention needs no mask."""
    if isolate and bool((batch.segments != batch.segments[:, :1]).any()):
        return batch.segments, None  # padding is segment 0: it sees itself alone, and nobody sees it
    if not isolate and not bool(batch.valid.all()):
        return None, batch.valid
    return None, None
