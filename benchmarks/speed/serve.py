"""A server under load: what clients of ``unmask serve`` are told, and how soon; beside other servers of such networks.

``python -m benchmarks.speed --only serve``, with ``--run`` for runs of yours (else one of each kind with fresh weights,
of the sizes of ``stories-small``), ``--seconds``, ``--clients``, and ``--peers FOLDER`` for ``transformers serve`` and
for dfastllm, if it was installed there (README.md says how). Each server is a process of its own and answers before it
is measured; its loads take turns. A request has a seed, and its text alone is known: every answer is held against it.
"""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.measure import Options, Result, say, take_turns
from benchmarks.lib.untrained import vocabulary, write_untrained
from benchmarks.speed.serve_end import ended
from benchmarks.speed.serve_measured import CANVAS, TEXT, Measured, started, started_peer
from benchmarks.speed.serve_peers import of_run
from benchmarks.speed.serve_told import promises, tell
from unmask.errors import Error
from unmask.training.run import Run

KINDS = ("causal", "block", "masked")
CLIENTS, SECONDS, TOKENS, POOL = (1, 8, 32), 20.0, 64, 32
"""Clients at once; seconds of a load, in each turn; tokens of a text; different requests, asked again and again."""


def run(options: Options) -> Result:
    """Measure each run, and the peers beside it."""
    sizes = Sizes.of(options)
    result = Result("serve", sizes.told())
    for heading in ("servers", "loads", "told to stop"):
        result.tables[heading] = []
    with tempfile.TemporaryDirectory() as folder:
        for own in _runs(options, Path(folder)):
            _one(own, Path(folder) / f"{own.name}-peers", options, sizes, result)
    return result


@dataclass(frozen=True)
class Sizes:
    """How much is asked."""

    clients: tuple[int, ...]
    seconds: float
    tokens: int
    pool: int
    turns: int

    @classmethod
    def of(cls, options: Options) -> Sizes:
        """Return those of the options, or the benchmark's own."""
        quick = options.quick
        clients = options.clients or ((1, 2) if quick else CLIENTS)
        seconds = options.seconds or (0.2 if quick else SECONDS)
        return cls(clients, seconds, 4 if quick else TOKENS, 3 if quick else POOL, options.turns(3))

    @property
    def many(self) -> int:
        """The clients at which batching and canvas events are told: eight, or those that are nearest."""
        return min(self.clients, key=lambda count: (abs(count - 8), count))

    def told(self) -> dict[str, Any]:
        """Return what the result keeps."""
        own = {"clients": list(self.clients), "seconds of a load": self.seconds, "tokens": self.tokens}
        return {**own, "different requests": self.pool, "turns": self.turns, "threads": torch.get_num_threads()}


def _runs(options: Options, folder: Path) -> list[Run]:
    if options.runs:
        return [Run.open(path) for path in options.runs]
    tokenizer = vocabulary(options.quick)
    return [
        write_untrained(kind, folder / kind, tokenizer, options.quick) for kind in KINDS[: 1 if options.quick else None]
    ]


def _one(own: Run, folder: Path, options: Options, sizes: Sizes, result: Result) -> None:
    """Measure a run and its peers, turn by turn, and put what was found into the result."""
    say(f"serve: {own.name}, clients {', '.join(map(str, sizes.clients))}, {sizes.turns} turns of {sizes.seconds:g} s")
    ours = started(own, sizes.tokens, sizes.pool)
    servers = [ours]
    try:
        _start_peers(own, folder, options, sizes, servers, result)
        cases = {(server.server.name, TEXT, count): server for server in servers for count in sizes.clients}
        cases[own.name, CANVAS, sizes.many] = ours
        failed: dict[str, str] = {}
        take_turns(
            {str(case): partial(_load, server, case, sizes, failed) for case, server in cases.items()}, sizes.turns
        )
        for peer in servers[1:]:
            if peer.server.end() is None:
                result.notes.append(f"{peer.server.name} had to be killed ten seconds after SIGTERM")
        result.notes += [f"{name}: left out, {why}" for name, why in failed.items()]
        if own.name in failed:
            raise Error(failed[own.name])
        stood = [server for server in servers if server.server.name not in failed]
        tell(result, own, stood)
        stopped = ended(own, ours, sizes.tokens, options.quick)
        result.tables["told to stop"] += stopped
        result.goals += promises(own, stood, sizes.many, stopped)
    finally:
        with ExitStack() as stack:  # all of them, though one does not end as it should
            for server in servers:
                stack.callback(server.server.end)


def _start_peers(
    own: Run, folder: Path, options: Options, sizes: Sizes, servers: list[Measured], result: Result
) -> None:
    rivals, missing = of_run(own, folder, options.peers)
    result.notes += missing
    for peer in rivals:
        say(f"serve: {peer.name}")
        try:
            servers.append(started_peer(peer, sizes.tokens, sizes.pool))
        except Error as error:
            result.notes.append(f"{peer.name}: left out, {error}")
        else:
            result.notes.append(peer.note)


def _load(server: Measured, case: tuple[str, str, int], sizes: Sizes, failed: dict[str, str]) -> float:
    """Take a load; a server that fails is asked no more."""
    name, kind, count = case
    if name in failed:
        return math.nan
    say(f"serve: {name}, {count} clients, {kind}")
    try:
        return server.take(kind, count, sizes.seconds)
    except Error as error:
        failed[name] = str(error)
        return math.nan
