"""How long ``import unmask``, help, lists and mistakes take, interpreter included, and that torch stays out.

The first three are seconds on the clock; the others are processor seconds, which other work on the machine moves less.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import unmask
from benchmarks.lib.measure import Goal, Options, Result, Row, say, take_turns, timed

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import unmask": ["-c", "import unmask"],
    "unmask --help": ["-m", "unmask", "--help"],
}
LISTS = ("recipes", "train --help", "sample --help", "compare --help")
MISTAKES = (
    "train TYPO",
    "train nano-masked -o typo=1",
    "train nano-masked -o training.max_steps=abc",
    "train nano-masked --steps 3",
    "compare MISSING --blind -o new",
    "sample MISSING",
    "serve MISSING",
    "evaluate MISSING",
)
WITH_RUN = ("sample RUN --sampler typo", "sample RUN --sampler autoregressive", "sample RUN --max-tokens 1 --steps 1")
"""RUN is a masked run; the last is sound, and loads torch and transformers."""
TRAIN = "train nano-masked -o data.source=pydocs -o training.max_steps=1 -o training.valid_blocks=0 --output"
HEAVY = ("torch", "transformers", "datasets", "pandas")
LOADED = {
    "import unmask": "import unmask",
    "unmask --help": "from unmask.cli.app import run\nrun(['--help'])",
}


def run(options: Options) -> Result:
    """Measure, after one run of each that fills the file cache."""
    environment = {**os.environ, "PYTHONPATH": str(Path(unmask.__file__).parents[1])}

    def start(arguments: list[str], sound: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=sound,
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

    def processor(line: str, run: Path) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start(["-m", "unmask", *line.replace("RUN", str(run)).split()], sound=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "run"
        lines = [*LISTS, *MISTAKES]
        if not options.quick:
            start(["-m", "unmask", *TRAIN.split(), str(trained)])
            lines += WITH_RUN
        spent = take_turns(
            {line: lambda line=line: processor(line, trained) for line in lines}, 1 if options.quick else min(turns, 5)
        )
    notes = []
    for name, source in LOADED.items():
        check = f"\nimport sys\nsys.stderr.write(' '.join(m for m in {HEAVY} if m in sys.modules))"
        loaded = start(["-c", source + check]).stderr.split()
        notes.append(f"{name} loads " + (f"{', '.join(loaded)}: this is a bug" if loaded else "no " + ", ".join(HEAVY)))
    goals = [Goal(f"{name}, < 0.3 s", found[name], most=0.3, unit=" s") for name in ("import unmask", "unmask --help")]
    goals += [Goal(f"unmask {line}: < 1 s of processor", spent[line], most=1.0, unit=" s") for line in MISTAKES]
    goals += [
        Goal(f"unmask {line}: < 1 s of processor", spent[line], most=1.0, unit=" s")
        for line in WITH_RUN[:-1]
        if line in spent
    ]
    rows = [Row(name, "s", samples) for name, samples in found.items()]
    rows += [Row(f"unmask {line}", "s of processor", samples) for line, samples in spent.items()]
    return Result("startup", {}, rows, goals, notes)
