"""How long a text takes: latency and throughput of a sampler, measured so that rivals did equal work.

Every text has the same number of tokens (the sampler may not end it early) and no prompt, so only written tokens are
counted and all of them were decided by the model. One generation warms up, and its peak memory is taken; then the
repeats are timed. Percentiles interpolate between the repeats, so with fewer than 100 of them p99 is little more than
the slowest: ``repeats`` says how many they rest on. What the machine did meanwhile is kept beside them: a timing that
other programs took part in is marked (``contended``), to be shown and never ranked.

Letters: B batch, R repeats.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from unmask.evaluation.contention import Gauge, Load
from unmask.evaluation.process_memory import Memory, peak_memory
from unmask.sampling import Request, Sample, Sampler, Settings, Vocabulary, fill_request, generate


@dataclass(frozen=True)
class Latency:
    """One cell: a sampler, its settings, a batch.

    Attributes:
        batch: Texts at once (B).
        median: Median seconds (p50) from request to all texts done.
        p90: 90th percentile of the same.
        p99: 99th percentile of the same.
        tokens: Tokens written by one generation, all texts together.
        tokens_per_second: ``tokens`` / ``median``.
        bytes_per_second: The same in bytes that they stand for, which compares across tokenizers.
        forwards: Network calls of one generation.
        repeats: Timed generations (R).
        warm: Whether an untimed generation came first; one that takes longer than the limit is the measure itself.
        memory: Peak memory of the first generation, in bytes; ``None`` if it was not asked for.
        times: Seconds of each repeat.
        load: The machine while the repeats ran; ``None`` in what is older than its measurement.
        contended: Whether other programs took the processor meanwhile: then the times are theirs too.
    """

    batch: int
    median: float
    p90: float
    p99: float
    tokens: int
    tokens_per_second: float
    bytes_per_second: float
    forwards: int
    repeats: int
    warm: bool
    memory: Memory | None = None
    times: tuple[float, ...] = ()
    load: Load | None = None
    contended: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the cell by name."""
        return asdict(self)


def take_turns(
    timings: Sequence[Iterator[Latency | None]], told: Callable[[int], None] = lambda turns: None
) -> list[Latency]:
    """Run several timings one generation each in turn, and return their cells in order.

    Whatever slows the machine for a while then slows all rivals, and not the one whose turn it was.

    Args:
        timings: From :func:`timing`.
        told: Called with the generations done so far, those of cells that ended early not counted.
    """
    cells: list[Latency | None] = [None] * len(timings)
    turns = 0
    while any(cell is None for cell in cells):
        for place, each in enumerate(timings):
            if cells[place] is None:
                cells[place] = next(each)
                turns += cells[place] is None
                told(turns)
    return [cell for cell in cells if cell is not None]


def timing(
    model: Any,
    sampler: Sampler,
    settings: Settings,
    vocabulary: Vocabulary,
    decode: Callable[[tuple[int, ...]], bytes],
    *,
    length: int,
    batch: int,
    repeats: int = 5,
    seconds: float = 10.0,
    seed: int = 0,
    memory: bool = True,
) -> Iterator[Latency | None]:
    """Time the generation of ``batch`` texts of ``length`` tokens: ``None`` after each generation, at last the cell.

    Args:
        model: A network in eval mode.
        sampler: An entry of SAMPLERS, constructed.
        settings: How to sample; the end of text is ignored, whatever they say.
        vocabulary: The special tokens.
        decode: Token ids to the bytes that they stand for, be they text or not.
        length: Tokens of a text, BOS not counted.
        batch: Texts at once (B).
        repeats: Most timed generations (R).
        seconds: No new repeat starts after this much time spent here; a first run that takes longer is the measure
            itself.
        seed: Of the texts; each repeat writes others.
        memory: Whether to take the peak memory of the first generation.
    """
    settings = settings.but(ignore_eos=True, seed=seed)

    def once(turn: int) -> tuple[float, list[Sample]]:
        requests: list[Request] = [
            fill_request([], length, vocabulary, settings, index=turn * batch + row) for row in range(batch)
        ]
        _synchronize(model)
        with gauge.reading():
            start = time.perf_counter()
            samples = generate(model, sampler, requests, vocabulary, batch_size=batch)
            _synchronize(model)
            return time.perf_counter() - start, samples

    gauge = Gauge()
    used = None
    with _count_calls(model) as calls:
        if memory:
            (first, samples), used = peak_memory(lambda: once(0), model.device)
        else:
            first, samples = once(0)
    yield None
    times: list[float] = []
    if first <= seconds:
        gauge = Gauge()  # of the repeats alone
        while len(times) < repeats and (not times or sum(times) < seconds):
            taken, samples = once(len(times) + 1)
            times.append(taken)
            yield None
    timed = times or [first]
    tokens = sum(len(sample.written) for sample in samples)
    size = sum(len(decode(sample.written)) for sample in samples)
    load = gauge.load()
    threads = torch.get_num_threads() if torch.device(model.device).type == "cpu" else 0
    median, p90, p99 = (float(np.quantile(timed, q)) for q in (0.5, 0.9, 0.99))
    yield Latency(
        batch=batch,
        median=median,
        p90=p90,
        p99=p99,
        tokens=tokens,
        tokens_per_second=tokens / median,
        bytes_per_second=size / median,
        forwards=calls[0],
        repeats=len(timed),
        warm=bool(times),
        memory=used,
        times=tuple(timed),
        load=load,
        contended=load.contended(threads),
    )


@contextmanager
def _count_calls(model: torch.nn.Module) -> Iterator[list[int]]:
    """Yield a list whose one number is how often the network was called."""
    calls = [0]

    def hook(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        calls[0] += 1

    handle = model.register_forward_hook(hook)
    try:
        yield calls
    finally:
        handle.remove()


def _synchronize(model: Any) -> None:
    if torch.device(model.device).type == "cuda":
        torch.cuda.synchronize(model.device)
