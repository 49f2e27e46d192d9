"""Sampling: run -> text, as states that stack and split and frames that everything downstream reads."""

from unmask.sampling.ancestral import Ancestral
from unmask.sampling.autoregressive import Autoregressive
from unmask.sampling.confidence import Confidence
from unmask.sampling.decide import lock
from unmask.sampling.entropy_bound import EntropyBound
from unmask.sampling.flatten import Flatten
from unmask.sampling.generate import Sample, Tick, frames, generate, ticks
from unmask.sampling.remasking import Remasking
from unmask.sampling.request import Request, Settings, Vocabulary, canvas, fill_request
from unmask.sampling.sampler import SAMPLERS, Sampler, drives
from unmask.sampling.state import Frame, SamplerState, rows, split, stack

__all__ = [
    "SAMPLERS",
    "Ancestral",
    "Autoregressive",
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
