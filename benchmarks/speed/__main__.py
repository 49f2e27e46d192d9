"""``make bench``: what times this machine, one benchmark after another, told as markdown and kept as JSON.

    python -m benchmarks.speed [--list] [--only NAME] [--quick] [--go-on] [--run DIR] [--peers DIR] [--against REV]
    python -m benchmarks.speed --only serve [--run DIR ...] [--seconds 60] [--clients 1,8,32] [--peers DIR]

Each benchmark is a file in this folder with ``run(options) -> Result``; its docstring says what is compared with what.
A result is stored when it is there, so ``--go-on`` goes on after a stop. An accelerator has ``make bench-gpu``.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import math
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from benchmarks.lib.places import RESULTS

if TYPE_CHECKING:
    from benchmarks.lib.measure import Options, Result

HERE = Path(__file__).parent
FEW_STEPS, SERVE = "confidence16_vs_ancestral256", "serve"
MODULES = {
    "startup": "startup",
    "train_step": "train_step",
    "trainer_overhead": "trainer_overhead",
    "train_memory": "train_memory",
    "ancestral_skip": "ancestral_skip",
    "ar_cache": "ar_cache",
    "answers": "answers",
    "byte_cache": "byte_cache",
    FEW_STEPS: "few_steps",
    "eco_parts": "eco_parts",
    "eco_scaling": "eco_scaling",
    "sparse_cost": "sparse_cost",
    "wubu_cost": "wubu_cost",
    "peers": "peers",
    "peer_texts": "peer_texts",
    SERVE: "serve",
    "serve_memory": "serve_memory",
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    given = _parser().parse_args(arguments)
    if given.list:
        for name, module in MODULES.items():
            about = ast.get_docstring(ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))) or ""
            print(f"{name:<30}{about.splitlines()[0]}")
        return 0
    from unmask.errors import Error

    try:
        return _run(given)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument("--only", action="append", choices=MODULES, help="run only this one (may be repeated)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: does it run at all? Nothing is stored by default"
    )
    parser.add_argument("--go-on", action="store_true", help="leave out what the same command stored today")
    parser.add_argument(
        "--run", type=Path, action="append", help=f"a trained masked run, for {FEW_STEPS}; runs to serve, for serve*"
    )
    parser.add_argument(
        "--peers", type=Path, help="the folder that PyPI's peers were installed into, for peer* and serve"
    )
    parser.add_argument("--seconds", type=_positive, help="seconds that clients ask in each turn, for serve")
    parser.add_argument("--clients", type=_counts, default=(), help="clients at once, such as 1,8,32, for serve")
    parser.add_argument("--repeats", type=int, help="turns of each rival instead of the benchmark's own number")
    parser.add_argument("--threads", type=int, help="threads of PyTorch instead of its own choice")
    parser.add_argument("--results", type=Path, help="folder of the result files; default benchmarks/results")
    parser.add_argument("--against", metavar="REV", help="compare this tree with a git revision instead")
    parser.add_argument("--turns", type=int, default=5, help="processes a side for --against")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of markdown")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(map(int, text.split(",")))
    if min(counts) < 1 or len(set(counts)) < len(counts):
        raise argparse.ArgumentTypeError(f"{text} must be different numbers from 1, with commas between")
    return counts


def _run(given: argparse.Namespace) -> int:
    names = given.only or list(MODULES)
    if given.against:
        return _against(given, names)
    from benchmarks.lib.measure import Options, say
    from benchmarks.lib.stored import stamp, store
    from benchmarks.lib.told import markdown

    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    options = Options(given.quick, given.repeats, tuple(given.run or ()), given.peers, given.seconds, given.clients)
    folder = given.results or (None if given.quick or given.json else RESULTS)
    results = []
    for number, name in enumerate(names, start=1):
        if given.go_on and folder is not None and _there(folder / f"{name}.json", _command(name, given)):
            say(f"{name} was stored today ({number} of {len(names)})")
            continue
        say(f"{name} ({number} of {len(names)})")
        result = _one(name, options)
        results.append(result)
        if folder is not None and (result.rows or result.tables):
            store(folder / f"{name}.json", {**stamp(_command(name, given)), **result.to_dict()})
        if not given.json:
            print(markdown(result, given.quick), end="\n\n", flush=True)
    if given.json:
        import unmask

        source = str(Path(unmask.__file__).resolve().parent)
        print(json.dumps({"source": source, "results": [result.to_dict() for result in results]}))
    elif folder is not None:
        say(f"stored in {folder}")
    return 0


def _one(name: str, options: Options) -> Result:
    found: Result = importlib.import_module(f"benchmarks.speed.{MODULES[name]}").run(options)
    return found


def _there(path: Path, command: str) -> bool:
    if not path.is_file():
        return False
    stored = json.loads(path.read_text(encoding="utf-8"))
    return (stored["command"], stored["date"]) == (command, time.strftime("%Y-%m-%d"))


def _command(name: str, given: argparse.Namespace) -> str:
    parts = ["python -m benchmarks.speed --only", name]
    parts += ["--quick"] if given.quick else []
    for run in given.run or ():
        parts += ["--run", run.name]
    parts += ["--peers", given.peers.name] if given.peers and (name == SERVE or name.startswith("peer")) else []
    if name == SERVE:
        parts += ["--seconds", f"{given.seconds:g}"] if given.seconds else []
        parts += ["--clients", ",".join(map(str, given.clients))] if given.clients else []
    parts += ["--repeats", str(given.repeats)] if given.repeats else []
    parts += ["--threads", str(given.threads)] if given.threads else []
    return " ".join(parts)


def _against(given: argparse.Namespace, names: list[str]) -> int:
    from benchmarks.lib import against
    from benchmarks.lib.stored import stamp, store

    passed = ["--repeats", str(given.repeats or (1 if given.quick else 3))]
    passed += ["--quick"] if given.quick else []
    for run in given.run or ():
        passed += ["--run", str(run.resolve())]
    passed += ["--threads", str(given.threads)] if given.threads else []
    if not given.run:
        names = [name for name in names if name != FEW_STEPS]
    found = against.compare(given.against, names, given.turns, passed)
    if given.results or not given.quick:
        command = f"python -m benchmarks.speed --against {given.against}"
        store((given.results or RESULTS) / "against.json", {**stamp(command), **found})
    print(json.dumps(found) if given.json else against.markdown(found))
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    """Stop as at Ctrl-C: whoever has started a server ends it."""
    signal.signal(number, signal.SIG_IGN)  # a second one would disturb that
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
