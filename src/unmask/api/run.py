"""Open a trained run from Python."""

from __future__ import annotations

from pathlib import Path

from unmask.training.run import Run


def load_run(run: str | Path, *, allow_code: bool = False) -> Run:
    """Open a run folder.

    Args:
        run: What ``unmask train`` wrote.
        allow_code: Import code that the run names.

    Raises:
        Error: there is no complete run there, or a newer version wrote it.
    """
    return Run.open(run, allow_code=allow_code)
