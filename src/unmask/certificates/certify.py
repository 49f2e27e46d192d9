"""Is a sampler right? Its texts, written with a perfect network, against the distribution that it promises.

With a network that knows every conditional probability of a small world (:mod:`unmask.certificates.worlds`), whatever
is wrong with the texts is the sampler's doing. Tens of thousands of them are counted and compared with the known law in
total variation, with the rigorous band of :mod:`unmask.certificates.total_variation`.

Each sampler says what it promises (``Sampler.promise``), and is held to just that:

    exact     distance from the truth, at every number of steps
    reverse   distance from q_N of :mod:`unmask.certificates.masked_law`, at every number of steps N; of a sampler that
              reopens what it decided, from the law of :mod:`unmask.certificates.remasking_law`; of one whose open
              positions show words, from that of :mod:`unmask.certificates.uniform_law`
    process   the same; it does not go to the truth
    limit     distance from the truth, at the numbers of steps that are at least ``DEEP`` times the words of a text
    none      nothing; the distance from the truth is the price

Letters: n texts, K possible texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.certificates.ground import Ground, write_texts
from unmask.certificates.total_variation import Distance, noise_floor, total_variation
from unmask.lines import counted
from unmask.result import Result
from unmask.sampling.sampler import SAMPLERS, Promise, Reopening, Sampler
from unmask.sampling.settings import Settings

STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of steps of the usual table."""
SAMPLES = 50_000
"""Texts a cell: as many exact ones are less than the tolerance away, band included."""
LENGTH = 5
"""Words of a text: the 3 ** 5 or 4 ** 5 texts of the shipped worlds can be counted."""
TOLERANCE = 0.04
"""Largest total variation that still counts as keeping a promise."""
DEEP = 8
"""A promise about the limit is judged at this many steps a word and more."""


def certifiable() -> list[str]:
    """Return the names of the samplers that show states which a known source can answer: not one process's own."""
    return [name for name in SAMPLERS if SAMPLERS.facts(name).shows != "candidates"]


@dataclass(frozen=True)
class Cell:
    """One number of steps.

    Attributes:
        steps: Steps from all open to none; ``None`` if the sampler has no such setting.
        forwards: Network calls a text, mean.
        entropy: Bits a text: of the counted shares, so it leans downwards a little.
        tv: Distance from the truth.
        predicted: Exact distance of the promised law from the truth; ``None``: nothing is promised here.
        off: Distance from the promised law.
    """

    steps: int | None
    forwards: float
    entropy: float
    tv: Distance
    predicted: float | None
    off: Distance | None


