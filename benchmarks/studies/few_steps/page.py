"""The tables of docs/studies/few-steps.md, calibration.md, distillation.md, verifier.md and tune.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, one, short
from benchmarks.studies.few_steps import front

RULES = ("count", "entropy", "threshold", "profile", "stable")


def saved(found: Any) -> Rows:
    """Return the fewest calls of each rule that stay within 0.02 of the truth."""
    return [
        {"world": row["world"], "strays": f"{row['stray']:g}"}
        | {f"`{rule}`": f"{row[rule]['calls']:g}" for rule in RULES}
        for row in found["saved"]
    ]


_RULE = "confidence steps=64 accept"
_STABLE = "stable_nats=0.1 stable_looks=1"
AT_CALLS = {
    "`ancestral`: positions by chance": ("ancestral", (["steps=4"], ["steps=4"], ["steps=6"])),
    "`count` with `confidence_noise=1`": (
        "confidence",
        tuple([f"steps={n} confidence_noise=1.0" for n in each] for each in ((3,), (3,), (4, 5))),
    ),
    "`count`": ("confidence", tuple([f"steps={n} reveal=linear" for n in each] for each in ((3,), (3,), (4, 5)))),
    "`entropy`": (
        f"{_RULE}=entropy",
        (["entropy_budget=2.0"], ["entropy_budget=2.0"], ["entropy_budget=0.5", "entropy_budget=0.1"]),
    ),
    "`threshold`": (f"{_RULE}=threshold", (["sure_above=0.5"], ["sure_above=0.5"], ["sure_above=0.9"])),
    "`profile`": (
        f"{_RULE}=profile",
        (["doubt_budget=1.0"], ["doubt_budget=2.0"], ["doubt_budget=1.0", "doubt_budget=0.5"]),
    ),
    "`stable`": (f"{_RULE}=stable", tuple([f"sure_above={sure} {_STABLE}"] for sure in ("0.6", "0.3", "0.6"))),
}


def at_calls(found: Any) -> Rows:
    """Return calls and distance of each rule at about as many calls."""

    def cell(world: str, begin: str, ends: list[str]) -> str:
        rows = [one(found["worlds"][world]["rows"], way=f"{begin} {end}") for end in ends]
        return "; ".join(f"{row['calls']:g}, {row['tv']:.3f}" for row in rows)

    columns = {
        f"`{world}`{more}": lambda key, world=world, k=k: cell(world, key[0], key[1][k])
        for k, (world, more) in enumerate((("hmm", ""), ("markov", ""), ("phrases", ", strays 0.03")))
    }
    return grid("calls, total variation", AT_CALLS, columns)


ABOUT = {"8": (8, 8), "15 to 16": (15, 16), "21 to 24": (21, 24), "45 to 48": (45, 48)}
ABOUT_BLOCK = {**{str(n): (n, n) for n in (6, 12, 18)}, "24": (23.8, 24), "36": (36, 36), "46 to 48": (46, 48)}
NOISY = tuple(f"{rule} with noise" for rule in ("count", "entropy", "profile"))


def texts(about: Mapping[str, tuple[float, float]], rules: Sequence[str]) -> Callable[[Any], Rows]:
    """Return what tells the judge by calls: of a rule's levels within a row the one with the fewest."""

    def made(found: Any) -> Rows:
        def cell(rule: str, least: float, most: float) -> str:
            within = [row for row in found["rows"] if row["rule"] == rule and least - 0.1 <= row["calls"] <= most + 0.1]
            return f"{min(within, key=lambda row: row['calls'])['judge, bits per byte']:.2f}" if within else ""

        heads = {f"`{rule.removesuffix(' with noise')}`" + ", noise" * rule.endswith("noise"): rule for rule in rules}
        return grid(
            "about so many calls",
            about,
            {head: lambda ends, rule=rule: cell(rule, *ends) for head, rule in heads.items()},
        )

    return made


ECE = {
    "none": "none",
    "temperature": "temperature",
    "platt": "platt",
    "isotonic": "isotonic",
    "head": "head",
    "platt, fitted on `corrupted` states": "platt, fitted on corrupted",
    "*control: the same network at temperature 0.5*": "none, temperature 0.5",
    "*control, platt*": "platt, temperature 0.5",
    "*control, isotonic*": "isotonic, temperature 0.5",
}


def ece(found: Any) -> Rows:
    """Return the error of each map on the states that a sampler visits."""
    rows = found["ece"]
    columns = {
        "ECE": lambda row: f"{rows[row]['ece']:.4f}",
        "of seeds 0, 1, 2": lambda row: ", ".join(f"{value:.4f}" for value in rows[row]["ece of seeds"]),
        "by chance": lambda row: f"{rows[row]['by chance']:.4f}",
        "Brier": lambda row: f"{rows[row]['brier']:.4f}",
        "AUROC": lambda row: f"{rows[row]['auroc']:.3f}",
    }
    return grid("map, on forced states", ECE, columns)


