"""How a run is to write: the sampler, and the user's settings over the recipe's. Known before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error, nearest
from unmask.sampling.registry import SAMPLERS, check_drives
from unmask.sampling.request import Settings, refuse_unused
from unmask.training.run import Run


class SettingsOptions(TypedDict, total=False):
    """The fields of :class:`unmask.sampling.Settings`, as keyword arguments; what is left out comes from the recipe."""

    steps: int | None
    temperature: float | None
    temperature_end: float | None
    top_k: int | None
    top_p: float | None
    repetition_penalty: float | None
    seed: int | None
    ignore_eos: bool | None
    reveal: str | None
    confidence_noise: float | None
    confidence_stop: float | None
    confidence_of: str | None
    entropy_budget: float | None
    error_proxy: str | None
    remask: str | None
    remask_strength: float | None
    remask_start: float | None
    remask_stop: float | None
    remask_hold: float | None
    renoise: str | None
    candidates: int | None
    corrections: int | None


def choose(run: str | Path | Run, name: str | None, given: Mapping[str, Any]) -> tuple[Run, str, Settings]:
    """Open the run, choose the sampler, and lay the user's settings over the recipe's.

    Args:
        run: A run folder, its name, or an opened run.
        name: Of the sampler; ``None``: the recipe's, else the process's.
        given: Settings; ``None`` is not given.

    Returns:
        The run, the sampler's name, and all settings.

    Raises:
        Error: no such run, sampler or setting, a setting that the sampler does not use or that cannot work, or a
            sampler that cannot write with the run's model.
    """
    known = [f.name for f in fields(Settings)]
    for key in given:
        if key not in known:
            raise Error(f"unknown setting {key!r}.{nearest(key, known)} Settings: {', '.join(known)}.")
    chosen = {key: value for key, value in given.items() if value is not None}
    if name is not None:
        SAMPLERS.check(name)
    Settings(**chosen)  # a setting that cannot work is refused before anything is loaded
    run = run if isinstance(run, Run) else Run.open(run)
    process = PROCESSES.facts(run.recipe.process.name)
    section = run.recipe.sampler
    own = section.name or process.sampler
    sampler = SAMPLERS.facts(name or own)
    check_drives(sampler, process)
    refuse_unused(sampler.name, sampler.uses, chosen)
    stored: dict[str, Any] = dict(section.model_extra or {})
    if sampler.name == own:
        refuse_unused(sampler.name, sampler.uses, stored)
    defaults = {key: value for key, value in stored.items() if key in sampler.uses}
    return run, sampler.name, Settings(**{**defaults, **chosen})
