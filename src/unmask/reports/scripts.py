"""The stage of a comparison in which every row goes on from prompts in Hindi, Hinglish and mixed script.

Held against whole sentences of the same class (the ones that the holes were made in), so that a distance of 0 is what
people write. Controls on the same prompts: the prompts themselves, their words shuffled, the same in the other script,
and an n-gram of bytes that goes on from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np

from unmask.evaluation.holes import Hole
from unmask.evaluation.indic_set import CLASSES, indic_holes, indic_prompts, sentences
from unmask.evaluation.infilling import FillScore, fill_holes, infilling_controls, score_fills
from unmask.evaluation.intervals import Source, added, over_documents
from unmask.evaluation.script_quality import script_controls, script_distance, script_quality, switch_distance
from unmask.lines import counted
from unmask.reports.controls import fit_ngram
from unmask.reports.entrants import Entrant
from unmask.reports.rows import Continued, Row
from unmask.reports.session import Session
from unmask.sampling import SAMPLERS
from unmask.training.go_on import go_on
from unmask.training.run import Run

LONGEST = 64
"""Most tokens that are written after a prompt."""
_SHOWN = 3
_LETTER = 3
"""Bytes of a letter for the n-gram, which writes as many as ``LONGEST`` tokens may hold."""


@dataclass(frozen=True)
class Kept:
    """What a row or a control wrote.

    Attributes:
        classes: By class, of the first seed.
        measures: Means over classes and seeds, by the names that rules use.
        spread: Standard deviation over seeds of each.
        chance: Variance and degrees of freedom of ``script_errors`` over prompts.
    """

    classes: dict[str, Continued]
    measures: dict[str, float | None] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    chance: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scripts:
    """What all of them wrote, by name."""

    kept: dict[str, Kept] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, dict[str, Continued]]:
        """What the report shows."""
        return {name: kept.classes for name, kept in self.kept.items()}

    def added_to(self, row: Row) -> Row:
        """Return a row that knows its measures."""
        kept = self.kept.get(row.name)
        if kept is None:
            return row
        return replace(
            row,
            measures={**row.measures, **kept.measures},
            measure_spread={**row.measure_spread, **kept.spread},
            measure_chance={**row.measure_chance, **kept.chance},
        )


def keep_script(session: Session) -> Scripts:
    """Let every row go on from the prompts and fill the holes; measure the controls."""
    asked = _asked(session)
    stage = session.stage("keeping the script", [*(len(entrant.runs) for entrant in session.entrants), 1])
    found = {}
    for row, entrant in enumerate(session.entrants):
        found[entrant.name] = session.part(
            stage, entrant.name, f"script-{row}", Kept, lambda e=entrant: _of_row(session, e, asked)
        )
    controls = session.part(stage, "controls", "script-controls", dict[str, Kept], lambda: _of_controls(session, asked))
    return Scripts({**found, **controls})


@dataclass(frozen=True)
class _Asked:
    """The prompts and holes of each class, the same for all rows."""

    prompts: dict[str, list[str]]
    holes: dict[str, list[Hole]]
    length: int


def _asked(session: Session) -> _Asked:
    """Return what fits into every row's context, and say what does not."""
    length, most = min(session.length, LONGEST), session.scope.prompts
    every = [pair for entrant in session.entrants for pair in zip(entrant.runs, entrant.models, strict=True)]

    def fits(text: str) -> bool:
        return all(
            1 + len(run.tokenizer.encode(text)) + length <= model.config.max_position_embeddings for run, model in every
        )

    prompts = {name: each[:most] for name, each in indic_prompts().items()}
    kept = {name: list(filter(fits, each)) for name, each in prompts.items()}
    holes = {name: each[:most] for name, each in indic_holes().items()}
    whole = {name: [hole for hole in each if fits(sentences([hole])[0])] for name, each in holes.items()}
    left = sum(map(len, prompts.values())) - sum(map(len, kept.values()))
    left_holes = sum(map(len, holes.values())) - sum(map(len, whole.values()))
    if left or left_holes:
        session.warnings.append(
            f"{counted(left, 'prompt')} and {counted(left_holes, 'sentence')} in Hindi, Hinglish and mixed script do "
            f"not fit into the shortest context with {length} tokens to write, and were left out for all."
        )
    return _Asked(kept, whole, length)


