"""Try samplers on runs: what each way writes, measured beside real text, and how long it takes.

This part of a sweep runs in one process, one way after another, whatever trains the rows: two timings at once would
measure each other. Each result is kept in ``OUT/samples`` under a hash of weights, settings and text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from unmask import __version__
from unmask.errors import Error
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.windows import cut
from unmask.reports.controls import fit_ngram
from unmask.reports.fairness import check_judge
from unmask.reports.generation import Timed, time_ways, write_texts
from unmask.reports.rows import TextRow
from unmask.reports.yardstick import Yardstick
from unmask.sampling import SAMPLERS, drives
from unmask.sweeps.executors import Say
from unmask.sweeps.expand_ways import WayPlan
from unmask.sweeps.plan import Sample
from unmask.sweeps.results import SampleRow
from unmask.sweeps.score import context_of
from unmask.training.held_out import corpus_of
from unmask.training.run import WEIGHTS, Run, write_json

_REPEATS, _SECONDS = 5, 5.0
"""Timed generations a cell, and the time after which no new one starts."""


@dataclass(frozen=True)
class Scene:
    """What all ways to sample share.

    Attributes:
        length: Tokens of a text.
        bytes_each: The same in bytes, for controls that know no tokens.
        pieces: Real text of that size, as a control.
        yardstick: The measures.
        warnings: What to know about them.
    """

    length: int
    bytes_each: int
    pieces: list[str]
    yardstick: Yardstick
    warnings: list[str] = field(default_factory=list)


def open_scene(wanted: Sample, held: dict[str, Any], runs: Sequence[Run], judged: bool, say: Say) -> Scene:
    """Fix the length of texts, the real text beside them and the judges.

    Args:
        wanted: The plan's section.
        held: The held-out text.
        runs: The runs that sample; the first one's corpus teaches the n-gram judge.
        judged: Whether there is anything to judge.
        say: Called with a line of progress.

    Raises:
        Error: a length that does not fit a context, an unfit judge.
    """
    shortest = min(context_of(run) for run in runs) - 1
    length = min(shortest, 256) if wanted.length is None else wanted.length
    if length > shortest:
        raise Error(f"sample.length is {length}, but the shortest context holds {shortest} tokens; lower it.")
    texts, warnings = held["texts"], []
    tokens = sum(map(len, runs[0].tokenizer.encode_batch(texts)))
    bytes_each = max(4, round(length * held["bytes"] / max(tokens, 1)))
    real = [cut(document, 4 * bytes_each)[0] for document in texts]
    if judged and len(real) < wanted.samples:
        warnings.append(f"{wanted.samples} samples are held against {len(real)} real documents, some more than once.")
    judges = _judges(wanted.judge, runs, warnings, say) if judged else []
    pieces = [cut(document, bytes_each)[0] for document in real[: wanted.samples]]
    return Scene(length, bytes_each, pieces, Yardstick(real, judges), warnings)


def _judges(name: str, runs: Sequence[Run], warnings: list[str], say: Say) -> list[Judge]:
    if name == "none":
        return []
    judges: list[Judge] = []
    try:
        say("fitting the n-gram judge")
        judges.append(NgramJudge(fit_ngram(corpus_of(runs[0]), "judge", 5)))
    except Error as error:
        warnings.append(f"no n-gram judge: {error}")
    if name != "n-gram":
        judge = Run.open(name)
        check_judge(judge, runs)
        judges.append(NetworkJudge(judge.model(), judge.process, judge.tokenizer))
    return judges


def try_samplers(
    wanted: Sample,
    ways: Sequence[WayPlan],
    runs: Sequence[tuple[str, Run]],
    scene: Scene,
    folder: Path,
    say: Say,
) -> list[SampleRow]:
    """Sample every run in every way that its process can be sampled in; results that are there are kept."""
    found = []
    for name, run in runs:
        fit = [way for way in ways if way.way and drives(SAMPLERS.facts(way.name), run.process)]
        model = None
        for entry in fit:
            assert entry.way is not None
            place = folder / "samples" / f"{_key(wanted, entry, run, scene)}.json"
            if place.is_file():
                text = replace(_read(place), name=name)
            else:
                model = model or run.model()
                say(f"sampling {name}: {entry.label}")
                written = write_texts(
                    run, model, entry.way, length=scene.length, samples=wanted.samples, seed=wanted.seed
                )
                (cells,) = time_ways(
                    [Timed(run, model, entry.way)],
                    length=scene.length,
                    batches=wanted.batches,
                    repeats=_REPEATS,
                    seconds=_SECONDS,
                    say=lambda line: None,
                )
                text = scene.yardstick.measure(name, written.texts, sizes=written.sizes, way=entry.way, latency=cells)
                place.parent.mkdir(exist_ok=True)
                write_json(place, asdict(text))
            found.append(SampleRow(name, entry.label, entry.given, text))
    return found


def _key(wanted: Sample, entry: WayPlan, run: Run, scene: Scene) -> str:
    with (run.path / WEIGHTS).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    real = hashlib.sha256(json.dumps(list(scene.yardstick.real)).encode()).hexdigest()
    content = [__version__, weights, entry.name, entry.given, wanted.model_dump(), scene.length, real]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _read(place: Path) -> TextRow:
    return TypeAdapter(TextRow).validate_json(place.read_text(encoding="utf-8"))
