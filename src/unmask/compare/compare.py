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

from unmask import __version__
from unmask.compare.controls import fit_ngram, model_controls, text_controls, untrained_control
from unmask.compare.fairness import check_judge, names_of, shared_window, uneven
from unmask.compare.generation import measure_text, time_way, ways, write_texts
from unmask.compare.held_out import corpus_of, held_out
from unmask.compare.report import write_report
from unmask.compare.rows import Comparison, Row, TextRow
from unmask.data.corpus import Corpus
from unmask.errors import Error
from unmask.evaluation.bits import BitsPerByte, bits_per_byte
from unmask.evaluation.bootstrap import paired_interval
from unmask.evaluation.judge import Judge, NetworkJudge, NgramJudge
from unmask.evaluation.windows import cut
from unmask.models.cost import parameter_count
from unmask.training.hardware import device_name
from unmask.training.run import Run


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
    length: int | None = None,
    speed: Speed | None = None,
    seed: int = 0,
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Compare runs and write ``report.html``, ``table.md`` and ``compare.json``.

    Args:
        runs: Run folders, Hub names or opened runs.
        folder: Where the report goes.
        source: Held-out text; default the valid split of the first run's corpus.
        documents: Most held-out documents.
        draws: Network calls a window for bounds.
        judge: A run that was trained on text that no rival saw, beside the n-gram judge; ``n-gram``: that alone;
            ``none``: no judge.
        samples: Texts that each way to sample writes.
        length: Tokens of a generated text; default what the shortest context holds, at most 256.
        speed: How generation is timed.
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
    if isinstance(judge, Run):
        check_judge(judge, opened)
    names = names_of(opened)
    text = held_out(opened, source, documents, seed)
    models = [run.model() for run in opened]
    contexts = [int(model.config.max_position_embeddings) for model in models]
    window = shared_window(text.texts, opened, contexts)
    size = min(min(contexts) - 1, 256) if length is None else length
    say(f"{len(text.texts)} held-out documents of {text.source} ({text.fingerprint}), windows of {window} bytes")

    scores = []
    for name, run, model in zip(names, opened, models, strict=True):
        say(f"scoring {name}")
        scores.append(
            bits_per_byte(model, run.process, run.tokenizer, text.texts, window=window, draws=draws, seed=seed)
        )
    warnings = [*text.notes, *uneven(names, opened, models)]
    corpus = corpus_of(opened[0])
    judges = _judges(judge, corpus, warnings, say)
    bytes_each = max(4, round(size * scores[0].bytes / scores[0].tokens))  # a canvas of the first run, in bytes
    real = [cut(document, 4 * bytes_each)[0] for document in text.texts]
    if len(real) < samples:
        warnings.append(f"{samples} samples are held against {len(real)} real documents, some of them more than once.")

    rows, first_way = [], None
    for name, run, model, score in zip(names, opened, models, scores, strict=True):
        generation: list[TextRow] = []
        for way in ways(run, speed.steps, size):
            first_way = first_way or way
            say(f"sampling {name}: {way.sampler}{'' if way.steps is None else f' {way.steps} steps'}")
            written = write_texts(run, model, way, length=size, samples=samples, seed=seed)
            cells = time_way(
                run,
                model,
                way,
                length=size,
                batches=speed.batches,
                repeats=speed.repeats,
                seconds=speed.seconds,
                say=say,
            )
            generation.append(measure_text(name, written, real, judges, way=way, latency=cells))
        rows.append(_row(name, run, model, score, scores[0], generation, seed))

    assert first_way is not None
    say("measuring the controls")
    controls = [
        *model_controls(
            corpus,
            opened[0].recipe.data.split,
            text.texts,
            real,
            judges,
            samples=samples,
            size=bytes_each,
            seed=seed,
        ),
        untrained_control(
            opened[0],
            first_way,
            text.texts,
            real,
            judges,
            window=window,
            draws=draws,
            length=size,
            samples=samples,
            seed=seed,
        ),
        *text_controls([cut(document, bytes_each)[0] for document in real[:samples]], real, judges, seed),
    ]
    comparison = Comparison(
        rows=rows,
        controls=controls,
        warnings=warnings,
        held_out={
            "source": text.source,
            "split": text.split,
            "fingerprint": text.fingerprint,
            "documents": len(text.texts),
            "bytes": scores[0].bytes,
            "window": window,
        },
        setup=_setup(command, seed, draws, samples, size, judges),
        curves={name: run.metrics() for name, run in zip(names, opened, strict=True)},
        folder=str(folder),
    )
    write_report(comparison, Path(folder))
    return comparison


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
    name: str, run: Run, model: Any, score: BitsPerByte, first: BitsPerByte, generation: list[TextRow], seed: int
) -> Row:
    manifest = run.manifest
    difference = None
    if score is not first:
        span = paired_interval(score.per_document[0], first.per_document[0], score.per_document[1], seed=seed)
        difference = None if span is None else (score.value - first.value, *span)
    return Row(
        name=name,
        path=str(run.path),
        process=run.process.name,
        parameters=parameter_count(model),
        tokens_seen=int(manifest.get("tokens_seen", 0)),
        bits_per_byte=score.value,
        bound=score.bound,
        interval=score.interval,
        difference=difference,
        length_nats=score.length_nats,
        draws=score.draws,
        train_tokens_per_second=manifest.get("tok_per_s"),
        tokenizer=f"{run.tokenizer.name} ({run.tokenizer.vocab_size})",
        corpus_fingerprint=str(manifest.get("corpus_fingerprint")),
        split=run.recipe.data.split,
        device=f"{manifest.get('device')}, {manifest.get('threads')} threads, {manifest.get('precision')}",
        seed=run.recipe.seed,
        status=str(manifest.get("status")),
        generation=generation,
    )


def _setup(command: str, seed: int, draws: int, samples: int, length: int, judges: Sequence[Judge]) -> dict[str, Any]:
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
        "judges": [judge.name for judge in judges],
        "versions": {
            "unmask": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
