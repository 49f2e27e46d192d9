"""About how long a comparison takes: what it will ask of each network, times what a first call of each has taken.

Each row scores two documents and writes a little, alone and eight texts at once, before anything is measured. What is
no network's work (n-grams, measures of text, pictures) is taken from comparisons of nano runs. Both are rough: a cache
makes calls unlike, and other programs come and go. So it is told as "about", and what is left is corrected on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unmask.evaluation.bits import bits_per_byte
from unmask.lines import lasting
from unmask.progress import Progress, Tell
from unmask.reports.controls import NGRAM_CHARACTERS
from unmask.reports.generation import Way, write_texts
from unmask.reports.scope import Scope
from unmask.reports.session import Session
from unmask.training.run import Run

_FEW, _ROWS = 2, 8
"""Steps and texts of the first look."""
_TEXT, _MEGABYTE, _REPORT = 0.4, 0.4, 5.0
"""Seconds for measuring the texts of a way, for n-grams to count a million bytes, and for pictures and page."""
_LONG = 120.0
"""Seconds from which on a quick comparison is worth a word."""


@dataclass(frozen=True)
class Pace:
    """What the network of a row takes.

    Attributes:
        token: Seconds to score a token once.
        alone: Seconds of a call that writes one text.
        row: Seconds for each text of a call that writes many.
    """

    token: float
    alone: float
    row: float


def pace_of(run: Run, model: Any, way: Way, texts: Sequence[str], window: int, length: int) -> Pace:
    """Time a first look at a row."""
    few = way if way.steps is None else Way(way.settings.but(steps=min(_FEW, length)))
    size = length if way.steps is not None else min(_FEW * 4, length)
    calls = 0

    def count(module: Any, inputs: Any, output: Any) -> None:
        nonlocal calls
        calls += 1

    def call(rows: int) -> float:
        nonlocal calls
        calls, began = 0, time.perf_counter()
        write_texts(run, model, few, length=size, samples=rows, seed=0)
        return (time.perf_counter() - began) / max(calls, 1)

    handle = model.register_forward_hook(count)
    try:
        call(1)  # the first call of a network is slower than any other
        alone, many = call(1), call(_ROWS)
        began = time.perf_counter()
        scored = bits_per_byte(model, run.process, run.tokenizer, texts[:2], window=window, draws=1)
        token = (time.perf_counter() - began) / scored.tokens
    finally:
        handle.remove()
    return Pace(token, alone, many / _ROWS)


@dataclass(frozen=True)
class Rival:
    """What the time that a row takes depends on.

    Attributes:
        pace: Of its network.
        ways: It writes in.
        seeds: How many runs it is.
        tokens: Of the held-out text.
        exact: Whether a likelihood is one call, and no bound.
    """

    pace: Pace
    ways: Sequence[Way]
    seeds: int
    tokens: int
    exact: bool


def stage_seconds(rivals: Sequence[Rival], scope: Scope, length: int, megabytes: float) -> dict[str, float]:
    """Return about how long each stage takes, in seconds, in the order of the stages.

    Args:
        rivals: The rows.
        scope: How much is measured.
        length: Tokens of a generated text.
        megabytes: Of the text that n-grams count.
    """
    scoring = timing = sampling = probing = 0.0
    untrained: list[float] = []
    for one in rivals:
        pace, written = one.pace, 0.0
        score = one.tokens * pace.token * (1 if one.exact else scope.draws)
        scoring += one.seeds * score
        probed = one.tokens * min(1.0, scope.probed / scope.documents)
        probing += one.seeds * (6 * probed * pace.token + scope.holes * pace.row * 4)
        for way in one.ways:
            calls = min(way.steps or length, length)
            written = calls * max(scope.samples * pace.row, pace.alone)
            sampling += one.seeds * (written + _TEXT)
            for batch in scope.batches if scope.timing else ():
                once = calls * (pace.alone if batch == 1 else batch * pace.row)
                timing += once if once > scope.seconds else once + min(scope.repeats * once, scope.seconds + once)
        untrained.append(score + written)
    found = {"scoring": scoring, "fitting judges": _MEGABYTE * (1 + megabytes / 5)}
    found |= {"timing": timing} if scope.timing else {}
    found |= {"sampling": sampling, "probing": probing}
    controls = untrained[0] + 5 * _TEXT + _MEGABYTE * megabytes
    return found | {"measuring controls": controls, "writing the report": _REPORT}


@dataclass
class Forecast:
    """What is left of a whole comparison, told beside each stage.

    Attributes:
        seconds: About how long each stage takes.
        tell: Is told of every change.
    """

    seconds: dict[str, float]
    tell: Tell
    _began: float = field(default_factory=lambda: time.monotonic())
    _before: tuple[str, float] = ("", 0.0)

    @property
    def whole(self) -> float:
        """About how long all takes."""
        return sum(self.seconds.values())

    def __call__(self, told: Progress) -> None:
        """Add to what a stage tells about how long the whole still takes."""
        if told.stage in self.seconds:
            told = replace(told, left_in_all=self.left(told))
        self.tell(told)

    def left(self, told: Progress) -> float:
        """Return about how many seconds are left; stages to come are as much slower as those before them were."""
        names = list(self.seconds)
        place = names.index(told.stage)
        now = time.monotonic() - self._began
        if told.stage != self._before[0]:
            self._before = (told.stage, now)
        doubt = self.whole / 4  # what has been seen counts for more, the more of the whole it is
        scale = (self._before[1] + doubt) / (sum(self.seconds[name] for name in names[:place]) + doubt or 1.0)
        own = told.left if told.left is not None else self.seconds[told.stage] * (1 - told.share) * scale
        return own + scale * sum(self.seconds[name] for name in names[place + 1 :])


def forecast(session: Session, say: Callable[[str], None]) -> Forecast:
    """Say about how long a comparison takes, and return what tells how long it still does, stage by stage."""
    rivals = []
    for entrant, ways in zip(session.entrants, session.ways, strict=True):
        run, model, texts = entrant.first, entrant.models[0], session.text.texts
        pace = pace_of(run, model, ways[0], texts, session.window, session.length)
        tokens = sum(map(len, run.tokenizer.encode_batch(list(texts))))
        rivals.append(Rival(pace, ways, len(entrant.runs), tokens, run.process.visibility == "causal"))
    counted = 0 if session.corpus is None else session.corpus.stats()["splits"][session.split]["bytes"]
    megabytes = min(counted, NGRAM_CHARACTERS) / 1e6
    found = Forecast(stage_seconds(rivals, session.scope, session.length, megabytes), session.tell)
    besides = "; what --measures asks for comes on top" if session.scope.measures else ""
    sooner = "" if session.scope.quick or found.whole < _LONG else "; --quick measures less"
    say(f"the report takes about {lasting(found.whole)}, by a first call of each network{besides}{sooner}")
    return found
