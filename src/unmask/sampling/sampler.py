"""The contract of a sampler: a pure ``start`` and a ``step`` that takes a state of many rows one step further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.process import Network
from unmask.diffusion.state import State
from unmask.sampling.constraint import check_constraint
from unmask.sampling.registry import SAMPLERS as SAMPLERS
from unmask.sampling.registry import check_drives as check_drives
from unmask.sampling.registry import drives as drives
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.settings import Settings as AnySettings  # a sampler's own is its attribute Settings
from unmask.sampling.state import Frame, SamplerState, begin

Promise = Literal["exact", "reverse", "process", "limit", "none"]
"""What a sampler's texts are, given a network that knows every conditional probability of the true distribution:

- ``exact``: the truth, whatever the number of steps;
- ``reverse``: the reverse process of masked diffusion on a grid of as many times as there are steps, which is a known
  distribution at every number of steps and the truth as they grow;
- ``process``: such a process, known at every number of steps, which does not go to the truth;
- ``limit``: the truth once there are enough steps;
- ``none``: something else, at a price that ``unmask certify`` measures.
"""


class Sampler(Protocol):
    """What every registered sampler does (see the contract tests, which run over the registry).

    Attributes:
        Settings: Its settings, and what is known of it without its module.
        variants: Settings, besides the defaults, that ``unmask certify`` puts to the test when it is given none.
    """

    Settings: ClassVar[type[AnySettings]]
    variants: ClassVar[tuple[Mapping[str, Any], ...]]

    def promise(self, settings: Any) -> Promise:
        """Return what its texts are under these settings, given a perfect network."""
        ...

    def start(self, requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
        """Return the state before the first step. No network is asked."""
        ...

    def step(self, model: Network, state: SamplerState) -> tuple[SamplerState, Frame]:
        """Take every row that is not done one step further. A row's result does not depend on the other rows."""
        ...


@dataclass(frozen=True)
class Grid:
    """The times of N steps, from all noise (step 0) to text (step N).

    Attributes:
        alpha: Share of positions that are decided at each of the M = N + 1 times.
        sigma: Probability with which a decided position is reopened in each step.
    """

    alpha: Float[Tensor, " M"]
    sigma: Float[Tensor, " N"]


@runtime_checkable
class Reopening(Protocol):
    """A sampler that promises a reverse process in which decided positions are reopened."""

    def grid(self, settings: Any) -> Grid:
        """Return the times of its steps: with them its distribution is known."""
        ...


def started(settings: type[AnySettings], requests: Sequence[Request], vocabulary: Vocabulary) -> SamplerState:
    """Return the opening state, its rows' settings those of one sampler.

    Raises:
        Error: a setting that means nothing to it, or a constraint that it cannot keep.
    """
    own = [replace(request, settings=settings.of(request.settings)) for request in requests]
    for request in own:
        check_constraint(request.settings, request.constraint)
    return begin(own, vocabulary)


def masked_view(state: SamplerState) -> State:
    """Return what a bidirectional model sees: canvas and what it carries up to the longest text, the actual noise."""
    length = int(state.valid.sum(1).max())
    valid = state.valid[:, :length]
    return State(
        state.tokens[:, :length],
        "bidirectional",
        valid=None if bool(valid.all()) else valid,
        t=state.masked_fraction,
        **state.shown(length),
    )
