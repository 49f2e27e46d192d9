"""``make bench``: what the project promises about speed, measured here, told as markdown and kept as JSON.

    python -m benchmarks.bench [--only NAME] [--quick] [--run DIR] [--against REV]

Each benchmark is a file in this folder with ``run(options) -> Result``; its docstring says what is compared with what.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measure import Options, Result

MODULES = {
    "startup": "benchmarks.startup",
    "train_step": "benchmarks.train_step",
    "trainer_overhead": "benchmarks.trainer_overhead",
    "ancestral_skip": "benchmarks.ancestral_skip",
    "ar_cache": "benchmarks.ar_cache",
    "confidence16_vs_ancestral256": "benchmarks.few_steps",
    "eco_parts": "benchmarks.eco_parts",
    "eco_scaling": "benchmarks.eco_scaling",
    "sparse_cost": "benchmarks.sparse_cost",
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    from unmask.errors import Error

    given = _parser().parse_args(arguments)
    try:
        return _run(given)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=MODULES, help="run only this one (may be repeated)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: does it run at all? Nothing is stored by default"
    )
    parser.add_argument("--run", type=Path, help="a trained masked run, for confidence16_vs_ancestral256")
    parser.add_argument("--repeats", type=int, help="turns of each rival instead of the benchmark's own number")
    parser.add_argument("--threads", type=int, help="threads of PyTorch instead of its own choice")
    parser.add_argument("--results", type=Path, help="folder of the result files; default benchmarks/results")
    parser.add_argument("--against", metavar="REV", help="compare this tree with a git revision instead")
    parser.add_argument("--turns", type=int, default=5, help="processes a side for --against")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of markdown")
    return parser


def _run(given: argparse.Namespace) -> int:
    names = given.only or list(MODULES)
    if given.against:
        return _against(given, names)
    from benchmarks.measure import Options, markdown, stamp, store

    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    options = Options(given.quick, given.repeats, given.run)
    folder = given.results or (None if given.quick or given.json else RESULTS)
    results = []
    for name in names:
        result = _one(name, options)
        results.append(result)
        if folder is not None and result.rows:
            store(folder / f"{name}.json", {**stamp(_command(name, given)), **result.to_dict()})
        if not given.json:
            print(markdown(result, given.quick), flush=True)
            print(flush=True)
    if given.json:
        import unmask

        source = str(Path(unmask.__file__).resolve().parent)
        print(json.dumps({"source": source, "results": [result.to_dict() for result in results]}))
    elif folder is not None:
        print(f"stored in {folder}", file=sys.stderr)
    return 0


def _one(name: str, options: Options) -> Result:
    found: Result = importlib.import_module(MODULES[name]).run(options)
    return found


def _command(name: str, given: argparse.Namespace) -> str:
    parts = ["python -m benchmarks.bench --only", name]
    parts += ["--quick"] if given.quick else []
    parts += ["--run", given.run.name] if given.run else []
    parts += ["--repeats", str(given.repeats)] if given.repeats else []
    parts += ["--threads", str(given.threads)] if given.threads else []
    return " ".join(parts)


def _against(given: argparse.Namespace, names: list[str]) -> int:
    from benchmarks import against
    from benchmarks.measure import stamp, store

    passed = ["--repeats", str(given.repeats or (1 if given.quick else 3))]
    passed += ["--quick"] if given.quick else []
    passed += ["--run", str(given.run.resolve())] if given.run else []
    passed += ["--threads", str(given.threads)] if given.threads else []
    if given.run is None:
        names = [name for name in names if name != "confidence16_vs_ancestral256"]
    found = against.compare(given.against, names, given.turns, passed)
    if given.results or not given.quick:
        command = f"python -m benchmarks.bench --against {given.against}"
        store((given.results or RESULTS) / "against.json", {**stamp(command), **found})
    print(json.dumps(found) if given.json else against.markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
