"""How often a 95 % interval holds the truth, by number of documents and seeds: ours, plain Student's t, a bootstrap.

    python -m benchmarks.studies.compare.interval_coverage [--source FILE ...] [--quick] [--output FILE]

Documents are drawn from worlds whose truth is known: rates that are normal, skewed (exponential: skewness 2), heavy to
one side (log-normal), sizes that differ 50-fold, and the real sizes and nats of `pydocs`, and of other sources that are
named, under byte n-grams (their documents are then the population, drawn with replacement). *Student* is t with N - 1
degrees on the linearised ratio, *bootstrap* the percentile interval over resampled documents. Two rivals that are
equally good are called different as often as their interval misses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from unmask.data.ngram import ByteNgram
from unmask.data.sources import open_source
from unmask.evaluation.intervals import interval, paired_interval, ratio_interval, share_interval

RESULT = RESULTS / "interval_coverage.json"
Reals = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], tuple[Reals, Reals]]
DOCUMENTS = (2, 3, 5, 10, 20, 40, 60, 100)
RESAMPLES = 1000
LEARNED, SCORED = 600, 1500  # documents of a source


def _sizes(rng: np.random.Generator, shape: tuple[int, int]) -> Reals:
    return rng.integers(200, 1500, shape).astype(np.float64)


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Reals, Reals]:
    """Sizes of 200 to 1,500 bytes, rates of 2 +- 0.4."""
    sizes = _sizes(rng, shape)
    return sizes * rng.normal(2, 0.4, shape), sizes


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Reals, Reals]:
    """The same sizes, exponential rates."""
    sizes = _sizes(rng, shape)
    return sizes * rng.exponential(1, shape), sizes


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Reals, Reals]:
    """The same sizes, log-normal rates."""
    sizes = _sizes(rng, shape)
    return sizes * np.exp(rng.normal(0, 0.7, shape)), sizes


def uneven(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Reals, Reals]:
    """Log-normal sizes, most of them within a factor of 50, and log-normal rates."""
    sizes = np.exp(rng.normal(5, 1, shape)).round() + 1
    return sizes * np.exp(rng.normal(0.3, 0.25, shape)), sizes


def population(nats: Reals, sizes: Reals) -> Draw:
    """Return a world whose documents are drawn from given ones."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Reals, Reals]:
        which = rng.integers(0, len(nats), shape)
        return nats[which], sizes[which]

    return draw


def worlds(sources: Sequence[str], learned: int, scored: int) -> dict[str, tuple[Draw, float]]:
    """Return each world with its truth: the ratio of all documents' sums."""
    found: dict[str, tuple[Draw, float]] = {
        "normal": (normal, 2.0),
        "skewed": (skewed, 1.0),
        "heavy": (heavy, float(np.exp(0.7**2 / 2))),
        "uneven sizes": (uneven, float(np.exp(0.3 + 0.25**2 / 2))),
    }
    for source in sources:
        texts = [text.encode() for text in islice(open_source(source).documents(), learned + scored)]
        sizes, name = np.array([len(text) for text in texts[learned:]], np.float64), Path(source).name.split(".")[0]
        nats = {}
        for order in (3, 5):
            model = ByteNgram(order).fit(texts[:learned])
            nats[order] = np.array([model.nats(text).sum() for text in texts[learned:]])
        for what, each in (("order 5", nats[5]), ("order 3 less order 5", nats[3] - nats[5])):
            found[f"{name}, {what}"] = population(each, sizes), float(each.sum() / sizes.sum())
    return found


def student(x: Reals, s: Reals) -> tuple[Reals, Reals]:
    """Return t intervals of N - 1 degrees on the linearised ratio, one a row."""
    count, total = x.shape[1], s.sum(1)
    middle = x.sum(1) / total
    error = np.square(x - middle[:, None] * s).sum(1) * count / (count - 1)
    half = float(stdtrit(count - 1, 0.975)) * np.sqrt(error) / total
    return middle - half, middle + half


def bootstrap(x: Reals, s: Reals, rng: np.random.Generator) -> tuple[Reals, Reals]:
    """Return percentile intervals, one a row; all rows share their resamples, which changes no row's coverage."""
    count = x.shape[1]
    weights = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).T.astype(np.float64)
    low, high = np.quantile((x @ weights) / (s @ weights), [0.025, 0.975], axis=1)
    return low, high


def ours(x: Reals, s: Reals) -> tuple[Reals, Reals]:
    """Return our intervals, one a row; where none is given it is counted as missing nothing, which is rare."""
    found = [ratio_interval(one, other) or (-np.inf, np.inf) for one, other in zip(x, s, strict=True)]
    low, high = np.array(found).T
    return low, high


