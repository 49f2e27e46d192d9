"""A guard that never barks guards nothing: each one catches the defects planted for it, and says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guards import planted_leaks, planted_networks, planted_processes, planted_samplers  # noqa: F401  (list the defects)
from guards.guard import GUARDS
from guards.planted import DEFECTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_caught_for_the_right_reason(name):
    defect = DEFECTS[name]
    with pytest.raises(AssertionError, match=f"^{re.escape(defect.guard.promise)}: broken, .*(?:{defect.says})"):
        defect.plant()


def test_every_guard_has_a_planted_defect_and_watches_the_registries():
    assert {defect.guard.name for defect in DEFECTS.values()} == set(GUARDS)
    source = (Path(__file__).parent / "test_guards.py").read_text("utf-8")
    assert [name for name in GUARDS if f"    {name}(" not in source] == []


def test_the_table_of_guards_in_contributing_is_true():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*\|$", text, re.M)]
    table = {row[0].strip("`"): row for row in rows if row[0].strip("`") in GUARDS}
    assert set(table) == set(GUARDS)
    for name, (_, promise, _, defects) in table.items():
        assert promise == GUARDS[name].promise
        assert set(re.findall(r"`(\w+)`", defects)) == {d.name for d in DEFECTS.values() if d.guard.name == name}