def _of_row(session: Session, entrant: Entrant, asked: _Asked) -> Kept:
    each = [_of_run(session, run, model, asked) for run, model in zip(entrant.runs, entrant.models, strict=True)]
    means: dict[str, float | None] = {}
    spread = {}
    for name in each[0].measures:
        known = [value for kept in each if (value := kept.measures[name]) is not None]
        means[name] = fmean(known) if len(known) == len(each) else None
        if len(known) == len(each) > 1:
            spread[name] = stdev(known)
    return replace(each[0], measures=means, spread=spread)


def _of_run(session: Session, run: Run, model: Any, asked: _Asked) -> Kept:
    settings = run.recipe.sampler_settings().but(seed=session.seed)
    written = {name: go_on(run, model, each, settings, asked.length) for name, each in asked.prompts.items()}
    fills = {}
    if run.process.visibility == "bidirectional":
        sampler = SAMPLERS.get(settings.name)()
        for name, holes in asked.holes.items():
            if holes:
                fills[name] = score_fills(holes, fill_holes(model, run.tokenizer, sampler, settings, holes))
    return _measured(written, fills)


def _of_controls(session: Session, asked: _Asked) -> dict[str, Kept]:
    """Measure what needs no network; the last one is an n-gram, where there is text to count."""
    seed = session.seed
    made = {name: script_controls(each, seed) for name, each in asked.prompts.items()}
    texts = {kind: {name: made[name][kind] for name in CLASSES} for kind in made[CLASSES[0]]}
    if session.corpus is not None:
        counted = fit_ngram(session.corpus, session.split, 5)
        texts["order-5 n-gram"] = {
            name: [
                text.decode("utf-8", "replace")
                for text in counted.sample(len(each), LONGEST * _LETTER, seed, [prompt.encode() for prompt in each])
            ]
            for name, each in asked.prompts.items()
        }
    fills: dict[str, dict[str, FillScore]] = {}
    for name, holes in asked.holes.items():
        places = [replace(hole, document=place) for place, hole in enumerate(holes)]
        if len(holes) > 1:
            for kind, score in infilling_controls(places, sentences(holes), seed=seed).items():
                fills.setdefault(kind, {})[name] = score
    empty: dict[str, list[str]] = {name: [] for name in CLASSES}
    return {kind: _measured(each, {}) for kind, each in texts.items()} | {
        f"holes: {kind}": _measured(empty, scores) for kind, scores in fills.items()
    }


def _measured(written: dict[str, list[str]], fills: dict[str, FillScore]) -> Kept:
    """Measure the texts of each class beside its sentences."""
    classes, chances = {}, []
    for name, cut in written.items():
        texts = [text.removesuffix("\ufffd") for text in cut]  # the most tokens may end inside a character
        like = script_quality(sentences(indic_holes()[name]))
        ours = script_quality(texts)
        classes[name] = Continued(
            ours, script_distance(ours, like), switch_distance(ours, like), texts[:_SHOWN], fills.get(name)
        )
        chances.append(_chance(texts))
    return Kept(classes, _means(list(classes.values())), {}, _all(chances))


def _means(classes: Sequence[Continued]) -> dict[str, float | None]:
    """Return the measures that rules know: means over the classes that have them."""
    values = {
        "script_errors": [each.quality.script_errors for each in classes],
        "mixed_words": [each.quality.mixed_words for each in classes],
        "broken_letters": [each.quality.broken_letters for each in classes],
        "broken_utf8": [each.quality.broken_utf8 for each in classes],
        "script_distance": [each.script_distance for each in classes],
        "switch_distance": [each.switch_distance for each in classes],
        "spelt_two_ways": [each.quality.two_ways for each in classes],
    }
    known = {name: [value for value in each if value is not None] for name, each in values.items()}
    return {name: fmean(each) if each else None for name, each in known.items()}


def _chance(texts: Sequence[str]) -> Source | None:
    """Return the variance of the share of wrong words over texts; ``None`` where all texts are alike in it."""
    each = [script_quality([text]) for text in texts]
    words = np.array([found.words for found in each], np.float64)
    wrong = np.array([(found.script_errors or 0.0) * found.words for found in each])
    found = over_documents(wrong, words) if len(each) else None
    return found if found is not None and found[0] > 0 else None


def _all(chances: Sequence[Source | None]) -> dict[str, tuple[float, float]]:
    """Return the variance of the mean over classes."""
    known = [(variance / len(chances) ** 2, degrees) for variance, degrees in filter(None, chances)]
    return {"script_errors": added(known)} if known else {}
