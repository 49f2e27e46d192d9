"""The tables of docs/studies/roots-frontier.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, measured, one, short

SHARES = ("2%", "5%", "10%", "20%", "40%")
PYDOCS = {
    "ROOTS kmeans, moments (the default)": "ROOTS kmeans, moments",
    "with an int8 core": "ROOTS kmeans, int8 core, moments",
    "kmeans, centroid": "ROOTS kmeans, centroid",
    "kmeans, ebm": "ROOTS kmeans, ebm",
    "balanced_kmeans, centroid": "ROOTS balanced_kmeans, centroid",
    "balanced_kmeans, moments": "ROOTS balanced_kmeans, moments",
    "balanced_kmeans, ebm": "ROOTS balanced_kmeans, ebm",
    "the same, moments, 20 % spilled": "ROOTS balanced_kmeans, 20% spilled, moments",
    "50 % spilled": "ROOTS balanced_kmeans, 50% spilled, moments",
    "100 % spilled": "ROOTS balanced_kmeans, 100% spilled, moments",
    "ising, centroid": "ROOTS ising, centroid",
    "ising, moments": "ROOTS ising, moments",
    "ising, ebm": "ROOTS ising, ebm",
    "kmeans, 4 K, centroid": "ROOTS kmeans, 4 K, centroid",
    "kmeans, 4 K, moments": "ROOTS kmeans, 4 K, moments",
    "random shelves, moments (control)": "ROOTS random shelves (control), moments",
    "IVF, int8, lists cut": "IVF, int8, lists cut",
    "IVF, float32, lists cut": "IVF, float32, lists cut",
    "faiss IVF-PQ, 32 B": "faiss IVF-PQ, 32 B",
    "faiss IVF-RaBitQ, 40 B": "faiss IVF-RaBitQ",
}
QUESTIONS = {
    "Cranfield": "cranfield",
    "en in en": "xquad en in en",
    "hi in hi": "xquad hi in hi",
    "hi in en": "xquad hi in en",
    "en in hi": "xquad en in hi",
}


def _kib(size: float) -> str:
    return f"{size / 1024:,.0f}"


def _whole_lists(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of an entrant that reads whole lists, least first, named by the share nearest to each."""
    return sorted((row for row in rows if re.match(r"\d+ of", row["setting"])), key=lambda row: row["share"])


def pydocs(found: Any) -> Rows:
    """Return bytes and recall of what reads a part."""
    made = []
    for label, entrant in PYDOCS.items():
        mine = [row for row in found["rows"] if (row["questions"], row["entrant"]) == ("pydocs", entrant)]
        by_share = _whole_lists(mine) or [one(mine, setting=share) for share in SHARES]
        tenth = by_share[2]
        made.append(
            {
                "": label,
                "resident KiB": _kib(tenth["resident"]),
                "read KiB at 10 %": _kib(tenth["read"]),
                "2 / 5 / 10 / 20 / 40 % read": " / ".join(short(row["recall"]) for row in by_share),
                "task": short(tenth["task"]),
            }
        )
    return made


CODES = ("PQ, 8 B", "PQ, 16 B", "PQ, 32 B", "RaBitQ, 40 B")
WHOLE = {"flat, int8": "all", "flat, float32": "all", "BM25": "words"}


def codes(found: Any) -> Rows:
    """Return what is found when all codes are read."""
    rows = [row for row in found["rows"] if row["questions"] == "pydocs"]

    def line(name: str, row: Mapping[str, Any], again: Mapping[str, Any] | None) -> dict[str, str]:
        return {
            "all codes are read": name,
            "resident KiB": _kib(row["resident"]),
            "read KiB": _kib(row["read"]),
            "found": "" if row["recall"] is None else short(row["recall"]),
            "task": short(row["task"]),
            "best 100 scored again: read KiB": _kib(again["read"]) if again else "",
            "found ": short(again["recall"]) if again else "",
            "task ": short(again["task"]) if again else "",
        }

    coded = [line(name, one(rows, entrant=name), one(rows, entrant=f"{name}, best 100 scored again")) for name in CODES]
    return coded + [line(name, one(rows, entrant=name, setting=setting), None) for name, setting in WHOLE.items()]