def over_documents(
    sources: Sequence[str], times: int, counts: Sequence[int], learned: int, scored: int
) -> list[dict[str, Any]]:
    """Return the coverage in each world at each number of documents."""
    rows = []
    for name, (draw, truth) in worlds(sources, learned, scored).items():
        for count in counts:
            rng = np.random.default_rng([len(rows), count])
            x, s = draw(rng, (times, count))
            spans = {"ours": ours(x, s), "Student": student(x, s), "bootstrap": bootstrap(x, s, rng)}
            held = {way: _percent((low <= truth) & (truth <= high)) for way, (low, high) in spans.items()}
            width = {way: float(np.median(high - low)) for way, (low, high) in spans.items()}
            wide = round(width["ours"] / max(width["bootstrap"], 1e-300), 2)
            rows.append({"world": name, "documents": count, **held, "width, ours / bootstrap": wide})
        say(name)
    return rows


def over_seeds(times: int, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Return the coverage over seeds and documents, by how much seeds vary beside documents."""
    rows = []
    for one, two in ((2, 0), (3, 0), (2, 2), (3, 3), (2, 5)):
        for count in counts:
            row: dict[str, Any] = {"seeds": f"{one}" if not two else f"{one} against {two}", "documents": count}
            for share in (0.0, 0.3, 1.0, 3.0, 30.0):
                rng = np.random.default_rng([one, two, count, round(10 * share)])
                held = [_seeds_held(rng, one, two, count, share) for _ in range(times)]
                row[f"seeds / documents {share:g}"] = _percent(np.array(held))
            rows.append(row)
        say(f"seeds {one}, {two}")
    return rows


def _seeds_held(rng: np.random.Generator, one: int, two: int, count: int, share: float) -> bool:
    """Tell whether one interval holds the truth; seeds vary ``share`` times as much as documents make means vary."""
    sizes = rng.integers(200, 1500, count).astype(np.float64)
    rate = rng.normal(0, 0.2, count) * np.log(2)
    deviation = share * 0.2 / count**0.5
    nats = sizes * (2 * np.log(2) + rate + np.log(2) * deviation * one**0.5 * rng.normal(size=(one, 1)))
    if not two:
        span, truth = interval(nats, sizes), 2.0
    else:
        base = sizes * (2 * np.log(2) + np.log(2) * deviation * two**0.5 * rng.normal(size=(two, 1)))
        span, truth = paired_interval(nats, base, sizes), 0.0
    return span is not None and span[0] <= truth <= span[1]


def over_shares(times: int, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Return the coverage of shares of yes-or-no outcomes; those of a document have its own chance of a yes."""
    rows = []
    for each, truth in ((1, 0.05), (1, 0.3), (20, 0.05), (20, 0.3), (20, 0.9)):
        for count in counts:
            rng = np.random.default_rng([each, count, round(100 * truth)])
            chance = rng.beta(8 * truth, 8 * (1 - truth), (times, count))
            outcomes = rng.integers(max(1, each // 2), each + each // 2 + 1, (times, count)).astype(np.float64)
            hits = rng.binomial(outcomes.astype(int), chance).astype(np.float64)
            found = [share_interval(h, n) or (0.0, 1.0) for h, n in zip(hits, outcomes, strict=True)]
            low, high = np.array(found).T
            t_low, t_high = student(hits, outcomes)
            b_low, b_high = bootstrap(hits, outcomes, rng)
            rows.append(
                {
                    "outcomes a document": each,
                    "share": truth,
                    "documents": count,
                    "ours": _percent((low <= truth) & (truth <= high)),
                    "Student": _percent((t_low <= truth) & (truth <= t_high)),
                    "bootstrap": _percent((b_low <= truth) & (truth <= b_high)),
                }
            )
    return rows


def _percent(held: NDArray[np.bool_]) -> float:
    return round(100 * float(held.mean()), 1)


def main() -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="Does it run at all? Nothing is stored.")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--source", action="append", default=[], help="Further text, as in data.source.")
    options = parser.parse_args()
    sources = ["pydocs", *options.source]
    times, counts = (50, (2, 5)) if options.quick else (10_000, DOCUMENTS)
    learned, scored = (20, 40) if options.quick else (LEARNED, SCORED)
    tables = {
        "documents": over_documents(sources, times, counts, learned, scored),
        "seeds": over_seeds(times // 2, counts[:2] if options.quick else (2, 5, 20, 60)),
        "shares": over_shares(times // 2, counts[:2] if options.quick else (2, 3, 5, 10, 20, 60)),
    }
    for name, rows in tables.items():
        say(f"\n{name}: percent of 95 % intervals that hold the truth\n" + "\n".join(table(rows)))
    if not options.quick:
        names = [f" --source {Path(source).name}" for source in options.source]
        command = f"python -m {__spec__.name}{''.join(names)}"
        settings = {"worlds drawn": times, "of seeds and shares": times // 2, "resamples": RESAMPLES}
        settings |= {"documents learned": learned, "documents scored": scored}
        store(options.output, {**stamp(command), "settings": settings, "tables": tables})
    return 0


if __name__ == "__main__":
    sys.exit(main())
