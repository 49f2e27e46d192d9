"""``compare``: score, sample and time all runs on the same held-out text, beside the controls, and write the report."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unmask import __version__
from unmask.compare.controls import fit_ngram, model_controls, text_controls, untrained_control
from unmask.compare.decide import Evidence, Question, decide, question
from unmask.compare.entrants import Entrant, gather
from unmask.compare.fairness import BUDGETS, Budget, check_judge, refuse_bytes, shared_window, uneven
from unmask.compare.generation import Timed, time_ways, ways, write_texts
from unmask.compare.held_out import corpus_of, held_out
from unmask.compare.probes import Probed, Probes
from unmask.compare.report import write_report
from unmask.compare.rows import Comparison, Row, TextRow, sharpest
from unmask.compare.text_measures import text_measures
from unmask.compare.yardstick import Yardstick
from unmask.data.corpus import Corpus
from unmask.errors import Error
from unmask.evaluation.bits import BitsPerByte, bits_per_byte
from unmask.evaluation.bootstrap import interval, paired_interval, paired_ratio
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.windows import cut
from unmask.models.cost import parameter_count
from unmask.training.hardware import device_name
from unmask.training.run import Run

PROBED = 16
"""Documents in which a model is asked at every noise level, and its calibration is taken."""


@dataclass(frozen=True)
class Speed:
    """How generation is timed.

    Attributes:
        batches: Texts at once.
        steps: Steps of samplers that have them; more than there are tokens are cut to that.
        repeats: Most timed generations a cell.
        seconds: No new repeat starts after this time.
    """

    batches: tuple[int, ...] = (1, 8, 32)
    steps: tuple[int, ...] = (8, 32, 128)
    repeats: int = 5
    seconds: float = 5.0


def compare(
    runs: Sequence[str | Path | Run],
    folder: str | Path,
    *,
    source: str | None = None,
    documents: int = 200,
    draws: int = 8,
    judge: Run | Literal["n-gram", "none"] = "n-gram",
    samples: int = 32,
    holes: int = 64,
    length: int | None = None,
    speed: Speed | None = None,
    budget: Budget = "tokens",
    rules: Sequence[Question] = (),
    seed: int = 0,
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Compare runs and write ``report.html``, ``table.md`` and ``compare.json``.

    Args:
        runs: Run folders, Hub names or opened runs. Runs that differ in nothing but their seed are one row.
        folder: Where the report goes.
        source: Held-out text; default the valid split of the first run's corpus.
        documents: Most held-out documents.
        draws: Network calls a window for bounds.
        judge: A run that was trained on text that no rival saw, beside the n-gram judge; ``n-gram``: that alone;
            ``none``: no judge.
        samples: Texts that each way to sample writes, each seed.
        holes: Holes that each run fills, where it can; 0: none.
        length: Tokens of a generated text; default what the shortest context holds, at most 256.
        speed: How generation is timed.
        budget: What the rivals are said to be equal in; a difference of over 2 % is a warning.
        rules: Decisions to take, beside those that the runs' recipes bring.
        seed: Of the choice of documents, the bounds' noise, the samples and the bootstrap.
        command: The command line, for the report.
        say: Called with a line of progress.

    Raises:
        Error: no run, unfit held-out text, or a judge that was trained on what a rival was trained on.
    """
    if not runs:
        raise Error("there is nothing to compare; name at least one run.")
    if samples < 1:
        raise Error(f"samples is {samples}; it must be at least 1.")
    speed = speed or Speed()
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    refuse_bytes(opened)
    if isinstance(judge, Run):
        check_judge(judge, opened)
    entrants = gather(opened)
    asked = [*rules, *_own_rules(entrants)]
    for each in asked:
        _check_named(each, entrants)
    text = held_out(opened, source, documents, seed)
    contexts = [int(e.models[0].config.max_position_embeddings) for e in entrants for _ in e.runs]
    window = shared_window(text.texts, [run for e in entrants for run in e.runs], contexts)
    size = min(min(contexts) - 1, 256) if length is None else length
    say(f"{len(text.texts)} held-out documents of {text.source} ({text.fingerprint}), windows of {window} bytes")

    scores: list[list[BitsPerByte]] = []
    for entrant in entrants:
        say(f"scoring {entrant.name}")
        scores.append(
            [
                bits_per_byte(model, run.process, run.tokenizer, text.texts, window=window, draws=draws, seed=seed)
                for run, model in zip(entrant.runs, entrant.models, strict=True)
            ]
        )
    warnings = [*text.notes, *uneven(entrants, budget)]
    corpus = corpus_of(entrants[0].first)
    judges = _judges(judge, corpus, warnings, say)
    first = scores[0][0]
    bytes_each = max(4, round(size * first.bytes / first.tokens))  # a canvas of the first run, in bytes
    real = [cut(document, 4 * bytes_each)[0] for document in text.texts]
    if len(real) < samples:
        warnings.append(f"{samples} samples are held against {len(real)} real documents, some of them more than once.")
    yardstick = Yardstick(real, judges, text_measures(judges, real, samples, seed, warnings.append))
    probes = Probes.make(text.texts, window, holes, seed, warnings.append, PROBED)

    nats = {e.name: _stacked(each) for e, each in zip(entrants, scores, strict=True)}
    asked_ways = [
        Timed(entrant.first, entrant.models[0], way)
        for entrant in entrants
        for way in ways(entrant.first, speed.steps, size)
    ]
    cells = iter(
        time_ways(
            asked_ways,
            length=size,
            batches=speed.batches,
            repeats=speed.repeats,
            seconds=speed.seconds,
            say=say,
        )
    )
    first_way = asked_ways[0].way
    rows = []
    for entrant, each in zip(entrants, scores, strict=True):
        generation: list[TextRow] = []
        for way in ways(entrant.first, speed.steps, size):
            say(f"sampling {entrant.name}: {way.sampler}{'' if way.steps is None else f' {way.steps} steps'}")
            written = [
                write_texts(run, model, way, length=size, samples=samples, seed=seed)
                for run, model in zip(entrant.runs, entrant.models, strict=True)
            ]
            generation.append(yardstick.measure_seeds(entrant.name, written, way=way, latency=next(cells)))
        base = None if entrant is entrants[0] else nats[entrants[0].name]
        say(f"probing {entrant.name}")
        rows.append(_row(entrant, each, generation, base, probes.ask(entrant), seed))

    say("measuring the controls")
    controls = [
        *model_controls(
            corpus,
            entrants[0].first.recipe.data.split,
            text.texts,
            yardstick,
            samples=samples,
            size=bytes_each,
            seed=seed,
        ),
        untrained_control(
            entrants[0].first,
            first_way,
            text.texts,
            yardstick,
            window=window,
            draws=draws,
            length=size,
            samples=samples,
            seed=seed,
        ),
        *text_controls([cut(document, bytes_each)[0] for document in real[:samples]], yardstick, seed),
    ]
    evidence = Evidence(nats, first.per_document[1], sharpest(controls, [judge.name for judge in judges]))
    comparison = Comparison(
        rows=rows,
        controls=controls,
        warnings=warnings,
        held_out={
            "source": text.source,
            "split": text.split,
            "fingerprint": text.fingerprint,
            "documents": len(text.texts),
            "bytes": first.bytes,
            "window": window,
        },
        setup=_setup(command, seed, draws, samples, size, judges, budget),
        curves={name: run.metrics() for name, run in _curves(entrants)},
        folder=str(folder),
        decisions=[decide(each, rows, evidence) for each in asked],
        fills=probes.controls,
    )
    write_report(comparison, Path(folder))
    return comparison


