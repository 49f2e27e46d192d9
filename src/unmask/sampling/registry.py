"""The samplers that a recipe or a command line can name, and what is known of each without torch.

A new sampler is one file, and one line here: where it is, what the model that it drives may see, which settings mean
something to it, and the processes whose models it drives if these are not all of that visibility.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unmask.diffusion.options import Visibility
from unmask.errors import Error
from unmask.registry import Registry

if TYPE_CHECKING:
    from unmask.sampling.sampler import Sampler


@dataclass(frozen=True)
class Facts:
    """What is known of a sampler without its module; its class has attributes of the same names and values.

    Attributes:
        name: Its name in recipes and on the command line.
        visibility: What the model that it drives may see.
        uses: The settings that mean something to it.
        processes: The processes whose models it drives; ``None``: all of its visibility.
    """

    name: str
    visibility: Visibility
    uses: frozenset[str]
    processes: frozenset[str] | None = None


SAMPLERS: Registry[type[Sampler]] = Registry("sampler")
"""Name -> class; without arguments its constructor gives the usual sampler."""


def _at(
    name: str, place: str, visibility: Visibility, uses: Collection[str], processes: frozenset[str] | None = None
) -> None:
    SAMPLERS.at(name, place, Facts(name, visibility, frozenset(uses), processes))


_DRAWN = {"temperature", "top_k", "top_p", "seed", "ignore_eos"}
"""What every sampler reads."""
_IN_STEPS = _DRAWN | {"steps", "temperature_end"}

_at("autoregressive", "unmask.sampling.autoregressive:Autoregressive", "causal", _DRAWN | {"repetition_penalty"})
_at("ancestral", "unmask.sampling.ancestral:Ancestral", "bidirectional", _IN_STEPS | {"candidates"})
_at(
    "confidence",
    "unmask.sampling.confidence:Confidence",
    "bidirectional",
    _IN_STEPS | {"candidates", "reveal", "confidence_noise", "confidence_stop", "confidence_of"},
)
_at(
    "entropy-bound",
    "unmask.sampling.entropy_bound:EntropyBound",
    "bidirectional",
    _DRAWN | {"candidates", "entropy_budget", "error_proxy"},
)
_at(
    "remasking",
    "unmask.sampling.remasking:Remasking",
    "bidirectional",
    _IN_STEPS | {"candidates", "remask", "remask_strength", "remask_start", "remask_stop", "remask_hold"},
)
_at(
    "flatten",
    "unmask.sampling.flatten:Flatten",
    "bidirectional",
    _IN_STEPS | {"renoise"},
    processes=frozenset({"sparse_flatten"}),
)


def drives(sampler: Any, process: Any) -> bool:
    """Tell whether a sampler can write with the models of a process (a class or an instance)."""
    only = sampler.processes
    return sampler.visibility == process.visibility and (only is None or process.name in only)


def check_drives(sampler: Any, process: Any) -> None:
    """Raise Error if a sampler cannot write with the models of a process."""
    check_visibility(sampler, process.visibility)
    if not drives(sampler, process):
        raise Error(
            f"the {sampler.name!r} sampler drives models of {', '.join(sorted(sampler.processes or ()))}, and this run "
            f"was trained as {process.name}; use {process.sampler!r}."
        )


def check_visibility(sampler: Any, visibility: Visibility) -> None:
    """Raise Error if a sampler cannot drive a model of this visibility."""
    if sampler.visibility == visibility:
        return
    if visibility == "causal":
        raise Error(
            f"the {sampler.name!r} sampler fills positions in any order, but this run's model was trained left to "
            "right and never saw a mask; use the 'autoregressive' sampler."
        )
    raise Error(
        f"the {sampler.name!r} sampler writes left to right, but this run's model was trained to fill masked positions;"
        " use 'confidence' or 'ancestral'."
    )
