"""The tables of docs/studies/sparse.md and sparse-original.md."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.lib.cells import Rows, Table, bits, grid, measured, one, seeds_of, short, spread

OPTIONS = {
    "masked (the same recipe without candidates)": "shift + causal warm start 0.4",
    "K = 1": "sparse, K = 1",
    "K = 4": "sparse, K = 4",
    "K = 8": "sparse, K = 8",
    "K = 4, given in every row of training": "sparse, K = 4, always given",
    "K = 1-2-4-8": "sparse, K = 1-2-4-8",
    "K = 4, full attention": "sparse, K = 4, full attention",
}


def options(found: Any) -> Rows:
    """Return the bound by what candidates are shown."""
    rows = found["rows"]
    columns = {
        "bits per byte": lambda row: bits(seeds_of(rows, row)),
        "seeds": lambda row: str(len(seeds_of(rows, row))),
    }
    return grid("row", OPTIONS, columns)


def controls(found: Any) -> Rows:
    """Return the bound of the same networks with other candidates."""
    labels = {"its own": "own candidates", "none": "none", "those of another open position": "shuffled"}
    return grid("candidates", labels, {"bits per byte": lambda row: bits(seeds_of(found["rows"], row))})


def steps(found: Any) -> Rows:
    """Return the judge by number of steps."""
    ways = {"masked": "masked", "sparse": "sparse", "sparse, not carried": "sparse, candidates not carried"}
    columns = {
        label: lambda n, row=row: spread([one["n-gram judge"] for one in seeds_of(found["rows"], row, n)])
        for label, row in ways.items()
    }
    return grid("steps", {str(n): n for n in (4, 8, 16, 32, 64)}, columns)


COST = {
    "training a token, K = 4": "training a token against masked, pooled K = 4, <= 1.5x",
    "training a token, K = 8": "training a token against masked, sparse, K = 8",
    "training a token, K = 4, given in every row": "training a token against masked, sparse, K = 4, always given",
    "training a token, K = 4, in full attention": "training a token against masked, sparse, K = 4, full attention",
    "sampling a step, `confidence`": "sampling a step against masked, confidence, <= 1.1x",
    "sampling a step, `ancestral`": "sampling a step against masked, ancestral, <= 1.1x",
}


def cost(found: Any) -> Rows:
    """Return the time of candidates, of masked's."""
    columns = {"time, of masked's": lambda promise: measured(one(found["goals"], promise=promise), ".2f", "x")}
    return grid("what", COST, columns)


def four(found: Any) -> Rows:
    """Return four processes at small size, with what the original's table lacks."""
    names = {
        "causal": "small-causal",
        "masked": "small-masked",
        "sparse": "small-sparse",
        "sparse_flatten": "small-flatten",
    }
    runs = {label: one(found["rows"], name=name) for label, name in names.items()}
    own = {"causal": "autoregressive", "masked": "ancestral", "sparse": "ancestral", "sparse_flatten": "flatten"}
    others = (("confidence", 64), ("entropy-bound", None), ("remasking", 64))

    def written(label: str, sampler: str, steps: int | None) -> dict[str, Any]:
        return one(runs[label]["generation"], sampler=sampler, steps=steps)

    def judge(label: str, ways: Any) -> str:
        there = [way for way in ways if any((g["sampler"], g["steps"]) == way for g in runs[label]["generation"])]
        return " / ".join(f"{written(label, *way)['judges']['n-gram judge']:.2f}" for way in there)

    def own_ways(label: str, *counts: int) -> list[tuple[str, int | None]]:
        return [(own[label], None)] if label == "causal" else [(own[label], n) for n in counts]

    def accuracy(label: str) -> str:
        levels = runs[label]["denoising"]["levels"]
        if label == "causal":
            return f"{short(levels[0]['accuracy'])} ({short(levels[0]['copy_accuracy'])}), next token"
        chosen = [one(levels, name=name) for name in ("(0.1, 0.3]", "(0.5, 0.7]", "(0.9, 1]")]
        return f"{' / '.join(short(level['accuracy']) for level in chosen)} ({chosen[-1]['copy_accuracy']:.0f})"

    lines = {
        "bits per byte": lambda label: bits([runs[label]]),
        "perplexity a token": lambda label: ("" if label == "causal" else "<= ") + f"{runs[label]['perplexity']:,.1f}",
        "accuracy where (0.1, 0.3] / (0.5, 0.7] / (0.9, 1] is noise (a copy's)": accuracy,
        "judge, own sampler at 16 / 64 steps": lambda label: judge(label, own_ways(label, 16, 64)),
        "judge, `confidence` 64 / `entropy-bound` / `remasking` 64": lambda label: judge(label, others),
        "entropy, bits a word, own sampler at 64": lambda label: (
            f"{written(label, *own_ways(label, 64)[0])['quality']['entropy']:.2f}"
        ),
        "repeated 4-grams, own sampler at 64": lambda label: short(
            written(label, *own_ways(label, 64)[0])["quality"]["repeated_4"]
        ),
        "the most that another sampler repeats": lambda label: short(
            max(
                (g["quality"]["repeated_4"] for g in runs[label]["generation"] if g["sampler"] != own[label]), default=0
            )
        ),
    }
    real = runs["causal"]["generation"][0]
    beside = {
        "judge, own sampler at 16 / 64 steps": f"{real['real_judges']['n-gram judge']:.2f}",
        "entropy, bits a word, own sampler at 64": f"{real['real']['entropy']:.2f}",
        "repeated 4-grams, own sampler at 64": short(real["real"]["repeated_4"]),
    }
    return [
        {"": name} | {label: cell(label) for label in names} | {"real text": beside.get(name, "")}
        for name, cell in lines.items()
    ]


