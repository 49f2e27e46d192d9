"""The parts of the eco network that could be written in several ways, each against its rivals, forward and backward.

* The depthwise convolution: ours, PyTorch's ``Conv1d`` between two transposes, and a sum of shifted products.
* Reading and updating the memory: the tokens' projections folded into the slots, or made (``slots.folds`` chooses).

Sizes are those of ``aria-eco``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns, timed
from unmask.diffusion.state import State
from unmask.models import slots
from unmask.models.convolution import DepthwiseConvolution
from unmask.models.eco_config import EcoConfig
from unmask.models.token_places import layout_of


def run(options: Options) -> Result:
    """Measure both parts at several lengths, as many tokens at each."""
    tokens, lengths = (64, (32, 64)) if options.quick else (4096, (512, 1024, 2048, 4096))
    width, heads = (16, 2) if options.quick else (512, 8)
    config = EcoConfig(hidden_size=width, num_attention_heads=heads, memory_slots=16)
    rows: list[Row] = []
    goals: list[Goal] = []
    for length in lengths:
        say(f"eco_parts: T = {length}, {tokens // length} rows")
        x = torch.randn(tokens // length, length, width, requires_grad=True)
        for part, rivals in (("convolution", convolutions(config, x)), ("memory", memories(config, x))):
            found = take_turns({name: lambda step=step: timed(step) for name, step in rivals.items()}, options.turns(9))
            rows += [Row(f"{part}, T = {length}, {name}", "s", samples) for name, samples in found.items()]
            ours, *others = found
            for other in others:
                goals.append(Goal(f"{part}, T = {length}: {other} / {ours}", ratios(found[other], found[ours])))
    settings = {"tokens": tokens, "D": width, "kernel": 7, "M": 16, "A": config.memory_size, "heads": heads}
    return Result("eco_parts", settings, rows, goals)


def backward_of(forward: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a step: forward, and the gradient of the sum."""

    def step() -> None:
        forward().sum().backward()

    step()
    return step


def convolutions(config: EcoConfig, x: Tensor) -> dict[str, Callable[[], None]]:
    """Return the convolution three times."""
    ours = DepthwiseConvolution(config.hidden_size, config.conv_kernel)
    ours.initialise()
    reach = config.conv_kernel // 2

    def transposed() -> Tensor:
        weight = ours.weight[:, None]
        return F.conv1d(x.transpose(1, 2), weight, padding=reach, groups=config.hidden_size).transpose(1, 2)

    def shifted() -> Tensor:
        padded = F.pad(x, (0, 0, reach, reach))
        parts = (padded[:, j : j + x.shape[1]] * ours.weight[:, j] for j in range(config.conv_kernel))
        total = next(parts)
        for part in parts:
            total = total + part
        return total

    ways = {"ours": lambda: ours(x), "Conv1d": transposed, "shifted sums": shifted}
    return {name: backward_of(way) for name, way in ways.items()}


def memories(config: EcoConfig, x: Tensor) -> dict[str, Callable[[], None]]:
    """Return reading and writing in both orders of products."""
    read, write = slots.Read(config), slots.Write(config)
    layout = layout_of(State(torch.ones(x.shape[:2], dtype=torch.int64)), reach=3)
    memory = torch.randn(len(x), config.memory_slots, config.hidden_size)
    choose = slots.folds

    def in_order(folded: bool) -> Callable[[], Tensor]:
        def way() -> Tensor:
            slots.folds = lambda *_: folded
            try:
                return read(x, memory, layout, None)[0].sum() + write(memory, x, layout).sum()
            finally:
                slots.folds = choose

        return way

    return {"folded": backward_of(in_order(True)), "projected": backward_of(in_order(False))}
