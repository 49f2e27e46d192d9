"""The samplers that a recipe or a command line can name, and what is known of each without torch.

A new sampler is one file, and one line here: where it is, what the model that it drives may see, which settings mean
something to it, and what the open positions of its states show.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unmask.diffusion.options import Shows, Visibility
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
        shows: What the open positions of its states show: it drives the processes that show the same.
    """

    name: str
    visibility: Visibility
    uses: frozenset[str]
    shows: Shows


SAMPLERS: Registry[type[Sampler]] = Registry("sampler")
"""Name -> class; without arguments its constructor gives the usual sampler."""


def _at(name: str, place: str, visibility: Visibility, shows: Shows, uses: Collection[str]) -> None:
    SAMPLERS.at(name, place, Facts(name, visibility, frozenset(uses), shows))


_DRAWN = {"temperature", "top_k", "top_p", "seed", "ignore_eos"}
"""What every sampler reads."""
_IN_STEPS = _DRAWN | {"steps", "temperature_end"}

_at(
    "autoregressive",
    "unmask.sampling.autoregressive:Autoregressive",
    "causal",
    "nothing",
    _DRAWN | {"repetition_penalty"},
)
_at("ancestral", "unmask.sampling.ancestral:Ancestral", "bidirectional", "mask", _IN_STEPS | {"candidates"})
_at(
    "confidence",
    "unmask.sampling.confidence:Confidence",
    "bidirectional",
    "mask",
    _IN_STEPS | {"candidates", "reveal", "confidence_noise", "confidence_stop", "confidence_of"},
)
_at(
    "entropy-bound",
    "unmask.sampling.entropy_bound:EntropyBound",
    "bidirectional",
    "mask",
    _DRAWN | {"candidates", "entropy_budget", "error_proxy"},
)
_at(
    "remasking",
    "unmask.sampling.remasking:Remasking",
    "bidirectional",
    "mask",
    _IN_STEPS | {"candidates", "remask", "remask_strength", "remask_start", "remask_stop", "remask_hold"},
)
_at("flatten", "unmask.sampling.flatten:Flatten", "bidirectional", "candidates", _IN_STEPS | {"renoise"})
_at("uniform", "unmask.sampling.uniform:UniformReverse", "bidirectional", "token", _IN_STEPS | {"corrections"})


_SHOWN = {
    "nothing": "writes left to right and shows nothing of what is to come",
    "mask": "shows masks where a word is open",
    "token": "shows words that may be wrong where a word is open",
    "candidates": "shows weighted candidates where a word is open",
}


def drives(sampler: Any, process: Any) -> bool:
    """Tell whether a sampler shows a process's models what they were trained on (classes, instances or facts)."""
    return bool(sampler.visibility == process.visibility and sampler.shows == process.shows)


def check_drives(sampler: Any, process: Any) -> None:
    """Raise Error if a sampler cannot write with the models of a process."""
    if drives(sampler, process):
        return
    fitting = [name for name in SAMPLERS if drives(SAMPLERS.facts(name), process)]
    raise Error(
        f"the {sampler.name!r} sampler {_SHOWN[sampler.shows]}, and this run's model was trained as {process.name}: it "
        f"{_SHOWN[process.shows].replace('shows', 'saw')}; use the "
        f"{' or '.join(map(repr, fitting)) or 'no'} sampler."
    )
