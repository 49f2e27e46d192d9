"""The tables of the study pages, written from the stored results; no number of them is typed.

    python -m benchmarks.docs.tables            # writes them between <!-- table: NAME --> and <!-- end -->
    python -m benchmarks.docs.tables --check    # exit status 1 if a page is not what the results say

``TABLES`` of a study's ``page.py`` says what a table holds. Below each stands one line with the result's file, the
command, the machine, the date and the repeats. A table on a study page without a stored result says so in the line
below it, which begins with `UNSTORED`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import benchmarks.speed
import benchmarks.studies
from benchmarks.docs.links import DOCS, ROOT
from benchmarks.lib import told
from benchmarks.lib.cells import Table
from benchmarks.lib.places import RESULTS

MARKS = re.compile(r"<!-- table: (?P<name>[\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
UNSTORED = "No stored result:"
COMMAND = "python -m benchmarks.docs.tables"


@cache
def tables() -> dict[str, Table]:
    """Return the tables of all studies and speeds, by name."""
    found: dict[str, Table] = {}
    for package in (benchmarks.studies, benchmarks.speed):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".page"):
                continue
            own: dict[str, Table] = importlib.import_module(module.name).TABLES
            if twice := found.keys() & own.keys():
                raise SystemExit(f"{module.name}: there is a table {min(twice)!r} already")
            found |= own
    return found


def filled(text: str, page: Path, known: Mapping[str, Table] | None = None) -> str:
    """Return a page with its tables written anew.

    Raises:
        SystemExit: A mark names a table that no study has.
    """
    known = tables() if known is None else known

    def put(mark: re.Match[str]) -> str:
        name = mark["name"]
        if name not in known:
            raise SystemExit(f"{page}: no study's page.py has a table {name!r}")
        return f"<!-- table: {name} -->\n\n{markdown(known[name], page)}\n\n<!-- end -->"

    return MARKS.sub(put, text)


def markdown(table: Table, page: Path) -> str:
    """Return a table and the line about where it comes from."""
    stored, *more = (json.loads((RESULTS / name).read_text(encoding="utf-8")) for name in (table.file, *table.more))
    part = stored
    for key in table.part:
        part = part[key]
    lines = "\n".join(told.table(table.rows(part, *more)))
    facts = [fact for fact in (_fact(table, kind, part, stored) for kind in _FACTS) if fact]
    files = ", ".join(f"[{name}]({_place(name, page)})" for name in (table.file, *table.more))
    source = f"Source: {files}, {'; '.join(facts)}."
    return f"{lines}\n\n" + textwrap.fill(source, 120, break_long_words=False, break_on_hyphens=False)


def _place(name: str, page: Path) -> str:
    return os.path.relpath(RESULTS / name, page.parent).replace(os.sep, "/")


_FACTS = ("command", "hardware", "date", "repeats")


def _fact(table: Table, kind: str, part: Any, stored: Any) -> str:
    """Return the command, machine, date or repeats: what the table says of itself, or else what the file says."""
    value = table.said.get(kind, "")
    for place in (part, part.get("run"), stored, stored.get("setup")):
        if isinstance(place, Mapping):
            value = value or _stated(place, kind)
    return f"`{value}`" if kind == "command" and value else value


def _stated(place: Mapping[str, Any], kind: str) -> str:
    if kind == "repeats":
        return _repeats(place)
    value = place.get(kind, "")
    if isinstance(value, Mapping):
        threads = value["threads"]
        value = f"{value['cpu']}, {threads} {'thread' if threads == 1 else 'threads'}"
    return str(value).replace(", 1 threads", ", 1 thread")


def _repeats(place: Mapping[str, Any]) -> str:
    """Return how often a thing was measured: its seeds, or else its turns."""
    rows = place.get("rows", {})
    seeds = place.get("seeds", place.get("settings", {}).get("seeds"))
    if seeds is None and "seed" in place:
        seeds = [place["seed"]]
    if seeds is None and isinstance(rows, Mapping):
        seeds = sorted({int(n) for key in rows for n in re.findall(r"\| seed (\d+)", key)})
    if isinstance(seeds, int | str):
        return f"{seeds} seeds" if isinstance(seeds, int) else seeds
    if seeds:
        return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    repeats = [row["repeats"] for row in rows if isinstance(row, Mapping) and "repeats" in row]
    turns = place.get("turns") or max(repeats, default=0)
    return f"{turns} turns" if turns else ""


def unsourced(text: str) -> list[str]:
    """Return the heads of the tables of numbers that are neither written from a result nor say that there is none."""
    found = []
    rest = MARKS.sub("", text)
    for table in re.finditer(r"^\|.*\n\|[-:| ]+\|\n((?:\|.*\n?)+)\n*(.*)", rest, re.MULTILINE):
        if _numbers(table[1].splitlines()) and not table[2].startswith(UNSTORED):
            found.append(table[0].partition("\n")[0])
    return found


def _numbers(lines: Iterable[str]) -> bool:
    """Tell whether half of the filled cells behind the first column begin with a number."""
    cells = [cell.strip() for line in lines for cell in line.strip("|").split("|")[1:] if cell.strip()]
    counted = [cell for cell in cells if re.match(r"[*~<=> +-]*\.?\d", cell)]
    return 2 * len(counted) > len(cells)


def pages() -> Iterator[Path]:
    """Yield the pages that may have such tables."""
    yield from sorted(DOCS.rglob("*.md"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="Write nothing; status 1 where a page differs.")
    check = parser.parse_args(arguments).check
    behind = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := filled(text, page)) != text:
            behind.append(page.relative_to(ROOT).as_posix())
            if not check:
                page.write_text(new, encoding="utf-8")
    if behind:
        print(
            f"not what the results say: {', '.join(behind)}; {COMMAND}" if check else "\n".join(behind), file=sys.stderr
        )
    return 1 if check and behind else 0


if __name__ == "__main__":
    raise SystemExit(main())
