"""Whether a run that a study keeps is finished: one that was interrupted has weights, too, and they are other ones."""

from __future__ import annotations

from pathlib import Path

from unmask.training.run import MANIFEST, Run


def begun(place: Path) -> bool:
    """Tell whether there is a run in a folder."""
    return (place / MANIFEST).is_file()


def finished(place: Path) -> bool:
    """Tell whether there is a run in a folder that was trained to its end."""
    return begun(place) and Run.open(place).manifest["status"] == "finished"
