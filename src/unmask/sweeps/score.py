"""Score the finished rows of a sweep on one held-out text, and say of each configuration how it stands to the best.

A configuration is a row without its seed: the mean over seeds, their standard deviation, and the paired interval of its
distance to the best of its kind (:func:`unmask.evaluation.intervals.paired_interval`, which counts documents and
seeds). Exact figures and upper bounds are different kinds and are never held against each other. What is not finite is
the best of nothing, and nothing is held against it.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from unmask.data.binary import raw
from unmask.evaluation.intervals import interval, paired_interval
from unmask.models.backbones import BACKBONES
from unmask.models.config_file import CONFIG, read_config
from unmask.reports.fairness import shared_window
from unmask.sweeps.advance import HELD_OUT, RUN, SCORE, Task, held_out_nats, read_kinds, read_row, score_key
from unmask.sweeps.executors import Executor, Say, run_tasks
from unmask.sweeps.expand import RowPlan
from unmask.sweeps.plan import Evaluate
from unmask.sweeps.results import Configuration, SweepRow
from unmask.training.held_out import held_out
from unmask.training.run import Run, write_json


@dataclass
class _Score:
    """What ``evaluation.json`` holds."""

    bits_per_byte: float
    bound: str
    nats: list[float]
    sizes: list[float]
    key: dict[str, Any] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    draws: int = 0


def finished_runs(rows: Sequence[RowPlan], folder: Path) -> dict[str, Run]:
    """Open the runs of the finished rows, by row id."""
    places = {row.id: folder / "rows" / row.id for row in rows}
    return {key: Run.open(place / RUN) for key, place in places.items() if read_row(place).get("status") == "finished"}


def score_rows(held: dict[str, Any], runs: dict[str, Run], folder: Path, execute: Executor, say: Say) -> None:
    """Score the finished rows on the same windows of the same documents; scores that are there are kept.

    Args:
        held: The held-out text, of :func:`choose_text`.
        runs: The runs by row id.
        folder: The sweep's folder.
        execute: Does the tasks.
        say: Called with a line of progress.

    Raises:
        KeyboardInterrupt: the sweep was asked to stop.
    """
    write_json(folder / HELD_OUT, held)
    tasks = []
    for key in runs:
        place = folder / "rows" / key
        if not (place / SCORE).is_file() or read_score(place).get("key") != score_key(held):
            tasks.append(Task(str(place), "score"))
    run_tasks(execute, tasks, folder, say)
    for key in runs:
        if read_row(folder / "rows" / key).get("status") == "finished":
            shutil.rmtree(folder / "rows" / key / RUN / "checkpoints", ignore_errors=True)


def read_score(place: Path) -> dict[str, Any]:
    """Return ``evaluation.json`` of a row.

    Raises:
        Error: it is damaged, or holds values of other kinds.
    """
    return read_kinds(place / SCORE, _Score)


def choose_text(wanted: Evaluate, runs: Sequence[Run]) -> dict[str, Any]:
    """Choose the documents, and the window in bytes that fits all runs.

    Returns:
        texts, digest, source, split, fingerprint, documents, bytes, window, draws, seed, notes.

    Raises:
        Error: no fit held-out text.
    """
    text = held_out(runs, wanted.source, wanted.documents, wanted.seed)
    window = shared_window(text.texts, runs, [context_of(run) for run in runs])
    return {
        "texts": text.texts,
        "digest": hashlib.sha256(json.dumps(text.texts).encode()).hexdigest()[:12],
        "source": text.source,
        "split": text.split,
        "fingerprint": text.fingerprint,
        "documents": len(text.texts),
        "bytes": sum(len(raw(document, runs[0].recipe.data.binary)) for document in text.texts),
        "window": window,
        "draws": wanted.draws,
        "seed": wanted.seed,
        "notes": text.notes,
    }


def context_of(run: Run) -> int:
    """Return a run's context in tokens without loading its weights."""
    kind = BACKBONES.get(run.recipe.backbone.name).config
    return int(read_config(run.path / CONFIG, kind).max_position_embeddings)


