"""A run's preset: how it writes where nothing is said, chosen by ``unmask tune`` and kept beside the recipe.

``sampler.json`` holds the sampler, its settings, and what they were chosen by. The recipe stays as it was trained. A
preset that was chosen for other weights than those that lie there is left aside, and that is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from unmask.data.cache import writing
from unmask.data.json_file import named, read_object
from unmask.errors import Error
from unmask.lines import shell, tell
from unmask.sampling.registry import SAMPLERS
from unmask.sampling.settings import Settings
from unmask.training.fingerprints import weights_fingerprint
from unmask.training.run import Run, write_json

PRESET = "sampler.json"
FORMAT = 1
_AGAIN = f"remove it, or make it again with unmask tune; --no-preset leaves {PRESET} aside"


@dataclass(frozen=True)
class Preset:
    """How a run writes where nothing is said.

    Attributes:
        name: What was asked for: ``fast``, ``good``, ``balanced``, or a number of the front.
        settings: All settings, of their sampler.
        weights: Fingerprint of the weights that it was chosen for.
        measured: What it was chosen by: its judge's bits per byte, its time, the machine, the date.
    """

    name: str
    settings: Settings
    weights: str
    measured: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} ({self.settings.label})"


def run_weights(run: Run) -> str:
    """Return the fingerprint of a run's weights, as its manifest says it; of an older run as they lie there."""
    return str(run.manifest.get("weights_fingerprint") or weights_fingerprint(run.path))


def write_preset(run: Run, preset: Preset) -> Path:
    """Write a run's preset beside its recipe, in the place of an earlier one, and return its file.

    Raises:
        Error: the run's folder cannot be written to.
    """
    with writing(run.path, "make it writable, or copy the run"):
        write_json(
            run.path / PRESET,
            {
                "format": FORMAT,
                "preset": preset.name,
                "sampler": preset.settings.name,
                "settings": preset.settings.given,
                "weights_fingerprint": preset.weights,
                "measured": preset.measured,
            },
        )
    return run.path / PRESET


def read_preset(run: Run) -> Preset | None:
    """Return a run's preset; ``None``: it has none, or one of other weights, which is told once.

    Raises:
        Error: the file is damaged, of a newer format, or names a sampler or settings that there are not.
    """
    path = run.path / PRESET
    if not path.is_file():
        return None
    told = read_object(path, _AGAIN, most=1 << 20)
    if not isinstance(form := told.get("format"), int) or form > FORMAT:
        raise Error(f"{path} has format {form}, this version reads {FORMAT}; {_AGAIN}.")
    for key, kind in (("preset", str), ("sampler", str), ("settings", dict), ("weights_fingerprint", str)):
        if not isinstance(told.get(key), kind):
            raise Error(f"{path}: {key} is {named(told.get(key))}, which it cannot be; {_AGAIN}.")
    if told["weights_fingerprint"] != run_weights(run):
        _tell_stale(path)
        return None
    seed = {key: value for key, value in run.recipe.sampler_settings().given.items() if key == "seed"}
    try:
        settings: Settings = SAMPLERS.facts(told["sampler"])(**{**seed, **told["settings"]})
    except Error as error:
        raise Error(f"{path}: {str(error).rstrip('.')}; {_AGAIN}.") from error
    return Preset(told["preset"], settings, told["weights_fingerprint"], dict(told.get("measured") or {}))


@cache
def _tell_stale(path: Path) -> None:
    tell(
        f"note: {path} was chosen for other weights than those there now, and is left aside; choose again with: "
        f"unmask tune {shell(path.parent)}"
    )
