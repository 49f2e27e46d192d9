"""How a run is to write: the sampler, and the user's settings over the recipe's. Known before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from unmask.diffusion.registry import PROCESSES
from unmask.sampling.registry import SAMPLERS, check_drives
from unmask.sampling.settings import Settings
from unmask.sampling.settings_words import all_settings
from unmask.training.run import Run

Setting = Annotated[Any, all_settings]
"""The keyword arguments of what writes: settings of its sampler (``unmask samplers`` lists them)."""


def choose(run: str | Path | Run, name: str | None, given: Mapping[str, Any]) -> tuple[Run, Settings]:
    """Open the run, choose the sampler, and lay the user's settings over the recipe's.

    Args:
        run: A run folder, its name, or an opened run.
        name: Of the sampler; ``None``: the recipe's, else the process's.
        given: Settings; ``None`` is not given.

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
    settings = run.recipe.sampler_settings(name)
    check_drives(settings, PROCESSES.facts(run.recipe.process.name))
    settings = settings.but(**chosen)
    if getattr(settings, "calibrated", False):
        _ = run.calibration  # there is one, and it is of these weights
    return run, settings
