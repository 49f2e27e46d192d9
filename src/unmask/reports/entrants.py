"""The rows of a comparison before they are measured: one a run, or one for several seeds of one recipe.

Runs whose recipes differ in nothing but the seed (and name and description) are one row: its numbers are means over
seeds, with their spread.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unmask.training.ancestry import recipe_fingerprint, spent
from unmask.training.run import Run


@dataclass(frozen=True)
class Entrant:
    """One or several seeds of a recipe.

    Attributes:
        name: Its name in this comparison.
        runs: One a seed.
    """

    name: str
    runs: tuple[Run, ...]

    @cached_property
    def models(self) -> list[Any]:
        """The networks, loaded once."""
        return [run.model() for run in self.runs]

    @property
    def first(self) -> Run:
        """The run that stands for all in what does not depend on the seed: sizes, process, speed."""
        return self.runs[0]

    @property
    def tokens_seen(self) -> int:
        """Training tokens of a run and of those that its weights come from, the mean over seeds."""
        return round(sum(spent(run.manifest, "tokens_seen") or 0 for run in self.runs) / len(self.runs))

    @property
    def training_flops(self) -> float | None:
        """Training FLOPs likewise; ``None`` if a run is older than the count."""
        return _mean([spent(run.manifest, "training_flops") for run in self.runs])

    @property
    def train_seconds(self) -> float | None:
        """Seconds of training steps likewise."""
        return _mean([spent(run.manifest, "train_seconds") for run in self.runs])

    @property
    def train_tokens_per_second(self) -> float | None:
        """Training speed, the mean over seeds."""
        return _mean([run.manifest.get("tok_per_s") for run in self.runs])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def gather(runs: Sequence[Run]) -> list[Entrant]:
    """Return the rows, in the order in which their first run was given.

    Two runs of one recipe and one seed are not two seeds: the second is a row of its own.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    seen: Counter[tuple[str, int]] = Counter()
    for run in runs:
        key = _key(run)
        groups.setdefault((key, seen[key, run.recipe.seed]), []).append(run)
        seen[key, run.recipe.seed] += 1
    sets = list(groups.values())
    single = [_own_name(group) for group in sets]
    longer = [f"{group[0].path.resolve().parent.name}/{name}" for group, name in zip(sets, single, strict=True)]
    return [Entrant(name, tuple(group)) for name, group in zip(_told_apart(single, longer), sets, strict=True)]


def _key(run: Run) -> str:
    """What must be equal for runs to be seeds of one recipe: all but seed and words, and the text that was read."""
    return f"{run.manifest.get('tokens_seen')} {recipe_fingerprint(run)}"


def _own_name(group: Sequence[Run]) -> str:
    """Return the run's name; of several seeds what their names share, or their recipe's name."""
    if len(group) == 1:
        return group[0].name
    stems = {re.sub(r"[-_. ]*(?:seed|s)?[-_. ]*\d+$", "", run.name) for run in group}
    return stems.pop() if len(stems) == 1 and stems != {""} else group[0].recipe.name


def _told_apart(names: list[str], longer: list[str]) -> list[str]:
    """Tell equal names apart by their folders' parents, else by a number."""
    for again in (longer, names):
        twice = {name for name, count in Counter(names).items() if count > 1}
        names = [other if name in twice else name for name, other in zip(names, again, strict=True)]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return names
