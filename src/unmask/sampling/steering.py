"""Steering: a network that is asked about a text is first turned, in its thought, towards a property.

A property is a number for each text that grows with what is wanted: ``score(state, answer) -> [B]``. Before an answer
is used,

    z       <- turned(z, s w(v) d),         d = dS/dz by autograd, of unit root mean square
    z_0_hat <- turned(z_0_hat, s w(v) d'),  d' = dS/dz_0_hat where S reads the thought, else d

and the network answers again from the turned thought: so the words of this step hear of it, and through the believed
clean thought the thought of the next one does (classifier guidance, arXiv 2105.05233, on the latents of a text as in
Diffusion-LM, arXiv 2205.14217). ``turned`` adds the push and takes the length back to what it was, so a thought stays
as noisy as its level says; strength s is in units of the thought's own root mean square, whatever the scale of S.
w goes with the share v of noise that is left, and its mean over v is 1: ``constant`` 1, ``early`` 2 v, ``late``
2 (1 - v).

:class:`Steered` is called like the network and carries what samplers ask of one, so any sampler can be given it. Rows
stay apart as long as the score of each depends on that row alone. It costs one more call, and its gradient, a step.

Letters: B batch, T tokens, C cells, E channels, n asked positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Reading
from unmask.errors import Error

Score = Callable[[State, Prediction], Float[Tensor, " B"]]
"""A property: what a state and the network's answer to it are worth, one number a row. The answer's logits [n, V] are
those of all open positions."""
Schedule = Literal["constant", "early", "late"]
Where = Literal["both", "cells", "belief"]


def weight(schedule: Schedule, noise: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return w for the share of noise that is left in a thought."""
    if schedule == "early":
        return 2 * noise
    return 2 * (1 - noise) if schedule == "late" else torch.ones_like(noise)


class Steered(nn.Module):
    """A network whose thoughts are turned towards a property.

    Args:
        network: The network, in evaluation mode.
        score: The property; ``None``: one fixed random direction, the control of the same strength.
        strength: Length of a push, in units of the thought's root mean square; 0 is the network itself.
        mask: Id of the mask, which stands at open positions.
        schedule: How the strength goes with the thought's noise.
        where: What is turned: the noised ``cells`` that the network sees, its ``belief``, or both.
        seed: Of the random direction.

    Raises:
        Error: a network without thoughts, a strength or name that is none.
    """

    def __init__(
        self,
        network: Any,
        score: Score | None,
        strength: float,
        mask: int,
        *,
        schedule: Schedule = "constant",
        where: Where = "both",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if getattr(network, "thoughts", None) is None:
            raise Error("this network has no thoughts to steer; train it with thought.shape set.")
        if not 0 <= strength < float("inf"):
            raise Error(f"strength is {strength}; it must be 0 or more.")
        if schedule not in get_args(Schedule):
            raise Error(f"schedule is {schedule!r}; choose {', '.join(get_args(Schedule))}.")
        if where not in get_args(Where):
            raise Error(f"where is {where!r}; choose {', '.join(get_args(Where))}.")
        self.network, self.score, self.strength, self.mask = network, score, strength, mask
        self.schedule, self.where = schedule, where
        options = network.thoughts.options
        draw = torch.randn(options.cells, options.channels, generator=torch.Generator().manual_seed(seed))
        self.blind = _unit(draw[None])

    @property
    def config(self) -> Any:
        """The network's configuration."""
        return self.network.config

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def thoughts(self) -> Any:
        """The network's thoughts."""
        return self.network.thoughts

    @property
    def leaves_notes(self) -> bool:
        """Whether the network's answers leave something for the next."""
        return bool(self.network.leaves_notes)

    def forward(self, state: State | Reading, at: Bool[Tensor, "B T"] | None = None, **asked: Any) -> Prediction:
        """Answer as the network does, from the turned thought.

        Raises:
            Error: a property that is not one number a row, or does not hang on the thought.
        """
        thought = None if isinstance(state, Reading) else state.thought
        if isinstance(state, Reading) or thought is None or self.strength == 0:
            answer: Prediction = self.network(state, at=at, **asked)
            return answer
        cells, belief = self._directions(state)
        size = _size(thought.cells)
        length = self.strength * weight(self.schedule, thought.level.mean(1))[:, None, None] * size
        if self.where != "belief":
            moved = thought.cells + length * cells
            state = replace(state, thought=replace(thought, cells=moved * (size / _size(moved))))
        answer = self.network(state, at=at, **asked)
        if self.where == "cells" or answer.thought is None:
            return answer
        pushed = answer.thought + length * belief
        most = torch.maximum(_size(answer.thought), size)  # a belief at much noise is short, and may grow to a thought
        return replace(answer, thought=pushed * (most / _size(pushed)).clamp(max=1))

    def _directions(self, state: State) -> tuple[Float[Tensor, "B C E"], Float[Tensor, "B C E"]]:
        """Return where the cells and the belief are pushed: unit root mean square, zeros where nothing is to gain."""
        assert state.thought is not None
        if self.score is None:
            blind = self.blind.to(state.thought.cells).expand_as(state.thought.cells)
            return blind, blind
        with torch.enable_grad():
            cells = state.thought.cells.detach().requires_grad_()
            view = replace(state, thought=replace(state.thought, cells=cells))
            answer = self.network(view, at=state.opened(self.mask))
            score = self.score(view, answer)
            if score.shape != (len(cells),):
                raise Error(f"a property gives one number a row, [{len(cells)}], not {list(score.shape)}.")
            if not score.requires_grad:
                raise Error("the property does not hang on the thought, so there is no way to turn it.")
            by_cells, by_belief = torch.autograd.grad(score.sum(), (cells, answer.thought), allow_unused=True)
        none = torch.zeros_like(cells)
        by_cells = none if by_cells is None else by_cells
        return _unit(by_cells), _unit(by_cells if by_belief is None else by_belief)


def _size(cells: Float[Tensor, "B C E"]) -> Float[Tensor, "B 1 1"]:
    """Return the root mean square of each row."""
    return cells.float().square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-12).to(cells.dtype)


def _unit(direction: Float[Tensor, "B C E"]) -> Float[Tensor, "B C E"]:
    """Return directions of unit root mean square; zeros, and what is no number, stay zeros."""
    direction = direction.detach().float()
    top = direction.abs().amax((1, 2), keepdim=True)
    there = (top > 0) & top.isfinite()
    scaled = torch.where(there, direction / top.clamp(min=1e-30), torch.zeros_like(direction))
    return scaled / scaled.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-12)
