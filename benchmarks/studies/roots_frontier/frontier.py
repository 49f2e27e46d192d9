"""ROOTS against lists, codes and words at equal bytes: recall of the true ten, the task's measure, time in batch.

    OMP_NUM_THREADS=1 nice -n 5 python -m benchmarks.studies.roots_frontier.frontier [--data FOLDER] [--quick]

Corpora and questions are in :mod:`benchmarks.lib.worlds`, rivals and what their bytes count in ``entrants.py``.
A row's interval is Student's t over questions (95 %) of each question's mean over the seeds; ``seeds`` is the
deviation of the seeds' means. Differences are paired by question.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.measure import Result, say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import markdown
from benchmarks.lib.worlds import Corpus, Questions, corpora
from benchmarks.studies.roots_frontier.entrants import Found, coded, flat, inverted, roots, words
from benchmarks.studies.roots_frontier.timing import timing
from unmask.evaluation.intervals import seed_interval
from unmask.roots.embed.embedders import DEFAULT, make_embedder

SEEDS = (0, 1, 2)
IVF = "IVF, float32, lists cut"
Key = tuple[str, str, str]  # questions, entrant, setting


class Table:
    """What every rival found, question by question."""

    def __init__(self) -> None:
        self.measures: dict[str, str] = {}
        self.told: dict[Key, Found] = {}
        self.recall: dict[Key, list[np.ndarray]] = {}
        self.task: dict[Key, list[np.ndarray]] = {}

    def take(self, rows: Iterator[tuple[Questions, Found]]) -> None:
        """Judge some rows."""
        for questions, found in rows:
            key = questions.name, found.entrant, found.setting
            self.measures[questions.name] = questions.measure
            self.told.setdefault(key, found._replace(members=np.zeros(0)))
            self.recall.setdefault(key, []).append(questions.recall(found.members))
            self.task.setdefault(key, []).append(questions.task(found.members))

    def join(self, other: Table) -> None:
        """Take what another table holds of other seeds."""
        self.measures |= other.measures
        self.told = other.told | self.told
        for name in ("recall", "task"):
            for key, values in getattr(other, name).items():
                getattr(self, name).setdefault(key, []).extend(values)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each key."""
        found = []
        for key, told in self.told.items():
            recall, task = self.recall[key], self.task[key]
            words = told.entrant == "BM25"
            low, high = interval(np.mean(recall, 0))
            task_low, task_high = interval(np.mean(task, 0))
            found.append(
                {
                    "questions": key[0],
                    "entrant": told.entrant,
                    "setting": told.setting,
                    "share": None if words else round(told.share, 4),
                    "read": round(told.read),
                    "resident": told.resident,
                    "router": told.router,
                    "recall": None if words else round(float(np.mean(recall)), 4),
                    "low": None if words else low,
                    "high": None if words else high,
                    "seeds": None if words or len(recall) < 2 else round(float(np.std(np.mean(recall, 1), ddof=1)), 4),
                    "measure": self.measures[key[0]],
                    "task": round(float(np.mean(task)), 4),
                    "task low": task_low,
                    "task high": task_high,
                }
            )
        return found

    def ahead(self, name: str, ours: str, theirs: str, setting: str) -> dict[str, Any]:
        """Return how much more of the true nearest one rival finds than another, paired by question."""
        one, other = (np.mean(self.recall[name, entrant, setting], 0) for entrant in (ours, theirs))
        low, high = interval(one - other)
        return {
            "questions": name,
            "ours": ours,
            "theirs": theirs,
            "at": setting,
            "points": round(100 * float((one - other).mean()), 2),
            "low": round(100 * low, 2),
            "high": round(100 * high, 2),
        }


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean over questions."""
    span = seed_interval(values)
    assert span is not None, "one question says nothing"
    return round(span[0], 4), round(span[1], 4)


_CORPORA: list[Corpus] = []  # what forked processes read


def one(job: tuple[int, int | None]) -> Table:
    """Return what rivals find on one corpus with one seed; ``None``: those that have none."""
    corpus, seed, table = _CORPORA[job[0]], job[1], Table()
    if seed is None:
        table.take(chain(flat(corpus), words(corpus)))
    else:
        reader = make_embedder(DEFAULT)
        table.take(chain(roots(corpus, reader, seed), inverted(corpus, seed), coded(corpus, seed)))
    say(f"{corpus.name}: {len(corpus.texts)} texts, seed {seed}: {time.process_time():.0f} s")
    return table


def judged(table: Table) -> list[dict[str, Any]]:
    """Return the goals of recall and what became of them, for the index as it is built by default and for the best."""
    found = []
    for name in table.measures:
        entrants = sorted({key[1] for key in table.told if key[0] == name and key[1].startswith("ROOTS")})
        same = [e for e in entrants if "4 K" not in e and "random" not in e]
        copied = [e for e in same if "spilled" in e]
        plain = [e for e in same if "spilled" not in e]
        for share, goal, among in (("10%", 0.88, plain), ("20%", 0.95, plain), ("10%", 0.95, copied)):
            means = {e: float(np.mean(table.recall[name, e, share])) for e in among}
            best = max(means, key=lambda entrant: means[entrant])
            usual = means.get("ROOTS kmeans, moments")
            promise = f"{goal} of the true ten at {share}" + (" with spilling" if among is copied else "")
            found.append(
                {
                    "questions": name,
                    "goal": promise,
                    "default index": None if usual is None else round(usual, 4),
                    "best": round(means[best], 4),
                    "which": best,
                    "met by default": None if usual is None else usual >= goal,
                    "met by the best": means[best] >= goal,
                }
            )
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("--quick", action="store_true", help="300 docstrings, one seed; nothing is stored")
    parser.add_argument("--data", type=Path, help="folder with cranfield/ and xquad/; default: pydocs alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes; times are taken afterwards, in one")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    seeds = SEEDS[:1] if given.quick else SEEDS
    reader, table = make_embedder(DEFAULT), Table()
    found = corpora(given.data, reader, given.quick)
    _CORPORA[:] = found
    work = [(number, seed) for number in range(len(found)) for seed in (None, *seeds)]
    if given.jobs > 1:
        with multiprocessing.get_context("fork").Pool(given.jobs) as pool:
            tables = pool.map(one, work, chunksize=1)
            pool.close()
            pool.join()
    else:
        tables = [one(job) for job in work]
    for part in tables:
        table.join(part)
    rows = table.rows()
    differences = [
        table.ahead(name, ours, theirs, setting)
        for name in table.measures
        for setting in ("5%", "10%")
        for ours, theirs in (
            *((f"ROOTS {partition}, moments", IVF) for partition in ("kmeans", "balanced_kmeans", "ising")),
            ("ROOTS kmeans, ebm", IVF),
            ("ROOTS kmeans, 4 K, moments", "ROOTS kmeans, 4 K, centroid"),
            ("ROOTS balanced_kmeans, 50% spilled, moments", "ROOTS balanced_kmeans, moments"),
        )
    ]
    goals = judged(table)
    say(f"timing: {time.process_time():.0f} s")
    times = timing(found[0], reader, given.quick)
    settings = {
        "seeds": seeds,
        "intervals": "95 %, Student's t over questions",
        "corpora": {corpus.name: len(corpus.texts) for corpus in found},
        "questions": {q.name: len(q.texts) for corpus in found for q in corpus.questions},
        "jobs": given.jobs,
        "cpu seconds": round(time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])),
    }
    shown = {"goals": goals, "points ahead, paired": differences}
    print(markdown(Result("roots_frontier", settings, tables={"frontier": rows, **shown}), given.quick))
    print(markdown(times, given.quick))
    if not given.quick:
        command = f"OMP_NUM_THREADS=1 nice -n 5 python -m {__spec__.name} --data DATA"
        content = {**stamp(command), "settings": settings, "rows": rows, "tables": shown, "time": times.to_dict()}
        store(given.results / "roots_frontier.json", content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
