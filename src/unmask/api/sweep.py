"""A plan of many runs: what it holds, what it costs, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.errors import Error
from unmask.lines import counted
from unmask.own_code import allowing
from unmask.result import Result
from unmask.sweeps.plan import SweepPlan
from unmask.training.find_run import HOME, named_folder
from unmask.workers import at_work

if TYPE_CHECKING:
    from unmask.sweeps.executors import Executor
    from unmask.sweeps.expand import RowPlan
    from unmask.sweeps.expand_ways import WayPlan
    from unmask.sweeps.results import SweepResult


@dataclass(frozen=True, repr=False)
class PlanLine(Result):
    """One packaged plan, in short."""

    name: str
    about: str

    def _facts(self) -> tuple[str, ...]:
        return (f"{self.name}: {self.about}",)


@dataclass(frozen=True, repr=False)
class PlanSweepResult(Result):
    """What a plan will do.

    Attributes:
        plan: The plan.
        rows: Its rows to train, with their cost; ``missing`` says which part of one does not exist (yet).
        ways: Its ways to sample.
    """

    plan: SweepPlan
    rows: list[RowPlan]
    ways: list[WayPlan]

    def _facts(self) -> tuple[str, ...]:
        return (self.plan.name, counted(len(self.rows), "row"), f"{len(self.missing)} not available")

    @property
    def missing(self) -> list[str]:
        """A line for each row and way that names a part that does not exist."""
        rows = [f"row {row.label!r}: {row.missing}" for row in self.rows if row.missing]
        return [*rows, *(f"sampler {way.label!r}: {way.missing}" for way in self.ways if way.missing)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        rows = []
        for row in self.rows:
            cost = row.cost
            costs = (
                {}
                if cost is None
                else {
                    "parameters": cost.parameters,
                    "tokens": cost.tokens,
                    "training_flops": cost.training_flops,
                    "memory_bytes": cost.memory_bytes,
                    "max_steps": cost.recipe.training.max_steps,
                }
            )
            known = {"id": row.id, "label": row.label, "values": row.values, "seed": row.seed, "missing": row.missing}
            rows.append({**known, **costs})
        ways = [{"name": way.name, "settings": way.given, "missing": way.missing} for way in self.ways]
        return {"plan": self.plan.model_dump(), "rows": rows, "samplers": ways, "not_available": len(self.missing)}


def sweep_plans() -> list[PlanLine]:
    """Return every packaged plan."""
    from unmask.sweeps.plan_files import load_plan, plan_names

    return [PlanLine(name, load_plan(name).about) for name in plan_names()]


def plan_sweep(plan: str | Path | SweepPlan, overrides: Iterable[str] = ()) -> PlanSweepResult:
    """Say what a plan will do and cost, without doing it.

    Args:
        plan: A packaged name (``unmask sweep --list``), a YAML file, or a plan.
        overrides: ``section.key=value`` for every row.

    Raises:
        Error: an unknown key, or a row or sampler that cannot work. One that names a process, network or sampler that
            does not exist is no error here; it is listed as missing.
    """
    from unmask.sweeps.decisions import check_decisions
    from unmask.sweeps.expand import expand
    from unmask.sweeps.expand_ways import check_ways, expand_samplers
    from unmask.sweeps.plan_files import load_plan

    loaded = plan if isinstance(plan, SweepPlan) else load_plan(plan)
    overrides = list(overrides)
    if overrides and not loaded.recipes:
        raise Error(f"the plan trains nothing, so {overrides[0]!r} would change nothing; leave --option out.")
    rows, ways = expand(loaded, overrides), expand_samplers(loaded)
    check_ways(loaded, rows, ways)
    check_decisions(loaded)
    return PlanSweepResult(loaded, rows, ways)


def sweep(
    plan: str | Path | SweepPlan,
    overrides: Iterable[str] = (),
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    threads: int | None = None,
    on: str = "local",
    address: str | None = None,
    available: bool = False,
    allow_code: bool = False,
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> SweepResult:
    """Run a plan, or go on with one: train its rows, score them, try its samplers, write one report.

    The folder then holds ``report.html``, ``table.md``, ``sweep.json`` and ``rows/ID/run`` for each row.

    Args:
        plan: A packaged name, a YAML file, or a plan.
        overrides: ``section.key=value`` for every row.
        output: Folder; default ``runs/sweep-NAME``.
        workers: Rows at a time: processes of this machine, or actors on Ray. Default: one here, as many as fit there.
        threads: Threads of a row; default all here, the cores shared out among workers, one on Ray.
        on: ``local``, or ``ray`` (an extra: ``pip install 'unmask[ray]'``).
        address: Ray cluster; ``auto`` is the one that this machine belongs to. Default: a Ray on this machine.
        available: Leave out rows and samplers whose parts do not exist, instead of refusing the plan.
        allow_code: Import code that recipes and runs of the plan name (a schedule ``module:function``).
        command: The command line, for the report.
        say: Called with a line of progress.

    Returns:
        All that the report shows, as data. A row that failed is a row with status ``failed``; it is not raised.

    Raises:
        Error: the user's mistakes, with what to do.
        KeyboardInterrupt: Ctrl-C; every row is saved, and the same call goes on.
    """
    from unmask.sweeps.sweep import sweep as run

    _check(workers, threads, on, address)
    with allowing(allow_code):
        ahead = plan_sweep(plan, overrides)
    if ahead.missing and not available:
        raise Error(f"{ahead.missing[0]} ({len(ahead.missing)} not available); --available runs what is.")
    if not any(row.id for row in ahead.rows) and not ahead.plan.runs:
        raise Error(f"no row of the plan is available: {ahead.missing[0]}.")
    folder = Path(output) if output else named_folder(HOME, "the plan", f"sweep-{ahead.plan.name}")
    with allowing(allow_code), _executor(workers, threads, on, address) as execute:
        return run(ahead.plan, ahead.rows, ahead.ways, folder, execute, command=command, say=say)


def _check(workers: int | None, threads: int | None, on: str, address: str | None) -> None:
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise Error(f"{name} is {number}; it must be at least 1.")
    if on not in ("local", "ray"):
        raise Error(f"on is {on!r}; choose local or ray.")
    if address is not None and on == "local":
        raise Error("address is of a Ray cluster; set on to ray.")


@contextmanager
def _executor(workers: int | None, threads: int | None, on: str, address: str | None) -> Iterator[Executor]:
    from unmask.sweeps.executors import Rows

    place = "processes" if on == "local" else on
    with at_work(workers, place, address, threads=threads, gpus=True) as at:
        yield Rows(at, threads)