def _stacked(scores: Sequence[BitsPerByte]) -> NDArray[np.float64]:
    """Return nats of each seed and document [S, N]."""
    return np.stack([score.per_document[0] for score in scores])


def _own_rules(entrants: Sequence[Entrant]) -> list[Question]:
    """Return the questions that recipes bring, where the row that they are held against is here."""
    found = []
    for entrant in entrants:
        section = entrant.first.recipe.decide
        if section is not None and any(section.against in (e.name, e.first.recipe.name) for e in entrants):
            found.append(question(entrant.name, section.against, list(section.rules), f"recipe of {entrant.name}"))
    return found


def _check_named(asked: Question, entrants: Sequence[Entrant]) -> None:
    """Refuse rules about rows that are not here before an hour is spent on measuring."""
    known = {name for entrant in entrants for name in (entrant.name, entrant.first.recipe.name)}
    for name in filter(None, (asked.keep, asked.against)):
        if name not in known:
            raise Error(f"the rules speak of {name!r}, which is not a row here. Rows: {', '.join(sorted(known))}.")


def _curves(entrants: Sequence[Entrant]) -> list[tuple[str, Run]]:
    """Return the runs whose training curves are drawn: the first seed of each row."""
    return [(entrant.name, entrant.first) for entrant in entrants]