LEARNED = {
    "as in the original, positions lost": "as in the seed, positions lost",
    "positions alone": "positions alone",
    "answer replaced alone": "answer replaced alone",
    "all repairs": "all repairs",
}


def learned(found: Any) -> Rows:
    """Return what the original's measures say, and measures that no copy reaches."""

    def mean(row: str, key: str) -> float:
        return statistics.mean(entry[key] for entry in seeds_of(found["rows"], row))

    def both(row: str, where: str, form: str) -> str:
        return f"{100 * mean(row, f'accuracy, {where}'):.1f} %, {mean(row, f'perplexity, {where}'):{form}}"

    columns = {
        "seeds": lambda row: str(len(seeds_of(found["rows"], row))),
        "accuracy, perplexity with the answer in view (the original's measure)": lambda row: both(
            row, "answer in view", ",.2f"
        ),
        "a copy's accuracy": lambda row: f"{100 * mean(row, 'copy, answer in view'):.0f} %",
        "accuracy, perplexity where it was replaced": lambda row: both(row, "answer replaced", ",.0f"),
        "bits per byte, at most": lambda row: spread(
            [entry["bits_per_byte"] for entry in seeds_of(found["rows"], row)]
        ),
    }
    return grid("row", LEARNED, columns)


TEXTS = {
    "masked": ("masked", 32),
    "sparse": ("sparse", 32),
    **{
        name.replace("(ancestral)", "(ancestral) ¹").replace("(confidence)", "(confidence) ¹"): (name, 25)
        for name in (
            "original, as it was",
            "original, positions alone",
            "original, answer replaced alone",
            "original, sampler alone (re-noised)",
            "original, sampler alone (ancestral)",
            "original, sampler alone (confidence)",
            "original, all repairs",
            "original, all repairs (ancestral)",
        )
    },
    "masked, no warm start": ("masked, no warm start", 32),
    "real text": ("real text", None),
    "real text, words shuffled": ("real text, words shuffled", None),
}


def texts(found: Any) -> Rows:
    """Return judge, entropy and repeats of what each writes."""

    def cell(key: tuple[str, int | None], column: str, digits: int) -> str:
        row, n = key
        entries = [found["rows"][row]] if n is None else seeds_of(found["rows"], row, n)
        return spread([entry[column] for entry in entries], digits)

    columns = {
        "seeds": lambda key: "" if key[1] is None else str(len(seeds_of(found["rows"], *key))),
        "judge": lambda key: cell(key, "n-gram judge", 2),
        "entropy": lambda key: cell(key, "entropy", 2),
        "repeated-4": lambda key: cell(key, "repeated-4", 3),
        "distinct-2": lambda key: cell(key, "distinct-2", 2),
    }
    return grid("row", TEXTS, columns)


TABLES = {
    "sparse-options": Table("ablate_sparse.json", options),
    "sparse-controls": Table("sparse_controls.json", controls),
    "sparse-steps": Table("text_quality.json", steps),
    "sparse-cost": Table("sparse_cost.json", cost),
    "sparse-four": Table("small_four.json", four, said={"hardware": "AMD EPYC, 1 thread", "repeats": "one seed each"}),
    "sparse-original-learned": Table("flatten_rows.json", learned),
    "sparse-original-texts": Table("text_quality.json", texts),
}
