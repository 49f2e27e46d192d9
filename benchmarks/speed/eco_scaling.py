"""Time and memory against the length of a text: eco, the transformer with as many parameters, and two ceilings.

* ``eco`` and ``transformer``: the networks of ``nano-eco``, ``nano-masked``, ``stories-small-eco`` and
  ``stories-small-masked``, one document a row, so that attention is PyTorch's kernel without a mask.
* ``no attention``: that transformer with tokens kept apart: its values go straight to its output projection. All
  projections remain, and so do the parameters: it is what a network of this size costs when nothing mixes tokens.
* ``no branch``: that transformer without the projections either, which leaves its SwiGLU layers and far fewer
  parameters.

Half of the tokens are hidden, and logits are asked there. A step has as many tokens at every length. Memory is the
most that one training step adds to what the process holds (``evaluation/process_memory.py`` says how that is found
out): activations and gradients, not weights and moments.

Letters: B rows, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns, timed
from unmask.diffusion.state import State
from unmask.evaluation.process_memory import peak_memory
from unmask.models.cost import parameter_count
from unmask.models.transformer_block import Attention
from unmask.training.network import make_model
from unmask.training.recipe import load_recipe

NAME = "eco_scaling"
MASK = 3
SIZES = {"nano": ("nano-eco", "nano-masked"), "small": ("stories-small-eco", "stories-small-masked")}
PASSES = ("forward", "training step")
QUICK = ["data.vocab_size=300"]


class Apart(nn.Module):
    """An attention layer whose tokens do not meet: all its projections, and no product of queries and keys."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.qkv, self.out = attention.qkv, attention.out
        self.values = attention.kv_heads * attention.width

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        """Project, and pass the values on."""
        values: Tensor = self.out(self.qkv(x)[..., -self.values :])
        return values


class Nothing(nn.Module):
    """A branch that adds nothing."""

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        """Return 0."""
        return x.new_zeros(())


@dataclass(frozen=True)
class Case:
    """One network at one length: what is timed, and its peak memory in bytes."""

    passes: Mapping[str, Callable[[], float]]
    memory: int