@dataclass(frozen=True, repr=False)
class Certificate(Result):
    """One sampler under one set of settings in one world.

    Attributes:
        sampler: Name of the sampler.
        settings: Its settings that differ from the defaults, steps aside.
        world: Name of the world.
        promise: What the sampler promises under these settings.
        cells: One a number of steps, ascending.
        length: Words of a text.
        texts: Possible texts (K).
        samples: Texts written a cell.
        seed: Of the texts.
        tolerance: Largest distance that keeps a promise.
        entropy: Control: bits a text of the truth.
        floor: Control: mean estimate that as many exact texts give.
        independent: Control: exact distance of words drawn independently, which is what one step of a masked sampler
            writes.
    """

    sampler: str
    settings: dict[str, Any]
    world: str
    promise: Promise
    cells: tuple[Cell, ...]
    length: int
    texts: int
    samples: int
    seed: int
    tolerance: float
    entropy: float
    floor: float
    independent: float

    @property
    def name(self) -> str:
        """The sampler with its settings."""
        return " ".join([self.sampler, *(f"{key}={value}" for key, value in self.settings.items())])

    @property
    def failed(self) -> bool:
        """Whether the band shows that the promise is broken."""
        return any(cell.off is not None and cell.off.low > self.tolerance for cell in self.cells)

    @property
    def verdict(self) -> str:
        """What the numbers say about the promise."""
        last = self.cells[-1]
        at = "" if last.steps is None else f" at {counted(last.steps, 'step')}"
        if self.promise == "none":
            shown = "" if last.tv.low > 0 else f", no more than chance shows ({self.floor:.3f})"
            return f"trades: TV {last.tv.value:.3f}{at}{shown}"
        judged = [cell for cell in self.cells if cell.off is not None]
        if not judged:
            return f"undecided: more steps (at least {DEEP * self.length})"
        worst = max(judged, key=lambda cell: cell.off.low if cell.off else 0.0)
        if self.failed:
            return f"FAILS its promise: off by {worst.off}" + (
                "" if worst.steps is None else f" at {counted(worst.steps, 'step')}"
            )
        if any(cell.off is not None and cell.off.high > self.tolerance for cell in judged):
            return "undecided: more samples"
        if self.promise == "exact":
            return "exact"
        if self.promise == "process":
            return f"its process at each step count: TV {last.tv.value:.3f}{at}"
        return "exact in the limit" + (", the reverse process at each step count" if self.promise == "reverse" else "")

    def _facts(self) -> tuple[str, ...]:
        return (self.name, self.world, self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return super().to_dict() | {"name": self.name, "failed": self.failed, "verdict": self.verdict}


def certify(
    sampler: Sampler,
    settings: Settings,
    ground: Ground,
    *,
    steps: Sequence[int] = STEPS,
    samples: int = SAMPLES,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Certificate:
    """Write many texts at each number of steps and hold the sampler to its promise.

    Args:
        sampler: An entry of SAMPLERS, constructed, or one of the user's own.
        settings: How to sample. Steps, seed and the end of text are set here.
        ground: The world, which is also the network.
        steps: Numbers of steps; one cell each, or one in all if the sampler has no such setting.
        samples: Texts a cell.
        seed: Of the texts; each cell writes others.
        tolerance: Largest distance that keeps a promise.

    Raises:
        Error: settings that the sampler does not use.
    """
    settings = sampler.Settings.of(settings)
    changed = settings.model_dump(exclude_defaults=True, exclude={"steps", "seed", "ignore_eos"})
    promise = sampler.promise(settings)
    cells = []
    for number, count in enumerate(sorted(set(steps)) if "steps" in settings.known else [None]):
        own = settings.but(ignore_eos=True, seed=seed, **({} if count is None else {"steps": count}))
        seen, forwards = write_texts(sampler, own, ground, samples, first=number * samples)
        law = _promised(sampler, own, ground)
        tv = total_variation(seen, ground.truth)
        off = None if law is None else tv if law is ground.truth else total_variation(seen, law)
        cells.append(Cell(count, forwards, _bits(seen), tv, None if law is None else ground.from_truth(law), off))
    return Certificate(
        sampler=sampler.Settings.name,
        settings=changed,
        world=ground.name,
        promise=promise,
        cells=tuple(cells),
        length=ground.length,
        texts=len(ground.truth),
        samples=samples,
        seed=seed,
        tolerance=tolerance,
        entropy=ground.world.entropy(ground.length) / math.log(2),
        floor=noise_floor(ground.truth, samples),
        independent=ground.from_truth(ground.reverse.law(1)),
    )


def _bits(seen: Int[Tensor, " n"]) -> float:
    """Return the entropy of the counted shares in bits."""
    share = torch.bincount(seen).double() / len(seen)
    return float(-(share * share.clamp(min=1e-300).log2()).sum())


def _promised(sampler: Sampler, settings: Any, ground: Ground) -> Float[Tensor, " K"] | None:
    """Return the law that a sampler promises under settings, if it does."""
    promise = sampler.promise(settings)
    steps = settings.steps if "steps" in settings.known else None
    if promise == "exact" or (promise == "limit" and (steps is None or steps >= DEEP * ground.length)):
        return ground.truth
    if promise not in ("reverse", "process") or steps is None:
        return None
    if sampler.Settings.shows == "token":
        return ground.redrawn.law(steps, settings.corrections)
    return ground.remasked.law(sampler.grid(settings)) if isinstance(sampler, Reopening) else ground.reverse.law(steps)
