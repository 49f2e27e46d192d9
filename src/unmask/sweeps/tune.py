"""The search for good and fast settings: trials of Optuna, kept in a file, and a front that is measured again.

Each trial is one way to write (:mod:`unmask.sampling.search_space`) on one bench (:mod:`unmask.sweeps.bench`). Two
numbers are made small, bits per byte and milliseconds; a way that has collapsed is told to the search as one that keeps
no limit. Every trial is on the disk before the next one begins, so whatever ends the search ends one trial.

The best of many noisy numbers look better than they are, so the ways of the front are measured again with other noise,
and what is told of them, and chosen by, are these numbers alone.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from unmask.data.cache import writing
from unmask.errors import Error
from unmask.progress import Counter, Progress
from unmask.reports.dataclass_json import plain
from unmask.sampling.search_space import Room, plain_ways, suggest
from unmask.sampling.settings import Settings
from unmask.sweeps.bench import Bench, Point, point_of
from unmask.sweeps.pareto import front_of, thinned
from unmask.sweeps.tune_checks import import_optuna

STUDIES = "studies.log"
"""The file of the trials, of all searches of a folder."""
_AGAIN = 2
"""How many times as often the front is timed as a trial."""


class Search:
    """One search, begun or gone on with.

    Args:
        folder: Where its trials are kept; there is one process at a time.
        bench: Measures a way.
        kinds: Settings of the samplers that are searched.
        room: How much there is to decide.
        kept: Settings that stay as they are.
        about: What trials must have in common to be compared, plain data: another search is one of its own.
        anew: Leave the trials that there are.
    """

    def __init__(
        self,
        folder: Path,
        bench: Bench,
        kinds: Sequence[type[Settings]],
        room: Room,
        kept: dict[str, Any],
        about: dict[str, Any],
        anew: bool = False,
    ) -> None:
        self._optuna = import_optuna()
        self.bench, self._kinds, self._room, self._kept = bench, kinds, room, kept
        backend = self._optuna.storages.journal
        self._path = path = folder / STUDIES
        with writing(folder, "make it writable"), _reading(path):
            _mend(path)
            lock = backend.JournalFileOpenLock(str(path))
            storage = self._optuna.storages.JournalStorage(backend.JournalFileBackend(str(path), lock_obj=lock))
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        if anew and name in {one.study_name for one in storage.get_all_studies()}:
            self._optuna.delete_study(study_name=name, storage=storage)
        self._study = self._optuna.create_study(
            study_name=name, storage=storage, directions=["minimize", "minimize"], load_if_exists=True
        )
        states = self._optuna.trial.TrialState
        for trial in self._study.get_trials(deepcopy=False, states=[states.RUNNING]):
            self._study.tell(trial.number, state=states.FAIL)  # whoever ran it was killed
        seed = bench.seed + len(self._study.trials)  # what a search goes on with is not what it began with
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=12)
        if not self._study.trials:
            self._study.set_user_attr("about", about)
            for params in plain_ways(kinds, room, kept):
                self._study.enqueue_trial(params)

    @property
    def _finished(self) -> list[Any]:
        states = self._optuna.trial.TrialState
        found: list[Any] = self._study.get_trials(deepcopy=False, states=[states.COMPLETE, states.FAIL])
        return found

    @property
    def done(self) -> int:
        """Trials that have been made."""
        return len(self._finished)

    @property
    def points(self) -> list[Point]:
        """What has been measured.

        Raises:
            Error: the file holds what no search wrote.
        """
        with _reading(self._path):
            return [point_of(trial.user_attrs["point"]) for trial in self._finished if "point" in trial.user_attrs]

    def real_bits(self) -> float:
        """Return the judge's bits per byte of the real text."""
        if "real_bits" not in self._study.user_attrs:
            self._study.set_user_attr("real_bits", self.bench.judged(self.bench.real)[0])
        return float(self._study.user_attrs["real_bits"])

    def run(self, trials: int, seconds: float | None, progress: Callable[[Progress], None]) -> None:
        """Make trials until there are so many in all, or the time is up.

        Args:
            trials: How many there are to be, those of earlier calls included.
            seconds: No new trial begins after so much time; ``None``: no limit.
            progress: Called before each trial.
        """
        began, real = time.monotonic(), self.real_bits()

        def until(told: Progress) -> None:
            over = None if seconds is None else began + seconds - time.monotonic()
            soonest = [left for left in (told.left, over) if left is not None]
            progress(replace(told, left=min(soonest, default=None)))

        counter = Counter("trying ways to write", until, unit="ways", place=(1, 2), first=self.done)
        known = {point.way.label: point for point in self.points}
        while (done := self.done) < trials and (seconds is None or time.monotonic() - began < seconds):
            trial = self._study.ask()
            settings = suggest(trial, self._kinds, self._room, self._kept)
            counter.what = settings.label
            counter(done, trials)
            try:
                point = known.get(settings.label) or self.bench.measure(settings)
            except Error:  # settings that this network cannot be driven by
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                continue
            known[settings.label] = point
            trial.set_user_attr("point", plain(point))
            for name, value in point.beyond.items():
                trial.set_constraint(name, value if point.bits is not None else 1.0)
            self._study.tell(trial, [point.quality(real), point.ms])

    def front(self, own: Settings, progress: Callable[[Progress], None]) -> tuple[list[Point], Point]:
        """Return the front, its ways measured again, and the run's own settings beside them.

        Args:
            own: How the run writes by its recipe.
            progress: Called before each way.
        """
        asked = [own, *(way for point in self._candidates() if (way := point.way).label != own.label)]
        labels = [settings.label for settings in asked]
        told = self._study.user_attrs.get("again", {})
        if told.get("labels") != labels:
            found = []
            counter = Counter("measuring the front again", progress, unit="ways", place=(2, 2), what=labels[0])
            counter(0, len(asked))
            for number, point in enumerate(self.bench.again(asked, _AGAIN), 1):
                counter.what = labels[min(number, len(labels) - 1)]
                counter(number, len(asked))
                found.append(plain(point))
            told = {"labels": labels, "points": found}
            self._study.set_user_attr("again", told)
        points = [point_of(point) for point in told["points"]]
        return front_of(points, self.real_bits()), points[0]

    def _candidates(self) -> list[Point]:
        return thinned(front_of(self.points, self.real_bits()))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise Error(f"{path} cannot be read ({type(error).__name__}); remove it, and its searches with it.") from error


def _mend(path: Path) -> None:
    """Make a log whole that a killed process left: its last line may be half written, and its lock is nobody's."""
    path.parent.mkdir(exist_ok=True)
    for left in path.parent.glob(f"{path.name}.lock*"):
        left.unlink()
    if path.is_file():
        with path.open("r+b") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
