"""How a run is to write: the sampler, and the user's settings over the recipe's. Known before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.sampling.registry import SAMPLERS, check_drives
from unmask.sampling.settings import Settings
from unmask.sampling.settings_words import all_settings
from unmask.training.preset import Preset, read_preset
from unmask.training.run import Run

Setting = Annotated[Any, all_settings]
"""The keyword arguments of what writes: settings of its sampler (``unmask samplers`` lists them)."""


def choose(
    run: str | Path | Run, name: str | None, given: Mapping[str, Any], *, preset: bool = False
) -> tuple[Run, Settings]:
    """Open the run, choose the sampler, and lay the user's settings over the preset's, or over the recipe's.

    Args:
        run: A run folder, its name, or an opened run.
        name: Of the sampler; ``None``: the preset's, else the recipe's, else the process's.
        given: Settings; ``None`` is not given.
        preset: Whether a preset of the run counts, where no sampler is named.

    Returns:
        The run, and all settings of the sampler.

    Raises:
        Error: no such run, sampler or setting, a setting that the sampler does not use or that cannot work, or a
            sampler that cannot write with the run's model.
    """
    chosen = {key: value for key, value in given.items() if value is not None}
    if name is not None:
        SAMPLERS.facts(name).check(chosen)  # a setting that cannot work is refused before anything is loaded
    run = run if isinstance(run, Run) else Run.open(run)
    tuned = preset_of(run, name, preset)
    settings = run.recipe.sampler_settings(name) if tuned is None else tuned.settings
    check_drives(settings, PROCESSES.facts(run.recipe.process.name))
    try:
        settings = settings.but(**chosen)
    except Error as error:
        if tuned is None:
            raise
        raise Error(f"{error} (The run's preset is {tuned}; --no-preset leaves it aside.)") from error
    if getattr(settings, "calibrated", False):
        _ = run.calibration  # there is one, and it is of these weights
    return run, settings


def preset_of(run: Run, name: str | None, preset: bool) -> Preset | None:
    """Return the preset that a run writes by; ``None``: a sampler is named, presets do not count, or it has none."""
    return read_preset(run) if preset and name is None else None


def told_preset(run: Run, name: str | None, preset: bool) -> str | None:
    """Return a preset as it is told: its name, and its settings in one."""
    tuned = preset_of(run, name, preset)
    return None if tuned is None else str(tuned)