def results(rows: Sequence[RowPlan], folder: Path) -> list[SweepRow]:
    """Return what is known of each row, in the plan's order."""
    return [_result(row, folder / "rows" / row.id) if row.id else _missing(row) for row in rows]


def _missing(row: RowPlan) -> SweepRow:
    return SweepRow(
        "", row.label, row.configuration, row.values, row.numbers, row.seed, "not available", row.missing, ""
    )


def _result(row: RowPlan, place: Path) -> SweepRow:
    state = read_row(place)
    status = state.get("status", "new")
    score = read_score(place) if status == "finished" and (place / SCORE).is_file() else {}
    return SweepRow(
        id=row.id,
        label=row.label,
        configuration=row.configuration,
        values=row.values,
        numbers=row.numbers,
        seed=row.seed,
        status=status,
        why={"failed": state.get("error", ""), "stopped": state.get("stopped", "")}.get(status, ""),
        path=str(place / RUN),
        parameters=state.get("parameters"),
        steps=state.get("steps"),
        tokens=state.get("tokens"),
        training_flops=state.get("training_flops"),
        seconds=state.get("seconds"),
        tokens_per_second=state.get("tokens_per_second"),
        device=state.get("device", ""),
        held_out_nats=held_out_nats(place / RUN),
        bits_per_byte=score.get("bits_per_byte"),
        bound=score.get("bound", ""),
        draws=score.get("draws", 0),
        interval=score.get("interval"),
    )


def configurations(rows: Sequence[SweepRow], folder: Path) -> list[Configuration]:
    """Group the scored rows over seeds, and hold each group against the best of its kind.

    Args:
        rows: All rows.
        folder: The sweep's folder.
    """
    groups: dict[str, list[SweepRow]] = {}
    for row in rows:
        if row.bits_per_byte is not None:
            groups.setdefault(row.configuration, []).append(row)
    scores = {name: [read_score(folder / "rows" / row.id) for row in group] for name, group in groups.items()}
    nats = {name: np.array([score["nats"] for score in each]) for name, each in scores.items()}
    means = {name: fmean(score["bits_per_byte"] for score in each) for name, each in scores.items()}
    best: dict[str, str] = {}
    for name in sorted(filter(lambda name: math.isfinite(means[name]), means), key=means.__getitem__):
        best.setdefault(groups[name][0].bound, name)
    found = []
    for name, group in groups.items():
        sizes, first = np.array(scores[name][0]["sizes"]), best.get(group[0].bound)
        values = [score["bits_per_byte"] for score in scores[name]]
        sound = math.isfinite(means[name])
        span = None
        if sound and first is not None and name != first:
            span = paired_interval(nats[name], nats[first], sizes)
        rivals = sum(
            other[0].bound == group[0].bound and math.isfinite(means[label]) for label, other in groups.items()
        )
        found.append(
            Configuration(
                label=name,
                values=group[0].values,
                numbers=group[0].numbers,
                seeds=[row.seed for row in group if row.seed is not None],
                bits_per_byte=means[name],
                spread=stdev(values) if len(values) > 1 else None,
                per_seed=values,
                bound=group[0].bound,
                draws=group[0].draws,
                interval=interval(nats[name], sizes) if sound else None,
                difference=None if span is None else (means[name] - means[str(first)], *span),
                verdict=_verdict(name == first, rivals, span) if sound else "not finite",
                parameters=group[0].parameters or 0,
                tokens=_mean([row.tokens for row in group]),
                training_flops=_mean([row.training_flops for row in group]),
                seconds=_mean([row.seconds for row in group]),
                tokens_per_second=_mean([row.tokens_per_second for row in group]),
            )
        )
    return found


def _verdict(best: bool, rivals: int, span: tuple[float, float] | None) -> str:
    if rivals == 1:
        return "only one of its kind"
    if best:
        return "best"
    return "worse" if span is not None and span[0] > 0 else "no difference shown"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
