"""Run a plan: train its rows, stop bad ones if it says so, score all on one held-out text, try its samplers, report.

Everything that is known lies in files under the sweep's folder, so a sweep that was stopped, killed or changed goes on
where it was: finished rows are skipped, a half-trained one resumes bit for bit.

**Stopping early** is the median rule (Golovin et al. 2017, Google Vizier, section 3.2) at common points, as in
successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943): all rows are trained to the point and pause; a row
whose held-out nats a token are above ``worse_than`` times the median of the rows of its kind (same process, same data
and tokenizer) stops; the others resume. It does not matter which row came first or where the rows ran.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from unmask import __version__
from unmask.data.lock import LOCK, only_one
from unmask.errors import Error
from unmask.reports.controls import model_controls, text_controls
from unmask.reports.rows import Control
from unmask.sweeps.advance import HELD_OUT, STOP, Task, read_row, update_row
from unmask.sweeps.decisions import decisions
from unmask.sweeps.executors import Executor, Say, run_tasks
from unmask.sweeps.expand import RowPlan
from unmask.sweeps.expand_ways import WayPlan
from unmask.sweeps.plan import StopEarly, SweepPlan
from unmask.sweeps.report import write_sweep
from unmask.sweeps.results import SweepResult
from unmask.sweeps.samples import open_scene, try_samplers
from unmask.sweeps.score import choose_text, configurations, finished_runs, results, score_rows
from unmask.training.hardware import device_name
from unmask.training.held_out import corpus_of
from unmask.training.monitor import read_metrics
from unmask.training.recipe import Recipe
from unmask.training.run import Run


def sweep(
    plan: SweepPlan,
    rows: Sequence[RowPlan],
    ways: Sequence[WayPlan],
    folder: Path,
    execute: Executor,
    *,
    command: str = "",
    say: Say = lambda text: None,
) -> SweepResult:
    """Run a plan and write ``report.html``, ``table.md`` and ``sweep.json``; a sweep begun in ``folder`` goes on.

    Args:
        plan: The plan.
        rows: Its rows (:func:`unmask.sweeps.expand.expand`); those whose parts are missing are reported as such.
        ways: Its ways to sample; those whose sampler is missing are left out with a warning.
        folder: Where rows and report go.
        execute: Trains and scores rows: here, in several processes, on Ray.
        command: The command line, for the report.
        say: Called with a line of progress.

    Raises:
        Error: nothing finished, unfit held-out text, a judge that was trained on a row's text.
        KeyboardInterrupt: it was asked to stop; what was done is saved.
    """
    given = _named([Run.open(name) for name in plan.runs])
    with at_work(folder):
        real = [row for row in rows if row.id]
        train_rows(plan, real, folder, execute, say)
        trained = finished_runs(real, folder)
        runs = [*trained.values(), *(run for _, run in given)]
        held: dict[str, Any] = {}
        controls: list[Control] = []
        warnings: list[str] = []
        samples = []
        if runs:
            held = choose_text(plan.evaluate, runs)
            score_rows(held, trained, folder, execute, say)
            warnings += held["notes"]
            labels = {row.id: row.label for row in real}
            entries = [*((labels[key], run) for key, run in trained.items()), *given]
            scene = open_scene(plan.sample, held, [run for _, run in entries], bool(ways), say)
            say("measuring the controls")
            controls = [
                *model_controls(
                    corpus_of(runs[0]),
                    runs[0].recipe.data.split,
                    held["texts"],
                    scene.yardstick,
                    samples=plan.sample.samples if ways else 1,
                    size=scene.bytes_each,
                    seed=plan.sample.seed,
                ),
                *(text_controls(scene.pieces, scene.yardstick, plan.sample.seed) if ways else ()),
            ]
            samples = try_samplers(plan.sample, ways, entries, scene, folder, say)
            warnings += scene.warnings
        found = results(rows, folder)
        grouped = configurations(found, folder)
        warnings += [f"{way.label} was not tried: {way.missing}." for way in ways if way.missing]
        swept = SweepResult(
            plan=plan.model_dump(),
            rows=found,
            configurations=grouped,
            samples=samples,
            controls=controls,
            held_out={key: value for key, value in held.items() if key not in ("texts", "notes")},
            warnings=warnings,
            setup=_setup(command),
            curves={row.label: read_metrics(Path(row.path) / "metrics.jsonl") for row in found if row.path},
            folder=str(folder),
            decisions=decisions(plan, found, grouped, samples, folder),
        )
        write_sweep(swept, folder)
    return swept


def _named(runs: Sequence[Run]) -> list[tuple[str, Run]]:
    """Name runs by their folders, and by their paths where that is not enough."""
    often = Counter(run.name for run in runs)
    return [(run.name if often[run.name] == 1 else str(run.path), run) for run in runs]


def _setup(command: str) -> dict[str, Any]:
    return {
        "command": command,
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "device": device_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": {"unmask": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def train_rows(plan: SweepPlan, rows: Sequence[RowPlan], folder: Path, execute: Executor, say: Say) -> None:
    """Train the rows of a plan to their end, or to where they are stopped. State: ``row.json`` of each.

    Args:
        plan: The plan, for its budget and its rule of stopping.
        rows: The rows that can be trained.
        folder: The sweep's folder.
        execute: Does the tasks.
        say: Called with a line of progress.

    Raises:
        KeyboardInterrupt: the sweep was asked to stop; every row is saved.
    """
    for row in rows:
        _describe(row, folder / "rows" / row.id)
    seconds = plan.budget.time if plan.budget is not None else None
    points = [*(plan.stop_early.after if plan.stop_early else []), 1.0]
    for point in points:
        tasks = [Task(str(place), "train", point, seconds) for place in _waiting(rows, folder, point)]
        run_tasks(execute, tasks, folder, say)
        if point < 1:
            assert plan.stop_early is not None
            for row, why in bad_rows(rows, folder, point, plan.stop_early):
                say(f"stopped: {row.label}: {why}")
                update_row(folder / "rows" / row.id, status="stopped", stopped=why, stopped_at=point)


def _describe(row: RowPlan, place: Path) -> None:
    """Write what a row is; its state stays. A stopped row is judged anew, a failed one tried again."""
    assert row.cost is not None
    place.mkdir(parents=True, exist_ok=True)
    (place / "recipe.yaml").write_text(row.cost.recipe.to_yaml(), encoding="utf-8")
    status = read_row(place).get("status", "new")
    status = {"stopped": "paused", "failed": "new"}.get(status, status)
    update_row(
        place,
        id=row.id,
        label=row.label,
        configuration=row.configuration,
        values=row.values,
        seed=row.seed,
        status=status,
        error="",
    )


def _waiting(rows: Sequence[RowPlan], folder: Path, point: float) -> list[Path]:
    """Return the folders of the rows that have not come to a point yet."""
    places = [folder / "rows" / row.id for row in rows]
    found = []
    for place in places:
        state = read_row(place)
        passed = [float(done) for done in state.get("points", {})]
        if state["status"] not in ("finished", "stopped", "failed") and max(passed, default=0.0) < point:
            found.append(place)
    return found


def bad_rows(rows: Sequence[RowPlan], folder: Path, point: float, rule: StopEarly) -> list[tuple[RowPlan, str]]:
    """Return the rows to stop at a point, and why: those above ``worse_than`` times the median of their kind.

    What is not finite stops in any company, and is no part of the median. A median of 0 stops nothing.
    """
    kinds: dict[str, list[tuple[RowPlan, float, dict[str, Any]]]] = {}
    for row in rows:
        state = read_row(folder / "rows" / row.id)
        value = state.get("points", {}).get(str(point))
        if value is not None and state["status"] != "failed":
            assert row.cost is not None
            kinds.setdefault(_kind(row.cost.recipe), []).append((row, float(value), state))
    bad = []
    for alike in kinds.values():
        sound = [value for _, value, _ in alike if math.isfinite(value)]
        middle = median(sound) if sound else math.nan
        for row, value, state in alike:
            if state["status"] != "paused":
                continue
            where = f"{value:.3f} held-out nats a token at {point:.0%} of its training"
            if not math.isfinite(value):
                bad.append((row, f"{where}, which is not finite"))
            elif len(sound) > 1 and value > rule.worse_than * middle > 0:
                bad.append((row, f"{where}, above {rule.worse_than:g} x the median {middle:.3f}"))
    return bad


def _kind(recipe: Recipe) -> str:
    """Name what makes held-out nats a token comparable: one process, one text, one tokenizer."""
    return json.dumps([recipe.process.name, recipe.data.model_dump()], sort_keys=True)


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Keep a second sweep out of a folder while this one is at work; the lock goes with the process, however it ends.

    Raises:
        Error: another sweep is at work there, the folder is a file, or it holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if found - {LOCK} and not found & {"rows", "sweep.json", HELD_OUT}:
        raise Error(f"{folder} is not empty and holds no sweep; choose another --output.")
    busy = f"another sweep is at work in {folder}"
    with only_one(folder, "a sweep", busy, "wait for it, or give another --output", make=True):
        (folder / STOP).unlink(missing_ok=True)
        yield
