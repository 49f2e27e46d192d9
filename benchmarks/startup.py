"""How long ``import unmask`` and ``unmask --help`` take, interpreter included, and that torch stays out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import unmask
from benchmarks.measure import Goal, Options, Result, Row, say, take_turns, timed

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import unmask": ["-c", "import unmask"],
    "unmask --help": ["-m", "unmask", "--help"],
}
HEAVY = ("torch", "transformers", "datasets", "pandas")
LOADED = {
    "import unmask": "import unmask",
    "unmask --help": "from unmask.cli.app import run\nrun(['--help'])",
}


def run(options: Options) -> Result:
    """Measure, after one run of each that fills the file cache."""
    environment = {**os.environ, "PYTHONPATH": str(Path(unmask.__file__).parents[1])}

    def start(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )

    turns = options.turns(15)
    say(f"startup: {turns} processes of each kind")
    for arguments in COMMANDS.values():
        start(arguments)
    found = take_turns(
        {name: lambda arguments=arguments: timed(lambda: start(arguments)) for name, arguments in COMMANDS.items()},
        turns,
    )
    notes = []
    for name, source in LOADED.items():
        check = f"\nimport sys\nsys.stderr.write(' '.join(m for m in {HEAVY} if m in sys.modules))"
        loaded = start(["-c", source + check]).stderr.split()
        notes.append(f"{name} loads " + (f"{', '.join(loaded)}: this is a bug" if loaded else "no " + ", ".join(HEAVY)))
    goals = [Goal(f"{name}, < 0.3 s", found[name], most=0.3, unit=" s") for name in ("import unmask", "unmask --help")]
    return Result("startup", {}, [Row(name, "s", samples) for name, samples in found.items()], goals, notes)
