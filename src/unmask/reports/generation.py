"""The ways in which a run samples: each writes texts to be measured, and each is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from unmask.evaluation.latency import Latency, take_turns, timing
from unmask.sampling import SAMPLERS, Vocabulary, drives, fill_request, generate
from unmask.sampling.settings import Settings
from unmask.training.run import Run


@dataclass(frozen=True)
class Way:
    """A sampler and its settings."""

    settings: Settings

    @property
    def sampler(self) -> str:
        """Name of the sampler."""
        return self.settings.name

    @property
    def steps(self) -> int | None:
        """Steps, ``None`` where the sampler has none."""
        return self.settings.steps if "steps" in self.settings.known else None

    @property
    def label(self) -> str:
        """Sampler and steps in one."""
        return self.sampler if self.steps is None else f"{self.sampler} {self.steps} steps"


def ways(run: Run, steps: Sequence[int], length: int, rivals: bool = True) -> list[Way]:
    """Return how a run is sampled: its own sampler at each number of steps; every other one that fits at the most.

    Without ``rivals`` it is its own sampler alone.

    More steps than tokens are left out. ``speculative`` is no rival unless it is the run's own: its texts are those of
    ``autoregressive`` by law, and what it saves hangs on the drafts (``unmask sample --verifier``).

    Raises:
        Error: a step count is below 1.
    """
    own = run.recipe.sampler_settings()
    counts = sorted({min(count, length) for count in steps})
    swept = [own.but(steps=count) for count in counts] if "steps" in own.known else [own]
    kinds = [SAMPLERS.facts(name) for name in SAMPLERS]
    fit = [kind for kind in kinds if kind.name not in (own.name, "speculative") and drives(kind, run.process)]
    alike = {"steps": counts[-1], "temperature": own.temperature}
    chosen = fit if rivals else []
    others = [kind(**{key: value for key, value in alike.items() if key in kind.model_fields}) for kind in chosen]
    return [Way(settings) for settings in (*swept, *others)]


def vocabulary_of(run: Run) -> Vocabulary:
    """Return the special tokens of a run."""
    tokenizer = run.tokenizer
    return tokenizer.vocabulary


@dataclass(frozen=True)
class Written:
    """Texts that a run wrote.

    Attributes:
        texts: As they are shown: bytes that are not UTF-8 are U+FFFD.
        sizes: The bytes of each, be they text or not.
    """

    texts: list[str]
    sizes: list[int]


def write_texts(run: Run, model: Any, way: Way, *, length: int, samples: int, seed: int) -> Written:
    """Sample texts from nothing but BOS; a text may end before ``length`` tokens."""
    vocabulary = vocabulary_of(run)
    settings = way.settings.but(seed=seed)
    requests = [fill_request([], length, vocabulary, settings, index=index) for index in range(samples)]
    done = generate(model, SAMPLERS.get(way.sampler)(), requests, vocabulary, batch_size=32, process=run.process)
    sizes = [len(run.tokenizer.decode_bytes(sample.written)) for sample in done]
    return Written([run.tokenizer.decode(sample.written) for sample in done], sizes)


@dataclass(frozen=True)
class Timed:
    """A way to sample that is to be timed: the run, its network, the way."""

    run: Run
    model: Any
    way: Way


def time_ways(
    asked: Sequence[Timed],
    *,
    length: int,
    batches: Sequence[int],
    repeats: int,
    seconds: float,
    say: Callable[[str], None],
    inside: Callable[[float], None] = lambda share: None,
) -> list[list[Latency]]:
    """Time ways to sample at each batch size, taking turns; return the cells of each way.

    ``inside`` is called with the share of a batch size's generations that are done.
    """
    most = len(asked) * (repeats + 1)
    cells: list[list[Latency]] = [[] for _ in asked]
    for batch in batches:
        say(f"timing {len(asked)} ways to sample in turns, batch {batch}")
        timings = [
            timing(
                each.model,
                SAMPLERS.get(each.way.sampler)(),
                each.way.settings,
                vocabulary_of(each.run),
                each.run.tokenizer.decode_bytes,
                length=length,
                batch=batch,
                repeats=repeats,
                seconds=seconds,
            )
            for each in asked
        ]
        for mine, cell in zip(cells, take_turns(timings, lambda turns: inside(turns / most)), strict=True):
            mine.append(cell)
    return cells
