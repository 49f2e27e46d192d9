"""The stages of a comparison that measure. Each tells where it stands, and keeps every part that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from unmask.compare.arena import Arena
from unmask.compare.controls import fit_ngram, model_controls, text_controls, untrained_control
from unmask.compare.generation import Timed, Way, time_ways, write_texts
from unmask.compare.probes import Probed, Probes
from unmask.compare.progress import counting
from unmask.compare.rows import Control, TextRow
from unmask.compare.text_measures import text_measures
from unmask.compare.yardstick import Yardstick
from unmask.errors import Error
from unmask.evaluation.bits import BitsPerByte, bits_per_byte
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.latency import Latency
from unmask.evaluation.windows import cut
from unmask.training.run import Run


def score(arena: Arena) -> list[list[BitsPerByte]]:
    """Score every seed of every row on the held-out text."""
    runs = [(entrant.name, run, place) for entrant in arena.entrants for place, run in enumerate(entrant.runs)]
    calls = [1 if run.process.visibility == "causal" else arena.scope.draws for _, run, _ in runs]
    stage = arena.stage("scoring", calls)

    def one(run: Run, model: Any) -> BitsPerByte:
        return bits_per_byte(
            model,
            run.process,
            run.tokenizer,
            arena.text.texts,
            window=arena.window,
            draws=arena.scope.draws,
            seed=arena.seed,
            progress=lambda done, windows: stage.inside(done / windows),
        )

    found = []
    for row, entrant in enumerate(arena.entrants):
        pairs = enumerate(zip(entrant.runs, entrant.models, strict=True))
        found.append(
            [
                arena.part(stage, run.name, f"score-{row}-{place}", BitsPerByte, lambda r=run, m=model: one(r, m))
                for place, (run, model) in pairs
            ]
        )
    return found


def judge(arena: Arena, chosen: Run | str, bytes_each: int) -> Yardstick:
    """Make the yardstick of generated text: judges, real text and the other measures.

    Args:
        arena: What all stages share.
        chosen: A run, ``n-gram`` or ``none``.
        bytes_each: Bytes of a generated text of the first run.
    """
    scope, warn = arena.scope, arena.warnings.append
    stage = arena.stage("fitting judges", [1.0])
    stage.item("none" if chosen == "none" else "n-gram")
    real = [cut(document, 4 * bytes_each)[0] for document in arena.text.texts]
    if len(real) < scope.samples:
        warn(f"{scope.samples} samples are held against {len(real)} real documents, some of them more than once.")
    judges: list[Judge] = []
    if chosen != "none":
        try:
            judges.append(NgramJudge(fit_ngram(arena.corpus, "judge", 5)))
        except Error as error:
            warn(f"no n-gram judge: {error}")
    if isinstance(chosen, Run):
        if chosen.manifest.get("corpus_fingerprint") != arena.corpus.fingerprint:
            warn(
                f"judge {chosen.name} was trained on another corpus than the first run; "
                "it may not know this kind of text."
            )
        judges.append(NetworkJudge(chosen.model(), chosen.process, chosen.tokenizer))
    yardstick = Yardstick(real, judges, text_measures(judges, real, scope.samples, arena.seed, warn))
    stage.finish()
    return yardstick


def clock(arena: Arena) -> list[list[list[Latency]]]:
    """Time every way of every row, in turns; return the cells [row][way][batch], none of them where timing is off."""
    asked = [
        Timed(entrant.first, entrant.models[0], way)
        for entrant, ways in zip(arena.entrants, arena.ways, strict=True)
        for way in ways
    ]
    cells: list[list[Latency]] = [[] for _ in asked]
    if arena.scope.timing:
        stage = arena.stage("timing", [1 + batch / 8 for batch in arena.scope.batches])
    for batch in arena.scope.batches if arena.scope.timing else ():

        def measure(batch: int = batch) -> list[list[Latency]]:
            return time_ways(
                asked,
                length=arena.length,
                batches=[batch],
                repeats=arena.scope.repeats,
                seconds=arena.scope.seconds,
                say=lambda line: None,
                inside=stage.inside,
            )

        # Cells are compared with each other: those of another number of threads are not taken.
        name = f"time-{batch}-threads-{torch.get_num_threads()}"
        what = f"{len(asked)} ways to sample in turns, batch {batch}"
        for mine, found in zip(cells, arena.part(stage, what, name, list[list[Latency]], measure), strict=True):
            mine += found
    left = iter(cells)
    return [[next(left) for _ in ways] for ways in arena.ways]


def sample(arena: Arena, yardstick: Yardstick, cells: Sequence[Sequence[Sequence[Latency]]]) -> list[list[TextRow]]:
    """Let every row write in every way, and measure its texts."""
    calls = [
        len(entrant.runs) * _calls(arena, way)
        for entrant, ways in zip(arena.entrants, arena.ways, strict=True)
        for way in ways
    ]
    stage = arena.stage("sampling", calls)

    def measure(row: int, way: Way) -> TextRow:
        entrant, written = arena.entrants[row], []
        for place, (run, model) in enumerate(zip(entrant.runs, entrant.models, strict=True)):
            seeds = len(entrant.runs)

            def inside(share: float, done: int = place, seeds: int = seeds) -> None:
                stage.inside((done + min(share, 1.0)) / seeds)

            with counting(model, _calls(arena, way), inside):
                written.append(
                    write_texts(run, model, way, length=arena.length, samples=arena.scope.samples, seed=arena.seed)
                )
        return yardstick.measure_seeds(entrant.name, written, way=way, latency=[])

    found: list[list[TextRow]] = []
    for row, (entrant, ways) in enumerate(zip(arena.entrants, arena.ways, strict=True)):
        texts = []
        for place, way in enumerate(ways):
            what = f"{entrant.name}: {way.label}"
            text = arena.part(stage, what, f"sample-{row}-{place}", TextRow, lambda r=row, w=way: measure(r, w))
            texts.append(replace(text, latency=list(cells[row][place])))
        found.append(texts)
    return found


def _calls(arena: Arena, way: Way) -> int:
    """Return about how many network calls a way makes for all texts of a seed."""
    return -(-arena.scope.samples // 32) * min(way.steps or arena.length, arena.length)


def probe(arena: Arena, probes: Probes) -> list[Probed]:
    """Ask every row to restore hidden text, to know what it knows, and to fill holes."""
    stage = arena.stage("probing", [len(entrant.runs) for entrant in arena.entrants])
    return [
        arena.part(stage, entrant.name, f"probe-{row}", Probed, lambda e=entrant: probes.ask(e, stage.inside))
        for row, entrant in enumerate(arena.entrants)
    ]


def control(arena: Arena, yardstick: Yardstick, bytes_each: int) -> list[Control]:
    """Measure what every number is held against."""
    scope, seed, texts = arena.scope, arena.seed, arena.text.texts
    run, way = arena.entrants[0].first, arena.ways[0][0]
    split = run.recipe.data.split
    pieces = [cut(document, bytes_each)[0] for document in yardstick.real[: scope.samples]]

    def of_bytes() -> list[Control]:
        return model_controls(arena.corpus, split, texts, yardstick, samples=scope.samples, size=bytes_each, seed=seed)

    def untrained() -> list[Control]:
        sizes = {"window": arena.window, "draws": scope.draws, "length": arena.length, "samples": scope.samples}
        return [untrained_control(run, way, texts, yardstick, **sizes, seed=seed)]

    items: list[tuple[str, str, Callable[[], list[Control]]]] = [
        ("byte n-grams", "control-bytes", of_bytes),
        ("an untrained network", "control-untrained", untrained),
        ("real and shuffled text", "control-texts", lambda: text_controls(pieces, yardstick, seed)),
    ]
    stage = arena.stage("measuring controls", [6.0, 3.0, 1.0])
    found: list[Control] = []
    for what, name, measure in items:
        found += arena.part(stage, what, name, list[Control], measure)
    return found
