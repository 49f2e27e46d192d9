"""Which precision ``auto`` means: bf16 where it was measured to be faster, remembered in the cache.

Supported is not the same as fast, and a product that is faster does not make a step faster. So one block of the
transformer, as wide as the recipe's network, takes its forward and backward pass in either precision; for sampling and
scoring the forward pass alone, over as many positions as they ask about at once. What that says of whole steps
and of texts is in docs/studies/precision.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from unmask.data.cache import built, cache_folder
from unmask.errors import Error
from unmask.lines import leads
from unmask.models.backbones import BACKBONES
from unmask.models.config import TransformerConfig
from unmask.models.half import half_products
from unmask.models.rope import rotary
from unmask.models.transformer_block import Block
from unmask.training.combination import BYTES, network_keys
from unmask.training.hardware import processor, threads
from unmask.training.recipe import Recipe

PINNED = "UNMASK_PRECISION"
"""Environment variable: what ``auto`` means on a processor, for those who want the same on all machines."""
WIDTHS = (64, 128, 256, 512)
"""Widths that are measured; a network counts as the nearest of them."""
POSITIONS = (1, 8, 32, 128)
"""Positions that a network is asked about at once; as many counts as the nearest of them, by their ratio."""
MARGIN = 1.2
"""Least ratio for bf16: a near tie is float32."""
_LENGTH, _TURNS, _SECONDS, _AGAIN = 128, 5, 0.4, 4
_EITHER = (False, True)


@dataclass(frozen=True)
class Precision:
    """What a run computes in, and why."""

    bf16: bool
    why: str

    def __str__(self) -> str:
        return "bf16" if self.bf16 else "fp32"


def precision(recipe: Recipe, begun: dict[str, Any] | None = None) -> Precision:
    """Return the precision of a recipe's training here, the same on all ranks: the first decides.

    Args:
        recipe: What is trained.
        begun: Manifest of the run that goes on: its own precision is kept.

    Raises:
        Error: ``UNMASK_PRECISION`` says neither fp32 nor bf16.
    """
    if begun and begun.get("precision") in ("fp32", "bf16"):
        return Precision(begun["precision"] == "bf16", begun.get("precision_why", "as the run began"))
    if (asked := recipe.training.precision) != "auto":
        return Precision(asked == "bf16", "asked for")
    agreed = [automatic(_width(recipe)) if leads() else None]
    if os.environ.get("WORLD_SIZE", "1") != "1":
        broadcast_object_list(agreed)
    assert agreed[0] is not None
    return agreed[0]


def automatic(width: int) -> Precision:
    """Return what ``auto`` means here for the training of a network of this width.

    Raises:
        Error: ``UNMASK_PRECISION`` says neither fp32 nor bf16.
    """
    if torch.cuda.is_available():
        there = torch.cuda.is_bf16_supported(including_emulation=False)
        return Precision(there, "native on this GPU" if there else "this GPU has no bf16 of its own")
    if torch.backends.mps.is_available():
        return Precision(False, "float32 on this GPU")
    return _pinned() or _measured(_near(width), None, "trains {:.2f} times as fast in bf16")


def answers(recipe: Recipe, positions: int) -> Precision:
    """Return what ``auto`` means here for sampling and scoring.

    Args:
        recipe: Of the run.
        positions: How many of a text's positions are asked about at once.

    Raises:
        Error: ``UNMASK_PRECISION`` says neither fp32 nor bf16.
    """
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return Precision(False, "measured on processors only")
    near = min(POSITIONS, key=lambda one: abs(math.log(one / positions)))
    return _pinned() or _measured(
        _near(_width(recipe)), near, f"answers {near} positions {{:.2f}} times as fast in bf16"
    )


def _near(width: int) -> int:
    return min(WIDTHS, key=lambda one: abs(one - width))


def _pinned() -> Precision | None:
    if not (pinned := os.environ.get(PINNED)):
        return None
    if pinned not in ("fp32", "bf16"):
        raise Error(f"{PINNED} is {pinned!r}; set it to fp32 or bf16, or unset it.")
    return Precision(pinned == "bf16", f"{PINNED}={pinned}")


def _measured(width: int, positions: int | None, does: str) -> Precision:
    ratio = faster(width, positions)
    return Precision(ratio >= MARGIN, f"measured: a block {width} wide {does.format(ratio)}")


@lru_cache
def faster(width: int, positions: int | None = None) -> float:
    """Return how many times as fast as in float32 a block computes in bf16 here, measured once and remembered.

    Args:
        width: One of ``WIDTHS``.
        positions: One of ``POSITIONS``, which it answers; ``None``: it trains.
    """
    machine = [*processor(), torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")]
    told = {"machine": machine, "torch": torch.__version__, "clock": "thread", "width": width}
    if positions is not None:
        told["positions"] = positions
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def write(folder: Path) -> None:
        (folder / "ratio.json").write_text(json.dumps({"ratio": measured(width, positions), **told}), encoding="utf-8")

    try:
        return float(json.loads((built(cache_folder() / "bf16" / name, write) / "ratio.json").read_text())["ratio"])
    except (Error, OSError, ValueError, KeyError):  # no cache, or one that is not ours to write
        return measured(width, positions)


def measured(width: int, positions: int | None = None) -> float:
    """Time a block's step in float32 and bf16, turn by turn in changing order; return the ratio of the best.

    What is remembered must not hang on what else the machine did then, so one thread's processor time counts: threads
    that wait for each other on a busy machine once gave 0.95 where it is 2.9.

    Where a small product alone is slower in bf16, which an emulation can be by thirty times, its ratio is the answer.

    Args:
        width: Of the block.
        positions: As of :func:`faster`.
    """
    shape = (max(1, 1024 // width), _LENGTH, width) if positions is None else (1, positions, width)
    with torch.random.fork_rng(devices=[]):
        config = TransformerConfig(
            hidden_size=width, num_attention_heads=width // 32, intermediate_size=5 * width // 2, vocab_size=2
        )
        block = Block(config, 0)
        x = torch.randn(shape, requires_grad=positions is None)
    places = torch.arange(shape[1])[None]
    rounded = half_products(block)
    by = rotary(places, 32, config.rope_theta)
    small = {half: torch.ones(_LENGTH, _LENGTH, dtype=torch.bfloat16 if half else torch.float32) for half in _EITHER}

    def step(half: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = block(x, by, None, True, None, places)
        y.float().sum().backward()

    @torch.no_grad()
    def answer(half: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            for _ in range(_AGAIN):
                (rounded if half else block)(x, by, None, False, None, places)

    with threads(1):
        product = _ratio(lambda half: small[half] @ small[half])
        return product if product < 1 else _ratio(step if positions is None else answer)


def _ratio(action: Callable[[bool], object]) -> float:
    best = dict.fromkeys(_EITHER, math.inf)
    for half in _EITHER:  # the first call pays for set-up
        action(half)
    until = time.perf_counter() + _SECONDS
    for turn in range(_TURNS):
        for half in _EITHER if turn % 2 else _EITHER[::-1]:
            began = time.thread_time()
            action(half)
            best[half] = min(best[half], time.thread_time() - began)
        if time.perf_counter() > until:
            break
    return best[False] / best[True]


def _width(recipe: Recipe) -> int:
    size = BYTES if recipe.data.tokenizer == "bytes" else recipe.data.vocab_size
    keys: Callable[..., Any] = BACKBONES.get(recipe.backbone.name).keys
    return int(keys(vocab_size=size, **network_keys(recipe)).hidden_size)
