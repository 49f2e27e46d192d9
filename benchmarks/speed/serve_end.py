"""What a server loses that is told to stop while clients ask: each request ends with an answer, an error or neither."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

from benchmarks.lib.http_client import LOST, REFUSED, TOLD, WHOLE
from benchmarks.lib.http_load import load_until_told
from benchmarks.lib.server_process import ServerProcess
from benchmarks.speed.serve_measured import TEXT, Measured, started
from unmask.training.run import Run

CLIENTS, SECONDS = 24, 3.0
"""Clients at once, more than the rows of a batch, so that some wait; seconds until SIGTERM."""
LONGER = 8
"""How many times as long the texts are that are not given the time to finish."""


def ended(run: Run, ours: Measured, tokens: int, quick: bool) -> list[dict[str, Any]]:
    """Stop the server under load, then another one that is given no time to finish.

    Args:
        run: What is served.
        ours: The server that has time.
        tokens: Of a text.
        quick: Few clients, and soon, and the first alone.

    Returns:
        For each what became of the requests, and of the server.
    """
    rows = [_stopped(run.name, "30 s (default)", ours.server, ours.requests[TEXT], quick)]
    if quick:
        return rows
    hasty = started(run, LONGER * tokens, 1, ("--drain", "0"))
    return [*rows, _stopped(run.name, "0 s", hasty.server, hasty.requests[TEXT], quick)]


def _stopped(run: str, drain: str, server: ServerProcess, requests: list[bytes], quick: bool) -> dict[str, Any]:
    signalled = math.nan

    def terminate() -> None:
        nonlocal signalled
        signalled = time.perf_counter()
        server.terminate()

    try:
        answers = load_until_told(
            server.address, requests, 3 if quick else CLIENTS, 0.3 if quick else SECONDS, terminate
        )
        status = server.process.wait(60)
        seconds = time.perf_counter() - signalled
    finally:
        server.end()
    under = [one for one in answers if one.began + one.seconds >= signalled]
    ends = Counter(one.end for one in under)
    reasons = Counter(one.said for one in under if one.end in (TOLD, LOST))
    return {
        "run": run,
        "time to finish": drain,
        "answered before": len(answers) - len(under),
        **{end: ends[end] for end in (WHOLE, TOLD, REFUSED, LOST)},
        "seconds to exit": seconds,
        "status": status,
        "most were told": reasons.most_common(1)[0][0] if reasons else None,
    }
