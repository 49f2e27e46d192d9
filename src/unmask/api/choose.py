"""Which of several options belongs in a place of a text, and how sure a run is of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

from unmask.api.writing import vocabulary_of
from unmask.errors import Error, check_seed
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.options import Asked, By, Kind, any_order, by_likelihood, left_to_right, way_of
from unmask.lines import counted, excerpt
from unmask.result import Result
from unmask.sampling.thought_steps import passages_of
from unmask.training.calibration_file import CALIBRATION
from unmask.training.own_text import own_text
from unmask.training.run import Run

Normalise = Literal["none", "tokens", "bytes"]
MOST_OPTIONS = 1024


@dataclass(frozen=True, repr=False)
class ChooseResult(Result):
    """Options, weighed.

    Attributes:
        run: The run's folder.
        prompt: The text, a run of four or more underscores (or ``hole``) where the option stands; else it follows.
        options: The options.
        probabilities: Of each, given that it is one of them; they sum to 1.
        choice: The number of the most probable one.
        nats: -log p of each given the text around, or an upper bound on it.
        tokens: Tokens of each.
        kind: ``exact``: the run's own law; ``one call``: of a place of several tokens, all of which are drawn at once;
            ``estimate``: with the lengths of the options weighed in random orders; ``bound``: from upper bounds.
        calibrated: Whether what the network says counts as what it is worth by the run's calibration.
        normalise: What the nats were divided by: ``none``, ``tokens`` or ``bytes``.
        calls: Network calls.
        prompt_tokens: Tokens before the place.
        prompt_seen: How many of them fit into the context, the last ones.
    """

    run: str
    prompt: str
    options: list[str]
    probabilities: list[float]
    choice: int
    nats: list[float]
    tokens: list[int]
    kind: Kind
    calibrated: bool
    normalise: Normalise
    calls: int
    prompt_tokens: int
    prompt_seen: int

    def _facts(self) -> tuple[str, ...]:
        among = counted(len(self.options), "option")
        likely, best = max(zip(self.probabilities, self.options, strict=True), default=(0.0, ""))
        return (f"{excerpt(best, 48)!r} {likely:.3f} of {among}", self.kind)


def choose(
    run: str | Path | Run,
    prompt: str,
    options: Sequence[str],
    *,
    by: By = "auto",
    normalise: Normalise = "none",
    calibrated: bool | None = None,
    hole: str | None = None,
    orders: int = 4,
    draws: int = 8,
    batch_size: int = 64,
    seed: int = 0,
) -> ChooseResult:
    """Weigh options: ``choose(run, "The capital of France is", ["Paris", "Rome"])``, or ``"The ____ barked."``.

    What is weighed is p(option | text around), renormalised over the options: see :mod:`unmask.evaluation.options`.
    Options are texts that may go on, so one that begins another is at least as probable. White space before the place
    belongs to the option, as for ``lm-eval``; an option that is put right behind a word takes a space of its own.

    Args:
        run: A run folder, an opened run, or a loaded one.
        prompt: The text; of several holes none.
        options: Two or more, none twice.
        by: Of a run that sees both sides: ``exact``, ``one-call``, or ``auto``, exact where options are short.
        normalise: What each option's nats are divided by before they are compared: ``none`` (their probabilities),
            ``tokens`` or ``bytes`` (a habit of multiple-choice tests, and no probability of anything).
        calibrated: Whether a calibration of the run counts; ``None``: where it has one, and it can. It can where masked
            positions are answered.
        hole: Another sign for the place; underscores are then text.
        orders: Random orders in which lengths are weighed, where options are of unlike lengths.
        draws: Network calls behind a bound.
        batch_size: Most options, or canvases, in a call.
        seed: Of orders and draws.

    Raises:
        Error: no such run, fewer than two options, one twice or empty, options longer than the context, a way that the
            run does not have.
    """
    _check(options, by, normalise, orders, draws, batch_size)
    check_seed(seed)
    before, behind = _around(prompt, hole)
    run = run if isinstance(run, Run) else Run.open(run)
    model, process, tokenizer = run.model(), run.process, run.tokenizer
    vocabulary, way = vocabulary_of(tokenizer, model), way_of(model, process)
    if by != "auto" and way != "any order":
        raise Error(f"by is {by!r}, and run {run.path} weighs options {_WAYS[way]} in any case; leave it out.")
    counts = _calibrated(run, calibrated, way == "any order")
    own = own_text(before, run)
    short = own.rstrip()
    space = own[len(short) :]
    encoded = tokenizer.encode_batch([short, own_text(behind, run), *(space + own_text(o, run) for o in options)])
    for option, ids in zip(options, encoded[2:], strict=True):
        if not ids:
            raise Error(f"option {option!r} has no tokens; give some text.")
    if len({*map(tuple, encoded[2:])}) < len(options):
        raise Error("two options are the same text; leave one out.")
    whole = Asked(encoded[0], encoded[1], encoded[2:])
    seen = _fit(whole, int(model.config.max_position_embeddings), passages_of(model))
    if way == "left to right":
        found = left_to_right(model, seen, vocabulary, batch_size)
    elif way == "any order":
        found = any_order(model, seen, vocabulary, batch_size, by=by, calibrated=counts, orders=orders, seed=seed)
    else:
        found = by_likelihood(model, process, seen, vocabulary, batch_size, draws, seed)
    refuse_not_finite(torch.tensor(found.nats), "options", model)
    sizes = {
        "none": [1] * len(options),
        "tokens": [len(ids) for ids in seen.options],
        "bytes": [len(tokenizer.raw(own_text(option, run))) for option in options],
    }[normalise]
    score = torch.tensor([-nats / size for nats, size in zip(found.nats, sizes, strict=True)], dtype=torch.float64)
    probabilities = score.softmax(0)
    return ChooseResult(
        run=str(run.path),
        prompt=prompt,
        options=[*options],
        probabilities=probabilities.tolist(),
        choice=int(probabilities.argmax()),
        nats=found.nats,
        tokens=[len(ids) for ids in seen.options],
        kind=found.kind,
        calibrated=counts,
        normalise=normalise,
        calls=found.calls,
        prompt_tokens=len(whole.before),
        prompt_seen=len(seen.before),
    )


_WAYS = {"left to right": "left to right, exactly,", "bound": "by its likelihood"}


def _check(options: Sequence[str], by: str, normalise: str, orders: int, draws: int, batch_size: int) -> None:
    if isinstance(options, str) or not 2 <= len(options) <= MOST_OPTIONS:
        count = "one text" if isinstance(options, str) else len(options)
        raise Error(f"options are {count}; give 2 to {MOST_OPTIONS} of them.")
    for name, value, known in (("by", by, get_args(By)), ("normalise", normalise, get_args(Normalise))):
        if value not in known:
            raise Error(f"{name} is {value!r}; choose {', '.join(known[:-1])} or {known[-1]}.")
    for name, count in (("orders", orders), ("draws", draws), ("batch_size", batch_size)):
        if count < 1:
            raise Error(f"{name} is {count}; it must be at least 1.")


def _around(prompt: str, hole: str | None) -> tuple[str, str]:
    """Return the text before and behind the place."""
    if hole == "":
        raise Error("the hole marker is empty; give some text, such as --hole '[]'.")
    pieces = re.split(r"_{4,}", prompt) if hole is None else prompt.split(hole)
    if len(pieces) > 2:
        raise Error(f"the text has {len(pieces) - 1} holes, and options fill one; leave one.")
    if hole is not None and len(pieces) < 2:
        raise Error(f"the text has no {hole!r}, where the options stand.")
    return pieces[0], pieces[1] if len(pieces) == 2 else ""


def _calibrated(run: Run, asked: bool | None, can: bool) -> bool:
    if asked and not can:
        raise Error(
            f"a calibration is of masked positions, and run {run.path} weighs options otherwise; leave calibrated out."
        )
    return can and ((run.path / CALIBRATION).exists() if asked is None else asked)


def _fit(asked: Asked, context: int, passage: object) -> Asked:
    """Cut the text before from the left until BOS, the longest option and the text behind fit."""
    size = min(context, getattr(passage, "passage", context))
    room = size - 1 - max(map(len, asked.options)) - len(asked.behind)
    if room < 0:
        raise Error(
            f"the options and the text behind them take {size - 1 - room} tokens, and the context holds {size - 1} "
            "beside BOS; shorten them."
        )
    return Asked(asked.before[max(0, len(asked.before) - room) :], asked.behind, asked.options)
