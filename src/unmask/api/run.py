"""Open a trained run from Python."""

from __future__ import annotations

from pathlib import Path

from unmask.training.run import Run


def load_run(path: str | Path) -> Run:
    """Open the run folder at ``path``.

    Args:
        path: What ``unmask train`` wrote.

    Raises:
        Error: there is no complete run at ``path``, or a newer version wrote it.
    """
    return Run.open(path)
