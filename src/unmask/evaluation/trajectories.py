"""How a thought becomes clear: a run of denoising, answer by answer.

After each answer of the network about a text are kept: the share of words still open, the thought and its level of
noise, and the clean thought that the network believes in. From these follow, for each answer,

    to the end    cosine of the belief and the last belief
    to the read   cosine of the belief and the thought that is read off the finished text
    velocity      root mean square of the change of the belief since the answer before

Steps at which the network was not asked change nothing and are no answers.

Letters: A answers of a text, C cells, E channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.evaluation.thought_measures import unit
from unmask.sampling import Request, Sampler, Vocabulary, ticks
from unmask.sampling.loop import Tick, collect, tell
from unmask.sampling.passages import read_passages
from unmask.sampling.thought_steps import fresh, options_of

OPEN = "·"
"""Stands for an open position that shows no word in a text so far."""


@dataclass(frozen=True)
class Moment:
    """An answer, for people. Attributes: see the module; ``velocity`` is ``None`` for the first."""

    step: int
    open: float
    level: float
    to_end: float
    to_read: float
    velocity: float | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Trajectory:
    """What happened to one text.

    Attributes:
        steps: The steps at which the network was asked, from 1.
        open: Share of open positions after each.
        level: Mean share of noise in the thought's variance after each.
        cells: The thought, at the start and after each answer.
        believed: The clean thought that each answer believes in.
        read: The thought that is read off the finished text.
        texts: The text after each answer.
        text: The finished text.
        ended: Whether the network ended it.
    """

    steps: Int[np.ndarray, " A"]
    open: Float[np.ndarray, " A"]
    level: Float[np.ndarray, " A"]
    cells: Float[np.ndarray, "A+1 C E"]
    believed: Float[np.ndarray, "A C E"]
    read: Float[np.ndarray, "C E"]
    texts: tuple[str, ...]
    text: str
    ended: bool

    @property
    def flat(self) -> Float[np.ndarray, "A F"]:
        """Beliefs as vectors, F = C E."""
        return self.believed.reshape(len(self.believed), -1)

    @property
    def to_end(self) -> Float[np.ndarray, " A"]:
        """Cosine of each belief and the last."""
        return np.asarray(unit(self.flat) @ unit(self.flat[-1]))

    @property
    def to_read(self) -> Float[np.ndarray, " A"]:
        """Cosine of each belief and the thought of the finished text."""
        return np.asarray(unit(self.flat) @ unit(self.read.ravel()))

    @property
    def velocity(self) -> Float[np.ndarray, " A"]:
        """Root mean square change of a number of the belief since the answer before; NaN for the first."""
        change = np.sqrt(np.square(np.diff(self.flat, axis=0)).mean(1))
        return np.concatenate([[np.nan], change])

    def moments(self, every: int = 1) -> list[Moment]:
        """Return the first and the last answer, and between them one every ``every`` steps or later.

        Raises:
            Error: ``every`` is below 1.
        """
        if every < 1:
            raise Error(f"every is {every}; it must be at least 1 step.")
        shown: list[int] = []
        for place, step in enumerate(self.steps):
            if not shown or step >= self.steps[shown[-1]] + every or place == len(self.steps) - 1:
                shown.append(place)
        to_end, to_read, velocity = self.to_end, self.to_read, self.velocity
        return [
            Moment(
                step=int(self.steps[i]),
                open=float(self.open[i]),
                level=float(self.level[i]),
                to_end=float(to_end[i]),
                to_read=float(to_read[i]),
                velocity=float(velocity[i]) if i else None,
                text=self.texts[i],
            )
            for i in shown
        ]


def record(
    model: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    *,
    batch_size: int = 8,
    progress: Callable[[int], None] = lambda more: None,
) -> list[Trajectory]:
    """Write texts and keep what happens to their thoughts.

    Args:
        model: A network with thoughts, in eval mode.
        sampler: An entry of SAMPLERS, constructed.
        requests: Canvases of at most a passage.
        tokenizer: The run's.
        vocabulary: The special tokens.
        batch_size: Most texts in one network call; no text depends on it.
        progress: Called after each step with how many words more have been written.

    Raises:
        Error: a network without thoughts, a sampler that carries none, a canvas that does not fit, or one with nothing
            open.
    """
    options = options_of(model)
    if options is None:
        raise Error("this run has no thoughts; train one with the recipe nano-thought, or set thought=[4,4,16].")
    parts: list[list[dict[str, Any]]] = [[] for _ in requests]
    calls = [0] * len(requests)
    begun: dict[int, torch.Tensor] = {}
    finished: dict[int, Any] = {}
    written: dict[int, int] = {}
    for tick in ticks(model, sampler, requests, vocabulary, batch_size=batch_size):
        collect(tick, finished)
        tell(tick, written, progress)
        thought = tick.state.thought or fresh(options, tick.state.key)
        for row, which in enumerate(tick.which):
            if which not in begun:
                begun[which] = thought.cells[row]
            if int(tick.state.forwards[row]) == calls[which]:
                continue
            calls[which] = int(tick.state.forwards[row])
            if tick.frame.thought is None:
                raise Error(
                    f"the {sampler.Settings.name!r} sampler carries no thoughts; choose another one (ancestral)."
                )
            parts[which].append(
                {
                    "steps": int(tick.state.step[row]),
                    "open": float(tick.state.masked_fraction[row]),
                    "level": float(thought.level[row].mean()),
                    "cells": thought.cells[row],
                    "believed": tick.frame.thought[row],
                    "texts": _so_far(tick, row, tokenizer),
                }
            )
    found = []
    for which, answers in enumerate(parts):
        if not answers:
            raise Error("nothing is open in a canvas, so nothing is thought about it; leave something to write.")
        sample = finished[which]
        read = read_passages(model, [[sample.tokens]], vocabulary).cells[0, 0]
        found.append(
            Trajectory(
                steps=np.array([a["steps"] for a in answers]),
                open=np.array([a["open"] for a in answers]),
                level=np.array([a["level"] for a in answers]),
                cells=_array(torch.stack([begun[which], *(a["cells"] for a in answers)])),
                believed=_array(torch.stack([a["believed"] for a in answers])),
                read=_array(read),
                texts=tuple(a["texts"] for a in answers),
                text=tokenizer.decode(sample.tokens),
                ended=sample.ended,
            )
        )
    return found


def _array(numbers: torch.Tensor) -> Float[np.ndarray, ...]:
    return numbers.float().cpu().numpy()


def _so_far(tick: Tick, row: int, tokenizer: Tokenizer) -> str:
    """Return a text with a sign at each open position that shows no word."""
    state = tick.state
    text = ""
    known: list[int] = []
    for token, is_open, valid in zip(
        state.tokens[row].tolist(), state.open[row].tolist(), state.valid[row].tolist(), strict=True
    ):
        if not valid:
            continue
        if is_open and token == state.vocabulary.mask:
            text, known = text + tokenizer.decode(known) + OPEN, []
        else:
            known.append(token)
    return text + tokenizer.decode(known)
