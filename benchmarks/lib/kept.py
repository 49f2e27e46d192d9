"""Whether a run that a study keeps is finished.

One that was interrupted has weights, too, and they are other ones; one that was killed has none.
"""

from __future__ import annotations

import json
from pathlib import Path

from unmask.training.run import MANIFEST


def begun(place: Path) -> bool:
    """Tell whether there is a run in a folder."""
    return (place / MANIFEST).is_file()


def finished(place: Path) -> bool:
    """Tell whether there is a run in a folder that was trained to its end."""
    return begun(place) and json.loads((place / MANIFEST).read_text("utf-8"))["status"] == "finished"