OTHERS = {
    "ROOTS kmeans, moments": "ROOTS kmeans, moments",
    "kmeans, centroid": "ROOTS kmeans, centroid",
    "balanced_kmeans, moments": "ROOTS balanced_kmeans, moments",
    "the same, 50 % spilled": "ROOTS balanced_kmeans, 50% spilled, moments",
    "ising, moments": "ROOTS ising, moments",
    "kmeans, ebm": "ROOTS kmeans, ebm",
    "kmeans, 4 K, moments": "ROOTS kmeans, 4 K, moments",
    "random shelves (control)": "ROOTS random shelves (control), moments",
    "IVF, int8, lists cut": "IVF, int8, lists cut",
    "PQ, 16 B, best 100 again": "PQ, 16 B, best 100 scored again",
}


def others(found: Any) -> Rows:
    """Return recall at 5, 10 and 20 % on the other corpora."""

    def cell(questions: str, entrant: str) -> str:
        mine = [row for row in found["rows"] if (row["questions"], row["entrant"]) == (questions, entrant)]
        if len(mine) == 1:
            return short(mine[0]["recall"])
        return " / ".join(short(one(mine, setting=share)["recall"]) for share in SHARES[1:4])

    columns = {label: lambda entrant, name=name: cell(name, entrant) for label, name in QUESTIONS.items()}
    return grid("found", OTHERS, columns)


TASKS = {
    "ROOTS kmeans, moments, 10 %": ("ROOTS kmeans, moments", "10%"),
    "IVF, int8, 10 %": ("IVF, int8, lists cut", "10%"),
    "PQ, 16 B, best 100 scored again": ("PQ, 16 B, best 100 scored again", "all codes"),
    "reading everything": ("flat, float32", "all"),
    "BM25": ("BM25", "words"),
}


def tasks(found: Any) -> Rows:
    """Return the task on the other corpora, with the intervals of what reads everything."""

    def cell(questions: str, key: tuple[str, str]) -> str:
        row = one(found["rows"], questions=questions, entrant=key[0], setting=key[1])
        around = f" ({short(row['task low'])} to {short(row['task high'])})" if key[1] in ("all", "words") else ""
        return short(row["task"]) + around

    heads = {"Cranfield, nDCG@10": "cranfield", "en in en, hit@10": "xquad en in en"}
    heads |= {label: name for label, name in QUESTIONS.items() if label not in ("Cranfield", "en in en")}
    return grid("task", TASKS, {label: lambda key, name=name: cell(name, key) for label, name in heads.items()})


def batch(found: Any) -> Rows:
    """Return the time of a batch beside faiss' at the same recall."""
    rows, goals = found["rows"], found["goals"]

    def starting(text: str) -> Mapping[str, Any]:
        return next(row for row in rows if row["case"].startswith(text))

    def line(recall: str, lists: str) -> dict[str, str]:
        of = {
            router: next(g for g in goals if g["promise"].startswith(f"{router} router at recall {recall}"))
            for router in _ROUTERS
        }
        ours = next(row for row in rows if re.match(rf"ROOTS, moments, .* as good as {lists} lists", row["case"]))
        moments = of["moments"]
        return {
            "recall": recall,
            "faiss IVF, lists of 64": lists,
            "ms": f"{starting(f'faiss IVF, {lists} of')['median']:.0f}",
            "ROOTS moments, texts read": ours["case"].split(", ")[2].split("%")[0] + " %",
            "ms ": f"{ours['median']:.0f}",
            "ratio": f"{measured(moments, '.2f')} {'met' if moments['met'] else '**missed**'}",
            "centroid router, ratio": f"{of['centroid']['median']:.2f}",
        }

    told = [re.match(r"moments router at recall ([\d.]+).*IVF, (\d+) of", goal["promise"]) for goal in goals]
    whole = next(goal for goal in goals if goal["promise"].startswith("reading everything"))
    last = {
        "recall": "all",
        "faiss IVF, lists of 64": "flat",
        "ms": f"{starting('faiss flat')['median']:.0f}",
        "ROOTS moments, texts read": "100 %",
        "ms ": f"{starting('ROOTS, all texts')['median']:.0f}",
        "ratio": measured(whole, ".2f"),
        "centroid router, ratio": "",
    }
    return [*(line(match[1], match[2]) for match in told if match), last]


_ROUTERS = ("moments", "centroid")
_SEEDS = {"repeats": "seeds 0, 1, 2"}
TABLES = {
    "roots-frontier-pydocs": Table("roots_frontier.json", pydocs, said=_SEEDS),
    "roots-frontier-codes": Table("roots_frontier.json", codes, said=_SEEDS),
    "roots-frontier-others": Table("roots_frontier.json", others, said=_SEEDS),
    "roots-frontier-tasks": Table("roots_frontier.json", tasks, said=_SEEDS),
    "roots-frontier-batch": Table("roots_frontier.json", batch, part=("time",)),
}
