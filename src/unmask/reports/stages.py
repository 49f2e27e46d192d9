"""The stages of a comparison that measure. Each tells where it stands, and keeps every part that it has finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from unmask.errors import Error
from unmask.evaluation.bits import BitsPerByte, bits_per_byte
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.latency import Latency
from unmask.evaluation.windows import cut
from unmask.progress import counting
from unmask.reports.controls import fit_ngram, model_controls, text_controls, untrained_control
from unmask.reports.generation import Timed, Way, time_ways, write_texts
from unmask.reports.probes import Probed, Probes
from unmask.reports.rows import Control, TextRow
from unmask.reports.session import Session
from unmask.reports.text_measures import text_measures
from unmask.reports.yardstick import Yardstick
from unmask.training.run import Run


def score(session: Session) -> list[list[BitsPerByte]]:
    """Score every seed of every row on the held-out text."""
    runs = [(entrant.name, run, place) for entrant in session.entrants for place, run in enumerate(entrant.runs)]
    calls = [1 if run.process.visibility == "causal" else session.scope.draws for _, run, _ in runs]
    stage = session.stage("scoring", calls)

    def one(run: Run, model: Any) -> BitsPerByte:
        return bits_per_byte(
            model,
            run.process,
            run.tokenizer,
            session.text.texts,
            window=session.window,
            draws=session.scope.draws,
            seed=session.seed,
            progress=lambda done, windows: stage.inside(done / windows),
        )

    found = []
    for row, entrant in enumerate(session.entrants):
        pairs = enumerate(zip(entrant.runs, entrant.models, strict=True))
        found.append(
            [
                session.part(stage, run.name, f"score-{row}-{place}", BitsPerByte, lambda r=run, m=model: one(r, m))
                for place, (run, model) in pairs
            ]
        )
    return found


def judge(session: Session, chosen: Run | str, bytes_each: int) -> Yardstick:
    """Make the yardstick of generated text: judges, real text and the other measures.

    Args:
        session: What all stages share.
        chosen: A run, ``n-gram`` or ``none``.
        bytes_each: Bytes of a generated text of the first run.
    """
    scope, warn = session.scope, session.warnings.append
    stage = session.stage("fitting judges", [1.0])
    stage.item("none" if chosen == "none" else "n-gram")
    real = [cut(document, 4 * bytes_each)[0] for document in session.text.texts]
    if len(real) < scope.samples:
        warn(f"{scope.samples} samples are held against {len(real)} real documents, some of them more than once.")
    judges: list[Judge] = []
    if chosen != "none" and session.corpus is None:
        warn("no n-gram judge: what the runs learned from is not known here.")
    elif chosen != "none" and session.corpus is not None:
        try:
            judges.append(NgramJudge(fit_ngram(session.corpus, "judge", 5)))
        except Error as error:
            warn(f"no n-gram judge: {error}")
    if isinstance(chosen, Run):
        if session.corpus is None or chosen.manifest.get("corpus_fingerprint") != session.corpus.fingerprint:
            warn(
                f"judge {chosen.name} was trained on another corpus than the first run; "
                "it may not know this kind of text."
            )
        judges.append(NetworkJudge(chosen.model(), chosen.process, chosen.tokenizer))
    measures = text_measures(judges, real, scope.samples, session.seed, warn, scope.divergence)
    yardstick = Yardstick(real, judges, measures)
    stage.finish()
    return yardstick


def clock(session: Session) -> list[list[list[Latency]]]:
    """Time every way of every row, in turns; return the cells [row][way][batch], none of them where timing is off."""
    asked = [
        Timed(entrant.first, entrant.models[0], way)
        for entrant, ways in zip(session.entrants, session.ways, strict=True)
        for way in ways
    ]
    cells: list[list[Latency]] = [[] for _ in asked]
    if session.scope.timing:
        stage = session.stage("timing", [1 + batch / 8 for batch in session.scope.batches])
    for batch in session.scope.batches if session.scope.timing else ():

        def measure(batch: int = batch) -> list[list[Latency]]:
            return time_ways(
                asked,
                length=session.length,
                batches=[batch],
                repeats=session.scope.repeats,
                seconds=session.scope.seconds,
                say=lambda line: None,
                inside=stage.inside,
            )

        # Cells are compared with each other: those of another number of threads are not taken.
        name = f"time-{batch}-threads-{torch.get_num_threads()}"
        what = f"{len(asked)} ways to sample in turns, batch {batch}"
        for mine, found in zip(cells, session.part(stage, what, name, list[list[Latency]], measure), strict=True):
            mine += found
    left = iter(cells)
    return [[next(left) for _ in ways] for ways in session.ways]


def sample(session: Session, yardstick: Yardstick, cells: Sequence[Sequence[Sequence[Latency]]]) -> list[list[TextRow]]:
    """Let every row write in every way, and measure its texts."""
    calls = [
        len(entrant.runs) * _calls(session, way)
        for entrant, ways in zip(session.entrants, session.ways, strict=True)
        for way in ways
    ]
    stage = session.stage("sampling", calls)

    def measure(row: int, way: Way) -> TextRow:
        entrant, written = session.entrants[row], []
        for place, (run, model) in enumerate(zip(entrant.runs, entrant.models, strict=True)):
            seeds = len(entrant.runs)

            def inside(share: float, done: int = place, seeds: int = seeds) -> None:
                stage.inside((done + min(share, 1.0)) / seeds)

            with counting(model, _calls(session, way), inside):
                written.append(
                    write_texts(
                        run, model, way, length=session.length, samples=session.scope.samples, seed=session.seed
                    )
                )
        return yardstick.measure_seeds(entrant.name, written, way=way, latency=[])

    found: list[list[TextRow]] = []
    for row, (entrant, ways) in enumerate(zip(session.entrants, session.ways, strict=True)):
        texts = []
        for place, way in enumerate(ways):
            what = f"{entrant.name}: {way.label}"
            text = session.part(stage, what, f"sample-{row}-{place}", TextRow, lambda r=row, w=way: measure(r, w))
            texts.append(replace(text, latency=list(cells[row][place])))
        found.append(texts)
    return found


def _calls(session: Session, way: Way) -> int:
    """Return about how many network calls a way makes for all texts of a seed."""
    return -(-session.scope.samples // 32) * min(way.steps or session.length, session.length)


def probe(session: Session, probes: Probes) -> list[Probed]:
    """Ask every row to restore hidden text, to know what it knows, and to fill holes."""
    stage = session.stage("probing", [len(entrant.runs) for entrant in session.entrants])
    return [
        session.part(stage, entrant.name, f"probe-{row}", Probed, lambda e=entrant: probes.ask(e, stage.inside))
        for row, entrant in enumerate(session.entrants)
    ]


def control(session: Session, yardstick: Yardstick, bytes_each: int) -> list[Control]:
    """Measure what every number is held against."""
    scope, seed, texts = session.scope, session.seed, session.text.texts
    run, way = session.entrants[0].first, session.ways[0][0]
    pieces = [cut(document, bytes_each)[0] for document in yardstick.real[: scope.samples]]

    def of_bytes() -> list[Control]:
        return model_controls(
            session.corpus, session.split, texts, yardstick, samples=scope.samples, size=bytes_each, seed=seed
        )

    def untrained() -> list[Control]:
        sizes = {"window": session.window, "draws": scope.draws, "length": session.length, "samples": scope.samples}
        return [untrained_control(run, way, texts, yardstick, **sizes, seed=seed)]

    items: list[tuple[str, str, Callable[[], list[Control]]]] = [
        ("byte n-grams", "control-bytes", of_bytes),
        ("an untrained network", "control-untrained", untrained),
        ("real and shuffled text", "control-texts", lambda: text_controls(pieces, yardstick, seed)),
    ]
    stage = session.stage("measuring controls", [6.0, 3.0, 1.0])
    found: list[Control] = []
    for what, name, measure in items:
        found += session.part(stage, what, name, list[Control], measure)
    return found