def _judges(judge: Run | str, corpus: Corpus, warnings: list[str], say: Callable[[str], None]) -> list[Judge]:
    if judge == "none":
        return []
    judges: list[Judge] = []
    try:
        say("fitting the n-gram judge")
        judges.append(NgramJudge(fit_ngram(corpus, "judge", 5)))
    except Error as error:
        warnings.append(f"no n-gram judge: {error}")
    if isinstance(judge, Run):
        if judge.manifest.get("corpus_fingerprint") != corpus.fingerprint:
            warnings.append(
                f"judge {judge.name} was trained on another corpus than the first run; "
                "it may not know this kind of text."
            )
        judges.append(NetworkJudge(judge.model(), judge.process, judge.tokenizer))
    return judges


def _row(
    entrant: Entrant,
    scores: Sequence[BitsPerByte],
    generation: list[TextRow],
    first: NDArray[np.float64] | None,
    probed: Probed,
    seed: int,
) -> Row:
    """Put a row together; ``first``, the first row's nats [S, N], is what it is paired with."""
    manifest, run = entrant.first.manifest, entrant.first
    nats, sizes = _stacked(scores), scores[0].per_document[1]
    values = [score.value for score in scores]
    middle = float(np.mean(values))
    difference = ratio = None
    if first is not None:
        span = paired_interval(nats, first, sizes, seed=seed)
        base = float(first.sum(1).mean() / sizes.sum() / np.log(2))
        difference = None if span is None else (middle - base, *span)
        ratio = paired_ratio(nats, first, sizes, seed=seed)
    return Row(
        name=entrant.name,
        path=str(run.path),
        paths=[str(each.path) for each in entrant.runs],
        recipe=run.recipe.name,
        process=run.process.name,
        parameters=parameter_count(entrant.models[0]),
        tokens_seen=entrant.tokens_seen,
        bits_per_byte=middle,
        bound=scores[0].bound,
        perplexity=float(np.exp(np.mean([score.nats / score.tokens for score in scores]))),
        interval=interval(nats if len(values) > 1 else nats[0], sizes, seed=seed),
        per_seed=values,
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        difference=difference,
        ratio=ratio,
        length_nats=scores[0].length_nats,
        draws=scores[0].draws,
        train_tokens_per_second=entrant.train_tokens_per_second,
        tokenizer=f"{run.tokenizer.name} ({run.tokenizer.vocab_size})",
        corpus_fingerprint=str(manifest.get("corpus_fingerprint")),
        split=run.recipe.data.split,
        device=f"{manifest.get('device')}, {manifest.get('threads')} threads, {manifest.get('precision')}",
        seed=run.recipe.seed,
        seeds=[each.recipe.seed for each in entrant.runs],
        training_flops=entrant.training_flops,
        train_seconds=entrant.train_seconds,
        status=str(manifest.get("status")),
        generation=generation,
        measures=probed.measures,
        measure_spread=probed.spread,
        denoising=probed.denoising,
        calibration=probed.calibration,
        infilling=probed.infilling,
    )


def _setup(
    command: str, seed: int, draws: int, samples: int, length: int, judges: Sequence[Judge], budget: Budget
) -> dict[str, Any]:
    return {
        "command": command,
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "device": device_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "seed": seed,
        "draws": draws,
        "samples": samples,
        "length": length,
        "budget": BUDGETS[budget][1],
        "judges": [judge.name for judge in judges],
        "versions": {
            "unmask": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
