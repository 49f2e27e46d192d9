"""Sampling: run -> text, as states that stack and split and frames that everything downstream reads."""

from unmask.sampling.ancestral import Ancestral
from unmask.sampling.autoregressive import Autoregressive
from unmask.sampling.confidence import Confidence
from unmask.sampling.decide import lock
from unmask.sampling.generate import Sample, Tick, frames, generate, ticks
from unmask.sampling.request import Request, Settings, Vocabulary, canvas, fill_request
from unmask.sampling.sampler import SAMPLERS, Sampler
from unmask.sampling.state import Frame, SamplerState, rows, split, stack

__all__ = [
    "SAMPLERS",
    "Ancestral",
    "Autoregressive",
    "Confidence",
    "Frame",
    "Request",
    "Sample",
    "Sampler",
    "SamplerState",
    "Settings",
    "Tick",
    "Vocabulary",
    "canvas",
    "fill_request",
    "frames",
    "generate",
    "lock",
    "rows",
    "split",
    "stack",
    "ticks",
]
