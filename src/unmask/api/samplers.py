"""The samplers: what each drives, what its open positions show, and its settings. Known without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unmask.diffusion.registry import PROCESSES
from unmask.lines import counted
from unmask.result import Result
from unmask.sampling.registry import SAMPLERS, drives
from unmask.sampling.settings_words import taken


@dataclass(frozen=True, repr=False)
class SettingLine(Result):
    """One setting.

    Attributes:
        name: What it is called.
        default: Its value where neither the user nor the recipe says one.
        takes: The values that it takes, in words.
        about: What it does.
    """

    name: str
    default: Any
    takes: str
    about: str

    def _facts(self) -> tuple[str, ...]:
        return f"{self.name}={self.default!r}", self.takes


@dataclass(frozen=True, repr=False)
class SamplerLine(Result):
    """One sampler.

    Attributes:
        name: Its name in recipes and on the command line.
        about: What it does.
        visibility: What the models that it drives may see.
        shows: What its open positions show them: nothing, the mask, a token that may be wrong, or candidates.
        processes: The processes whose runs it writes with.
        settings: Its settings.
    """

    name: str
    about: str
    visibility: str
    shows: str
    processes: list[str]
    settings: list[SettingLine]

    def _facts(self) -> tuple[str, ...]:
        return f"{self.name}: {self.about}", counted(len(self.settings), "setting")


def samplers(name: str | None = None) -> list[SamplerLine]:
    """Return every sampler, or the one that is named.

    Args:
        name: Of a sampler; ``None``: all.

    Raises:
        Error: no such sampler.
    """
    return [_line(one) for one in (SAMPLERS if name is None else [name])]


def _line(name: str) -> SamplerLine:
    facts = SAMPLERS.facts(name)
    processes = [one for one in PROCESSES if drives(facts, PROCESSES.facts(one))]
    settings = [
        SettingLine(key, field.default, taken(field), field.description or "")
        for key, field in facts.model_fields.items()
    ]
    return SamplerLine(name, facts.about, facts.visibility, facts.shows, processes, settings)
