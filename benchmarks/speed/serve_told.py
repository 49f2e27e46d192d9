"""What was found about a server, as rows, tables and promises."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.lib.http_client import LOST, WHOLE
from benchmarks.lib.http_load import Load
from benchmarks.lib.measure import Goal, Result, Row, ratios
from benchmarks.speed.serve_measured import CANVAS, TEXT, Measured
from unmask.training.run import Run

BATCHING = {"causal": 3.0, "block": 3.0, "masked": 1.0}
"""Tokens a second of many clients against one, which are promised."""
FLAT = 1.1
"""Most memory after all loads, against after the first."""
MIB = 1 << 20


def tell(result: Result, own: Run, servers: Sequence[Measured]) -> None:
    """Put the loads of ours and of its peers into a result, as rows and tables."""
    for number, server in enumerate(servers):
        name = server.server.name
        for (kind, clients), loads in server.loads.items():
            case = f"{name}, {clients} client{'s' * (clients > 1)}" + (", canvas events" if kind == CANVAS else "")
            result.rows.append(Row(case, "tok/s", [one.rate for one in loads]))
            result.tables["loads"].append(_load(case, loads))
        result.tables["servers"].append(
            {
                "server": name,
                "parameters": f"{own.manifest['parameters']:,}" if number == 0 else None,
                "start to first answer, s": server.server.seconds,
                "memory then, MB": server.server.memory / MIB,
                "after its first load": _memory(server)[0],
                "after its last": _memory(server)[-1],
                "answers under load": len(server.answers()),
                "that failed": sum(one.end != WHOLE for one in server.answers()),
                "texts as alone, %": _mean(server.same()),
            }
        )


def _memory(server: Measured) -> list[float]:
    """Return the MB that it held after each load, in the order in which they were taken."""
    loads = sorted((one for loads in server.loads.values() for one in loads), key=lambda one: one.began)
    return [one.memory / MIB for one in loads]


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _load(case: str, loads: Sequence[Load]) -> dict[str, Any]:
    """Return a row: medians over turns."""

    def of(told: Any) -> float:
        return median(told(one) for one in loads)

    firsts = [one.first for one in loads if one.first is not None]
    return {
        "case": case,
        "tok/s": of(lambda one: one.rate),
        "answers a turn": of(lambda one: len(one.whole)),
        "p50, s": of(lambda one: one.latency(50)),
        "p99, s": of(lambda one: one.latency(99)),
        "first shown, s": median(firsts) if firsts else None,
        "slowest client's p99 / fastest's": of(lambda one: one.unfairness),
        "bytes an answer": of(lambda one: one.size),
        "server, cores": of(lambda one: one.server_seconds / one.lasted),
        "clients, cores": of(lambda one: one.client_seconds / one.lasted),
    }


def promises(own: Run, servers: Sequence[Measured], many: int, stopped: Sequence[dict[str, Any]]) -> list[Goal]:
    """Return what is promised of a run's server, and what is told beside its peers.

    Args:
        own: The run.
        servers: Ours, then the peers.
        many: Clients at which batching is told.
        stopped: What became of requests when it was told to stop.
    """
    ours, kind = servers[0], own.process.name
    name, memory = own.name, _memory(ours)
    goals = []
    least = BATCHING.get(kind)
    for server in servers:
        if (TEXT, 1) in server.loads and many > 1:
            promised = f", >= {least:g}x" if server is ours and least else ""
            told = f"{server.server.name}: tokens a second at {many} clients against 1{promised}"
            gain = ratios(_rates(server, many), _rates(server, 1))
            goals.append(Goal(told, gain, least if server is ours else None))
    for peer in servers[1:]:
        for _, clients in peer.loads:
            against = ratios(_rates(ours, clients), _rates(peer, clients))
            goals.append(Goal(f"{name}: tokens a second against {peer.server.name}, {clients} at once", against))
    canvas, loads = ours.loads[CANVAS, many], ours.loads[TEXT, many]
    cost = [100 * (1 - ratio) for ratio in ratios(_rates(ours, many, CANVAS), _rates(ours, many))]
    fair = [one.unfairness for one in loads]
    goals += [
        Goal(f"{name}: tokens a second that canvas events cost at {many} clients", cost, unit=" %"),
        Goal(f"{name}: bytes of canvas events against a text stream's", ratios(*_sizes(canvas, loads))),
        Goal(f"{name}: the slowest client's p99 against the fastest's, {many} at once", fair),
        Goal(f"{name}: texts as alone, 100 %", [_mean(ours.same())], 100.0, unit=" %"),
        Goal(
            f"{name}: memory after all loads against after the first, <= {FLAT:g}x", [memory[-1] / memory[0]], most=FLAT
        ),
        Goal(f"{name}: requests lost on SIGTERM, 0", [float(row[LOST]) for row in stopped], most=0.0, unit=""),
    ]
    return goals


def _rates(server: Measured, clients: int, kind: str = TEXT) -> list[float]:
    return [one.rate for one in server.loads[kind, clients]]


def _sizes(above: Sequence[Load], below: Sequence[Load]) -> tuple[list[float], list[float]]:
    return [one.size for one in above], [one.size for one in below]