def run(options: Options) -> Result:
    """Measure all lengths."""
    lengths = (32, 64) if options.quick else (256, 512, 1024, 2048, 4096, 8192)
    tokens, turns = max(lengths), options.turns(3)
    sizes = ("nano",) if options.quick else tuple(SIZES)
    rows: list[Row] = []
    goals: list[Goal] = []
    memory: list[dict[str, Any]] = []
    crossings: list[dict[str, Any]] = []
    parameters: dict[str, dict[str, int]] = {}
    for size in sizes:
        per_token: dict[str, dict[str, list[list[float]]]] = {}
        for length in lengths:
            models = networks(size, length, options.quick)
            parameters[size] = {name: parameter_count(model) for name, model in models.items()}
            say(f"{NAME}: {size}, T = {length}, {tokens // length} rows, {turns} turns")
            cases = {name: case(model, tokens // length, length) for name, model in models.items()}
            memory.append({"size": size, "T": length} | {name: round(c.memory / 2**20, 1) for name, c in cases.items()})
            for kind in PASSES:
                found = take_turns({name: c.passes[kind] for name, c in cases.items()}, turns)
                for name, samples in found.items():
                    micro = [1e6 * s / tokens for s in samples]
                    rows.append(Row(f"{size}, {kind}, T = {length}, {name}", "us a token", micro))
                    per_token.setdefault(kind, {}).setdefault(name, []).append(micro)
        for kind, by_name in per_token.items():
            goals += judged(size, kind, lengths, by_name)
            crossings.append({"size": size, "pass": kind, "T": break_even(lengths, by_name)})
    tables = {"peak memory of a training step, MiB": memory, "break-even with the transformer": crossings}
    settings = {"tokens a step": tokens, "asked": 0.5, "parameters": parameters}
    return Result(NAME, settings, rows, goals, tables=tables)


def networks(size: str, length: int, quick: bool = False) -> dict[str, nn.Module]:
    """Return the rivals of a size, with fresh weights."""
    eco, transformer = SIZES[size]
    cut = [*QUICK, "backbone={hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2}"] if quick else []

    def made(name: str) -> nn.Module:
        recipe = load_recipe(name, [*cut, f"data.length={length}"])
        return make_model(recipe, recipe.data.vocab_size)

    apart, bare = made(transformer), made(transformer)
    for block in apart.blocks:  # type: ignore[union-attr]
        block.attention = Apart(block.attention)  # type: ignore[union-attr,arg-type]
    for block in bare.blocks:  # type: ignore[union-attr]
        block.attention, block.attention_norm = Nothing(), nn.Identity()  # type: ignore[union-attr]
    return {"eco": made(eco), "transformer": made(transformer), "no attention": apart, "no branch": bare}


def case(model: nn.Module, batch: int, length: int) -> Case:
    """Return what is timed of a network; one step has warmed it up."""
    draw = torch.Generator().manual_seed(0)
    vocabulary = model.config.vocab_size  # type: ignore[union-attr]
    clean = torch.randint(4, vocabulary, (batch, length), generator=draw)  # type: ignore[call-overload]
    hidden = torch.zeros(batch, length, dtype=torch.bool)
    hidden[:, torch.randperm(length, generator=draw)[: length // 2]] = True
    state = State(clean.masked_fill(hidden, MASK), t=torch.full((batch,), 0.5))
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)

    def forward() -> None:
        with torch.inference_mode():
            model(state, at=hidden)

    def step() -> None:
        F.cross_entropy(model(state, at=hidden).logits, clean[hidden]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    small = State(state.tokens[:, :8], t=state.t)
    F.cross_entropy(model(small).logits, clean[:, :8].flatten()).backward()
    optimiser.step()  # the moments are there before memory is taken
    optimiser.zero_grad()
    _, memory = peak_memory(step)
    return Case({"forward": lambda: timed(forward), "training step": lambda: timed(step)}, memory.above)


def judged(size: str, kind: str, lengths: tuple[int, ...], found: Mapping[str, list[list[float]]]) -> list[Goal]:
    """Return the promises about one size and one pass."""
    goals = []
    for name in ("eco", "transformer"):
        about = f"{size}, {kind}: slope of {name}'s time of a text against T in log-log"
        promised = ", <= 1.1" if name == "eco" else ""
        goals.append(Goal(about + promised, slopes(lengths, found[name]), most=1.1 if promised else None, unit=""))
    for place, length in enumerate(lengths):
        eco, rival, apart, bare = (found[n][place] for n in ("eco", "transformer", "no attention", "no branch"))
        least = {2048: 1.4, 8192: 2.5}.get(length)
        promised = f", >= {least}x" if least else ""
        goals.append(Goal(f"{size}, {kind}, T = {length}: transformer / eco{promised}", ratios(rival, eco), least))
        shares = [100 * a / e for a, e in zip(apart, eco, strict=True)]
        about = f"{size}, {kind}, T = {length}: eco's speed, of the transformer's without attention"
        goals.append(Goal(f"{about}, >= 80 %", shares, 80.0, unit=" %"))
        shares = [100 * b / e for b, e in zip(bare, eco, strict=True)]
        goals.append(Goal(f"{about} and its projections", shares, unit=" %"))
    return goals


def slopes(lengths: tuple[int, ...], per_token: list[list[float]]) -> list[float]:
    """Return, turn by turn, the exponent p of (time of a text) ~ T^p, by least squares."""
    x = np.log(lengths)
    return [float(1 + np.polyfit(x, np.log(turn), 1)[0]) for turn in zip(*per_token, strict=True)]


def break_even(lengths: tuple[int, ...], found: Mapping[str, list[list[float]]]) -> str:
    """Return the T from which on eco is the faster one, between two lengths by log-linear interpolation."""
    gain = [
        math.log(np.median(rival) / np.median(eco))
        for rival, eco in zip(found["transformer"], found["eco"], strict=True)
    ]
    slower = [place for place, value in enumerate(gain) if value < 0]
    if not slower:
        return f"below {lengths[0]}"
    last = slower[-1]
    if last == len(gain) - 1:
        return f"above {lengths[-1]}"
    share = -gain[last] / (gain[last + 1] - gain[last])
    return str(round(math.exp(math.log(lengths[last]) + share * math.log(lengths[last + 1] / lengths[last]))))
