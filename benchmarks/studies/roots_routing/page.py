"""The tables of docs/studies/roots-routing.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lib.cells import Rows, Table, short

_NAMES = {"faiss IVF": "faiss IVF, spherical k-means"}
SHARES = ("2%", "5%", "10%", "20%")
ROUTERS = {
    "`centroid`": "centroid",
    "`moments`, rank 4": "moments, rank 4",
    "`moments`, exact": "moments, exact",
    "`ebm`": "ebm",
    "`cones`": "cones",
}


def _found(row: Mapping[str, Any], shares: Sequence[str]) -> str:
    return " / ".join(short(float(row[share].split()[0])) for share in shares)


def _first(rows: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any] | None:
    return next((row for row in rows if all(row[key] == value for key, value in wanted.items())), None)


def partitions(found: Any) -> Rows:
    """Return what each partition finds under each router."""
    rows = found["tables"]["Partitions and routers"]
    made = []
    for name in dict.fromkeys(row["partition"] for row in rows):
        first = _first(rows, partition=name)
        assert first is not None
        line = {"partition": _NAMES.get(name, name), "build, s": f"{first['build seconds']:.2f}"}
        line["largest / mean"] = f"{first['max / mean']:.2f}"
        for label, router in ROUTERS.items():
            row = _first(rows, partition=name, router=router)
            if row is None and router == "centroid":
                row = _first(rows, partition=name, router="its own")
            line[label] = _found(row, SHARES) if row else ""
        made.append(line)
    return made


def shelves(found: Any) -> Rows:
    """Return what more shelves find, and more about each."""
    rows = found["tables"]["More shelves, or more about each"]
    routers = {
        "means": "centroid",
        "rank 0": "moments, rank 0",
        "rank 4": "moments, rank 4",
        "rank 16": "moments, rank 16",
    }
    made = []
    for count in dict.fromkeys(row["shelves"] for row in rows):
        opened = _first(rows, shelves=count, router="centroid")
        assert opened is not None
        line = {"shelves": str(count), "opened at 10 %": f"{opened['shelves opened at 10 %']:.0f}"}
        for k, (label, router) in enumerate(routers.items()):
            row = _first(rows, shelves=count, router=router)
            line[f"{label}: KiB"] = f"{row['bytes'] / 1024:,.0f}" if row else ""
            line["found" + " " * k] = _found(row, SHARES[1:]) if row else ""
        made.append(line)
    return made


def copies(found: Any) -> Rows:
    """Return what copies on a second shelf find, counted in what is scanned."""
    rows = found["tables"]["Spilled"]
    made = []
    for count, copied, part in dict.fromkeys((row["shelves"], row["copied"], row["lambda"]) for row in rows):
        same = {"shelves": count, "copied": copied, "lambda": part}
        pair = [_first(rows, router=router, **same) for router in ("centroid", "moments")]
        first = pair[0]
        assert first is not None
        made.append(
            {
                "shelves": str(count),
                "copied": f"{copied:.0%}",
                "lambda": f"{part:g}" if copied else "",
                "stored vectors": f"{first['stored vectors']:,}",
            }
            | {
                label: _found(row, SHARES) if row else ""
                for label, row in zip(("`centroid`", "`moments`, rank 4"), pair, strict=True)
            }
        )
    return made


def exact(found: Any) -> Rows:
    """Return the share that is read until an answer is certain."""
    rows = found["tables"]["Exact"]
    made = []
    for query in dict.fromkeys(row["query"] for row in rows):
        line = {"asked for": query}
        for width in (16, 64, 256):
            for count in (64, 1024):
                row = _first(rows, query=query, width=width, shelves=count)
                line[f"width {width}, K = {count:,}"] = f"{row['scanned']:.3f}" if row else ""
        made.append(line)
    return made


TABLES = {
    "roots-routing-partitions": Table("partitions.json", partitions),
    "roots-routing-shelves": Table("partitions.json", shelves),
    "roots-routing-copies": Table("partitions.json", copies),
    "roots-routing-exact": Table("partitions.json", exact, said={"repeats": "one seed, 100 queries"}),
}
