"""The tables of docs/studies/equal-calls.md and long-texts.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, one

FOLLOWING = {
    "`entropy-bound`": "entropy-bound entropy_budget=0.6 error_proxy=peak",
    "`ancestral`": "ancestral steps=8",
    "`confidence`, 4 steps": "confidence steps=4",
    "`confidence`, 5 steps": "confidence steps=5",
    "`confidence` with noise, 4 steps": "confidence steps=4 confidence_noise=1.0",
    "`confidence` with noise, 5 steps": "confidence steps=5 confidence_noise=1.0",
}
NEVER_SURE = {
    "`entropy-bound`": "entropy-bound entropy_budget=1.0 error_proxy=peak",
    "`ancestral`": "ancestral steps=4",
    "`confidence` with noise": "confidence steps=3 confidence_noise=1.0",
}


def following(found: Any) -> Rows:
    """Return calls and distance where words follow from others."""
    rows = found["worlds"]["phrases"]["rows"]
    columns = {
        "calls": lambda way: f"{one(rows, way=way)['calls']:g}",
        "total variation": lambda way: f"{one(rows, way=way)['tv']:.2f}",
    }
    return grid("sampler", FOLLOWING, columns)


def never_sure(found: Any) -> Rows:
    """Return calls and distance where no word is ever sure."""

    def both(way: str, key: str, form: str) -> str:
        return ", ".join(f"{one(found['worlds'][w]['rows'], way=way)[key]:{form}}" for w in ("hmm", "markov"))

    columns = {
        "calls in `hmm`, `markov`": lambda way: both(way, "calls", "g"),
        "total variation in `hmm`, `markov`": lambda way: both(way, "tv", ".2f"),
    }
    return grid("sampler", NEVER_SURE, columns)


PARTS = ("up to 1x", "1x to 2x", "2x to 4x", "4x to 8x")


def beyond(found: Any) -> Rows:
    """Return bits per byte by distance past the context, means of the runs."""
    rows = {"*slide*" if way == "slide" else way: way for way in found["each"]}
    columns = {
        part: lambda way, part=part: f"{statistics.mean(run[part] for run in found['each'][way]):.3f}" for part in PARTS
    }
    return grid("way", rows, columns)


def masked_beyond(found: Any) -> Rows:
    """Return what is written past the context, by overlap of the windows."""
    rows = {f"{row['overlap']:g}": row for row in found["masked"]}
    columns = {
        "judge, bits per byte": lambda row: f"{row['judge, beyond the context']:.3f}",
        "entropy of a word, bits": lambda row: f"{row['bits of a word']:.2f}",
        "network calls a text": lambda row: f"{row['calls']:.0f}",
    }
    return grid("overlap", rows, columns)


_WORLDS = {
    "command": "python -m benchmarks.studies.sampling.equal_calls",
    "repeats": "exact, but for noise: counted over 200,000 texts",
}
_BEYOND = {
    "command": "python -m benchmarks.studies.sampling.beyond RUNS --masked RUN",
    "hardware": "AMD EPYC",
    "date": "2026-11-30",
}
TABLES = {
    "equal-calls-following": Table("equal_calls.json", following, said=_WORLDS),
    "equal-calls-never-sure": Table("equal_calls.json", never_sure, said=_WORLDS),
    "long-texts": Table("beyond.json", beyond, said=_BEYOND | {"repeats": "seeds 0, 1, 2"}),
    "long-texts-masked": Table("beyond.json", masked_beyond, said=_BEYOND | {"repeats": "one seed"}),
}
