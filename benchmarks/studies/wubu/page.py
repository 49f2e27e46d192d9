"""The tables of docs/studies/wubu.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, one

WAYS = {"ball, learned c": "Poincare, learned c", "ball, c = 1": "Poincare, c = 1", "flat": "Euclidean"}

NAMES = {"Python's classes": "classes"}


def trees(found: Any) -> Rows:
    """Return how well a tree is kept, by geometry and dimensions; the least distortion stands out."""
    made = []
    for tree, dimensions in dict.fromkeys((row["tree"], row["dimensions"]) for row in found["rows"]):
        mine = {
            label: one(found["rows"], tree=tree, dimensions=dimensions, geometry=way) for label, way in WAYS.items()
        }
        best = min(row["distortion"].split()[0] for row in mine.values())
        line = {"tree (nodes)": f"{NAMES.get(tree, tree)} ({mine['flat']['nodes']})", "d": str(dimensions)}
        for k, (label, row) in enumerate(mine.items()):
            text = row["distortion"]
            line["distortion: " * (k == 0) + label] = f"**{text}**" if text.startswith(best) else text
        for k, (label, row) in enumerate(mine.items()):
            line[("MAP: " if k == 0 else "") + label + " " * (k > 0)] = row["MAP"]
        line["learned c "] = mine["ball, learned c"]["c"].split()[0]
        made.append(line)
    return made


def _both(found: Any, case: str) -> str:
    forward, gradient = (one(found["rows"], case=f"{case}, {way}")["median"] for way in ("forward", "with gradient"))
    return f"{forward:.3g} / {gradient:.3g}"


def rotations(found: Any) -> Rows:
    """Return milliseconds of a rotation, forward and with its gradient."""
    sizes = sorted({int(row["case"].split(", ")[1][4:]) for row in found["rows"] if row["case"].startswith("Cayley")})
    columns = {str(n): lambda way, n=n: _both(found, f"{way}, n = {n}") for n in sizes}
    return grid("a rotation of n dimensions", {"Cayley": "Cayley", "matrix exponential": "matrix exponential"}, columns)


STACKS = {
    "default stack": "stack",
    "default stack, c = 0": "stack, c = 0",
    "default stack, patches alone": "stack, patches alone",
    "one Transformer layer, width 128": "one Transformer layer, width 128",
}


def stacks(found: Any) -> Rows:
    """Return parameters and milliseconds of a stack and its rivals."""
    columns = {
        "parameters": lambda case: f"{found['settings']['parameters'][case]:,}",
        "ms": lambda case: _both(found, case),
    }
    return grid("8 x 64 patches, 256 inputs, 512 outputs", STACKS, columns)


TABLES = {
    "wubu-trees": Table("trees.json", trees),
    "wubu-rotations": Table("wubu_cost.json", rotations),
    "wubu-stacks": Table("wubu_cost.json", stacks),
}