def order(found: Any) -> Rows:
    """Return what a map's order restores, beside the network's own."""

    def more(name: str, steps: int) -> str:
        row = found["order"][f"{name} | {steps}"]
        low, high = row["interval"]
        return f"{row['more than raw']:+.4f} ({low:+.4f} to {high:+.4f})" if row["more than raw"] else "0"

    columns = {
        "none": lambda steps: f"{found['order'][f'none | {steps}']['restored']:.4f}",
        "temperature: more than none": lambda steps: more("temperature", steps),
        "head: more than none": lambda steps: more("head", steps),
    }
    return grid("steps", {str(steps): steps for steps in (4, 8, 16, 32)}, columns)


_WRITERS = {
    "teacher": "teacher",
    "student, `reverse`": "reverse",
    "student, `forward`": "forward",
    "student, `reverse` with a random mask": "mixture",
    "control: the teacher trained on as long": "continued",
}
DISTILLED = {label: tuple(f"{name}, {n} steps" for n in (2, 4, 8, 16, 32)) for label, name in _WRITERS.items()}
DISTILLED["teacher, temperature .8"] = tuple(f"teacher, {n} steps, temperature 0.8" for n in (2, 4, 8, 16, 32))
DISTILLED["real text, as many words"] = ("real text, as many words",)


def distilled(found: Any) -> Rows:
    """Return what teacher, students and control write in few steps."""
    return [
        {
            "written by": label,
            "steps": key.split(", ")[1].removesuffix(" steps") if "steps" in key else "-",
            "judge, bits per byte": f"{found['rows'][key]['judge, bits per byte']:.3f}",
            "entropy, bits a word": f"{found['rows'][key]['entropy, bits a word']:.2f}",
            "distinct-2": short(found["rows"][key]["distinct-2"]),
            "self-BLEU": f"{found['rows'][key]['self-BLEU']:.1f}",
        }
        for label, keys in DISTILLED.items()
        for key in keys
    ]


def distilled_bounds(found: Any) -> Rows:
    """Return the bounds of teacher, students and control."""
    rows = {
        "teacher": "teacher",
        "student, `reverse`": "reverse",
        "student, `forward`": "forward",
        "student, `reverse` with a random mask": "mixture",
        "control: the teacher trained on by its own loss": "continued",
    }
    columns = {
        "bits per byte, held-out blocks": lambda run: f"<= {found['runs'][run]['valid_bits_per_byte']:.3f}",
        "steps of training": lambda run: f"{found['runs'][run]['steps']:,}",
    }
    return grid("run", rows, columns)


def coin(found: Any) -> Rows:
    """Return how many texts agree where a product must fail."""
    rows = {name: name for name in found["coin"]}
    return grid("written by", rows, {"texts that agree": lambda row: short(found["coin"][row])})


LOSSLESS = {
    "copies": "copies",
    "the world's own blocks": "its own blocks",
    "blocks of another world": "blocks of another world",
    "masks of another world": "masks of another world",
    "words of another world": "words of another world",
}
WRONG = "control: accepts by probability above 0.5, drafts of 4"


def lossless_worlds(found: Any) -> Rows:
    """Return the distance of lossless drafts from the truth, and of a wrong rule."""
    worlds = found["worlds"]

    def both(world: str, name: str, key: str, form: str) -> str:
        if name == WRONG:
            value = f"{worlds[world][name][key]:{form}}"
            return f"**{value}**" if key == "tv" else value
        return ", ".join(f"{worlds[world][f'lossless, drafts of {n}: {name}'][key]:{form}}" for n in (2, 4))

    columns = {
        "hmm": lambda name: both("hmm", name, "tv", ".3f"),
        "markov": lambda name: both("markov", name, "tv", ".3f"),
        "calls a text, hmm": lambda name: both("hmm", name, "calls a text", ".2f"),
    }
    rows = LOSSLESS | {"*control: accepts by probability above 0.5* (drafts of 4)": WRONG}
    return grid("lossless, words of a draft: 2, 4", rows, columns)


