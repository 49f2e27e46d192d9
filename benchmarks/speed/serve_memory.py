"""Memory of texts that a server writes on a CPU: what the engine counts them with beside what a process takes.

Each run is in a process of its own, and its requests go the way that a server's requests go, after a short one, so that
what Python and PyTorch load once is not counted. The peak of the resident set while texts are written is taken above
what was there before. A canvas is written in one step, which asks for all its positions: with more, samplers
may ask for fewer at once. ``--run`` for runs of yours, else one of each kind with fresh weights, of ``stories-small``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.lib.measure import Options, Result, say
from benchmarks.lib.untrained import vocabulary, write_untrained
from unmask.training.run import Run

KINDS = ("causal", "block", "masked")
TOKENS, TEXTS, STEPS = (32, 120, 300), (1, 8), 1
"""Tokens of a text: a part of the context of 128, nearly all of it, more than it; texts at once; steps of a canvas."""


def measure(path: str, cases: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Write texts in this process; return what they were counted with and what they took.

    Args:
        path: Of a run.
        cases: Tokens of a text, and texts at once.
    """
    from unmask.evaluation.process_memory import peak_memory
    from unmask.serving.engine import Engine
    from unmask.serving.limits import Limits
    from unmask.serving.served import shelf

    there = shelf([path], device="cpu")
    most = max(texts for _, texts in cases)
    engine = Engine(Limits(rows=most, queue=most, memory=1 << 40, deadline=None))
    engine.start()
    _written(there, engine, 8, 1)
    (one,), rows = there, []
    for tokens, texts in cases:
        counted, memory = peak_memory(partial(_written, there, engine, tokens, texts))
        told = {"run": one.id, "process": one.run.process.name, "tokens": tokens, "texts": texts, "counted": counted}
        told |= {"measured": memory.above, "ratio": round(counted / max(memory.above, 1), 2), "method": memory.method}
        rows.append(told)
    engine.close(0.0)
    return rows


def _written(there: Any, engine: Any, tokens: int, texts: int) -> int:
    """Have texts written, and return what the engine counted them with."""
    from unmask.serving.completions import planned
    from unmask.serving.options import ServeOptions
    from unmask.serving.schema import CompletionRequest
    from unmask.serving.tickets import Finished, Job

    options = ServeOptions(runs=(), max_tokens=tokens, texts=texts)
    (one,) = there
    settings = {"ignore_eos": True} | ({} if one.run.process.visibility == "causal" else {"steps": STEPS})
    told = {"prompt": "a", "max_tokens": tokens, "n": texts, "seed": 0, "unmask": {"settings": settings}}
    plan = planned(there, options, CompletionRequest.model_validate(told))
    run, words = plan.way.writer.run, plan.way.writer.vocabulary
    tickets = engine.submit([Job(run, plan.way.sampler, one.request, words) for one in plan.canvases])

    async def last(ticket: Any) -> Any:
        async with aclosing(ticket.events()) as events:
            *_, end = [event async for event in events]
        return end

    async def ended() -> list[Any]:
        return await asyncio.gather(*map(last, tickets))

    if wrong := [one for one in asyncio.run(ended()) if not isinstance(one, Finished)]:
        raise SystemExit(f"{run.name}: {wrong[0]}")
    return sum(ticket.size for ticket in tickets)


def run(options: Options) -> Result:
    """Measure each run in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in options.runs or _fresh(Path(folder), options.quick):
            say(f"serve_memory: {path.name}")
            rows += _aside(path, options.quick)
    return Result("serve_memory", {"steps": STEPS}, tables={"bytes": rows})


def _fresh(folder: Path, quick: bool) -> Sequence[Path]:
    words = vocabulary(quick)
    kinds: Sequence[Run] = [
        write_untrained(kind, folder / kind, words, quick) for kind in KINDS[: 1 if quick else None]
    ]
    return [one.path for one in kinds]


def _aside(path: Path, quick: bool) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", __name__, str(path), *(["quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    every = [(tokens, texts) for texts in TEXTS for tokens in TOKENS]  # what was freed hides what takes less
    print(json.dumps(measure(sys.argv[1], every[: 1 if "quick" in sys.argv else None])))
