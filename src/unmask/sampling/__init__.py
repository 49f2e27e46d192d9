"""Sampling: run -> text, as states that stack and split and frames that everything downstream reads.

Each name is imported when it is first used: which samplers and settings there are is known without torch (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unmask.sampling.ancestral import Ancestral as Ancestral
    from unmask.sampling.autoregressive import Autoregressive as Autoregressive
    from unmask.sampling.batch import Batch as Batch
    from unmask.sampling.batch import Tick as Tick
    from unmask.sampling.confidence import Confidence as Confidence
    from unmask.sampling.decide import lock as lock
    from unmask.sampling.entropy_bound import EntropyBound as EntropyBound
    from unmask.sampling.finished import Sample as Sample
    from unmask.sampling.flatten import Flatten as Flatten
    from unmask.sampling.loop import frames as frames
    from unmask.sampling.loop import generate as generate
    from unmask.sampling.loop import ticks as ticks
    from unmask.sampling.registry import SAMPLERS as SAMPLERS
    from unmask.sampling.registry import drives as drives
    from unmask.sampling.remasking import Remasking as Remasking
    from unmask.sampling.request import Request as Request
    from unmask.sampling.request import Vocabulary as Vocabulary
    from unmask.sampling.request import canvas as canvas
    from unmask.sampling.request import fill_request as fill_request
    from unmask.sampling.sampler import Sampler as Sampler
    from unmask.sampling.settings import Settings as Settings
    from unmask.sampling.state import Frame as Frame
    from unmask.sampling.state import SamplerState as SamplerState
    from unmask.sampling.state import rows as rows
    from unmask.sampling.state import split as split
    from unmask.sampling.state import stack as stack

_HOMES = {
    "Ancestral": "unmask.sampling.ancestral",
    "Autoregressive": "unmask.sampling.autoregressive",
    "Batch": "unmask.sampling.batch",
    "Confidence": "unmask.sampling.confidence",
    "EntropyBound": "unmask.sampling.entropy_bound",
    "Flatten": "unmask.sampling.flatten",
    "Frame": "unmask.sampling.state",
    "Remasking": "unmask.sampling.remasking",
    "Request": "unmask.sampling.request",
    "SAMPLERS": "unmask.sampling.registry",
    "Sample": "unmask.sampling.finished",
    "Sampler": "unmask.sampling.sampler",
    "SamplerState": "unmask.sampling.state",
    "Settings": "unmask.sampling.settings",
    "Tick": "unmask.sampling.batch",
    "Vocabulary": "unmask.sampling.request",
    "canvas": "unmask.sampling.request",
    "drives": "unmask.sampling.registry",
    "fill_request": "unmask.sampling.request",
    "frames": "unmask.sampling.loop",
    "generate": "unmask.sampling.loop",
    "lock": "unmask.sampling.decide",
    "rows": "unmask.sampling.state",
    "split": "unmask.sampling.state",
    "stack": "unmask.sampling.state",
    "ticks": "unmask.sampling.loop",
}

__all__ = [
    "SAMPLERS",
    "Ancestral",
    "Autoregressive",
    "Batch",
    "Confidence",
    "EntropyBound",
    "Flatten",
    "Frame",
    "Remasking",
    "Request",
    "Sample",
    "Sampler",
    "SamplerState",
    "Settings",
    "Tick",
    "Vocabulary",
    "canvas",
    "drives",
    "fill_request",
    "frames",
    "generate",
    "lock",
    "rows",
    "split",
    "stack",
    "ticks",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