def repair_worlds(found: Any) -> Rows:
    """Return distance and calls of repaired texts."""

    def cell(world: str, steps: int, end: str) -> str:
        row = found["worlds"][world][f"ancestral, {steps} steps{end}"]
        return f"{row['tv']:.3f} ({row['calls a text']:.1f})"

    ends = {"alone": "", "above 0.2 nats": ", repair above 0.2 nats", "above 1": ", repair above 1.0 nats"}
    columns = {
        f"{world}: {head}" if head == "alone" else head + " " * (world == "markov"): (
            lambda steps, world=world, end=end: cell(world, steps, end)
        )
        for world in ("hmm", "markov")
        for head, end in ends.items()
    }
    return grid("steps", {str(steps): steps for steps in (1, 2, 4)}, columns)


def lossless(found: Any) -> Rows:
    """Return words a call and time of drafts, on novel and on copied text."""
    novel, copying = found["lossless"]["novel"], found["lossless"]["copying"]

    def both(row: str, key: str) -> str:
        return f"{novel[row][key]:.2f} / {copying[row][key]:.2f}"

    def kept(row: str) -> str:
        if "left to right" in row:
            return "-"
        return both(row, "share accepted")

    def time(row: str, batch: int) -> str:
        if "left to right" in row:
            return "1"
        key = f"time against left to right, batch {batch}"
        return " / ".join(f"{statistics.median(each[row][key]):.2f}" for each in (novel, copying))

    columns = {
        "words a verifier call, novel / copying": lambda row: both(row, "words a verifier call"),
        "share of drafted words kept": kept,
        "network calls a word": lambda row: both(row, "calls a word"),
        "time against left to right, batch 1": lambda row: time(row, 1),
        "batch 8": lambda row: time(row, 8),
    }
    return grid("written by", {row: row for row in novel}, columns)


def repaired(found: Any) -> Rows:
    """Return repair beside spans opened by chance and by the writer's own doubt."""
    rows = found["repair"]

    def share(row: str, key: str) -> str:
        return f"{rows[row][key]:.3f}" if key in rows[row] else "-"

    columns = {
        "judge, bits per byte": lambda row: share(row, "judge, bits per byte"),
        "entropy, bits a word": lambda row: share(row, "entropy, bits a word"),
        "distinct-2": lambda row: share(row, "distinct-2"),
        "share rewritten": lambda row: share(row, "share rewritten"),
        "tokens read a token": lambda row: share(row, "tokens read a token"),
        "network calls a text": lambda row: f"{rows[row]['calls a text']:.0f}" if "calls a text" in rows[row] else "-",
    }
    return grid("texts", {row.replace(" | ", ": "): row for row in rows}, columns)


_PLAIN = ("count", "entropy", "profile")
_WORLDS = {"command": "python -m benchmarks.studies.few_steps.acceptance", "hardware": "x86_64, 1 thread"}
_RUNS = _WORLDS | {
    "command": "python -m benchmarks.studies.few_steps.acceptance --texts 24 --tokens 48 --run runs/nano-masked"
}
_CALIBRATED = {
    "command": "python -m benchmarks.studies.few_steps.calibration runs/nano-masked --documents 120 --written 12",
    "hardware": "AMD EPYC",
}
_BLOCK = {"command": "python -m benchmarks.studies.few_steps.calibration runs/nano-block --documents 120 --written 12"}
TABLES = {
    "tune": Table("pareto.json", front.table),
    "few-steps-saved": Table("acceptance.json", saved, part=("worlds",), said=_WORLDS),
    "few-steps-calls": Table("acceptance.json", at_calls, part=("worlds",), said=_WORLDS),
    "few-steps-texts": Table(
        "acceptance.json", texts(ABOUT, (*_PLAIN, "ancestral", *NOISY)), part=("runs", "nano-masked"), said=_RUNS
    ),
    "few-steps-block": Table(
        "acceptance.json",
        texts(ABOUT_BLOCK, (*_PLAIN, "threshold", *NOISY)),
        part=("runs", "nano-block"),
        said=_RUNS
        | {"command": "python -m benchmarks.studies.few_steps.acceptance --texts 24 --tokens 48 --run runs/nano-block"},
    ),
    "calibration-ece": Table("calibration.json", ece, part=("nano-masked",), said=_CALIBRATED),
    "calibration-order": Table("calibration.json", order, part=("nano-masked",), said=_CALIBRATED),
    "calibration-block": Table("calibration.json", ece, part=("nano-block",), said=_CALIBRATED | _BLOCK),
    "distillation-texts": Table("few_steps_distill.json", distilled),
    "distillation-bounds": Table("few_steps_distill.json", distilled_bounds),
    "distillation-coin": Table("few_steps_distill.json", coin),
    "verifier-worlds": Table("verifier_worlds.json", lossless_worlds),
    "verifier-repair-worlds": Table("verifier_worlds.json", repair_worlds),
    "verifier-lossless": Table("verifier.json", lossless, part=("nano",)),
    "verifier-repair": Table("verifier.json", repaired, part=("nano",)),
}
