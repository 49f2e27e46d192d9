"""This tree against an older revision: the same benchmark scripts over both sources, turn by turn, with the noise.

REV is checked out into a temporary git worktree. Each turn is a process of its own for either source (the scripts are
always today's; only ``unmask`` differs), every other turn in reverse order. The number is old time / new time: above
1 is faster now.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.lib.measure import Spread, say
from benchmarks.lib.places import ROOT
from benchmarks.lib.told import number, table
from unmask.errors import Error

NOISE = 0.03  # a change below this is never called one


@contextmanager
def worktree(revision: str, root: Path = ROOT) -> Iterator[Path]:
    """Check a revision out into a temporary worktree.

    Raises:
        Error: no git, no repository or no such revision.
    """
    with tempfile.TemporaryDirectory(prefix="unmask-against-") as name:
        folder = Path(name) / "tree"
        _git(root, "worktree", "add", "--detach", "--quiet", str(folder), revision)
        try:
            yield folder
        finally:
            _git(root, "worktree", "remove", "--force", str(folder))


def _git(root: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Error("--against needs git; install it.") from error
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Error(f"git {arguments[0]} {arguments[1]} failed ({why[0]}); give a revision that git log shows.")


def measure(source: Path, name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run one benchmark over one source tree in a process of its own.

    Returns:
        The result, or ``{"missing": why}`` where that source cannot do it.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source / "src"), str(ROOT)])}
    command = [sys.executable, "-m", "benchmarks.speed", "--only", name, "--json", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    expected = str((source / "src" / "unmask").resolve())
    if found["source"] != expected:
        raise Error(
            "the benchmark imported another unmask than the one to be measured; uninstall it from this environment."
        )
    return found["results"][0]


def compare(
    revision: str, names: Sequence[str], turns: int, arguments: Sequence[str], root: Path = ROOT
) -> dict[str, Any]:
    """Measure today's source and a revision's in turns.

    Args:
        revision: What git calls it.
        names: Benchmarks.
        turns: Processes of each kind for each benchmark.
        arguments: Further arguments of every benchmark process (``--quick``).
        root: The repository.

    Returns:
        For each benchmark its rows: ratio old / new with its range over turns, and each side's own noise.
    """
    found: dict[str, Any] = {"against": revision, "turns": turns, "benchmarks": {}}
    with worktree(revision, root) as old:
        for name in names:
            sides: dict[str, list[dict[str, Any]]] = {"old": [], "new": []}
            for turn in range(turns):
                say(f"{name}: turn {turn + 1} of {turns}")
                for side in ("old", "new") if turn % 2 == 0 else ("new", "old"):
                    sides[side].append(measure(old if side == "old" else root, name, arguments))
                    if "missing" in sides[side][-1]:
                        break
                if any("missing" in result for result in sides["old"] + sides["new"]):
                    break
            found["benchmarks"][name] = _rows(sides["old"], sides["new"])
    return found


def _rows(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for side, results in (("old", old), ("new", new)):
        missing = [result["missing"] for result in results if "missing" in result]
        if missing:
            return [{"case": "all", "verdict": f"not there in the {side} source: {missing[0]}"}]
    rows = []
    for row in new[0]["rows"]:
        case, unit = row["case"], row["unit"]
        before, now = (_medians(results, case) for results in (old, new))
        if not before:
            rows.append({"case": case, "verdict": "not there in the old source"})
            continue
        faster = [b / n if unit != "tok/s" else n / b for b, n in zip(before, now, strict=True)]
        ratio = Spread.of(faster)
        low, high = min(faster), max(faster)
        noise = max((max(s) - min(s)) / Spread.of(s).median for s in (before, now))
        verdict = "no change beyond the noise"
        if len(faster) == 1:
            verdict = "one turn: no verdict"
        elif high < 1 - NOISE:
            verdict = "SLOWER"
        elif low > 1 + NOISE:
            verdict = "faster"
        rows.append(
            {
                "case": case,
                "old": f"{number(Spread.of(before).median)} {unit}",
                "new": f"{number(Spread.of(now).median)} {unit}",
                "old time / new": ratio.median,
                "range": f"{number(low)} to {number(high)}",
                "noise": f"{100 * noise:.1f} %" if len(faster) > 1 else None,
                "verdict": verdict,
            }
        )
    return rows


def _medians(results: list[dict[str, Any]], case: str) -> list[float]:
    return [row["median"] for result in results for row in result["rows"] if row["case"] == case]


def markdown(found: dict[str, Any]) -> str:
    """Return the comparison as markdown."""
    lines = [f"Against {found['against']}, {found['turns']} turns; above 1 is faster now.", ""]
    for name, rows in found["benchmarks"].items():
        lines.append(f"## {name}")
        lines.append("")
        measured = [row for row in rows if "old time / new" in row]
        lines += table(measured)
        lines += [f"- {row['case']}: {row['verdict']}" for row in rows if "old time / new" not in row]
        lines.append("")
    return "\n".join(lines)
