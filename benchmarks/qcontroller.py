"""Does the Q-controller help? Held-out bits a byte over four decades of base rates, against its controls and rivals.

    OMP_NUM_THREADS=1 python -m benchmarks.qcontroller [--quick] [--results FOLDER]

A byte network of 29 thousand parameters learns Python's documentation for 200 steps, with SGD with momentum and with
AdamW. All ways of a seed have the same weights, batches, warm-up of 20 steps and clipping at 1; what they do with the
base rate is all that differs. The controllers are those of ``unmask.training.qcontroller``, driven without the
Trainer, with an action every 5 steps as runs are short.

Controls: actions at random in the same machine (``random``, ``original at random``); one action for ever (``always
x0.8``, ``always x1.25``), and the best of these two and ``constant`` in hindsight, a base rate (``best fixed action``).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.hypergradient import Hypergradient
from benchmarks.measure import say, stamp, store, table
from unmask.data.corpus import documents, load_corpus
from unmask.training.qcontroller.callback import make_controller
from unmask.training.qcontroller.mended import ACTIONS, HIGHEST, LOWEST
from unmask.training.qcontroller.options import MendedOptions, OriginalOptions, RandomOptions
from unmask.training.qcontroller.steering import Controller, Limits, Scales, momentum, release, steer

RESULTS = Path(__file__).parent / "results"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.qcontroller"
SEEDS = (0, 1, 2, 3, 4)
RATES = {"sgd": np.logspace(-4, 0, 7).tolist(), "adamw": np.logspace(-5, -1, 7).tolist()}
STEPS, WARM, EVERY, ROWS, CONTEXT = 200, 20, 5, 256, 8
WORST = 8.0  # bits of a uniform guess: what a run is worth at most
NEAR = (0.1, 0.25)  # bits from the family's best cell that count as near
HELD = 4096  # positions that judge
Family = Literal["sgd", "adamw"]


class OneAction:
    """The control that takes one action of the mended controller for ever, whatever the loss."""

    probes = 0
    limits = Limits()

    def __init__(self, action: int) -> None:
        self.action = action
        self.steps = 0
        self.log_factor = 0.0

    def act(self, *seen: Any) -> Scales:
        """Return the factors of the step."""
        if self.steps % EVERY == 0:
            self.log_factor = min(max(self.log_factor + ACTIONS[self.action], LOWEST), HIGHEST)
        self.steps += 1
        return Scales(math.exp(self.log_factor))


@dataclass(frozen=True)
class Way:
    """What is done with the base rate.

    Attributes:
        controller: Makes the controller of a seed.
        cosine: The schedule goes down to 0 by a cosine; else it is constant. Both warm up.
        optimizer: One of its own, instead of the family's.
        hypergradient: Whether the rate goes down its own gradient.
    """

    controller: Callable[[int], Any] | None = None
    cosine: bool = False
    optimizer: Literal["schedule-free", "prodigy"] | None = None
    hypergradient: bool = False


ALL_RANDOM = {"q_epsilon": 1.0, "q_min_epsilon": 1.0}
QUICK = {"q_learning_rate": 0.5, "q_discount": 0.0}
WAYS: dict[str, Way] = {
    "constant": Way(),
    "cosine": Way(cosine=True),
    "hypergradient": Way(hypergradient=True),
    "schedule-free": Way(optimizer="schedule-free"),
    "prodigy, cosine": Way(optimizer="prodigy", cosine=True),
    "original": Way(lambda seed: make_controller(OriginalOptions(), seed)),
    "original at random": Way(lambda seed: make_controller(OriginalOptions(**ALL_RANDOM), seed)),
    "mended": Way(lambda seed: make_controller(MendedOptions(every=EVERY), seed)),
    "mended, alpha 0.5, gamma 0": Way(lambda seed: make_controller(MendedOptions(every=EVERY, **QUICK), seed)),
    "mended, alpha 0.5, gamma 0, on cosine": Way(
        lambda seed: make_controller(MendedOptions(every=EVERY, **QUICK), seed), cosine=True
    ),
    "random": Way(lambda seed: make_controller(RandomOptions(every=EVERY), seed)),
    "always x0.8": Way(lambda seed: OneAction(0)),
    "always x1.25": Way(lambda seed: OneAction(2)),
}
FIXED = ("always x0.8", "constant", "always x1.25")
BEST_FIXED = "best fixed action"
ADAMW_ONLY = ("schedule-free", "prodigy, cosine")


class ByteNetwork(nn.Module):
    """The next byte from the last ones: embeddings side by side and one hidden layer (Bengio et al. 2003).

    Letters: B positions, C bytes of context.
    """

    def __init__(self, width: int = 16, hidden: int = 64) -> None:
        super().__init__()
        self.bytes = nn.Embedding(256, width)
        self.inner = nn.Linear(CONTEXT * width, hidden)
        self.head = nn.Linear(hidden, 256)

    def forward(self, context: Int[Tensor, "B C"]) -> Float[Tensor, "B 256"]:
        """Return logits."""
        return self.head(F.gelu(self.inner(self.bytes(context).flatten(1))))


@dataclass(frozen=True)
class Text:
    """Bytes to learn, and bytes to be judged by."""

    learn: Int[Tensor, " n"]
    held: Int[Tensor, " m"]


def text() -> Text:
    corpus = load_corpus("pydocs")
    parts = []
    for split, most in (("train", 1 << 20), ("valid", 1 << 18)):
        joined = "\n".join(documents(corpus.split(split))).encode()[:most]
        parts.append(torch.frombuffer(bytearray(joined), dtype=torch.uint8))
    return Text(*parts)


def examples(data: Int[Tensor, " n"], places: Int[Tensor, " B"]) -> tuple[Int[Tensor, "B C"], Int[Tensor, " B"]]:
    """Return contexts and the bytes after them."""
    window = data[places[:, None] + torch.arange(CONTEXT + 1)].long()
    return window[:, :-1], window[:, -1]


def optimizer_of(family: Family, way: Way, parameters: list[Tensor], rate: float) -> Any:
    if way.optimizer == "schedule-free":
        return AdamWScheduleFree(parameters, rate, (0.9, 0.95), weight_decay=0.01, warmup_steps=WARM)
    if way.optimizer == "prodigy":
        with contextlib.redirect_stdout(io.StringIO()):  # it says on stdout that it decouples weight decay
            return Prodigy(parameters, 1.0, (0.9, 0.95), weight_decay=0.01, safeguard_warmup=True)
    if family == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.9)
    return torch.optim.AdamW(parameters, rate, (0.9, 0.95), weight_decay=0.01, fused=True)


def schedule(step: int, steps: int, way: Way) -> float:
    if way.optimizer == "schedule-free":
        return 1.0  # warms up by itself
    down = 0.5 * (1 + math.cos(math.pi * step / steps)) if way.cosine else 1.0
    return down * min(1.0, (step + 1) / WARM)


def run(family: Family, way: Way, rate: float, seed: int, given: Text, steps: int, draws: int) -> tuple[float, float]:
    """Train once; ``draws`` is the seed of the controller's actions.

    Returns:
        Held-out bits a byte, ``WORST`` at most, and the factor on the rate at the end.
    """
    torch.manual_seed(seed)
    network = ByteNetwork()
    parameters = list(network.parameters())
    optimizer = optimizer_of(family, way, parameters, rate)
    groups, base = optimizer.param_groups, [group["lr"] for group in optimizer.param_groups]
    draw = torch.Generator().manual_seed(seed)
    places = torch.randint(len(given.learn) - CONTEXT, (steps + 1, ROWS), generator=draw)
    probe = examples(given.learn, places[-1])
    controller: Controller | None = way.controller(draws) if way.controller is not None else None
    hyper = Hypergradient(parameters) if way.hypergradient else None
    scales, limits = Scales(), controller.limits if controller is not None else Limits()
    if way.optimizer == "schedule-free":
        optimizer.train()

    def probe_loss() -> float:
        with torch.no_grad():
            return F.cross_entropy(network(probe[0]), probe[1]).item()

    for step in range(steps):
        context, target = examples(given.learn, places[step])
        loss = F.cross_entropy(network(context), target)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(parameters, 1.0))
        for group, first in zip(groups, base, strict=True):
            group["lr"] = first * schedule(step, steps, way)
        if controller is not None:
            ask = probe_loss if controller.probes else loss.item
            scales = controller.act(ask, norm, groups[0]["lr"], momentum(groups[0]))
        elif hyper is not None:
            scales = Scales(hyper.act())
        before = steer(groups, scales, limits)
        if math.isfinite(norm):
            optimizer.step()
        release(groups, before)
        optimizer.zero_grad()
    if way.optimizer == "schedule-free":
        optimizer.eval()
    return held_out(network, given), scales.learning_rate


@torch.no_grad()
def held_out(network: nn.Module, given: Text) -> float:
    places = torch.linspace(0, len(given.held) - CONTEXT - 1, HELD).long()
    context, target = examples(given.held, places)
    bits = float(F.cross_entropy(network(context), target)) / math.log(2)
    return min(bits, WORST) if math.isfinite(bits) else WORST


@dataclass(frozen=True)
class Cell:
    """The seeds of one way at one base rate: held-out bits a byte, factors at the end, seconds of the processor."""

    bits: list[float]
    factors: list[float]
    seconds: list[float]


Cells = dict[str, list[Cell]]
"""Way -> a cell for each base rate; for ``prodigy, cosine``, which has none, one."""


def measure(family: Family, rates: Sequence[float], seeds: Sequence[int], given: Text, steps: int) -> Cells:
    found: Cells = {}
    for name, way in WAYS.items():
        if family == "sgd" and name in ADAMW_ONLY:
            continue
        found[name] = []
        for place, rate in enumerate(rates[:1] if way.optimizer == "prodigy" else rates):
            cell = Cell([], [], [])
            for seed in seeds:
                began = time.process_time()
                draws = seed * len(rates) + place  # other actions at each rate: as many walks of chance as runs
                bits, factor = run(family, way, rate, seed, given, steps, draws)
                cell.bits.append(bits)
                cell.factors.append(factor)
                cell.seconds.append(time.process_time() - began)
            found[name].append(cell)
        say(f"{family}, {name}: " + " ".join(f"{fmean(cell.bits):.2f}" for cell in found[name]))
    best = [min((found[name][i] for name in FIXED), key=lambda cell: fmean(cell.bits)) for i in range(len(rates))]
    return {**found, BEST_FIXED: best}


def near(means: Sequence[float], rates: Sequence[float], limit: float) -> float:
    """Return the share of the decades, between first and last rate, where the line through the means is below."""
    grid = np.linspace(math.log(rates[0]), math.log(rates[-1]), 2001)
    return float((np.interp(grid, np.log(rates), means) <= limit).mean())


def over_rates(cells: Sequence[Cell]) -> list[float]:
    """Return each seed's mean over the base rates."""
    return [fmean(bits) for bits in zip(*(cell.bits for cell in cells), strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{fmean(values):.{digits}f} ± {stdev(values) if len(values) > 1 else 0:.{digits}f}"


def summary(found: Cells, rates: Sequence[float]) -> list[dict[str, Any]]:
    """Return a row a way: its mean at each base rate, over all, at its best one, and how wide it is near the best."""
    least = min(fmean(cell.bits) for cells in found.values() for cell in cells)
    rows = []
    for name, cells in found.items():
        means = [fmean(cell.bits) for cell in cells] * (len(rates) if len(cells) == 1 else 1)
        top = min(cells, key=lambda cell: fmean(cell.bits))
        each = {f"{rate:.1e}": f"{mean:.2f}" for rate, mean in zip(rates, means, strict=True)}
        ends = {f"within {x}": f"{near(means, rates, least + x):.0%}" for x in NEAR}
        seconds = fmean(s for cell in cells for s in cell.seconds)
        rows.append(
            {"way": name, **each, "all rates": spread(over_rates(cells)), "best rate": spread(top.bits), **ends}
            | {"s a run": f"{seconds:.2f}"}
        )
    return rows


def against(found: Cells, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return differences between ways, seed by seed, of the means over base rates."""
    rows = []
    for one, other in pairs:
        less = [a - b for a, b in zip(over_rates(found[one]), over_rates(found[other]), strict=True)]
        rows.append(
            {
                "way": one,
                "against": other,
                "difference, bits": spread(less, 3),
                "seeds it is better in": f"{sum(d < 0 for d in less)} of {len(less)}",
            }
        )
    return rows


PAIRS = (
    ("original", "constant"),
    ("original", "original at random"),
    ("mended", "constant"),
    ("mended", "random"),
    ("mended, alpha 0.5, gamma 0", "constant"),
    ("mended, alpha 0.5, gamma 0", "random"),
    ("mended, alpha 0.5, gamma 0", "hypergradient"),
    ("mended, alpha 0.5, gamma 0", BEST_FIXED),
    ("mended, alpha 0.5, gamma 0, on cosine", "cosine"),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qcontroller")
    parser.add_argument("--quick", action="store_true", help="two rates, one seed, few steps; nothing is stored")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    steps, seeds = (6, SEEDS[:1]) if given.quick else (STEPS, SEEDS)
    bytes_ = text()
    content: dict[str, Any] = {}
    for family, rates in RATES.items():
        rates = rates[::6] if given.quick else rates
        found = measure(family, rates, seeds, bytes_, steps)
        rows, pairs = summary(found, rates), against(found, PAIRS)
        print(f"## {family}\n\n" + "\n".join(table(rows)) + "\n\n" + "\n".join(table(pairs)) + "\n")
        cells: Mapping[str, Any] = {name: [vars(cell) for cell in cells] for name, cells in found.items()}
        content[family] = {"rates": rates, "rows": rows, "against": pairs, "cells": cells}
    if not given.quick:
        settings = {
            "seeds": seeds,
            "steps": steps,
            "warm-up": WARM,
            "every": EVERY,
            "positions a step": ROWS,
            "held-out positions": HELD,
            "parameters": sum(p.numel() for p in ByteNetwork().parameters()),
            "worst": WORST,
            "±": "standard deviation of the seeds",
            "within": "share of the decades, by a line between rates, at most so many bits above the best cell",
        }
        store(given.results / "qcontroller.json", {**stamp(COMMAND), "settings": settings, **content})
    return 0


if __name__ == "__main__":
    sys.exit(main())
