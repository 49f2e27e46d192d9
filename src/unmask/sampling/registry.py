"""The samplers that a recipe or a command line can name. A new one is one file, and one line here.

A sampler's line also says where its settings are, which are read before torch is imported; of one without them they
are the ``Settings`` of its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unmask.errors import Error
from unmask.registry import Registry

if TYPE_CHECKING:
    from unmask.sampling.sampler import Sampler

SAMPLERS: Registry[type[Sampler]] = Registry("sampler", facts=lambda sampler: sampler.Settings)
"""Name -> class with a ``Settings`` model; without arguments its constructor gives the usual sampler."""
SAMPLERS.at(
    "autoregressive", "unmask.sampling.autoregressive:Autoregressive", "unmask.sampling.settings:AutoregressiveSettings"
)
SAMPLERS.at(
    "speculative", "unmask.sampling.speculative:Speculative", "unmask.sampling.verifier_settings:SpeculativeSettings"
)
SAMPLERS.at("ancestral", "unmask.sampling.ancestral:Ancestral", "unmask.sampling.settings:AncestralSettings")
SAMPLERS.at("confidence", "unmask.sampling.confidence:Confidence", "unmask.sampling.settings:ConfidenceSettings")
SAMPLERS.at(
    "entropy-bound", "unmask.sampling.entropy_bound:EntropyBound", "unmask.sampling.settings:EntropyBoundSettings"
)
SAMPLERS.at("remasking", "unmask.sampling.remasking:Remasking", "unmask.sampling.settings:RemaskingSettings")
SAMPLERS.at("block", "unmask.sampling.block:Blocks", "unmask.sampling.block_settings:BlockSettings")
SAMPLERS.at("flatten", "unmask.sampling.flatten:Flatten", "unmask.sampling.settings:FlattenSettings")
SAMPLERS.at("uniform", "unmask.sampling.uniform:UniformReverse", "unmask.sampling.settings:UniformSettings")

_SHOWN = {
    "nothing": "writes left to right and shows nothing of what is to come",
    "mask": "shows masks where a word is open",
    "token": "shows words that may be wrong where a word is open",
    "candidates": "shows weighted candidates where a word is open",
}


def drives(sampler: Any, process: Any) -> bool:
    """Tell whether a sampler shows a process's models what they were trained on (classes, instances or facts)."""
    ways = ((process.visibility, process.shows), *getattr(process, "also", ()))
    return (sampler.visibility, sampler.shows) in ways


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
