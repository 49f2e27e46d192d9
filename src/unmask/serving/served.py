"""The runs that a server has loaded, by the names that requests call them; one whose folder changed is read again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unmask.api.model import Model, load
from unmask.api.writing import vocabulary_of
from unmask.errors import Error
from unmask.roots.index import Index, open_index
from unmask.sampling.request import Vocabulary
from unmask.serving.problems import Problem
from unmask.training.calibration_file import CALIBRATION
from unmask.training.preset import PRESET
from unmask.training.run import MANIFEST, RECIPE, WEIGHTS, Run

log = logging.getLogger("unmask.serving")


@dataclass(frozen=True)
class Served:
    """A loaded run.

    Attributes:
        id: What requests call it.
        run: The run.
        vocabulary: Its special tokens, and which of its tokens begin with a space.
        stamp: What its files looked like when it was read.
    """

    id: str
    run: Model
    vocabulary: Vocabulary
    stamp: tuple[Any, ...] = ()

    @property
    def context(self) -> int:
        """Tokens that its network reads at once, BOS among them."""
        return int(self.run.network.config.max_position_embeddings)

    @property
    def created(self) -> int:
        """When its weights were written, in seconds."""
        return int((self.run.path / WEIGHTS).stat().st_mtime)


@dataclass
class Shelf:
    """All that is loaded.

    Attributes:
        models: Id -> run; replaced as a whole, so that who holds a run keeps it.
        indexes: Name -> index.
    """

    models: dict[str, Served]
    indexes: Mapping[str, Index] = field(default_factory=dict)
    device: str | None = None
    cache: int = 0

    def __iter__(self) -> Iterator[Served]:
        return iter(self.models.values())

    def find(self, name: str | None, param: str = "model") -> Served:
        """Return the run that a request names.

        Raises:
            Problem: there is none of that name, or none is named and there are several.
        """
        if name is None:
            if len(self.models) == 1:
                return next(iter(self))
            raise Problem(422, f"model is missing: name one of {', '.join(self.models)}.", param, "missing_field")
        if name not in self.models:
            there = ", ".join(self.models)
            raise Problem(404, f"there is no model {name[:80]!r}; there is {there}.", param, "model_not_found")
        return self.models[name]

    def index(self, name: str) -> Index:
        """Return the index that a request names.

        Raises:
            Problem: there is none of that name.
        """
        if name not in self.indexes:
            there = ", ".join(self.indexes) or "none (unmask serve --index NAME=FOLDER)"
            raise Problem(404, f"there is no index {name[:80]!r}; there is {there}.", "unmask.index", "index_not_found")
        return self.indexes[name]

    def hidden(self, message: str) -> str:
        """Return a message without the folders of this machine: runs and indexes by their names."""
        named = {str(one.run.path): one.id for one in self} | {str(i.path): name for name, i in self.indexes.items()}
        for path in sorted(named, key=len, reverse=True):
            message = message.replace(path, named[path])
        return message

    def changed(self) -> list[str]:
        """Return the ids of runs whose folders are not as they were when they were read."""
        return [one.id for one in self if one.stamp != stamp_of(one.run.path)]

    def renew(self, name: str) -> bool:
        """Load a run again. What cannot be loaded (it may be half written) leaves the old one in its place."""
        old = self.models[name]
        try:
            new = read(old.run.path, self.device, self.cache)
        except Error as error:
            log.warning("reload failed", extra={"data": {"model": name, "reason": str(error)}})
            return False
        self.models = {**self.models, name: new}
        log.info("reloaded", extra={"data": {"model": name}})
        return True


def stamp_of(path: Path) -> tuple[Any, ...]:
    """Return what a run's files look like from outside."""
    found = []
    for name in (WEIGHTS, MANIFEST, RECIPE, PRESET, CALIBRATION, "config.json"):
        try:
            stat = (path / name).stat()
        except OSError:
            continue
        found.append((name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(found)


def read(path: str | Path, device: str | None, cache: int) -> Served:
    """Load a run.

    Raises:
        Error: it cannot be loaded.
    """
    opened = Run.open(path)
    stamp = stamp_of(opened.path)  # before: what changes from here on is seen as a change
    run = load(opened, device=device, cache=cache)
    return Served(run.name, run, vocabulary_of(run.tokenizer, run.network), stamp)


def shelf(
    runs: Sequence[str],
    indexes: Sequence[tuple[str, str]] = (),
    device: str | None = None,
    cache: int = 0,
) -> Shelf:
    """Load runs and indexes.

    Raises:
        Error: one that cannot be loaded, or two of one name.
    """
    models: dict[str, Served] = {}
    for path in runs:
        one = read(path, device, cache)
        if one.id in models:
            raise Error(
                f"two runs are called {one.id!r} ({models[one.id].run.path} and {one.run.path}); requests name a run "
                "by its folder's name: rename one, or serve it elsewhere."
            )
        models[one.id] = one
    return Shelf(models, {name: open_index(folder) for name, folder in indexes}, device, cache)
