"""The rows of a sweep as trials of ray.tune, on this machine or on a cluster (an extra: ``pip install 'unmask[ray]'``).

Tune starts the trials, gives them CPUs and GPUs and starts them again when a worker dies; what a trial does is the same
task that is done without Ray, and the rule that stops bad rows is the sweep's own, between the experiments.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unmask.cluster import connected, import_ray
from unmask.compare.executors import Say, asking, stop_file, tell
from unmask.compare.sweep_row import FAILED_QUIETLY, ROW, Task, perform, read_row, update_row
from unmask.errors import Error


@dataclass(frozen=True)
class OnRay:
    """Rows as trials; the Ray that is connected. Its folder must lie under the same path on all of the cluster.

    A row whose worker dies goes on from its last checkpoint on another, up to twice.

    Attributes:
        workers: Most rows at a time; ``None``: as many as the cluster holds.
        threads: CPUs and threads of a row. A row takes a GPU where the cluster has any.
    """

    workers: int | None = None
    threads: int = 1

    def __call__(self, tasks: Sequence[Task], say: Say) -> None:
        """Do the tasks as trials of one experiment."""
        if not tasks:
            return
        ray, tune = _ray()
        stop, first = stop_file(tasks), tasks[0]
        gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        say(f"{len(tasks)} rows to {first.do} on Ray ({self.threads} CPUs and {gpus:g} GPUs each)")
        with asking(stop, say), contextlib.redirect_stdout(sys.stderr):
            tune.Tuner(
                tune.with_resources(_trial, {"cpu": self.threads, "gpu": gpus}),
                param_space={
                    "task": tune.grid_search([replace(task, threads=self.threads).to_json() for task in tasks]),
                    "cwd": os.getcwd(),
                },
                tune_config=tune.TuneConfig(
                    max_concurrent_trials=self.workers, trial_name_creator=_row_of, trial_dirname_creator=_row_of
                ),
                run_config=tune.RunConfig(
                    name=f"{first.do}-{first.until:g}-{time.strftime('%Y%m%d-%H%M%S')}",
                    storage_path=str(stop.parent.resolve() / "ray"),
                    failure_config=tune.FailureConfig(max_failures=2),
                    verbose=0,
                ),
            ).fit()
        for task in tasks:
            row = read_row(Path(task.folder))
            if row.get("status") in ("new", "training") and not stop.exists():
                row = update_row(Path(task.folder), status="failed", error=FAILED_QUIETLY)
            tell(row, task, say)


@contextlib.contextmanager
def on_ray(address: str | None, workers: int | None = None, threads: int | None = None) -> Iterator[OnRay]:
    """Use the Ray that is connected, else connect to one or start one on this machine, and leave that afterwards.

    Args:
        address: Of a cluster (``auto``: the one that this machine belongs to); ``None``: a Ray on this machine.
        workers: Most rows at a time; ``None``: as many as the cluster holds.
        threads: CPUs and threads of a row; ``None``: one.

    Raises:
        Error: Ray is not installed, or there is no cluster.
    """
    _ray()
    # Ctrl-C is ours (it asks the rows to save), as are the rows' logs and folders.
    own = {"TUNE_DISABLE_SIGINT_HANDLER": "1", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_CHDIR_TO_TRIAL_DIR": "0"}
    os.environ.update(own)
    with connected(address):
        yield OnRay(workers, threads or 1)


def _ray() -> tuple[Any, Any]:
    ray = import_ray()
    try:
        from ray import tune
    except ImportError as error:
        raise Error("this Ray has no ray.tune; get it with: pip install 'unmask[ray]'") from error
    return ray, tune


def _row_of(trial: Any) -> str:
    """Name a trial by its row's id."""
    return Path(json.loads(trial.config["task"])["folder"]).name


def _trial(config: dict[str, Any]) -> None:
    """Do one task on a Ray worker."""
    from ray import tune

    task = Task(**json.loads(config["task"]))
    if os.path.isdir(config["cwd"]):
        os.chdir(config["cwd"])  # relative paths in recipes mean what they mean to whoever started the sweep
    if not (Path(task.folder) / ROW).is_file():
        raise Error(f"this worker does not see {task.folder}; give --output a folder that all of the cluster shares.")
    row = perform(task)
    tune.report({"status": row["status"], "steps": row.get("steps", 0)})
