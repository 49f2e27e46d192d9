"""The tables of docs/studies/training-memory.md and serving.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, measured, one


def memory(found: Any) -> Rows:
    """Return the estimate of a training's memory beside what was measured."""
    columns = {
        "estimated, MB": lambda row: f"{row['estimate'] / 1e6:,.0f}",
        "measured, MB": lambda row: f"{row['measured'] / 1e6:,.0f}",
        "estimated / measured": lambda row: f"{row['ratio']:.2f}",
    }
    return grid("recipe", {f"`{row['recipe']}`": row for row in found["rows"]}, columns)


SERVERS = {
    "`unmask serve`, left to right": "causal",
    "`unmask serve`, blocks of 8": "block",
    "`unmask serve`, masked": "masked",
    "`transformers serve`, the same left-to-right weights": "transformers serve",
    "the same, `--continuous-batching`": "transformers serve, batching",
    "dfastllm, a BERT of that size": "dfastllm",
}


def _goal(found: Any, promise: str) -> dict[str, Any]:
    return next(goal for goal in found["goals"] if goal["promise"].startswith(promise))


def servers(found: Any) -> Rows:
    """Return what clients get of each server, together and alone."""

    def speed(name: str, clients: int) -> str:
        many = "client" if clients == 1 else "clients"
        return f"{one(found['rows'], case=f'{name}, {clients} {many}')['median']:.0f}"

    def wait(name: str, key: str, form: str) -> str:
        value = one(found["tables"]["loads"], case=f"{name}, 8 clients")[key]
        return "never" if value is None else f"{value:{form}} s"

    def server(name: str, key: str) -> str:
        return f"{one(found['tables']['servers'], server=name)[key]:,.0f}"

    columns = {
        "1 client": lambda name: speed(name, 1),
        "8": lambda name: speed(name, 8),
        "32": lambda name: speed(name, 32),
        "8 against 1": lambda name: measured(_goal(found, f"{name}: tokens a second at 8 clients against 1"), ".2f"),
        "first shown": lambda name: wait(name, "first shown, s", ".2f"),
        "p99": lambda name: wait(name, "p99, s", ".1f"),
        "memory, MB": lambda name: server(name, "after its last"),
        "texts as alone": lambda name: server(name, "texts as alone, %") + " %",
    }
    return grid("server", SERVERS, columns)


def ends(found: Any) -> Rows:
    """Return what canvas events cost, how memory grows, and what SIGTERM loses."""

    def lost(run: str) -> str:
        rows = [row for row in found["tables"]["told to stop"] if row["run"] == run]
        asked = sum(row[key] for row in rows for key in ("answered before", "whole", "told", "lost"))
        return f"{sum(row['lost'] for row in rows)} of {asked}"

    columns = {
        "canvas events cost, tokens a second": lambda run: measured(
            _goal(found, f"{run}: tokens a second that canvas events cost"), ".1f", " %"
        ),
        "bytes against a text stream's": lambda run: f"{_goal(found, f'{run}: bytes of canvas events')['median']:.2f}",
        "memory, last load against first": lambda run: f"{_goal(found, f'{run}: memory after all')['median']:.2f}",
        "lost on SIGTERM": lost,
    }
    return grid("run", {"left to right": "causal", "blocks": "block", "masked": "masked"}, columns)


TABLES = {
    "training-memory": Table("train_memory.json", memory, said={"repeats": "one run"}),
    "serving": Table("serve.json", servers),
    "serving-end": Table("serve.json", ends),
}
