"""One run of the race: a small byte network, an optimiser, a base rate, and who steers it."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.studies.qcontroller.hypergradient import Hypergradient
from unmask.data.corpus import documents, load_corpus
from unmask.training.qcontroller.callback import make_controller
from unmask.training.qcontroller.factors import Controller, Limits, Scales, momentum, release, steer
from unmask.training.qcontroller.mended import ACTIONS, HIGHEST, LOWEST
from unmask.training.qcontroller.options import MendedOptions, OriginalOptions, RandomOptions

STEPS, WARM, EVERY, ROWS, CONTEXT = 200, 20, 5, 256, 8
WORST = 8.0  # bits of a uniform guess: what a run is worth at most
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
